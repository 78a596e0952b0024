// The one header a kernel source includes first.  nvcc: the CUDA headers.  g++: the emulator.
#pragma once
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <utility>
// Dynamic shared memory, 1024-byte aligned.  (`extern __shared__ T x[]` has no host equivalent, and
// differently typed ones clash under nvcc as well.)
#define DYNAMIC_SMEM(T, name)                                    \
  extern __shared__ __align__(1024) unsigned char cu_dyn_smem[]; \
  T* name = reinterpret_cast<T*>(cu_dyn_smem)
#else
#include "cuda/emulator/emulator.h"
#define DYNAMIC_SMEM(T, name) T* name = static_cast<T*>(tk::emulator::dynamic_smem())
#endif

#if defined(__CUDACC__)
namespace tk::cuda {
// Launches with the arguments converted to the kernel's parameter types.
template <class... P, class... A>
inline cudaError_t launch_kernel(void (*kernel)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t stream, A&&... args) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = smem;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
}
// The same with all blocks resident at once, so that they may wait for each other.
template <class... P, class... A>
inline cudaError_t launch_cooperative(void (*kernel)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t stream,
                                      A&&... args) {
  cudaLaunchAttribute cooperative[1];
  cooperative[0].id = cudaLaunchAttributeCooperative;
  cooperative[0].val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = smem;
  config.stream = stream;
  config.attrs = cooperative;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
}
}  // namespace tk::cuda
#else
namespace tk::cuda {
template <class... Args>
inline cudaError_t launch_kernel(Args&&... args) {
  return tk::emulator::launch(std::forward<Args>(args)...);
}
template <class... Args>
inline cudaError_t launch_cooperative(Args&&... args) {
  return tk::emulator::launch_cooperative(std::forward<Args>(args)...);
}
}  // namespace tk::cuda
#endif

namespace tk::cuda {
// For a kernel with __cluster_dims__(blocks): the emulator does not see that.
template <class Kernel>
inline void declare_cluster([[maybe_unused]] Kernel* kernel, [[maybe_unused]] int blocks) {
#if !defined(__CUDACC__)
  tk::emulator::set_cluster(reinterpret_cast<const void*>(kernel), unsigned(blocks));
#endif
}
// Lets a kernel use more than 48 KB of dynamic shared memory.
template <class Kernel>
inline cudaError_t allow_shared(Kernel* kernel, size_t bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
}
}  // namespace tk::cuda
