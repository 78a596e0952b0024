#include "ops/common/gemm_blocks.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/depthwise_geometry.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kMaxGroups = 16;

// Rows of dy are summed in groups, each by one thread; how many depends on the shapes only.
int64_t row_groups(const DepthwiseGeometry& g) {
  const int64_t work = g.n * g.oh * g.ow * g.channels() * g.kh * g.kw;
  return max64(1, min64(min64(kMaxGroups, g.n * g.oh), work / kDepthwiseUnit));
}
int64_t filter_floats(const DepthwiseGeometry& g) { return g.kh * g.kw * g.channels(); }
int64_t group_floats(const DepthwiseGeometry& g) {
  return row_groups(g) == 1 ? 0 : round_up(row_groups(g) * filter_floats(g), 16);
}

// Adds x * dy over the pixels [ow0, ow1) of a row to one tap of dfilter; x points at the source of pixel 0.
template <int Vectors>
TK_INLINE void add_row(const float* x, const float* dy, int64_t x_step, int64_t dy_step, int64_t ow0, int64_t ow1, int n,
                       float* tap) {
  VecF sums[Vectors];
  for (int v = 0; v < Vectors; ++v) sums[v] = n < kVecWidth ? load_part(tap, n) : load(tap + v * kVecWidth);
  for (int64_t ow = ow0; ow < ow1; ++ow) {
    const float *a = x + ow * x_step, *b = dy + ow * dy_step;
    for (int v = 0; v < Vectors; ++v) {
      sums[v] = n < kVecWidth ? fmadd(load_part(a, n), load_part(b, n), sums[v])
                              : fmadd(load(a + v * kVecWidth), load(b + v * kVecWidth), sums[v]);
    }
  }
  for (int v = 0; v < Vectors; ++v) {
    if (n < kVecWidth)
      store_part(tap, sums[v], n);
    else
      store(tap + v * kVecWidth, sums[v]);
  }
}

// The pixels [from, to) of one row of dy, times what they meet in x.
void add_line(const DepthwiseGeometry& g, const float* x, const float* dy, int64_t line, int64_t from, int64_t to,
              float* dfilter) {
  const int64_t channels = g.channels(), image = line / g.oh, oh = line % g.oh;
  const float* dy_row = dy + line * g.ow * channels;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t h = oh * g.stride_h - g.pad_top + kh * g.dilation_h;
    if (h < 0 || h >= g.h) continue;
    const float* x_row = x + (image * g.h + h) * g.w * channels;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t shift = kw * g.dilation_w - g.pad_left;  // w = ow * stride_w + shift
      const int64_t ow0 = max64(from, shift < 0 ? ceil_div(-shift, g.stride_w) : 0);
      const int64_t ow1 = g.w <= shift ? 0 : min64(to, ceil_div(g.w - shift, g.stride_w));
      if (ow0 >= ow1) continue;
      const float* source = x_row + shift * channels;
      float* tap = dfilter + (kh * g.kw + kw) * channels;
      const int64_t x_step = g.stride_w * channels;
      int64_t c = 0;
      for (; c + 4 * kVecWidth <= channels; c += 4 * kVecWidth) {
        add_row<4>(source + c, dy_row + c, x_step, channels, ow0, ow1, kVecWidth, tap + c);
      }
      for (; c < channels; c += kVecWidth) {
        add_row<1>(source + c, dy_row + c, x_step, channels, ow0, ow1, int(min64(kVecWidth, channels - c)), tap + c);
      }
    }
  }
}

// Four rows of dy, and the taps of TapRows rows of the filter. Pixel by pixel all rows are read in the order of memory, and x
// is read from there once, not once for each row of the filter.
constexpr int kGradRows = 4;
struct GradBlock {
  const float *x, *dy;  // x: what tap 0 of row 0 meets at pixel 0; row r of x is the r-th that the block meets
  float* taps;
  int64_t x_row, x_pixel, x_tap, dy_row, taps_row, channels;
  uint32_t x_present, dy_present;  // bit r: row r exists
};

template <int TapRows, int Taps, int Scale, bool Whole, bool Full>
TK_INLINE void add_pixel(const GradBlock& b, const float* x, const float* dy, int64_t c, int n) {
  const auto read = [&](const float* p) { return Full ? load(p) : load_part(p, n); };
  const int64_t x_row = b.x_row, x_tap = b.x_tap, dy_row = b.dy_row, taps_row = b.taps_row, channels = b.channels;
  float* const taps = b.taps + c;
  VecF sums[TapRows][Taps];
  TK_UNROLL for (int r = 0; r < TapRows; ++r) {
    TK_UNROLL for (int q = 0; q < Taps; ++q) sums[r][q] = read(taps + r * taps_row + q * channels);
  }
  TK_UNROLL for (int d = 0; d < kGradRows; ++d) {
    if (!Whole && (b.dy_present >> d & 1) == 0) continue;
    const VecF gradient = read(dy + d * dy_row + c);
    TK_UNROLL for (int r = 0; r < TapRows; ++r) {
      const int row = d * Scale + r;
      if (!Whole && (b.x_present >> row & 1) == 0) continue;
      TK_UNROLL for (int q = 0; q < Taps; ++q) {
        sums[r][q] = fmadd(read(x + row * x_row + q * x_tap + c), gradient, sums[r][q]);
      }
    }
  }
  TK_UNROLL for (int r = 0; r < TapRows; ++r) {
    TK_UNROLL for (int q = 0; q < Taps; ++q) {
      float* to = taps + r * taps_row + q * channels;
      Full ? store(to, sums[r][q]) : store_part(to, sums[r][q], n);
    }
  }
}

