// Random numbers of a whole call, from chunks of 256 consecutive words.
#pragma once
#include "ops/common/philox_blocks.h"

TK_BEGIN_LEVEL

constexpr int kChunkBlocks = 64;
constexpr int kChunkWords = kChunkBlocks * philox::kLanes;
// Elements of one unit of parallel work: some 20 us of generating.
constexpr int64_t kRandomGrain = 128 * kChunkWords;

// Calls body(words, begin, count) for all elements, count <= kChunkWords: words[i] belongs to element begin + i.
template <class Body>
TK_INLINE void for_each_chunk(const PhiloxState& philox, int64_t n, CpuContext& context, const Body& body) {
  const PhiloxKeys keys(philox.key);
  context.parallel_for(n, kRandomGrain, [&](int64_t begin, int64_t end, int) {
    uint32_t words[kChunkWords];
    for (; begin < end; begin += kChunkWords) {
      philox_blocks(keys, philox.counter + uint64_t(begin / philox::kLanes), kChunkBlocks, words);
      body(words, begin, end - begin < kChunkWords ? end - begin : int64_t(kChunkWords));
    }
  });
}

TK_END_LEVEL
