#include "cuda/block_reduce.cuh"
#include "ops/common/vector_math.h"
#include "ops/softmax/softmax.h"

// One block per row. A row is read from memory once and from the cache after that.
TK_BEGIN_CUDA
namespace {

struct Rows {
  int64_t rows, cols;
  explicit Rows(const Operand& x) : rows(0), cols(x.dims[x.rank - 1]) {
    TK_CHECK(x.rank >= 1);
    rows = cols == 0 ? 0 : x.size / cols;
    TK_CHECK(rows <= INT32_MAX);
  }
};

__device__ inline float exp_of(float x) { return vexp_flush(VecF{x}).v; }

// Largest element of the row; NaN is passed over and comes back in the sum.
__device__ inline float max_of_row(const float* x, int64_t n, double* shared) {
  float max = -INFINITY;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) max = x[i] > max ? x[i] : max;
  return block_reduce(max, reinterpret_cast<float*>(shared), [](float a, float b) { return b > a ? b : a; });
}
// Sum of body(i) over the row, formed in double.
template <class Body>
__device__ inline double sum_of_row(int64_t n, double* shared, const Body& body) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += double(body(i));
  return block_reduce(sum, shared, [](double a, double b) { return a + b; });
}

template <bool kLog>
__global__ void softmax_rows_kernel(const float* x, float* y, int64_t cols) {
  __shared__ double shared[kThreads / kWarp];
  const float* from = x + int64_t(blockIdx.x) * cols;
  float* to = y + int64_t(blockIdx.x) * cols;
  const float max = max_of_row(from, cols, shared);
  const double sum = sum_of_row(cols, shared, [&](int64_t i) { return exp_of(from[i] - max); });
  if (kLog) {
    const float log_sum = float(log(sum));
    for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) to[i] = (from[i] - max) - log_sum;
  } else {
    const float scale = float(1.0 / sum);
    for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) to[i] = exp_of(from[i] - max) * scale;
  }
}

__global__ void softmax_grad_rows_kernel(const float* dy, const float* y, float* dx, int64_t cols) {
  __shared__ double shared[kThreads / kWarp];
  const int64_t start = int64_t(blockIdx.x) * cols;
  const float dot = float(sum_of_row(cols, shared, [&](int64_t i) { return dy[start + i] * y[start + i]; }));
  for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) dx[start + i] = y[start + i] * (dy[start + i] - dot);
}

__global__ void cross_entropy_rows_kernel(const float* logits, const int32_t* classes, const float* weights, float* loss,
                                          int64_t cols, IndexReporter reporter) {
  __shared__ double shared[kThreads / kWarp];
  const float* x = logits + int64_t(blockIdx.x) * cols;
  const float max = max_of_row(x, cols, shared);
  const double log_sum = log(sum_of_row(cols, shared, [&](int64_t i) { return exp_of(x[i] - max); }));
  if (classes != nullptr) {
    if (threadIdx.x != 0) return;
    const int64_t label = reporter.checked(classes[blockIdx.x], cols);
    loss[blockIdx.x] = float(log_sum - double(x[label] - max));
    return;
  }
  const float* p = weights + int64_t(blockIdx.x) * cols;
  const double total = sum_of_row(cols, shared, [&](int64_t i) { return p[i]; });
  // Both terms are positive (x - max <= 0), so nothing cancels.
  const double weighted = sum_of_row(cols, shared, [&](int64_t i) { return p[i] == 0.0f ? 0.0f : p[i] * (x[i] - max); });
  if (threadIdx.x == 0) loss[blockIdx.x] = float(log_sum * total - weighted);
}

