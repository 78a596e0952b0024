#include "ops/common/runs.h"
#include "ops/image/resize.h"
#include "ops/image/resize_axis.h"

TK_BEGIN_LEVEL
namespace {

// A row of x stretched or shrunk along W. Channels > 0 when their number is known to the compiler.
template <int Channels>
void stretch_row(const float* __restrict x, const LinearColumns& columns, int64_t count, int64_t channels,
                 float* __restrict y) {
  for (int64_t column = 0; column < count; ++column) {
    const float *low = x + columns.low[column], *high = x + columns.high[column];
    const float t = columns.fraction[column];
    if constexpr (Channels > 0) {
      for (int c = 0; c < Channels; ++c) y[c] = low[c] + (high[c] - low[c]) * t;
      y += Channels;
    } else {
      blend_rows(low, high, t, y, channels);
      y += channels;
    }
  }
}

using StretchRow = void (*)(const float*, const LinearColumns&, int64_t, int64_t, float*);

StretchRow stretch_for(int64_t channels) {
  switch (channels) {
    case 1: return &stretch_row<1>;
    case 2: return &stretch_row<2>;
    case 3: return &stretch_row<3>;
    case 4: return &stretch_row<4>;
    default: return &stretch_row<0>;
  }
}

// A stretched row and the row of x it was made from.
struct StretchedRow {
  float* data;
  int64_t source;
};

template <class T, int Channels>
void pick_row(const T* __restrict x, const int64_t* offsets, int64_t count, int64_t channels, T* __restrict y) {
  for (int64_t column = 0; column < count; ++column) {
    const T* pixel = x + offsets[column];
    if constexpr (Channels > 0) {
      for (int c = 0; c < Channels; ++c) y[column * Channels + c] = pixel[c];
    } else {
      copy_run(y + column * channels, pixel, channels * int64_t(sizeof(T)));
    }
  }
}

template <class T>
void resize_nearest(const OpCall& call, const ResizeGeometry& g, CpuContext& context) {
  const NearestColumns columns(g, call.workspace);
  const T* x = static_cast<const T*>(call[0].data);
  T* y = static_cast<T*>(call[1].data);
  const auto pick = g.c == 1 ? &pick_row<T, 1> : g.c == 3 ? &pick_row<T, 3> : g.c == 4 ? &pick_row<T, 4> : &pick_row<T, 0>;
  const int64_t source_row = g.w * g.c, result_row = g.ow * g.c;
  context.parallel_for(g.n * g.oh, image_grain(result_row), [&](int64_t begin, int64_t end, int) {
    int64_t last_source = -1;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t source = row / g.oh * g.h + nearest_tap(g.rows, row % g.oh);
      T* target = y + row * result_row;
      if (source == last_source) {
        std::memcpy(target, target - result_row, size_t(result_row) * sizeof(T));
      } else {
        pick(x + source * source_row, columns.offset, g.ow, g.c, target);
        last_source = source;
      }
    }
  });
}

}  // namespace

int64_t resize_bilinear_workspace(const OpCall& call, int num_threads) {
  const Operand& y = call[1];
  return LinearColumns::bytes(y.dims[2]) + 2 * num_threads * aligned_bytes(y.dims[2] * y.dims[3], sizeof(float));
}

void resize_bilinear_cpu(const OpCall& call, CpuContext& context) {
  const ResizeGeometry g = read_resize(call, call[0], call[1]);
  if (call[1].size == 0) return;
  const LinearColumns columns(g, call.workspace);
  const int64_t table_bytes = LinearColumns::bytes(g.ow), source_row = g.w * g.c, result_row = g.ow * g.c;
  const float* x = call[0].f32();
  float* y = call[1].f32();
  const StretchRow stretch = stretch_for(g.c);
  context.parallel_for(g.n * g.oh, image_grain(2 * result_row), [&](int64_t begin, int64_t end, int thread) {
    // Neighbouring result rows read the same rows of x: the last two stretched ones are kept.
    StretchedRow top = {scratch_row(call, table_bytes, result_row, 2 * thread), -1};
    StretchedRow bottom = {scratch_row(call, table_bytes, result_row, 2 * thread + 1), -1};
    for (int64_t row = begin; row < end; ++row) {
      const LinearTap tap = linear_tap(g.rows, row % g.oh);
      const int64_t low = row / g.oh * g.h + tap.low, high = row / g.oh * g.h + tap.high;
      if (top.source != low) {
        const StretchedRow free = top;
        top = bottom;
        bottom = free;
      }
      if (top.source != low) {
        stretch(x + low * source_row, columns, g.ow, g.c, top.data);
        top.source = low;
      }
      if (high != low && bottom.source != high) {
        stretch(x + high * source_row, columns, g.ow, g.c, bottom.data);
        bottom.source = high;
      }
      blend_rows(top.data, high == low ? top.data : bottom.data, tap.fraction, y + row * result_row, result_row);
    }
  });
}

int64_t resize_nearest_workspace(const OpCall& call, int) { return NearestColumns::bytes(call[1].dims[2]); }

void resize_nearest_cpu(const OpCall& call, CpuContext& context) {
  const ResizeGeometry g = read_resize(call, call[0], call[1]);
  if (call[1].size == 0) return;
  if (call[0].dtype == DType::u8) return resize_nearest<uint8_t>(call, g, context);
  resize_nearest<uint32_t>(call, g, context);
}

TK_END_LEVEL
