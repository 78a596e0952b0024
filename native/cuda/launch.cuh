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

// Launch with the arguments converted to the kernel's parameter types.
#if defined(__CUDACC__)
template <class... P, class... A>
inline cudaError_t launch(void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s, A&&... a) {
  cudaLaunchConfig_t c = {};
  c.gridDim = grid;
  c.blockDim = block;
  c.dynamicSmemBytes = smem;
  c.stream = s;
  return cudaLaunchKernelEx(&c, k, std::forward<A>(a)...);
}
template <class... P, class... A>
inline cudaError_t launch_cooperative(void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s, A&&... a) {
  cudaLaunchAttribute at[1];
  at[0].id = cudaLaunchAttributeCooperative;
  at[0].val.cooperative = 1;
  cudaLaunchConfig_t c = {};
  c.gridDim = grid;
  c.blockDim = block;
  c.dynamicSmemBytes = smem;
  c.stream = s;
  c.attrs = at;
  c.numAttrs = 1;
  return cudaLaunchKernelEx(&c, k, std::forward<A>(a)...);
}
#else
using tk::emulator::launch;
using tk::emulator::launch_cooperative;
#endif
template <class K>
inline cudaError_t allow_smem(K* k, size_t bytes) {
  return cudaFuncSetAttribute((const void*)k, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
}
