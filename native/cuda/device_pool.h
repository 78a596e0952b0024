// Memory of one stream on a device: segments from the driver, cut into blocks by best fit. A freed block joins its free
// neighbours and may be handed out again at once, because all users of the pool run in the order of one stream.
//
// Rounding and segment sizes follow what PyTorch's caching allocator found to work: blocks in units of 512 bytes; requests up
// to 1 MiB share segments of 2 MiB, those below 10 MiB segments of 20 MiB, larger ones get a segment of their own, rounded to
// 2 MiB. Used by one thread at a time.
#pragma once
#include <cstdint>
#include <map>
#include <set>

namespace tk::cuda {

// Where segments come from: the driver, or a stand-in of a test.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  virtual void* allocate(int64_t bytes) = 0;  // null when refused
  virtual void free(void* data) = 0;
};

class DevicePool {
 public:
  // limit: most bytes of all segments together.
  DevicePool(SegmentSource& source, int64_t limit);
  ~DevicePool();  // frees every segment
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  // Memory aligned to 512 bytes; null when limit or source do not allow it. bytes = 0 gives a block too.
  void* allocate(int64_t bytes);
  void free(void* data);
  // Frees the segments of which no block is in use; returns their bytes.
  int64_t trim();

  int64_t live_bytes() const { return live_; }
  int64_t held_bytes() const { return held_; }
  int64_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = live_; }
  int64_t limit() const { return limit_; }
  // At least held_bytes().
  void set_limit(int64_t bytes) { limit_ = bytes; }
  int64_t largest_free() const { return free_.empty() ? 0 : free_.rbegin()->first; }

 private:
  struct Block {
    int64_t bytes;
    bool used;
    bool first;  // begins a segment
  };
  using Blocks = std::map<char*, Block>;  // all blocks by address

  Blocks::iterator grow(int64_t bytes);

  SegmentSource& source_;
  int64_t limit_;
  int64_t live_ = 0, held_ = 0, peak_ = 0;
  Blocks blocks_;
  std::set<std::pair<int64_t, char*>> free_;  // free blocks, smallest first
};

}  // namespace tk::cuda
