#include "cuda/block_reduce.cuh"
#include "ops/reduce/reduce.h"

// f32 sums are formed in double: a reduction waits for memory, and data-centre chips add doubles at half the rate of floats.
// How an axis is cut into parts depends on the shape alone, so that the order of additions is always the same.
TK_BEGIN_CUDA
namespace {

template <class T>
struct SumFold {
  using In = T;
  using Out = T;
  using Acc = std::conditional_t<std::is_same_v<T, float>, double, uint32_t>;
  __device__ static Acc start() { return 0; }
  __device__ static Acc load(T x, int64_t) { return Acc(x); }
  __device__ static Acc combine(Acc a, Acc b) { return a + b; }
  __device__ static T finish(Acc a, int64_t) { return T(a); }
};
struct MeanFold : SumFold<float> {
  __device__ static float finish(double a, int64_t n) { return float(a) / float(n); }
};
template <class T>
struct ProductFold {
  using In = T;
  using Out = T;
  using Acc = std::conditional_t<std::is_same_v<T, float>, double, uint32_t>;
  __device__ static Acc start() { return 1; }
  __device__ static Acc load(T x, int64_t) { return Acc(x); }
  __device__ static Acc combine(Acc a, Acc b) { return a * b; }
  __device__ static T finish(Acc a, int64_t) { return T(a); }
};
template <class T, bool kMax>
struct ExtremeFold {
  using In = T;
  using Out = T;
  using Acc = T;
  __device__ static T start() {
    if constexpr (std::is_same_v<T, float>) {
      return kMax ? -INFINITY : INFINITY;
    } else {
      return kMax ? INT32_MIN : INT32_MAX;
    }
  }
  __device__ static T load(T x, int64_t) { return x; }
  // NaN stays, whichever side it comes from.
  __device__ static T combine(T a, T b) {
    if (a != a) return a;
    if (b != b) return b;
    return (kMax ? b > a : b < a) ? b : a;
  }
  __device__ static T finish(T a, int64_t) { return a; }
};
template <class T>
using MaxFold = ExtremeFold<T, true>;
template <class T>
using MinFold = ExtremeFold<T, false>;

template <bool kAll>
struct LogicalFold {
  using In = uint8_t;
  using Out = uint8_t;
  using Acc = int32_t;
  __device__ static Acc start() { return kAll; }
  __device__ static Acc load(uint8_t x, int64_t) { return x != 0; }
  __device__ static Acc combine(Acc a, Acc b) { return kAll ? a & b : a | b; }
  __device__ static uint8_t finish(Acc a, int64_t) { return uint8_t(a); }
};

// A row is cut where there are too few outputs to fill a GPU.
struct Cut {
  int64_t parts, length;
};
Cut cut_axis(int64_t outputs, int64_t n) {
  constexpr int64_t kLeastPart = 4096, kEnoughOutputs = 2048, kMostParts = 1024;
  if (outputs == 0 || outputs >= kEnoughOutputs || n <= 2 * kLeastPart) return {1, n};
  int64_t parts = std::min({n / kLeastPart, (kEnoughOutputs + outputs - 1) / outputs, kMostParts});
  const int64_t length = (n + parts - 1) / parts;
  return {(n + length - 1) / length, length};
}

struct Axes {
  int64_t outer, n, inner;
  explicit Axes(const OpCall& call) : outer(call[0].dims[0]), n(call[0].dims[1]), inner(call[0].dims[2]) {
    TK_CHECK_EQ(call[0].rank, 3);
    TK_CHECK_EQ(call[1].size, outer * inner);
  }
  int64_t outputs() const { return outer * inner; }
};

// The part of output o that block (part, row) is for; neighbouring threads take neighbouring elements of the row.
template <class Fold>
__global__ void reduce_rows_kernel(const typename Fold::In* x, int64_t n, int64_t length, int64_t parts,
                                   typename Fold::Acc* partial, typename Fold::Out* y) {
  __shared__ typename Fold::Acc shared[kThreads / kWarp];
  const int64_t row = int64_t(blockIdx.x) / parts, part = int64_t(blockIdx.x) % parts;
  const int64_t begin = part * length, end = begin + length < n ? begin + length : n;
  typename Fold::Acc acc = Fold::start();
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) acc = Fold::combine(acc, Fold::load(x[row * n + i], i));
  acc = block_reduce(acc, shared, [](auto a, auto b) { return Fold::combine(a, b); });
  if (threadIdx.x != 0) return;
  if (parts == 1) {
    y[row] = Fold::finish(acc, n);
  } else {
    partial[row * parts + part] = acc;
  }
}

