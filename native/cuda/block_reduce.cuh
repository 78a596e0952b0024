// Sums and other folds over the threads of a block, always in the same order.
#pragma once
#include "cuda/context.h"

namespace tk::cuda {

constexpr int kWarp = 32;

// Folds `value` over all threads of the block, a multiple of 32 of them; every thread gets the result. `shared` holds one
// value per warp and may be used again after the next __syncthreads.
template <class T, class Combine>
__device__ inline T block_reduce(T value, T* shared, const Combine& combine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
  }
  const int warp = int(threadIdx.x) / kWarp, warps = int(blockDim.x) / kWarp;
  if (warps == 1) return value;
  if (threadIdx.x % kWarp == 0) shared[warp] = value;
  __syncthreads();
  T total = shared[0];
  for (int i = 1; i < warps; ++i) total = combine(total, shared[i]);
  __syncthreads();
  return total;
}

// Threads for a row of n elements that one block works on.
inline int row_threads(int64_t n) { return n >= 1024 ? 256 : n >= 256 ? 128 : 32; }

}  // namespace tk::cuda
