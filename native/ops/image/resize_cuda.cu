#include "cuda/context.h"
// context.h first.
#include "ops/image/resize.h"
#include "ops/image/resize_axis.h"

TK_BEGIN_CUDA
namespace {

struct ResultPixel {
  int64_t image, row, column, channel;
  __device__ ResultPixel(const ResizeGeometry& g, int64_t i)
      : image(i / (g.c * g.ow * g.oh)), row(i / (g.c * g.ow) % g.oh), column(i / g.c % g.ow), channel(i % g.c) {}
};

template <class T>
void resize_nearest_of(const CudaContext& context, const ResizeGeometry& g, const Operand& x_operand,
                       const Operand& y_operand) {
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    const ResultPixel at(g, i);
    y[i] = x[((at.image * g.h + nearest_tap(g.rows, at.row)) * g.w + nearest_tap(g.columns, at.column)) * g.c + at.channel];
  });
}

// dx in gather form: every result pixel is asked for its share, rows before columns, both rising. weight(row or column) is 0
// for most of them; an axis whose weight is 0 is passed over.
template <class RowWeight>
void resize_grad_of(const CudaContext& context, const ResizeGeometry& g, const float* dy, const Operand& dx_operand,
                    const RowWeight& weight) {
  float* dx = dx_operand.f32();
  for_each(
      context, dx_operand.size,
      [=] __device__(int64_t i) {
        const int64_t channel = i % g.c, w = i / g.c % g.w, h = i / (g.c * g.w) % g.h, image = i / (g.c * g.w * g.h);
        float sum = 0;
        for (int64_t row = 0; row < g.oh; ++row) {
          const float row_weight = weight(g.rows, row, h);
          if (row_weight == 0.0f) continue;
          float row_sum = 0;
          for (int64_t column = 0; column < g.ow; ++column) {
            const float column_weight = weight(g.columns, column, w);
            if (column_weight == 0.0f) continue;
            row_sum += dy[((image * g.oh + row) * g.ow + column) * g.c + channel] * column_weight;
          }
          sum += row_sum * row_weight;
        }
        dx[i] = sum;
      },
      1);
}

struct LinearWeight {
  __device__ float operator()(const ResizeAxis& axis, int64_t result, int64_t source) const {
    const LinearTap tap = linear_tap(axis, result);
    return (tap.low == source ? 1.0f - tap.fraction : 0.0f) + (tap.high == source ? tap.fraction : 0.0f);
  }
};
struct NearestWeight {
  __device__ float operator()(const ResizeAxis& axis, int64_t result, int64_t source) const {
    return nearest_tap(axis, result) == source ? 1.0f : 0.0f;
  }
};

}  // namespace

void resize_bilinear_cuda(const OpCall& call, CudaContext& context) {
  const ResizeGeometry g = read_resize(call, call[0], call[1]);
  const float* x = call[0].f32();
  float* y = call[1].f32();
  for_each(context, call[1].size, [=] __device__(int64_t i) {
    const ResultPixel at(g, i);
    const LinearTap row = linear_tap(g.rows, at.row), column = linear_tap(g.columns, at.column);
    const auto blended = [&](int64_t h) {
      const float* from = x + (at.image * g.h + h) * g.w * g.c + at.channel;
      const float low = from[column.low * g.c], high = from[column.high * g.c];
      return low + (high - low) * column.fraction;
    };
    const float top = blended(row.low), bottom = blended(row.high);
    y[i] = top + (bottom - top) * row.fraction;
  });
}

void resize_nearest_cuda(const OpCall& call, CudaContext& context) {
  const ResizeGeometry g = read_resize(call, call[0], call[1]);
  dtype_bytes(call[1].dtype) == 4 ? resize_nearest_of<uint32_t>(context, g, call[0], call[1])
                                  : resize_nearest_of<uint8_t>(context, g, call[0], call[1]);
}

void resize_bilinear_grad_cuda(const OpCall& call, CudaContext& context) {
  resize_grad_of(context, read_resize(call, call[1], call[0]), call[0].f32(), call[1], LinearWeight());
}
void resize_nearest_grad_cuda(const OpCall& call, CudaContext& context) {
  resize_grad_of(context, read_resize(call, call[1], call[0]), call[0].f32(), call[1], NearestWeight());
}

TK_END_CUDA
