// Which kernel convolutions run on: chosen by the size of the problem, or fixed by TENSORKILN_CUDA_CONV so that tests and
// measurements reach each kernel with any size.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

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
  const char* text = std::getenv("TENSORKILN_CUDA_CONV");
  if (text == nullptr || *text == 0) {
    conv_kernel_wanted() = -1;
  } else if (std::strcmp(text, "direct") == 0) {
    conv_kernel_wanted() = int(ConvKernel::direct);
  } else if (std::strcmp(text, "tiles_64") == 0) {
    conv_kernel_wanted() = int(ConvKernel::tiles_64);
  } else if (std::strcmp(text, "tiles_128") == 0) {
    conv_kernel_wanted() = int(ConvKernel::tiles_128);
  } else if (std::strcmp(text, "hopper") == 0) {
    conv_kernel_wanted() = int(ConvKernel::hopper);
  } else {
    throw std::invalid_argument(std::string("TENSORKILN_CUDA_CONV is '") + text +
                                "': expected direct, tiles_64, tiles_128 or hopper, or nothing to let the size decide");
  }
}

}  // namespace tk::cuda
