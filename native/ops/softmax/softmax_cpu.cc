#include "ops/softmax/softmax.h"

#include "cpu/kernel.h"
#include "ops/softmax/softmax_rows.h"

TK_BEGIN_LEVEL

void softmax_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  const float* x = call[0].f32();
  float* y = call[1].f32();
  // A large y is written once, past the caches; meanwhile the terms of a row are kept here.
  constexpr int64_t kKept = 4096;
  const bool stream = shape.cols <= kKept && streams_rows(call[0], call[1], shape.cols);
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    alignas(64) float kept[kKept];
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * shape.cols;
      float *to = y + row * shape.cols, *terms = stream ? kept : to;
      const float* next = row + 1 < end ? from + shape.cols : nullptr;
      const VecF scale = set1(float(1.0 / row_exp_store(from, row_max(from, shape.cols), terms, shape.cols, next)));
      map_row(
          terms, to, shape.cols, [&](VecF e, int64_t, int) { return e * scale; }, stream);
    }
    if (stream) stream_fence();
  });
}

void log_softmax_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  const float* x = call[0].f32();
  float* y = call[1].f32();
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * shape.cols;
      const float max = row_max(from, shape.cols);
      const VecF log_sum = set1(float(::log(row_exp_sum(from, max, shape.cols))));
      map_row(from, y + row * shape.cols, shape.cols, [&](VecF v, int64_t, int) { return (v - set1(max)) - log_sum; });
    }
  });
}

void softmax_grad_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  TK_CHECK_EQ(call[2].size, call[0].size);
  const float* dy = call[0].f32();
  const float* y = call[1].f32();
  float* dx = call[2].f32();
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* g = dy + row * shape.cols;
      const float* p = y + row * shape.cols;
      const double dot =
          sum_row(shape.cols, [&](int64_t i, int k) { return load_row(g + i, k, 0.0f) * load_row(p + i, k, 0.0f); });
      const VecF mean = set1(float(dot));
      map_row(g, dx + row * shape.cols, shape.cols,
              [&](VecF v, int64_t i, int k) { return load_row(p + i, k, 0.0f) * (v - mean); });
    }
  });
}

TK_END_LEVEL
