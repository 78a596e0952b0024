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
};

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
  } else {
    throw std::invalid_argument(std::string("TENSORKILN_CUDA_CONV is '") + text +
                                "': expected direct, tiles_64 or tiles_128, or nothing to let the size decide");
  }
}

}  // namespace tk::cuda
