// Stands in for <cooperative_groups.h> under the host compiler (put this folder first on the include
// path): thread_block, tiles of up to 32 threads, and grid_group for cooperative launches.
#pragma once
#include "cuda/emulator/emulator.h"
namespace cooperative_groups {
struct thread_block {
  static void sync(TK_EMULATOR_SITE) { __syncthreads(TK_EMULATOR_ARGS); }
  static unsigned thread_rank() { return tk::emulator::cur->linear; }
  static unsigned size() { return blockDim.x * blockDim.y * blockDim.z; }
  static unsigned num_threads() { return size(); }
};
inline thread_block this_thread_block() { return {}; }
struct grid_group {
  static void sync(TK_EMULATOR_SITE) { tk::emulator::grid_sync(TK_EMULATOR_ARGS); }
  static unsigned long long thread_rank() {
    return (blockIdx.x + 1ull * gridDim.x * (blockIdx.y + 1ull * gridDim.y * blockIdx.z)) * thread_block::size() +
           thread_block::thread_rank();
  }
  static unsigned long long size() { return 1ull * gridDim.x * gridDim.y * gridDim.z * thread_block::size(); }
  static bool is_valid() { return true; }
};
inline grid_group this_grid() { return {}; }
template <unsigned N>
struct thread_block_tile {
  static_assert(N <= 32 && (N & (N - 1)) == 0);
  static unsigned thread_rank() { return tk::emulator::cur->lane % N; }
  static constexpr unsigned size() { return N; }
  static constexpr unsigned num_threads() { return N; }
  static unsigned meta_group_rank() { return tk::emulator::cur->linear / N; }
  static unsigned mask() { return N == 32 ? ~0u : ((1u << (N % 32)) - 1) << (tk::emulator::cur->lane / N * N); }
  void sync(TK_EMULATOR_SITE) const { __syncwarp(mask(), TK_EMULATOR_ARGS); }
  template <class T>
  T shfl(T v, int s, TK_EMULATOR_SITE) const {
    return __shfl_sync(mask(), v, s, N, TK_EMULATOR_ARGS);
  }
  template <class T>
  T shfl_up(T v, unsigned d, TK_EMULATOR_SITE) const {
    return __shfl_up_sync(mask(), v, d, N, TK_EMULATOR_ARGS);
  }
  template <class T>
  T shfl_down(T v, unsigned d, TK_EMULATOR_SITE) const {
    return __shfl_down_sync(mask(), v, d, N, TK_EMULATOR_ARGS);
  }
  template <class T>
  T shfl_xor(T v, unsigned x, TK_EMULATOR_SITE) const {
    return __shfl_xor_sync(mask(), v, int(x), N, TK_EMULATOR_ARGS);
  }
  unsigned ballot(int p, TK_EMULATOR_SITE) const {
    return __ballot_sync(mask(), p, TK_EMULATOR_ARGS) >> (tk::emulator::cur->lane / N * N);
  }
  int any(int p, TK_EMULATOR_SITE) const { return __any_sync(mask(), p, TK_EMULATOR_ARGS); }
  int all(int p, TK_EMULATOR_SITE) const { return __all_sync(mask(), p, TK_EMULATOR_ARGS); }
};
template <unsigned N, class G>
thread_block_tile<N> tiled_partition(const G&) {
  return {};
}
template <class T>
struct plus {
  T operator()(T a, T b) const { return a + b; }
};
template <class T>
struct greater {
  T operator()(T a, T b) const { return a > b ? a : b; }
};
template <class G, class T, class F>
T reduce(const G& g, T v, F f) {
  for (unsigned o = g.size() / 2; o; o /= 2) v = f(v, g.shfl_xor(v, o));
  return v;
}
}  // namespace cooperative_groups
