#include "ops/softmax/softmax.h"

#include "cpu/kernel.h"
#include "ops/softmax/softmax_rows.h"

TK_BEGIN_LEVEL
namespace {

// The class of a row, brought into [0, cols); an index outside is reported.
TK_INLINE int64_t checked_label(int32_t label, int64_t cols, CpuContext& context) {
  if (label >= 0 && label < cols) return label;
  context.report_index(label, cols);
  return label < 0 ? 0 : cols - 1;
}

// Labels are one class or one probability per element of the logits; losses one per row.
TK_INLINE void check_labels(const Operand& logits, const Operand& labels, const Operand& loss) {
  TK_CHECK_EQ(logits.rank, 2);
  TK_CHECK_EQ(labels.size, labels.dtype == DType::i32 ? logits.dims[0] : logits.size);
  TK_CHECK_EQ(loss.size, logits.dims[0]);
}

// Sum of p (x - max), where p = 0 gives 0 whatever x is.
double weighted_sum(const float* x, const float* p, float max, int64_t n) {
  return sum_row(n, [&](int64_t i, int k) {
    const VecF weight = load_row(p + i, k, 0.0f);
    return select(weight == zero(), zero(), weight * (load_row(x + i, k, 0.0f) - set1(max)));
  });
}

double plain_sum(const float* p, int64_t n) {
  return sum_row(n, [&](int64_t i, int k) { return load_row(p + i, k, 0.0f); });
}

}  // namespace

void softmax_cross_entropy_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  const float* logits = call[0].f32();
  const Operand& labels = call[1];
  float* loss = call[2].f32();
  check_labels(call[0], labels, call[2]);
  const bool sparse = labels.dtype == DType::i32;
  if (shape.cols == 0 && call[2].size > 0) std::memset(loss, 0, size_t(call[2].bytes()));
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = logits + row * shape.cols;
      const float max = row_max(x, shape.cols);
      const double log_sum = ::log(row_exp_sum(x, max, shape.cols));
      if (sparse) {
        const int64_t label = checked_label(labels.i32()[row], shape.cols, context);
        loss[row] = float(log_sum - double(x[label] - max));
      } else {
        // Both terms are positive (x - max <= 0), so nothing cancels.
        const float* p = labels.f32() + row * shape.cols;
        loss[row] = float(log_sum * plain_sum(p, shape.cols) - weighted_sum(x, p, max, shape.cols));
      }
    }
  });
}

void softmax_cross_entropy_grad_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  const float* logits = call[0].f32();
  const Operand& labels = call[1];
  const float* dloss = call[2].f32();
  float* dlogits = call[3].f32();
  check_labels(call[0], labels, call[2]);
  TK_CHECK_EQ(call[3].size, call[0].size);
  const bool sparse = labels.dtype == DType::i32;
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = logits + row * shape.cols;
      float* dx = dlogits + row * shape.cols;
      const double sum = row_exp_store(x, row_max(x, shape.cols), dx, shape.cols);
      if (sparse) {
        const int64_t label = checked_label(labels.i32()[row], shape.cols, context);
        const VecF scale = set1(float(double(dloss[row]) / sum));
        map_row(dx, dx, shape.cols, [&](VecF e, int64_t, int) { return e * scale; });
        dx[label] -= dloss[row];
      } else {
        const float* p = labels.f32() + row * shape.cols;
        const VecF scale = set1(float(plain_sum(p, shape.cols) / sum));
        const VecF factor = set1(dloss[row]);
        map_row(dx, dx, shape.cols, [&](VecF e, int64_t i, int k) { return (e * scale - load_row(p + i, k, 0.0f)) * factor; });
      }
    }
  });
}

TK_END_LEVEL
