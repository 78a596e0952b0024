#include "cuda/device_pool.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"

namespace tk::cuda {
namespace {

constexpr int64_t kUnit = 512;
constexpr int64_t kMiB = int64_t(1) << 20;
constexpr int64_t kSmallRequest = kMiB, kSmallSegment = 2 * kMiB;
constexpr int64_t kMediumRequest = 10 * kMiB, kMediumSegment = 20 * kMiB;
// What is left of a block after a cut stays with it when it is smaller: pieces that nobody asks for would only pile up.
constexpr int64_t kLeastSmallRest = kUnit, kLeastLargeRest = kMiB;

int64_t round_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

int64_t segment_bytes(int64_t bytes) {
  if (bytes <= kSmallRequest) return kSmallSegment;
  if (bytes < kMediumRequest) return kMediumSegment;
  return round_up(bytes, kSmallSegment);
}

}  // namespace

DevicePool::DevicePool(SegmentSource& source, int64_t limit) : source_(source), limit_(limit) {}

DevicePool::~DevicePool() {
  for (const auto& [data, block] : blocks_) {
    if (block.first) source_.free(data);
  }
}

void* DevicePool::allocate(int64_t bytes) {
  if (bytes > limit_) return nullptr;
  const int64_t rounded = std::max(kUnit, round_up(bytes, kUnit));
  auto found = free_.lower_bound({rounded, nullptr});
  // A small request must not break into a large block: the next large request would find it cut.
  const bool fits = found != free_.end() && (rounded > kSmallRequest || found->first <= kSmallSegment);
  Blocks::iterator place;
  if (fits) {
    place = blocks_.find(found->second);
    free_.erase(found);
  } else {
    place = grow(rounded);
    if (place == blocks_.end()) {
      // Better a large block cut than none at all.
      if (found == free_.end()) return nullptr;
      place = blocks_.find(found->second);
      free_.erase(found);
    }
  }
  Block& block = place->second;
  const int64_t rest = block.bytes - rounded;
  if (rest >= (rounded <= kSmallRequest ? kLeastSmallRest : kLeastLargeRest)) {
    char* cut = place->first + rounded;
    block.bytes = rounded;
    blocks_.emplace(cut, Block{rest, false, false});
    free_.emplace(rest, cut);
  }
  block.used = true;
  live_ += block.bytes;
  peak_ = std::max(peak_, live_);
  return place->first;
}

DevicePool::Blocks::iterator DevicePool::grow(int64_t bytes) {
  // A full-size segment first; near the limit just what is needed.
  for (const int64_t size : {segment_bytes(bytes), bytes}) {
    if (size > limit_ - held_) continue;
    void* data = source_.allocate(size);
    if (data == nullptr) continue;
    held_ += size;
    return blocks_.emplace(static_cast<char*>(data), Block{size, false, true}).first;
  }
  return blocks_.end();
}

void DevicePool::free(void* data) {
  auto place = blocks_.find(static_cast<char*>(data));
  TK_CHECK(place != blocks_.end() && place->second.used);
  place->second.used = false;
  live_ -= place->second.bytes;
  const auto next = std::next(place);
  if (next != blocks_.end() && !next->second.used && !next->second.first) {
    free_.erase({next->second.bytes, next->first});
    place->second.bytes += next->second.bytes;
    blocks_.erase(next);
  }
  if (!place->second.first) {
    const auto before = std::prev(place);
    if (!before->second.used) {
      free_.erase({before->second.bytes, before->first});
      before->second.bytes += place->second.bytes;
      blocks_.erase(place);
      place = before;
    }
  }
  free_.emplace(place->second.bytes, place->first);
}

int64_t DevicePool::trim() {
  int64_t returned = 0;
  for (auto place = blocks_.begin(); place != blocks_.end();) {
    const auto next = std::next(place);
    const bool whole = place->second.first && (next == blocks_.end() || next->second.first);
    if (whole && !place->second.used) {
      free_.erase({place->second.bytes, place->first});
      source_.free(place->first);
      returned += place->second.bytes;
      blocks_.erase(place);
    }
    place = next;
  }
  held_ -= returned;
  return returned;
}

}  // namespace tk::cuda
