#include "ops/activation/activation.h"

#include "ops/common/activation_math.h"
#include "ops/common/column_sums.h"
#include "ops/common/elementwise.h"

TK_BEGIN_LEVEL

void activation_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(y.size, x.size);
  // Units start at multiples of the grain, so their addresses are as aligned as y's.
  const bool stream = streams_rows(x, y, kMathGrain);
  activation::with(TK_INT(call, activation, kind), [&](auto function) {
    context.parallel_for(x.size, kMathGrain, [&](int64_t begin, int64_t end, int) {
      map_row(
          x.f32() + begin, y.f32() + begin, end - begin, [&](VecF v, int64_t, int) { return function.f(v); }, stream);
      if (stream) stream_fence();
    });
  });
}

void activation_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &saved = call[1], &dx = call[2];
  TK_CHECK_EQ(saved.size, dy.size);
  TK_CHECK_EQ(dx.size, dy.size);
  activation::with(TK_INT(call, activation_grad, kind), [&](auto function) {
    context.parallel_for(dy.size, kMathGrain, [&](int64_t begin, int64_t end, int) {
      const float* values = saved.f32() + begin;
      map_row(dy.f32() + begin, dx.f32() + begin, end - begin,
              [&](VecF g, int64_t i, int k) { return g * function.derivative(load_row(values + i, k, 0.0f)); });
    });
  });
}

int64_t prelu_grad_workspace(const OpCall& call, int) {
  const RowShape shape = row_shape(call[1]);
  return column_sums_floats(shape.rows, shape.cols) * int64_t(sizeof(float));
}

void prelu_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &x = call[1], &alpha = call[2], &dx = call[3], &dalpha = call[4];
  const RowShape shape = row_shape(x);
  const int64_t cols = shape.cols;
  TK_CHECK_EQ(dy.size, x.size);
  TK_CHECK_EQ(dx.size, x.size);
  TK_CHECK(alpha.size == 1 || alpha.size == cols);
  if (dalpha.size != 0) TK_CHECK_EQ(dalpha.size, alpha.size);
  const bool shared = alpha.size == 1;
  const RowChunks chunks = cut_rows(shape.rows, cols);
  float* sums = static_cast<float*>(call.workspace);
  context.parallel_for(chunks.count(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; ++c) {
      float* part = sums + c * cols;
      for (int64_t i = 0; i < cols; ++i) part[i] = 0.0f;
      for (int64_t row = chunks.begin(c); row < chunks.end(c); ++row) {
        const float* values = x.f32() + row * cols;
        map_row(dy.f32() + row * cols, dx.f32() + row * cols, cols, [&](VecF g, int64_t i, int k) {
          const VecF v = load_row(values + i, k, 0.0f);
          const VecF slope = shared ? set1(alpha.f32()[0]) : load_row(alpha.f32() + i, k, 0.0f);
          const Mask positive = v > zero();
          store_row(part + i, load_row(part + i, k, 0.0f) + select(positive, zero(), g * v), k);
          return select(positive, g, g * slope);
        });
      }
    }
  });
  if (dalpha.size == 0) return;
  if (shared && cols != 1) {  // with no columns, too: the sum of nothing
    double total = 0;
    for (int64_t i = 0; i < chunks.count() * cols; ++i) total += double(sums[i]);
    dalpha.f32()[0] = float(total);
  } else {
    combine_chunks(sums, cols, chunks.count(), cols, dalpha.f32(), context);
  }
}

TK_END_LEVEL
