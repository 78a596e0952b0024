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

// How products of bf16 operands are computed. widened: as f32, which holds them exactly. native: by AVX512-BF16. emulated: as
// the instruction does it, number by number; for tests. Where TENSORKILN_BF16 says nothing else, native if the processor has
// it.
enum class Bf16Products : uint8_t { widened, native, emulated };
// A reference, for tests. Throws E_CONFIG when TENSORKILN_BF16 is no name of one, or names what the machine cannot do.
Bf16Products& bf16_products();
const char* bf16_products_name(Bf16Products products);

#if defined(__linux__)
// What the control groups of this process grant, version 2 or 1; -1 where nothing is limited.
struct CgroupLimits {
  int64_t milli_processors = -1;  // thousandths of a processor
  int64_t memory_bytes = -1;
};
// root: "", or for tests a folder that has proc/self/cgroup and sys/fs/cgroup in it.
CgroupLimits cgroup_limits(const std::string& root);
#endif

// Memory this process may use in bytes: the smaller of the cgroup's limit and what the machine has.
int64_t memory_limit_bytes();

}  // namespace tk
