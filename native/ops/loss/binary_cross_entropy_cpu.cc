#include "ops/loss/binary_cross_entropy.h"

#include "ops/common/rows.h"

TK_BEGIN_LEVEL
namespace {

struct BinaryTargets {
  const float* labels;
  const float* weight;  // null: 1
  bool weight_per_column;
  float kept, shared;  // t = kept * label + shared

  // t, and the factor of ln(1 + e^-x), for elements at + i to at + i + k, i within the row.
  TK_INLINE void read(int64_t at, int64_t i, int k, VecF* t, VecF* factor) const {
    *t = fmadd(set1(kept), load_row(labels + at + i, k, 0.0f), set1(shared));
    if (weight == nullptr) {
      *factor = set1(1.0f);
      return;
    }
    const VecF p = weight_per_column ? load_row(weight + i, k, 0.0f) : set1(weight[0]);
    *factor = fmadd(p - set1(1.0f), *t, set1(1.0f));
  }
};

TK_INLINE BinaryTargets read_binary(const OpCall& call, const RowShape& shape) {
  const Operand &labels = call[1], &weight = call[2];
  TK_CHECK_EQ(labels.size, call[0].size);
  TK_CHECK(weight.size <= 1 || weight.size == shape.cols);
  const double smoothing = TK_FLOAT(call, binary_cross_entropy, smoothing);
  return {labels.f32(), weight.size == 0 ? nullptr : weight.f32(), weight.size > 1, float(1 - smoothing), float(smoothing / 2)};
}

}  // namespace

void binary_cross_entropy_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  TK_CHECK_EQ(call[3].size, call[0].size);
  const BinaryTargets targets = read_binary(call, shape);
  const float* x = call[0].f32();
  float* loss = call[3].f32();
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * shape.cols; at < end * shape.cols; at += shape.cols) {
      map_row(x + at, loss + at, shape.cols, [&](VecF v, int64_t i, int k) {
        VecF t, factor;
        targets.read(at, i, k, &t, &factor);
        // ln(1 + e^-x) = max(-x, 0) + ln(1 + e^-|x|); the first part joins (1 - t) x so that large terms do not cancel.
        const VecF tail = vlog1p(vexp(vneg(vabs(v)))), rest = set1(1.0f) - t;
        const VecF linear = select(v < zero(), rest - factor, rest);
        return fmadd(factor, tail, select(linear == zero(), select(v == v, zero(), v), linear * v));
      });
    }
  });
}

void binary_cross_entropy_grad_cpu(const OpCall& call, CpuContext& context) {
  const RowShape shape = row_shape(call[0]);
  TK_CHECK_EQ(call[3].size, call[0].size);
  TK_CHECK_EQ(call[4].size, call[0].size);
  const BinaryTargets targets = read_binary(call, shape);
  const float *x = call[0].f32(), *dloss = call[3].f32();
  float* dx = call[4].f32();
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * shape.cols; at < end * shape.cols; at += shape.cols) {
      map_row(x + at, dx + at, shape.cols, [&](VecF v, int64_t i, int k) {
        VecF t, factor;
        targets.read(at, i, k, &t, &factor);
        const VecF slope = (set1(1.0f) - t) - factor * vsigmoid(vneg(v));
        return slope * load_row(dloss + at + i, k, 0.0f);
      });
    }
  });
}

TK_END_LEVEL
