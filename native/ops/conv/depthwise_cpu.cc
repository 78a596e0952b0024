#include "ops/conv/depthwise.h"

#include "ops/conv/depthwise_block.h"
#include "ops/conv/depthwise_geometry.h"
#include "ops/conv/tap_axes.h"

TK_BEGIN_LEVEL
namespace {

// A sum over taps with one channel per filter column, in either direction: result pixel i meets source pixel
// i*scale + offset + q*offset_step through filter row taps.first_tap + q*taps.tap_step, along both axes.
struct DepthwiseSum {
  int64_t images, channels, filter_columns;  // filter_columns: KW
  GatherAxis h, w;
  AxisTaps h_taps, w_taps;
  const float *source, *filter;
  float* result;
  int64_t result_image, result_row;  // in floats
};

struct Inside {
  int64_t first, last;
};
// The result positions all of whose taps are in the source.
Inside inside_positions(const GatherAxis& axis) {
  const int64_t reach = max64(axis.taps - 1, 0) * axis.offset_step;
  const int64_t low = axis.offset + min64(reach, 0), high = axis.offset + max64(reach, 0);
  Inside range;
  range.first = low >= 0 ? 0 : min64(ceil_div(-low, axis.scale), axis.result);
  range.last =
      high >= axis.source ? range.first : max64(range.first, min64(axis.result, (axis.source - 1 - high) / axis.scale + 1));
  return range;
}

template <bool Full>
TK_INLINE VecF load_channels(const float* p, int n) {
  if constexpr (Full) return load(p);
  return load_part(p, n);
}

// The rows of the source and of the filter that one row of the result meets, at most kTapRows of them at a time: a row that
// meets more is summed in several passes, which take up the sums where they lie.
constexpr int kTapRows = 16;
struct TapRows {
  const float* source[kTapRows];  // at pixel 0
  const float* filter[kTapRows];  // at the first tap of the class
  int count = 0;
  bool first = true;  // the first pass: sums start at zero
};

// One row of the result. Pixels go in strips and, within a strip, channels go innermost: memory is read in order, and what a
// strip reads of each source row stays in L1 for all its taps. Everything the loops need is copied into locals, since the
// compiler must assume that a store may change what a pointer leads to.
struct ResultRow {
  float* result;                 // at the first pixel
  int64_t result_step;           // floats from pixel to pixel
  int64_t channels;              //
  int64_t pixel_step, tap_step;  // floats in the source, from pixel to pixel and from tap to tap
  int64_t filter_step;           // floats from tap to tap of the filter
  const float* next_source;      // a row of the source to bring nearer meanwhile, or null
  int64_t source_floats;         // of one row

  // Pixels j .. j + Pixels - 1, taps [q0, q1), all inside the source; channels from c on, kVecWidth of them if Full, else n.
  template <int Pixels, bool Full>
  TK_INLINE void strip(const TapRows& rows, int64_t j, int64_t q0, int64_t q1, int64_t c, int n) const {
    VecF sums[Pixels];
    float* to = result + j * result_step + c;
    TK_UNROLL for (int p = 0; p < Pixels; ++p) { sums[p] = rows.first ? zero() : load_channels<Full>(to + p * result_step, n); }
    const int64_t at = j * pixel_step + c, step = pixel_step;
    for (int r = 0; r < rows.count; ++r) {
      for (int64_t q = q0; q < q1; ++q) {
        const VecF weight = load_channels<Full>(rows.filter[r] + q * filter_step + c, n);
        const float* pixel = rows.source[r] + at + q * tap_step;
        TK_UNROLL for (int p = 0; p < Pixels; ++p) {
          sums[p] = fmadd(load_channels<Full>(pixel + p * step, n), weight, sums[p]);
        }
      }
    }
    TK_UNROLL for (int p = 0; p < Pixels; ++p) {
      Full ? store(to + p * result_step, sums[p]) : store_part(to + p * result_step, sums[p], n);
    }
  }
  template <int Pixels>
  TK_INLINE void run_strip(const TapRows& rows, int64_t j, int64_t q0, int64_t q1) const {
    int64_t c = 0;
    for (; c + kVecWidth <= channels; c += kVecWidth) strip<Pixels, true>(rows, j, q0, q1, c, kVecWidth);
    if (c < channels) strip<Pixels, false>(rows, j, q0, q1, c, int(channels - c));
  }

  // Brings a piece of the next row into L2: the hardware follows too few streams at once to see it coming.
  TK_INLINE void prefetch([[maybe_unused]] int64_t j, [[maybe_unused]] int64_t pixels) const {
#if defined(__GNUC__)
    constexpr int64_t kLine = 16;  // floats
    if (next_source == nullptr) return;
    const int64_t end = min64((j + pixels) * pixel_step, source_floats);
    for (int64_t k = j * pixel_step; k < end; k += kLine) __builtin_prefetch(next_source + k, 0, 2);
#endif
  }

