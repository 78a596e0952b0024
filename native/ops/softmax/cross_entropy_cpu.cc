#include "ops/softmax/softmax.h"

#include "cpu/kernel.h"
#include "ops/softmax/softmax_rows.h"

TK_BEGIN_LEVEL
namespace {

// Both ops have the same attributes in the same order.
struct Targets {
  const Operand* labels;
  const float* class_weight;  // null: all 1
  int64_t cols;
  bool sparse;
  bool ignore;
  int64_t ignored_class;
  float kept;     // 1 - smoothing
  float uniform;  // smoothing / cols, the part of the target that all classes share

  TK_INLINE bool is_plain() const { return sparse && uniform == 0.0f; }
  TK_INLINE bool is_ignored(int64_t row) const { return sparse && ignore && labels->i32()[row] == ignored_class; }
  TK_INLINE float weight(int64_t label) const { return class_weight == nullptr ? 1.0f : class_weight[label]; }

  // The class of a row, brought into [0, cols); an index outside is reported.
  TK_INLINE int64_t label(int64_t row, CpuContext& context) const {
    const int32_t given = labels->i32()[row];
    if (given >= 0 && given < cols) return given;
    context.report_index(given, cols);
    return given < 0 ? 0 : cols - 1;
  }

  // Weighted targets of classes i to i + k of a row, without the class of a sparse label; 0 beyond the row.
  TK_INLINE VecF target(int64_t row, int64_t i, int k) const {
    VecF q = set1(uniform);
    if (!sparse) q = fmadd(set1(kept), load_row(labels->f32() + row * cols + i, k, 0.0f), q);
    if (class_weight != nullptr) q = q * load_row(class_weight + i, k, 0.0f);
    if (k == kVecWidth) return q;
    float lanes[kVecWidth];
    store(lanes, q);
    return load_part(lanes, k, 0.0f);
  }
};

// Labels are one class or one probability per element of the logits; losses one per row.
TK_INLINE Targets read_targets(const OpCall& call, const Operand& loss) {
  const Operand &logits = call[0], &labels = call[1], &class_weight = call[2];
  TK_CHECK_EQ(logits.rank, 2);
  TK_CHECK_EQ(labels.size, labels.dtype == DType::i32 ? logits.dims[0] : logits.size);
  TK_CHECK_EQ(loss.size, logits.dims[0]);
  const int64_t cols = logits.dims[1];
  if (class_weight.size != 0) TK_CHECK_EQ(class_weight.size, cols);
  const double smoothing = TK_FLOAT(call, softmax_cross_entropy, smoothing);
  return {&labels,
          class_weight.size == 0 ? nullptr : class_weight.f32(),
          cols,
          labels.dtype == DType::i32,
          TK_INT(call, softmax_cross_entropy, ignore) != 0,
          TK_INT(call, softmax_cross_entropy, ignored_class),
          float(1.0 - smoothing),
          cols == 0 ? 0.0f : float(smoothing / double(cols))};
}

// Sum of all weighted targets of a row, and of their products with x - max, where a target of 0 gives 0 whatever x is.
struct TargetSums {
  double total, product;
};
TK_INLINE TargetSums sum_targets(const Targets& targets, const float* x, float max, int64_t row) {
  const double total = sum_row(targets.cols, [&](int64_t i, int k) { return targets.target(row, i, k); });
  const double product = sum_row(targets.cols, [&](int64_t i, int k) {
    const VecF q = targets.target(row, i, k);
    return select(q == zero(), zero(), q * (load_row(x + i, k, 0.0f) - set1(max)));
  });
  return {total, product};
}

}  // namespace

void softmax_cross_entropy_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  const float* logits = call[0].f32();
  const Operand &loss_out = call[3], &weight_out = call[4];
  float *loss = loss_out.f32(), *row_weight = weight_out.f32();
  const Targets targets = read_targets(call, loss_out);
  TK_CHECK_EQ(weight_out.size, loss_out.size);
  if (shape.cols == 0) {
    for (int64_t row = 0; row < loss_out.size; ++row) loss[row] = row_weight[row] = 0.0f;
  }
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      loss[row] = row_weight[row] = 0.0f;
      if (targets.is_ignored(row)) continue;
      const float* x = logits + row * shape.cols;
      const float max = row_max(x, shape.cols);
      const double log_sum = ::log(row_exp_sum(x, max, shape.cols));
      double value = 0;
      row_weight[row] = 1.0f;
      // Both terms of each sum are positive (x - max <= 0), so nothing cancels.
      if (targets.sparse) {
        const int64_t label = targets.label(row, context);
        row_weight[row] = targets.weight(label);
        const float share = targets.kept * row_weight[row];
        if (share != 0.0f) value = double(share) * (log_sum - double(x[label] - max));
      }
      if (!targets.is_plain()) {
        const TargetSums sums = sum_targets(targets, x, max, row);
        value += log_sum * sums.total - sums.product;
      }
      loss[row] = float(value);
    }
  });
}

void softmax_cross_entropy_grad_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  const float* logits = call[0].f32();
  const float* dloss = call[3].f32();
  float* dlogits = call[4].f32();
  const Targets targets = read_targets(call, call[3]);
  TK_CHECK_EQ(call[4].size, call[0].size);
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = logits + row * shape.cols;
      float* dx = dlogits + row * shape.cols;
      if (targets.is_ignored(row)) {
        for (int64_t i = 0; i < shape.cols; ++i) dx[i] = 0.0f;
        continue;
      }
      const double sum = row_exp_store(x, row_max(x, shape.cols), dx, shape.cols);
      const int64_t label = targets.sparse ? targets.label(row, context) : 0;
      const float share = targets.sparse ? targets.kept * targets.weight(label) : 0.0f;
      if (targets.is_plain()) {
        const float factor = dloss[row] * share;
        const VecF scale = set1(float(double(factor) / sum));
        map_row(dx, dx, shape.cols, [&](VecF e, int64_t, int) { return e * scale; });
        dx[label] -= factor;
        continue;
      }
      const double total = double(share) + sum_row(shape.cols, [&](int64_t i, int k) { return targets.target(row, i, k); });
      const VecF scale = set1(float(total / sum)), factor = set1(dloss[row]);
      map_row(dx, dx, shape.cols, [&](VecF e, int64_t i, int k) { return (e * scale - targets.target(row, i, k)) * factor; });
      if (targets.sparse) dx[label] -= share * dloss[row];
    }
  });
}

TK_END_LEVEL
