// What the processor can do and what it has.
#pragma once
#include <cstdint>
#include <string>

namespace tk {

struct CpuFeatures {
  bool avx2 = false, fma = false;
  bool avx512 = false;  // F, DQ, BW, VL, and the operating system saves the registers
  bool avx512_bf16 = false;
  std::string model;
};
const CpuFeatures& cpu_features();

// Memory this process may use in bytes: the smaller of the cgroup's limit and what the machine has.
int64_t memory_limit_bytes();

}  // namespace tk
