// Which kernel convolutions run on: chosen by the size of the problem, or fixed by TENSORKILN_CUDA_CONV so that tests and
// measurements reach each kernel with any size.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "cuda/kernel_setting.h"

namespace tk::cuda {

enum class ConvKernel : int {
  direct,     // a thread per element of the result
  product,    // a filter of one tap: a plain product
  tiles_64,   // implicit product on tensor cores, tiles of 64 x 64
  tiles_128,  // the same, 128 x 128
  hopper,     // the same through wgmma, 128 x 64 or 128 x 128, of f16 and bf16 in whole vectors on sm_90a; else tiles_128
};

// Whether a pass of so many rows and columns, cut into parts, goes through wgmma where it can: tiles are larger there than
// those of mma.sync, so there must be enough of them to keep half of a large GPU busy. Not measured yet.
inline bool is_large_for_wgmma(int64_t rows, int64_t cols, int parts) {
  return rows >= 128 && cols > 32 && (rows + 127) / 128 * ((cols + 127) / 128) * parts >= 64;
}

// A ConvKernel, or -1 to choose.
inline std::atomic<int>& conv_kernel_wanted() {
  static std::atomic<int> wanted{-1};
  return wanted;
}

// Takes the setting from the environment; throws std::invalid_argument for a value that is none.
inline void read_conv_setting() {
  conv_kernel_wanted() = read_kernel_setting("TENSORKILN_CUDA_CONV", std::getenv("TENSORKILN_CUDA_CONV"),
                                             {{"direct", int(ConvKernel::direct)},
                                              {"tiles_64", int(ConvKernel::tiles_64)},
                                              {"tiles_128", int(ConvKernel::tiles_128)},
                                              {"hopper", int(ConvKernel::hopper)}});
}

}  // namespace tk::cuda