template <class Fold>
void run_fold(const OpCall& call, const CudaContext& context) {
  using Acc = typename Fold::Acc;
  const Axes axes(call);
  const int64_t outputs = axes.outputs(), n = axes.n, inner = axes.inner;
  if (outputs == 0) return;
  const Cut cut = cut_axis(outputs, n);
  const int64_t parts = cut.parts, length = cut.length;
  const auto* x = static_cast<const typename Fold::In*>(call[0].data);
  auto* y = static_cast<typename Fold::Out*>(call[1].data);
  Acc* partial = static_cast<Acc*>(call.workspace);
  constexpr int64_t kShortRow = 32;
  if (inner == 1 && n > kShortRow && outputs * parts <= INT32_MAX) {
    context.launch(reduce_rows_kernel<Fold>, dim3(unsigned(outputs * parts)), dim3(unsigned(row_threads(length))), 0, x, n,
                   length, parts, partial, y);
  } else {
    for_each(
        context, outputs * parts,
        [=] __device__(int64_t i) {
          const int64_t output = i % outputs, part = i / outputs;
          const int64_t begin = part * length, end = begin + length < n ? begin + length : n;
          const auto* column = x + output / inner * n * inner + output % inner;
          Acc acc = Fold::start();
          for (int64_t j = begin; j < end; ++j) acc = Fold::combine(acc, Fold::load(column[j * inner], j));
          if (parts == 1) {
            y[output] = Fold::finish(acc, n);
          } else {
            partial[output * parts + part] = acc;
          }
        },
        1);
  }
  if (parts == 1) return;
  for_each(
      context, outputs,
      [=] __device__(int64_t output) {
        Acc acc = partial[output * parts];
        for (int64_t part = 1; part < parts; ++part) acc = Fold::combine(acc, partial[output * parts + part]);
        y[output] = Fold::finish(acc, n);
      },
      1);
}

int64_t fold_workspace(const OpCall& call) {
  const Axes axes(call);
  const Cut cut = cut_axis(axes.outputs(), axes.n);
  return cut.parts == 1 ? 0 : axes.outputs() * cut.parts * int64_t(sizeof(double));
}

template <template <class> class Fold>
void run_numbers(const OpCall& call, const CudaContext& context) {
  call[0].dtype == DType::f32 ? run_fold<Fold<float>>(call, context) : run_fold<Fold<int32_t>>(call, context);
}

// The search starts from the first element at index 0, so a NaN there is never beaten, and a NaN elsewhere never beats.
template <class T, bool kMax>
void search_axis(const OpCall& call, const CudaContext& context) {
  const Axes axes(call);
  const int64_t n = axes.n, inner = axes.inner;
  const T* x = static_cast<const T*>(call[0].data);
  int32_t* y = call[1].i32();
  for_each(
      context, axes.outputs(),
      [=] __device__(int64_t output) {
        const T* column = x + output / inner * n * inner + output % inner;
        int32_t best = 0;
        for (int64_t i = 1; i < n; ++i) {
          if (kMax ? column[i * inner] > column[best * inner] : column[i * inner] < column[best * inner]) best = int32_t(i);
        }
        y[output] = best;
      },
      1);
}

template <bool kMax>
void search_any(const OpCall& call, const CudaContext& context) {
  switch (call[0].dtype) {
    case DType::f32: return search_axis<float, kMax>(call, context);
    case DType::i32: return search_axis<int32_t, kMax>(call, context);
    default: return search_axis<uint8_t, kMax>(call, context);
  }
}

}  // namespace

void reduce_sum_cuda(const OpCall& call, CudaContext& context) { run_numbers<SumFold>(call, context); }
void reduce_prod_cuda(const OpCall& call, CudaContext& context) { run_numbers<ProductFold>(call, context); }
void reduce_max_cuda(const OpCall& call, CudaContext& context) { run_numbers<MaxFold>(call, context); }
void reduce_min_cuda(const OpCall& call, CudaContext& context) { run_numbers<MinFold>(call, context); }
void reduce_mean_cuda(const OpCall& call, CudaContext& context) { run_fold<MeanFold>(call, context); }
void reduce_all_cuda(const OpCall& call, CudaContext& context) { run_fold<LogicalFold<true>>(call, context); }
void reduce_any_cuda(const OpCall& call, CudaContext& context) { run_fold<LogicalFold<false>>(call, context); }
int64_t reduce_sum_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_prod_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_max_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_min_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_mean_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_all_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
int64_t reduce_any_cuda_workspace(const OpCall& call) { return fold_workspace(call); }
void argmax_cuda(const OpCall& call, CudaContext& context) { search_any<true>(call, context); }
void argmin_cuda(const OpCall& call, CudaContext& context) { search_any<false>(call, context); }

TK_END_CUDA