template <int TapRows, int Taps, int Scale, bool Whole>
void add_block(const GradBlock& block, int64_t first, int64_t end) {
  const GradBlock b = block;  // a store could change what a reference leads to
  for (int64_t ow = first; ow < end; ++ow) {
    const float *x = b.x + ow * b.x_pixel, *dy = b.dy + ow * b.channels;
    int64_t c = 0;
    for (; c + kVecWidth <= b.channels; c += kVecWidth) add_pixel<TapRows, Taps, Scale, Whole, true>(b, x, dy, c, kVecWidth);
    if (c < b.channels) add_pixel<TapRows, Taps, Scale, false, false>(b, x, dy, c, int(b.channels - c));
  }
}

// How blocks go over a filter: all taps of 3 x 3, and row by row those of 5 x 5, are as many sums as the registers hold.
struct GradBlocks {
  void (*whole)(const GradBlock&, int64_t first, int64_t end) = nullptr;
  void (*partial)(const GradBlock&, int64_t first, int64_t end) = nullptr;
  int64_t tap_rows = 1, scale = 1;
};
template <int TapRows, int Taps, int Scale>
TK_INLINE GradBlocks blocks_of() {
  return {add_block<TapRows, Taps, Scale, true>, add_block<TapRows, Taps, Scale, false>, TapRows, Scale};
}
GradBlocks grad_blocks(const DepthwiseGeometry& g) {
  const bool dense = g.stride_h == g.dilation_h;
  if (g.kh == 3 && g.kw == 3 && dense) return blocks_of<3, 3, 1>();
  if (g.kh == 3 && g.kw == 3 && g.stride_h == 2 * g.dilation_h) return blocks_of<3, 3, 2>();
  if (g.kw == 5 && dense) return blocks_of<1, 5, 1>();
  return {};
}

// Rows [line, line + rows) of dy, of one image, at most kGradRows: row by row at the sides, where taps leave x, and together
// in between.
void add_lines(const DepthwiseGeometry& g, const GradBlocks& blocks, const float* x, const float* dy, int64_t line,
               int64_t rows, float* dfilter) {
  const int64_t channels = g.channels(), image = line / g.oh, oh = line % g.oh;
  const int64_t reach = (g.kw - 1) * g.dilation_w - g.pad_left;  // the last tap meets w = ow * stride_w + reach
  const int64_t first = min64(g.ow, ceil_div(max64(0, g.pad_left), g.stride_w));
  const int64_t end = g.w <= reach ? first : max64(first, min64(g.ow, ceil_div(g.w - reach, g.stride_w)));
  for (int64_t r = 0; r < rows; ++r) add_line(g, x, dy, line + r, 0, first, dfilter);
  GradBlock b;
  b.dy = dy + line * g.ow * channels;
  b.x_row = g.dilation_h * g.w * channels, b.x_pixel = g.stride_w * channels, b.x_tap = g.dilation_w * channels;
  b.dy_row = g.ow * channels, b.taps_row = g.kw * channels, b.channels = channels;
  b.dy_present = (1u << rows) - 1;
  const int64_t x_rows = (kGradRows - 1) * blocks.scale + blocks.tap_rows;
  for (int64_t kh = 0; kh < g.kh; kh += blocks.tap_rows) {
    const int64_t h = oh * g.stride_h - g.pad_top + kh * g.dilation_h;
    b.x = x + ((image * g.h + h) * g.w - g.pad_left) * channels;
    b.taps = dfilter + kh * b.taps_row;
    b.x_present = 0;
    for (int64_t r = 0; r < x_rows; ++r) {
      if (h + r * g.dilation_h >= 0 && h + r * g.dilation_h < g.h) b.x_present |= 1u << r;
    }
    const bool whole = rows == kGradRows && b.x_present == (1u << x_rows) - 1;
    (whole ? blocks.whole : blocks.partial)(b, first, end);
  }
  for (int64_t r = 0; r < rows; ++r) add_line(g, x, dy, line + r, end, g.ow, dfilter);
}

void add_group(const DepthwiseGeometry& g, const float* x, const float* dy, int64_t line, int64_t end, float* dfilter) {
  const GradBlocks blocks = grad_blocks(g);
  while (line < end) {
    const int64_t rows = blocks.whole == nullptr ? 1 : min64(min64(kGradRows, end - line), g.oh - line % g.oh);
    if (blocks.whole == nullptr) {
      add_line(g, x, dy, line, 0, g.ow, dfilter);
    } else {
      add_lines(g, blocks, x, dy, line, rows, dfilter);
    }
    line += rows;
  }
}

}  // namespace

int64_t depthwise_conv2d_filter_grad_workspace(const OpCall& call, int) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[2], call[1]);
  return (repeated_floats(g) + group_floats(g)) * int64_t(sizeof(float));
}

void depthwise_conv2d_filter_grad_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[2], call[1]);
  if (call[2].size == 0) return;
  const float *x = call[0].f32(), *dy = call[1].f32();
  float* groups_memory = static_cast<float*>(call.workspace) + repeated_floats(g);
  if (g.m > 1) {
    float* repeated = static_cast<float*>(call.workspace);
    repeat_channels(g, x, repeated, context);
    x = repeated;
  }
  const int64_t groups = row_groups(g), lines = g.n * g.oh, floats = filter_floats(g);
  float* sums = groups > 1 ? groups_memory : call[2].f32();
  context.parallel_for(groups, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t group = begin; group < end; ++group) {
      float* own = sums + group * floats;
      std::memset(own, 0, size_t(floats) * sizeof(float));
      add_group(g, x, dy, lines * group / groups, lines * (group + 1) / groups, own);
    }
  });
  if (groups > 1) sum_parts(sums, groups, floats, call[2].f32(), context);
}

TK_END_LEVEL