  void border(const TapRows& rows, const GatherAxis& w, int64_t j) const {
    // The taps that meet the source follow one another.
    int64_t q0 = 0, q1 = w.taps;
    const auto outside = [&](int64_t q) {
      const int64_t x = j * w.scale + w.offset + q * w.offset_step;
      return x < 0 || x >= w.source;
    };
    while (q0 < q1 && outside(q0)) ++q0;
    while (q1 > q0 && outside(q1 - 1)) --q1;
    run_strip<1>(rows, j, q0, q1);
  }

  // done: pixels that are there already.
  void run(const TapRows& rows, const GatherAxis& w, Inside inside, Inside done) const {
    constexpr int kStrip = 8;
    int64_t j = 0;
    for (; j < inside.first; ++j) border(rows, w, j);
    j = max64(j, done.last);
    for (; j + kStrip <= inside.last; j += kStrip) {
      prefetch(j, kStrip);
      run_strip<kStrip>(rows, j, 0, w.taps);
    }
    for (; j < inside.last; ++j) run_strip<1>(rows, j, 0, w.taps);
    for (; j < w.result; ++j) border(rows, w, j);
  }
};

// The row of the source that the next row of the result is the first to read, at pixel 0 of w's taps; null when there is none.
TK_INLINE const float* next_source_row(const DepthwiseSum& s, int64_t image, int64_t i) {
  const int64_t y = (i + 1) * s.h.scale + s.h.offset + max64(0, (s.h.taps - 1) * s.h.offset_step);
  if (i + 1 >= s.h.result || y < 0 || y >= s.h.source) return nullptr;
  return s.source + (image * s.h.source + y) * s.w.source * s.channels;
}

void run_result_row(const DepthwiseSum& s, Inside inside, Inside done, int64_t image, int64_t i) {
  ResultRow row;
  row.result = s.result + image * s.result_image + (s.h.result_first + i * s.h.result_step) * s.result_row +
               s.w.result_first * s.channels;
  row.result_step = s.w.result_step * s.channels;
  row.channels = s.channels;
  row.pixel_step = s.w.scale * s.channels;
  row.tap_step = s.w.offset_step * s.channels;
  row.filter_step = s.w_taps.tap_step * s.channels;
  row.next_source = next_source_row(s, image, i);
  row.source_floats = s.w.source * s.channels;
  TapRows rows;
  for (int64_t q = 0; q <= s.h.taps; ++q) {
    if (q == s.h.taps || rows.count == kTapRows) {
      if (rows.count > 0 || rows.first) row.run(rows, s.w, inside, done);
      rows.count = 0;
      rows.first = false;
      if (q == s.h.taps) break;
    }
    const int64_t y = i * s.h.scale + s.h.offset + q * s.h.offset_step;
    if (y < 0 || y >= s.h.source) continue;
    rows.source[rows.count] = s.source + ((image * s.h.source + y) * s.w.source + s.w.offset) * s.channels;
    rows.filter[rows.count] =
        s.filter + ((s.h_taps.first_tap + q * s.h_taps.tap_step) * s.filter_columns + s.w_taps.first_tap) * s.channels;
    ++rows.count;
  }
}

// What does the pixels inside in blocks of rows (depthwise_block.h); null where nothing does.
BlockRuns choose_blocks(const DepthwiseSum& s, Inside inside) {
  const auto alike = [](const GatherAxis& axis) {
    return axis.offset_step == 1 || (axis.offset_step == -1 && axis.scale == 1);
  };
  const bool same = s.h.offset_step == s.w.offset_step && s.h.scale == s.w.scale && s.h.taps == s.w.taps;
  if (!alike(s.h) || !alike(s.w) || !same || inside.last - inside.first < kBlockPixels) return {nullptr, nullptr};
  return block_runs(s.w.taps, s.w.scale, s.images * s.result_image * int64_t(sizeof(float)) <= kNearBytes);
}

// Rows i .. i + kBlockRows - 1 of the result, as far as there are so many.
void run_block_of_rows(const DepthwiseSum& s, const BlockRuns& runs, Inside inside, int64_t image, int64_t i) {
  const bool rising = s.w.offset_step == 1;
  const int rows = int(min64(kBlockRows, s.h.result - i));
  const int64_t source_row = s.w.source * s.channels, result_row = s.h.result_step * s.result_row;
  // Where the walk begins.
  const int64_t row = rising ? i : i + kBlockRows - 1, pixel = rising ? 0 : s.w.result - 1;
  const int64_t sign = rising ? 1 : -1;
  const int64_t y = row * s.h.scale + s.h.offset;
  DepthwiseBlock b;
  b.source = s.source + (image * s.h.source + y) * source_row + (pixel * s.w.scale + s.w.offset) * s.channels;
  b.source_row = sign * source_row;
  b.source_pixel = sign * s.channels;
  b.filter = s.filter + (s.h_taps.first_tap * s.filter_columns + s.w_taps.first_tap) * s.channels;
  b.filter_row = s.h_taps.tap_step * s.filter_columns * s.channels;
  b.filter_tap = s.w_taps.tap_step * s.channels;
  b.result = s.result + image * s.result_image + s.h.result_first * s.result_row + row * result_row +
             (s.w.result_first + pixel * s.w.result_step) * s.channels;
  b.result_row = sign * result_row;
  b.result_pixel = sign * s.w.result_step * s.channels;
  b.channels = s.channels;
  b.present = 0;
  const int64_t source_rows = (kBlockRows - 1) * s.h.scale + s.h.taps;
  for (int64_t r = 0; r < source_rows; ++r) {
    const int64_t at = y + sign * r;
    if (at >= 0 && at < s.h.source) b.present |= 1u << r;
  }
  b.first_stored = rising ? 0 : kBlockRows - rows;
  b.end_stored = b.first_stored + rows;
  const bool whole = b.present == (1u << source_rows) - 1 && rows == kBlockRows;
  const BlockRun run = whole ? runs.whole : runs.partial;
  rising ? run(b, inside.first, inside.last) : run(b, s.w.result - inside.last, s.w.result - inside.first);
  for (int r = 0; r < rows; ++r) run_result_row(s, inside, inside, image, i + r);
}

void run_sum(const DepthwiseSum& s, CpuContext& context) {
  const Inside inside = inside_positions(s.w);
  const int64_t row_work = max64(1, s.w.result * s.channels * s.h.taps * s.w.taps);
  const BlockRuns runs = choose_blocks(s, inside);
  const int64_t height = runs.whole == nullptr ? 1 : kBlockRows, blocks = ceil_div(s.h.result, height);
  context.parallel_for(s.images * blocks, max64(1, kDepthwiseUnit / (row_work * height)), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / blocks, i = unit % blocks * height;
      if (runs.whole == nullptr) {
        run_result_row(s, inside, {inside.first, inside.first}, image, i);
      } else {
        run_block_of_rows(s, runs, inside, image, i);
      }
    }
  });
}

