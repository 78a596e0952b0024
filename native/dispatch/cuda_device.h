// The CUDA library as a Device. The library is opened at the first call and stays for good.
#pragma once
#include <memory>
#include <string>

#include "dispatch/device.h"

namespace tk {

// library_path: the shared library; index: number of the GPU; limit_bytes: most device memory, 0 for 90 % of what is free.
// Throws E_DEVICE when library, driver or GPU cannot be used, E_NATIVE_VERSION when the library belongs to another build.
std::unique_ptr<Device> open_cuda_device(const std::string& library_path, int index, int64_t limit_bytes);

}  // namespace tk
