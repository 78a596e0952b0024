#include "cpu/cpu_info.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "core/error.h"
#include "cpu/thread_pool.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#define TK_X86 1
#endif
#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace tk {
namespace {

#if TK_X86
void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
#if defined(_MSC_VER)
  int regs[4];
  __cpuidex(regs, int(leaf), int(subleaf));
  for (int i = 0; i < 4; ++i) out[i] = uint32_t(regs[i]);
#else
  __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
#endif
}

uint64_t saved_register_state() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
#endif
}
#endif

// First number in a file; -1 when the file is absent or starts with a word ("max").
int64_t read_number(const std::string& path, int64_t* second = nullptr) {
  std::ifstream file(path);
  int64_t value = -1;
  if (!(file >> value)) {
    value = -1;
    file.clear();
    std::string word;
    file >> word;
  }
  if (second != nullptr && !(file >> *second)) *second = -1;
  return value;
}

#if defined(__linux__)
// Calls read(folder) for the cgroup v2 folder of this process and those above it; the smallest result above 0, or -1.
template <class Read>
int64_t smallest_cgroup_limit(const std::string& root, const Read& read) {
  const std::string mount = root + "/sys/fs/cgroup";
  std::string folder;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; folder.empty() && std::getline(file, line);) {
    if (line.rfind("0::", 0) == 0) folder = mount + line.substr(3);
  }
  int64_t limit = -1;
  while (folder.size() >= mount.size()) {
    const int64_t value = read(folder);
    if (value > 0 && (limit < 0 || value < limit)) limit = value;
    const size_t slash = folder.rfind('/');
    if (slash == std::string::npos || slash == 0) break;
    folder.resize(slash);
  }
  return limit;
}
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures& features = *[] {
    auto* found = new CpuFeatures;
#if TK_X86
    uint32_t r[4];
    cpuid(0, 0, r);
    const uint32_t max_leaf = r[0];
    cpuid(1, 0, r);
    const bool os_saves = (r[2] >> 27 & 1) != 0;
    const uint64_t state = os_saves ? saved_register_state() : 0;
    const bool ymm = (state & 6) == 6, zmm = (state & 0xe6) == 0xe6;
    found->fma = ymm && (r[2] >> 12 & 1);
    if (max_leaf >= 7) {
      cpuid(7, 0, r);
      found->avx2 = ymm && (r[1] >> 5 & 1);
      const uint32_t wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
      found->avx512 = zmm && (r[1] & wanted) == wanted;
      cpuid(7, 1, r);
      found->avx512_bf16 = found->avx512 && (r[0] >> 5 & 1);
    }
    cpuid(0x80000000u, 0, r);
    if (r[0] >= 0x80000004u) {
      char name[49] = {};
      for (uint32_t i = 0; i < 3; ++i) {
        cpuid(0x80000002u + i, 0, r);
        std::memcpy(name + 16 * i, r, 16);
      }
      found->model = name;
      found->model.erase(found->model.find_last_not_of(' ') + 1);
      found->model.erase(0, std::min(found->model.find_first_not_of(' '), found->model.size()));
    }
#endif
    if (found->model.empty()) found->model = "unknown";
    return found;
  }();
  return features;
}

const char* bf16_products_name(Bf16Products products) {
  switch (products) {
    case Bf16Products::native: return "avx512_bf16";
    case Bf16Products::emulated: return "emulated";
    default: return "widened";
  }
}

Bf16Products& bf16_products() {
  static Bf16Products products = [] {
    const char* wanted = std::getenv("TENSORKILN_BF16");
    const bool has_native = cpu_features().avx512_bf16;
    const std::string_view name = wanted == nullptr ? "" : wanted;
    if (name.empty()) return has_native ? Bf16Products::native : Bf16Products::widened;
    for (Bf16Products known : {Bf16Products::widened, Bf16Products::native, Bf16Products::emulated}) {
      if (name == bf16_products_name(known) && (known != Bf16Products::native || has_native)) return known;
    }
    throw Error("E_CONFIG", std::string("TENSORKILN_BF16: expected widened") +
                                (has_native ? ", avx512_bf16 or emulated" : " or emulated (this machine has no AVX512-BF16)") +
                                ", got '" + std::string(name) + "'");
  }();
  return products;
}

#if defined(__linux__)
CgroupLimits cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  limits.milli_processors = smallest_cgroup_limit(root, [](const std::string& folder) {
    int64_t period = -1;
    const int64_t quota = read_number(folder + "/cpu.max", &period);
    return quota > 0 && period > 0 ? std::max(int64_t(1), quota * 1000 / period) : int64_t(-1);
  });
  limits.memory_bytes =
      smallest_cgroup_limit(root, [](const std::string& folder) { return read_number(folder + "/memory.max"); });
  const std::string v1 = root + "/sys/fs/cgroup";
  if (limits.milli_processors < 0) {
    const int64_t quota = read_number(v1 + "/cpu/cpu.cfs_quota_us"), period = read_number(v1 + "/cpu/cpu.cfs_period_us");
    if (quota > 0 && period > 0) limits.milli_processors = std::max(int64_t(1), quota * 1000 / period);
  }
  if (limits.memory_bytes < 0) limits.memory_bytes = read_number(v1 + "/memory/memory.limit_in_bytes");
  return limits;
}
#endif

int64_t memory_limit_bytes() {
#if defined(_WIN32)
  MEMORYSTATUSEX status;
  status.dwLength = sizeof status;
  GlobalMemoryStatusEx(&status);
  return int64_t(status.ullTotalPhys);
#else
  int64_t limit = int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
#if defined(__linux__)
  const int64_t granted = cgroup_limits("").memory_bytes;
  if (granted > 0) limit = std::min(limit, granted);
#endif
  return limit;
#endif
}

int available_processors() {
  int count = std::max(1, int(std::thread::hardware_concurrency()));
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = std::max(1, CPU_COUNT(&set));
  // A quota of 1.5 processors gives 2 threads.
  const int64_t milli = cgroup_limits("").milli_processors;
  if (milli > 0) count = std::min(count, std::max(1, int((milli + 999) / 1000)));
#endif
  return count;
}

}  // namespace tk