void add_over_multiplier(const DepthwiseGeometry& g, const float* sums, float* dx, CpuContext& context) {
  context.parallel_for(g.x_pixels() * g.c, max64(1, 32 * 1024 / g.m), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float sum = 0.0f;
      for (int64_t m = 0; m < g.m; ++m) sum += sums[i * g.m + m];
      dx[i] = sum;
    }
  });
}

}  // namespace

int64_t depthwise_conv2d_workspace(const OpCall& call, int) {
  return repeated_floats(read_depthwise(call, call[0], call[1], call[2])) * int64_t(sizeof(float));
}

void depthwise_conv2d_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[1], call[2]);
  if (call[2].size == 0) return;
  const float* x = call[0].f32();
  if (g.m > 1) {
    float* repeated = static_cast<float*>(call.workspace);
    repeat_channels(g, x, repeated, context);
    x = repeated;
  }
  DepthwiseSum s;
  s.images = g.n, s.channels = g.channels(), s.filter_columns = g.kw;
  s.h = {g.oh, 0, 1, g.h, g.kh, g.stride_h, -g.pad_top, g.dilation_h};
  s.w = {g.ow, 0, 1, g.w, g.kw, g.stride_w, -g.pad_left, g.dilation_w};
  s.h_taps = {g.kh, 0, 1}, s.w_taps = {g.kw, 0, 1};
  s.source = x, s.filter = call[1].f32(), s.result = call[2].f32();
  s.result_image = g.oh * g.ow * g.channels(), s.result_row = g.ow * g.channels();
  run_sum(s, context);
}

int64_t depthwise_conv2d_input_grad_workspace(const OpCall& call, int) {
  return repeated_floats(read_depthwise(call, call[2], call[1], call[0])) * int64_t(sizeof(float));
}

void depthwise_conv2d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[2], call[1], call[0]);
  float* dx = call[2].f32();
  if (call[2].size == 0) return;
  if (g.channels() == 0) {
    std::memset(dx, 0, size_t(call[2].bytes()));
    return;
  }
  float* sums = g.m > 1 ? static_cast<float*>(call.workspace) : dx;
  DepthwiseSum s;
  s.images = g.n, s.channels = g.channels(), s.filter_columns = g.kw;
  s.source = call[0].f32(), s.filter = call[1].f32(), s.result = sums;
  s.result_image = g.h * g.w * g.channels(), s.result_row = g.w * g.channels();
  for (int64_t h = 0; h < min64(g.stride_h, g.h); ++h) {
    s.h_taps = taps_of_class(h, g.stride_h, g.dilation_h, g.pad_top, g.kh);
    s.h = gather_axis(s.h_taps, h, g.h, g.stride_h, g.dilation_h, g.pad_top, g.oh);
    for (int64_t w = 0; w < min64(g.stride_w, g.w); ++w) {
      s.w_taps = taps_of_class(w, g.stride_w, g.dilation_w, g.pad_left, g.kw);
      s.w = gather_axis(s.w_taps, w, g.w, g.stride_w, g.dilation_w, g.pad_left, g.ow);
      run_sum(s, context);
    }
  }
  if (g.m > 1) add_over_multiplier(g, sums, dx, context);
}

TK_END_LEVEL
