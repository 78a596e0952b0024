#include "cpu/host_allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"
#include "cpu/cpu_info.h"

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace tk {
namespace {

constexpr int64_t kAlign = 64;
constexpr int64_t kMapBytes = 1 << 17;  // from here on blocks are mapped, so that freeing returns them to the system
constexpr int64_t kReuseSlackBytes = 1 << 20;
constexpr int64_t kHugePage = 2 << 20;
#if TENSORKILN_CHECK_OPS
constexpr int64_t kGuardBytes = 64;
constexpr unsigned char kGuardMark = 0xA5;
#else
constexpr int64_t kGuardBytes = 0;
#endif

// AddressSanitizer knows neither mapped memory nor what of a block has been handed out: it is told. What once was allowed stays
// so until the block goes back to the system, for calls under way may still use it.
void forbid_access([[maybe_unused]] const Block& block) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(static_cast<char*>(block.data) - kGuardBytes, size_t(block.capacity + 2 * kGuardBytes));
#endif
}
void allow_access([[maybe_unused]] const Block& block, [[maybe_unused]] int64_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(block.data, size_t(bytes));
#endif
}
void allow_all([[maybe_unused]] const Block& block) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(static_cast<char*>(block.data) - kGuardBytes, size_t(block.capacity + 2 * kGuardBytes));
#endif
}

// Eight sizes per doubling: at most 12.5 % of a block is slack.
int size_class(int64_t bytes, int64_t* capacity) {
  const uint64_t units = std::max<uint64_t>(1, uint64_t(bytes + kAlign - 1) / kAlign);
  if (units <= 8) {
    *capacity = int64_t(units) * kAlign;
    return int(units) - 1;
  }
  const int shift = int(std::bit_width(units - 1)) - 4;  // units-1 in [8, 16) << shift
  const uint64_t rounded = (((units - 1) >> shift) + 1) << shift;
  *capacity = int64_t(rounded) * kAlign;
  return 8 + shift * 8 + int((rounded - 1) >> shift) - 8;
}

void* system_allocate(int64_t bytes) {
#if defined(__linux__)
  if (bytes >= kMapBytes) {
    void* p = mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    // Page faults cost several times the work that fills a fresh block; huge pages cut them by 512.
    if (bytes >= 2 * kHugePage) madvise(p, size_t(bytes), MADV_HUGEPAGE);
    return p;
  }
#endif
#if defined(_WIN32)
  return _aligned_malloc(size_t(bytes), kAlign);
#else
  return std::aligned_alloc(kAlign, size_t(bytes));
#endif
}

void system_free(void* p, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
  if (bytes >= kMapBytes) {
    munmap(p, size_t(bytes));
    return;
  }
#endif
#if defined(_WIN32)
  _aligned_free(p);
#else
  std::free(p);
#endif
}

int64_t initial_limit() {
  const char* wanted = std::getenv("TENSORKILN_MEMORY_LIMIT");
  if (wanted == nullptr || *wanted == 0) return memory_limit_bytes() / 10 * 9;
  char* end = nullptr;
  const double value = std::strtod(wanted, &end);
  const std::string suffix(end);
  const double unit = suffix.empty()  ? 1
                      : suffix == "K" ? 1024.0
                      : suffix == "M" ? 1048576.0
                      : suffix == "G" ? 1073741824.0
                                      : 0;
  if (!(value * unit >= 1) || value * unit > 9e15) {
    throw Error(
        "E_CONFIG",
        std::string("TENSORKILN_MEMORY_LIMIT: expected bytes, or a number with K, M or G such as 512M, got '") + wanted + "'");
  }
  return int64_t(value * unit);
}

}  // namespace

MemoryBudget& MemoryBudget::instance() {
  static MemoryBudget& budget = *new MemoryBudget;
  return budget;
}

MemoryBudget::MemoryBudget() : limit_(initial_limit()) {}

void MemoryBudget::set_limit(int64_t bytes) {
  if (bytes < 1) throw Error("E_CONFIG", "memory budget: expected a positive number of bytes, got " + std::to_string(bytes));
  limit_.store(bytes, std::memory_order_relaxed);
}

bool MemoryBudget::reserve(int64_t bytes) {
  int64_t held = held_.load(std::memory_order_relaxed);
  do {
    if (bytes > limit() - held) return false;
  } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return true;
}

HostAllocator::~HostAllocator() { trim(UINT64_MAX); }

Block* HostAllocator::allocate(int64_t bytes) {
  int64_t capacity = 0;
  if (bytes > int64_t(1) << 44) return nullptr;
  const int index = size_class(bytes, &capacity);
  // A large block may serve a request up to two classes smaller: 25 % slack instead of fresh pages.
  const int last = capacity >= kReuseSlackBytes ? std::min(index + 2, kClasses - 1) : index;
  Block* block = nullptr;
  for (int i = index; i <= last && block == nullptr; ++i) {
    if (free_[i].empty()) continue;
    block = free_[i].back();
    free_[i].pop_back();
    cached_ -= block->capacity;
  }
  if (block == nullptr) {
    if (!MemoryBudget::instance().reserve(capacity)) return nullptr;
    void* base = system_allocate(capacity + 2 * kGuardBytes);
    if (base == nullptr) {
      MemoryBudget::instance().release(capacity);
      return nullptr;
    }
    block = new Block;
    block->data = static_cast<char*>(base) + kGuardBytes;
    block->capacity = capacity;
#if TENSORKILN_CHECK_OPS
    std::memset(base, kGuardMark, kGuardBytes);
    std::memset(static_cast<char*>(block->data) + capacity, kGuardMark, kGuardBytes);
#endif
    forbid_access(*block);
  }
  allow_access(*block, bytes);
  live_ += block->capacity;
  peak_ = std::max(peak_, live_);
  return block;
}

void HostAllocator::free(Block* block, uint64_t last_use) {
  int64_t capacity = 0;
  const int index = size_class(block->capacity, &capacity);
  block->last_use = last_use;
  live_ -= block->capacity;
  cached_ += block->capacity;
  free_[index].push_back(block);
}

int64_t HostAllocator::trim(uint64_t completed) {
  int64_t returned = 0;
  for (std::vector<Block*>& list : free_) {
    const auto kept = std::partition(list.begin(), list.end(), [&](const Block* b) { return b->last_use > completed; });
    for (auto it = kept; it != list.end(); ++it) {
      Block* block = *it;
      allow_all(*block);
      check_guards(*block);
      system_free(static_cast<char*>(block->data) - kGuardBytes, block->capacity + 2 * kGuardBytes);
      MemoryBudget::instance().release(block->capacity);
      returned += block->capacity;
      delete block;
    }
    list.erase(kept, list.end());
  }
  cached_ -= returned;
  return returned;
}

// Under AddressSanitizer the guards are out of bounds for everyone, this function included: it speaks up at the write itself.
void HostAllocator::check_guards([[maybe_unused]] const Block& block) {
#if TENSORKILN_CHECK_OPS && !defined(__SANITIZE_ADDRESS__)
  const auto* data = static_cast<const unsigned char*>(block.data);
  for (int64_t i = 1; i <= kGuardBytes; ++i) TK_CHECK_EQ(data[-i], kGuardMark);
  for (int64_t i = 0; i < kGuardBytes; ++i) TK_CHECK_EQ(data[block.capacity + i], kGuardMark);
#endif
}

}  // namespace tk
