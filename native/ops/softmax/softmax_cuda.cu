#include "cuda/rows.cuh"
#include "ops/common/vector_math.h"
#include "ops/softmax/softmax.h"

// A row is read from memory once and kept in registers where it fits (cuda/rows.cuh).
TK_BEGIN_CUDA
namespace {

struct Rows {
  int64_t rows, cols;
  explicit Rows(const Operand& x) : rows(0), cols(x.dims[x.rank - 1]) {
    TK_CHECK(x.rank >= 1);
    rows = cols == 0 ? 0 : x.size / cols;
  }
};

__device__ inline float exp_of(float x) { return vexp_flush(VecF{x}).v; }

// Largest element of the row; NaN is passed over and comes back in the sum.
template <class Values>
__device__ inline float max_of(const Values& values) {
  float max = -INFINITY;
  values.each([&](int64_t, float v) { max = v > max ? v : max; });
  return values.fold(max, [](float a, float b) { return b > a ? b : a; });
}
template <class Values>
__device__ inline double exp_sum_of(const Values& values, float max) {
  return values.sum([=](int64_t, float v) { return exp_of(v - max); });
}

template <bool kLog>
struct SoftmaxWork {
  const float* x;
  float* y;
  int64_t cols;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const float* from = x + row * cols;
    float* to = y + row * cols;
    const auto load = [=](int64_t i) { return from[i]; };
    const RowValues<kWidth, kPer, decltype(load)> values(cols, shared, load);
    const float max = max_of(values);
    const double sum = exp_sum_of(values, max);
    if (kLog) {
      const float log_sum = float(log(sum));
      values.each([&](int64_t i, float v) { to[i] = (v - max) - log_sum; });
    } else {
      const float scale = float(1.0 / sum);
      values.each([&](int64_t i, float v) { to[i] = exp_of(v - max) * scale; });
    }
  }
};

struct SoftmaxGradWork {
  const float *dy, *y;
  float* dx;
  int64_t cols;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const float *gradient = dy + row * cols, *shares = y + row * cols;
    float* to = dx + row * cols;
    const auto load = [=](int64_t i) { return gradient[i]; };
    const auto load_share = [=](int64_t i) { return shares[i]; };
    const RowValues<kWidth, kPer, decltype(load)> g(cols, shared, load);
    const RowValues<kWidth, kPer, decltype(load_share)> s(cols, shared, load_share);
    double mine = 0;
    g.zip(s, [&](int64_t, float gi, float si) { mine += double(gi * si); });
    const float dot = float(g.fold(mine, [](double a, double b) { return a + b; }));
    g.zip(s, [&](int64_t i, float gi, float si) { to[i] = si * (gi - dot); });
  }
};

// Both loss ops have the same attributes in the same order.
struct Targets {
  const int32_t* classes;     // or
  const float* shares;        // one per element
  const float* class_weight;  // null: all 1
  int64_t cols;
  bool ignore;
  int64_t ignored_class;
  float kept, uniform;  // 1 - smoothing, and the part of the target that all classes share

  Targets(const OpCall& call, const Operand& loss) {
    const Operand &logits = call[0], &labels = call[1], &weight = call[2];
    TK_CHECK_EQ(logits.rank, 2);
    TK_CHECK_EQ(labels.size, labels.dtype == DType::i32 ? logits.dims[0] : logits.size);
    TK_CHECK_EQ(loss.size, logits.dims[0]);
    cols = logits.dims[1];
    if (weight.size != 0) TK_CHECK_EQ(weight.size, cols);
    classes = labels.dtype == DType::i32 ? labels.i32() : nullptr;
    shares = labels.dtype == DType::f32 ? labels.f32() : nullptr;
    class_weight = weight.size == 0 ? nullptr : weight.f32();
    ignore = TK_INT(call, softmax_cross_entropy, ignore) != 0;
    ignored_class = TK_INT(call, softmax_cross_entropy, ignored_class);
    const double smoothing = TK_FLOAT(call, softmax_cross_entropy, smoothing);
    kept = float(1.0 - smoothing);
    uniform = cols == 0 ? 0.0f : float(smoothing / double(cols));
  }
  __device__ bool is_plain() const { return classes != nullptr && uniform == 0.0f; }
  __device__ bool is_ignored(int64_t row) const { return classes != nullptr && ignore && classes[row] == ignored_class; }
  __device__ float weight(int64_t label) const { return class_weight == nullptr ? 1.0f : class_weight[label]; }
  // Weighted target of class i, without the class of a sparse label.
  __device__ float target(int64_t row, int64_t i) const {
    const float q = shares == nullptr ? uniform : fmaf(kept, shares[row * cols + i], uniform);
    return class_weight == nullptr ? q : q * class_weight[i];
  }
};

