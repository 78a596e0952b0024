// Memory of one stream: a caching allocator whose blocks may be handed out again as soon as they are freed, because every
// user of a block runs on the same in-order stream. One budget for the whole process bounds living and cached bytes together.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

namespace tk {

// Bytes that all streams together may hold, living and cached.
class MemoryBudget {
 public:
  // Default limit: TENSORKILN_MEMORY_LIMIT (bytes, or with suffix K, M, G), else 90 % of memory_limit_bytes().
  static MemoryBudget& instance();

  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }
  void set_limit(int64_t bytes);
  bool reserve(int64_t bytes);  // false, and nothing changed, when it would pass the limit
  void release(int64_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  MemoryBudget();
  std::atomic<int64_t> limit_;
  std::atomic<int64_t> held_{0};
};

struct Block {
  void* data = nullptr;   // 64-byte aligned
  int64_t capacity = 0;   // bytes usable at data
  uint64_t last_use = 0;  // sequence number of the last call that may touch it, set when freed
};

// Used by the thread that enqueues; not thread-safe.
class HostAllocator {
 public:
  HostAllocator() = default;
  ~HostAllocator();
  HostAllocator(const HostAllocator&) = delete;
  HostAllocator& operator=(const HostAllocator&) = delete;

  // A block of at least `bytes`, from the cache or fresh; null when the budget does not allow it or the system refuses.
  Block* allocate(int64_t bytes);
  // Puts the block into the cache. `last_use`: number of the last call enqueued so far.
  void free(Block* block, uint64_t last_use);
  // Returns cached blocks whose last use is not after `completed` to the system; gives the bytes returned.
  int64_t trim(uint64_t completed);

  int64_t live_bytes() const { return live_; }
  int64_t cached_bytes() const { return cached_; }
  int64_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = live_; }

  // Throws E_INTERNAL when the bytes round the block were overwritten. Checks in TENSORKILN_CHECK_OPS builds only.
  static void check_guards(const Block& block);

 private:
  static constexpr int kClasses = 320;  // eight per doubling, up to 2^45 bytes
  std::vector<Block*> free_[kClasses];
  int64_t live_ = 0, cached_ = 0, peak_ = 0;
};

}  // namespace tk
