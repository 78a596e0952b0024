// The caching allocator and its process-wide budget.
#include <thread>

#include "core/error.h"
#include "cpu/host_allocator.h"
#include "test.h"

using tk::Block;
using tk::HostAllocator;
using tk::MemoryBudget;

namespace {

// Sets the budget for one test and restores it.
class BudgetScope {
 public:
  explicit BudgetScope(int64_t extra) : before_(MemoryBudget::instance().limit()) {
    MemoryBudget::instance().set_limit(MemoryBudget::instance().held() + extra);
  }
  ~BudgetScope() { MemoryBudget::instance().set_limit(before_); }

 private:
  int64_t before_;
};

}  // namespace

TEST(blocks_are_aligned_and_large_enough) {
  HostAllocator allocator;
  for (int64_t bytes : {0, 1, 63, 64, 65, 512, 513, 1000, 4096, 100000, 1 << 20, (1 << 20) + 1, 5 << 20}) {
    Block* block = allocator.allocate(bytes);
    CHECK(block != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(block->data) % 64 == 0);
    CHECK(block->capacity >= bytes);
    CHECK(block->capacity <= std::max<int64_t>(64, bytes + bytes / 8 + 64));
    std::memset(block->data, 1, size_t(bytes));
    allocator.free(block, 0);
  }
  CHECK(allocator.live_bytes() == 0);
}

TEST(freed_block_is_used_again) {
  HostAllocator allocator;
  Block* first = allocator.allocate(1000);
  void* const data = first->data;
  allocator.free(first, 3);
  Block* second = allocator.allocate(990);
  CHECK(second->data == data);
  CHECK(second->last_use == 3);
  allocator.free(second, 4);
  CHECK(allocator.cached_bytes() > 0);
}

TEST(trim_keeps_blocks_that_a_queued_call_may_use) {
  HostAllocator allocator;
  Block* early = allocator.allocate(1000);
  Block* late = allocator.allocate(1000);
  allocator.free(early, 5);
  allocator.free(late, 9);
  const int64_t held = MemoryBudget::instance().held();
  const int64_t returned = allocator.trim(5);
  CHECK(returned >= 1000);
  CHECK(MemoryBudget::instance().held() == held - returned);
  CHECK(allocator.cached_bytes() == returned);
  CHECK(allocator.trim(9) == returned);
  CHECK(allocator.cached_bytes() == 0);
}

TEST(budget_refuses_and_recovers) {
  BudgetScope scope(1 << 20);
  HostAllocator allocator;
  Block* fits = allocator.allocate(600000);
  CHECK(fits != nullptr);
  CHECK(allocator.allocate(600000) == nullptr);
  allocator.free(fits, 0);
  // The cache counts against the budget until it is trimmed.
  CHECK(allocator.allocate(900000) == nullptr);
  allocator.trim(0);
  Block* later = allocator.allocate(900000);
  CHECK(later != nullptr);
  allocator.free(later, 0);
}

TEST(peak_and_live_are_exact) {
  HostAllocator allocator;
  Block* a = allocator.allocate(4096);
  Block* b = allocator.allocate(4096);
  CHECK(allocator.live_bytes() == 8192);
  allocator.free(a, 0);
  CHECK(allocator.live_bytes() == 4096);
  CHECK(allocator.peak_bytes() == 8192);
  allocator.reset_peak();
  CHECK(allocator.peak_bytes() == 4096);
  allocator.free(b, 0);
}

TEST(budget_is_exact_over_threads) {
  const int64_t before = MemoryBudget::instance().held();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      HostAllocator allocator;
      for (int i = 0; i < 2000; ++i) {
        Block* block = allocator.allocate(64 * (1 + (i * 7 + t) % 500));
        allocator.free(block, 0);
        if (i % 100 == 0) allocator.trim(0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(MemoryBudget::instance().held() == before);
}

TEST(size_beyond_all_memory_is_refused) {
  HostAllocator allocator;
  CHECK(allocator.allocate(INT64_MAX / 2) == nullptr);
  CHECK(allocator.allocate(int64_t(1) << 44) == nullptr);
}

TEST_MAIN