struct LossWork {
  Targets targets;
  const float* logits;
  float *loss, *row_weight;
  IndexReporter reporter;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const int64_t cols = targets.cols;
    const float* x = logits + row * cols;
    const auto load = [=](int64_t i) { return x[i]; };
    const RowValues<kWidth, kPer, decltype(load)> values(cols, shared, load);
    if (targets.is_ignored(row)) {
      if (values.lane == 0) loss[row] = row_weight[row] = 0.0f;
      return;
    }
    const float max = max_of(values);
    const double log_sum = log(exp_sum_of(values, max));
    double value = 0;
    float weight = 1.0f;
    // Both terms of each sum are positive (x - max <= 0), so nothing cancels.
    if (!targets.is_plain()) {
      double total = 0, product = 0;
      values.each([&](int64_t i, float v) {
        const float q = targets.target(row, i);
        total += double(q);
        product += q == 0.0f ? 0.0 : double(q * (v - max));
      });
      total = values.fold(total, [](double a, double b) { return a + b; });
      product = values.fold(product, [](double a, double b) { return a + b; });
      value = log_sum * total - product;
    }
    if (values.lane != 0) return;
    if (targets.classes != nullptr) {
      const int64_t label = reporter.checked(targets.classes[row], cols);
      weight = targets.weight(label);
      const float share = targets.kept * weight;
      if (share != 0.0f) value += double(share) * (log_sum - double(x[label] - max));
    }
    loss[row] = float(value);
    row_weight[row] = weight;
  }
};

struct LossGradWork {
  Targets targets;
  const float *logits, *dloss;
  float* dlogits;
  IndexReporter reporter;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const int64_t cols = targets.cols;
    const float* x = logits + row * cols;
    float* dx = dlogits + row * cols;
    const auto load = [=](int64_t i) { return x[i]; };
    const RowValues<kWidth, kPer, decltype(load)> values(cols, shared, load);
    if (targets.is_ignored(row)) {
      values.each([&](int64_t i, float) { dx[i] = 0.0f; });
      return;
    }
    const float max = max_of(values), factor = dloss[row];
    const double sum = exp_sum_of(values, max);
    const bool sparse = targets.classes != nullptr;
    int64_t label = -1;
    float share = 0;
    if (sparse) {
      const int64_t given = targets.classes[row];
      label = given < 0 ? 0 : given < cols ? given : cols - 1;
      if (values.lane == 0) reporter.checked(given, cols);
      share = targets.kept * targets.weight(label);
    }
    if (targets.is_plain()) {
      const float both = factor * share, scale = float(double(both) / sum);
      values.each([&](int64_t i, float v) {
        const float value = exp_of(v - max) * scale;
        dx[i] = i == label ? value - both : value;
      });
      return;
    }
    const double total = double(share) + values.sum([&](int64_t i, float) { return targets.target(row, i); });
    const float scale = float(total / sum), through = share * factor;
    values.each([&](int64_t i, float v) {
      const float value = (exp_of(v - max) * scale - targets.target(row, i)) * factor;
      dx[i] = i == label ? value - through : value;
    });
  }
};

template <bool kLog>
void run_softmax(const OpCall& call, const CudaContext& context) {
  const Rows shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  for_each_row(context, shape.rows, shape.cols, SoftmaxWork<kLog>{call[0].f32(), call[1].f32(), shape.cols});
}

}  // namespace

void softmax_cuda(const OpCall& call, CudaContext& context) { run_softmax<false>(call, context); }
void log_softmax_cuda(const OpCall& call, CudaContext& context) { run_softmax<true>(call, context); }

void softmax_grad_cuda(const OpCall& call, CudaContext& context) {
  const Rows shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  TK_CHECK_EQ(call[2].size, call[0].size);
  for_each_row(context, shape.rows, shape.cols, SoftmaxGradWork{call[0].f32(), call[1].f32(), call[2].f32(), shape.cols});
}

void softmax_cross_entropy_cuda(const OpCall& call, CudaContext& context) {
  const Operand &loss = call[3], &row_weight = call[4];
  const Targets targets(call, loss);
  TK_CHECK_EQ(row_weight.size, loss.size);
  const Rows shape(call[0]);
  if (shape.cols == 0) {
    for (const Operand* out : {&loss, &row_weight}) context.zero(out->data, size_t(out->bytes()));
  }
  for_each_row(context, shape.rows, shape.cols,
               LossWork{targets, call[0].f32(), loss.f32(), row_weight.f32(), context.reporter()});
}

void softmax_cross_entropy_grad_cuda(const OpCall& call, CudaContext& context) {
  const Targets targets(call, call[3]);
  TK_CHECK_EQ(call[4].size, call[0].size);
  const Rows shape(call[0]);
  for_each_row(context, shape.rows, shape.cols,
               LossGradWork{targets, call[0].f32(), call[3].f32(), call[4].f32(), context.reporter()});
}

TK_END_CUDA
