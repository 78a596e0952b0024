// Which kernel runs attention of f16 or bf16: a pure function of the problem, the same on every machine, so that results are
// too; or fixed by TENSORKILN_CUDA_ATTENTION, so that tests and measurements reach each kernel with any size.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "cuda/kernel_setting.h"

namespace tk::cuda {

enum class AttentionKernel : int {
  tiles,   // mma.sync, blocks of 64 queries
  hopper,  // wgmma and the tensor memory accelerator, blocks of 128 queries
};

// What the choice may depend on.
struct AttentionShape {
  int64_t queries, keys;
  int64_t size;    // of a head: the larger of those of keys and values
  bool aligned;    // places of every operand begin at multiples of 16 bytes
  bool has_wgmma;  // an sm_90a device
};

constexpr int64_t kMostHopperSize = 128;

// Whether the kernel for Hopper can take it at all.
inline bool fits_hopper(const AttentionShape& s) {
  return s.has_wgmma && s.aligned && s.size <= kMostHopperSize && s.queries > 0 && s.keys > 0;
}

// Heads of up to 32 would fill half of the 64 columns that a swizzled line has; fewer than 128 queries or keys, half a tile.
// None of the thresholds is measured yet.
inline AttentionKernel choose_attention(const AttentionShape& s) {
  return fits_hopper(s) && s.size > 32 && s.queries >= 128 && s.keys >= 128 ? AttentionKernel::hopper : AttentionKernel::tiles;
}

// An AttentionKernel, or -1 to choose.
inline std::atomic<int>& attention_kernel_wanted() {
  static std::atomic<int> wanted{-1};
  return wanted;
}

// Takes the setting from the environment; throws std::invalid_argument for a value that is none.
inline void read_attention_setting() {
  attention_kernel_wanted() =
      read_kernel_setting("TENSORKILN_CUDA_ATTENTION", std::getenv("TENSORKILN_CUDA_ATTENTION"),
                          {{"tiles", int(AttentionKernel::tiles)}, {"hopper", int(AttentionKernel::hopper)}});
}

// The kernel that runs: the one that is wanted, where it can, else the chosen one.
inline AttentionKernel attention_kernel_for(const AttentionShape& s) {
  const int wanted = attention_kernel_wanted();
  if (wanted == int(AttentionKernel::tiles)) return AttentionKernel::tiles;
  if (wanted == int(AttentionKernel::hopper) && fits_hopper(s)) return AttentionKernel::hopper;
  return choose_attention(s);
}

}  // namespace tk::cuda
