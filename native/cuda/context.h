// First include of every *_cuda.cu: the launch context, index arithmetic for kernels, and the table of bodies.
//
// A body `void <op>_cuda(const OpCall&, CudaContext&)` launches kernels on the context's stream and returns at once. It
// allocates nothing and does not wait. Scratch memory it asks for with `int64_t <op>_cuda_workspace(const OpCall&)`, which
// may be absent. The same source compiles with nvcc for the GPU and with g++ for the emulator.
#pragma once

// Formulas of ops/common are shared with the CPU, one lane wide: see cpu/simd.h.
#define TK_CUDA_KERNELS 1
#define TK_LEVEL cuda

#include "cuda/launch.cuh"
#include "cuda/launch_list.h"
// launch.cuh before everything else: it decides what __device__ means.
#include "core/op_call.h"

namespace tk::cuda {

// Where kernels leave the first index that was out of range; read and cleared when the host waits.
struct IndexReport {
  int32_t op_plus_1;
  int32_t unused;
  int64_t index, limit;
};

// Reports an index outside [0, limit), as CpuContext::report_index does; the kernel clamps it and goes on.
struct IndexReporter {
  IndexReport* report;
  int32_t op_plus_1;
  __device__ void operator()(int64_t index, int64_t limit) const {
    if (atomicCAS(&report->op_plus_1, 0, op_plus_1) != 0) return;
    report->index = index;
    report->limit = limit;
  }
  // The index, brought into [0, limit).
  __device__ int64_t checked(int64_t index, int64_t limit) const {
    if (index >= 0 && index < limit) return index;
    (*this)(index, limit);
    return index < 0 ? 0 : limit - 1;
  }
};

// A CUDA call failed: the table turns it into a status.
struct CudaFailure {
  cudaError_t status;
  const char* call;
};
inline void check_cuda(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw CudaFailure{status, call};
}

// For the bodies of products and convolutions, three operands: two of one 16-bit type, the result of that type or f32.
inline bool is_half_product(const OpCall& call) {
  const DType type = call[0].dtype;
  return (type == DType::f16 || type == DType::bf16) && call[1].dtype == type &&
         (call[2].dtype == type || call[2].dtype == DType::f32);
}

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = int64_t(1) << 30;

struct DeviceSettings {
  bool has_wgmma = false;  // kernels for sm_90a run here
  bool tf32 = false;       // products of f32 may round their operands to TF32
};

class CudaContext {
 public:
  // list: where launches are written down instead of being made; null to make them.
  CudaContext(cudaStream_t stream, int multiprocessors, const DeviceSettings& settings, IndexReport* report, uint16_t op,
              LaunchList* list = nullptr)
      : stream_(stream),
        multiprocessors_(multiprocessors),
        settings_(settings),
        reporter_{report, int32_t(op) + 1},
        list_(list) {}

  // For what launch, copy and zero do not offer. A call that asks for it cannot be part of a graph.
  cudaStream_t stream() const {
    if (list_ != nullptr) throw NotListable{};
    return stream_;
  }
  int multiprocessors() const { return multiprocessors_; }
  const DeviceSettings& settings() const { return settings_; }
  IndexReporter reporter() const { return reporter_; }

  // Launches a kernel with the arguments converted to its parameter types; shared_bytes of dynamic shared memory.
  template <class... Params, class... Args>
  void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, Args&&... args) const {
    if (list_ != nullptr) return list_->add_kernel(kernel, grid, block, shared_bytes, std::forward<Args>(args)...);
    check_cuda(tk::cuda::launch_kernel(kernel, grid, block, shared_bytes, stream_, std::forward<Args>(args)...), "launch");
  }
  // Copies inside the device.
  void copy(void* to, const void* from, size_t bytes) const {
    if (bytes == 0) return;
    if (list_ != nullptr) return list_->add_copy(to, from, bytes);
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "cudaMemcpyAsync on the device");
  }
  void zero(void* to, size_t bytes) const {
    if (bytes == 0) return;
    if (list_ != nullptr) return list_->add_zero(to, bytes);
    check_cuda(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
  }

 private:
  cudaStream_t stream_;
  int multiprocessors_;
  DeviceSettings settings_;
  IndexReporter reporter_;
  LaunchList* list_;
};

// f(i) for every i in [0, n): consecutive threads take consecutive i.
template <class F>
__global__ void __launch_bounds__(kThreads) for_each_kernel(int64_t n, F f) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

// Runs f on the device. per_thread: how many i one thread should take where there is more work than threads.
template <class F>
void for_each(const CudaContext& context, int64_t n, F f, int per_thread = 4) {
  if (n <= 0) return;
  // A whole block for a handful of elements would cost the emulator more than the work.
  const int threads = n >= kThreads ? kThreads : int((n + 31) / 32 * 32);
  const int64_t wanted = (n + int64_t(threads) * per_thread - 1) / (int64_t(threads) * per_thread);
  const int64_t resident = int64_t(context.multiprocessors()) * 16;
  const int64_t blocks = wanted < resident ? wanted : resident;
  context.launch(for_each_kernel<F>, dim3(unsigned(blocks)), dim3(unsigned(threads)), 0, n, f);
}

// Where position i of a dense tensor lies along each axis. 32-bit division where everything fits.
struct Unravel {
  int rank = 0;
  bool small = true;
  int64_t dims[kMaxRank] = {};

  Unravel() = default;
  explicit Unravel(const Operand& x) : rank(x.rank), small(x.size <= INT32_MAX) {
    for (int axis = 0; axis < rank; ++axis) dims[axis] = x.dims[axis];
  }
  // visit(axis, index) from the last axis to the first.
  template <class Visit>
  __device__ void operator()(int64_t i, const Visit& visit) const {
    if (small) {
      uint32_t rest = uint32_t(i);
      for (int axis = rank - 1; axis >= 0; --axis) {
        const uint32_t dim = uint32_t(dims[axis]), quotient = rest / dim;
        visit(axis, int64_t(rest - quotient * dim));
        rest = quotient;
      }
      return;
    }
    for (int axis = rank - 1; axis >= 0; --axis) {
      visit(axis, i % dims[axis]);
      i /= dims[axis];
    }
  }
};

// Row-major strides of a tensor, in elements.
struct Strides {
  int64_t of[kMaxRank] = {};
  Strides() = default;
  explicit Strides(const Operand& x) {
    int64_t stride = 1;
    for (int axis = x.rank - 1; axis >= 0; --axis) {
      of[axis] = stride;
      stride *= x.dims[axis];
    }
  }
};

}  // namespace tk::cuda

// Bodies live in tk::cuda; TK_CUDA_OPS_BEGIN opens it.
#define TK_BEGIN_CUDA \
  namespace tk {      \
  namespace cuda {
#define TK_END_CUDA \
  }                 \
  }