__global__ void cross_entropy_grad_rows_kernel(const float* logits, const int32_t* classes, const float* weights,
                                               const float* dloss, float* dlogits, int64_t cols, IndexReporter reporter) {
  __shared__ double shared[kThreads / kWarp];
  const int64_t row = blockIdx.x, start = row * cols;
  const float* x = logits + start;
  float* dx = dlogits + start;
  const float max = max_of_row(x, cols, shared), factor = dloss[row];
  const double sum = sum_of_row(cols, shared, [&](int64_t i) { return exp_of(x[i] - max); });
  if (classes != nullptr) {
    const int64_t given = classes[row];
    const int64_t label = given < 0 ? 0 : given < cols ? given : cols - 1;
    if (threadIdx.x == 0) reporter.checked(given, cols);
    const float scale = float(double(factor) / sum);
    for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) {
      const float value = exp_of(x[i] - max) * scale;
      dx[i] = i == label ? value - factor : value;
    }
    return;
  }
  const float* p = weights + start;
  const double total = sum_of_row(cols, shared, [&](int64_t i) { return p[i]; });
  const float scale = float(total / sum);
  for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) dx[i] = (exp_of(x[i] - max) * scale - p[i]) * factor;
}

template <bool kLog>
void run_softmax(const OpCall& call, const CudaContext& context) {
  const Rows shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  if (shape.rows == 0) return;
  context.launch(softmax_rows_kernel<kLog>, dim3(unsigned(shape.rows)), dim3(unsigned(row_threads(shape.cols))), 0,
                 call[0].f32(), call[1].f32(), shape.cols);
}

// Labels are one class or one weight per element of the logits; losses one per row.
void check_label_sizes(const Operand& logits, const Operand& labels, const Operand& loss) {
  TK_CHECK_EQ(logits.rank, 2);
  TK_CHECK_EQ(labels.size, labels.dtype == DType::i32 ? logits.dims[0] : logits.size);
  TK_CHECK_EQ(loss.size, logits.dims[0]);
}
const int32_t* classes_of(const Operand& labels) { return labels.dtype == DType::i32 ? labels.i32() : nullptr; }
const float* weights_of(const Operand& labels) { return labels.dtype == DType::f32 ? labels.f32() : nullptr; }

}  // namespace

void softmax_cuda(const OpCall& call, CudaContext& context) { run_softmax<false>(call, context); }
void log_softmax_cuda(const OpCall& call, CudaContext& context) { run_softmax<true>(call, context); }

void softmax_grad_cuda(const OpCall& call, CudaContext& context) {
  const Rows shape(call[0]);
  TK_CHECK_EQ(call[1].size, call[0].size);
  TK_CHECK_EQ(call[2].size, call[0].size);
  if (shape.rows == 0) return;
  context.launch(softmax_grad_rows_kernel, dim3(unsigned(shape.rows)), dim3(unsigned(row_threads(shape.cols))), 0,
                 call[0].f32(), call[1].f32(), call[2].f32(), shape.cols);
}

void softmax_cross_entropy_cuda(const OpCall& call, CudaContext& context) {
  check_label_sizes(call[0], call[1], call[2]);
  const Rows shape(call[0]);
  if (shape.cols == 0 && call[2].size > 0) {
    check_cuda(cudaMemsetAsync(call[2].data, 0, size_t(call[2].bytes()), context.stream()), "cudaMemsetAsync");
  }
  if (shape.rows == 0) return;
  context.launch(cross_entropy_rows_kernel, dim3(unsigned(shape.rows)), dim3(unsigned(row_threads(shape.cols))), 0,
                 call[0].f32(), classes_of(call[1]), weights_of(call[1]), call[2].f32(), shape.cols, context.reporter());
}

void softmax_cross_entropy_grad_cuda(const OpCall& call, CudaContext& context) {
  check_label_sizes(call[0], call[1], call[2]);
  TK_CHECK_EQ(call[3].size, call[0].size);
  const Rows shape(call[0]);
  if (shape.rows == 0) return;
  context.launch(cross_entropy_grad_rows_kernel, dim3(unsigned(shape.rows)), dim3(unsigned(row_threads(shape.cols))), 0,
                 call[0].f32(), classes_of(call[1]), weights_of(call[1]), call[2].f32(), call[3].f32(), shape.cols,
                 context.reporter());
}

TK_END_CUDA
