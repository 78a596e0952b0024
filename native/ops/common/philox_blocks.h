// Philox words in bulk: many blocks side by side in the lanes of one vector.
#pragma once
#include "cpu/simd_u64.h"
#include "ops/common/philox.h"

TK_BEGIN_LEVEL

struct PhiloxState {
  uint64_t counter;
  uint32_t key[2];
};

TK_INLINE PhiloxState read_philox(const Operand& state) {
  TK_CHECK_EQ(state.size, 4);
  const int32_t* s = state.i32();
  return {uint64_t(uint32_t(s[3])) << 32 | uint32_t(s[2]), {uint32_t(s[0]), uint32_t(s[1])}};
}

TK_INLINE void advance_philox(const Operand& state, const PhiloxState& philox, int64_t blocks) {
  const uint64_t counter = philox.counter + uint64_t(blocks);
  state.i32()[2] = int32_t(uint32_t(counter));
  state.i32()[3] = int32_t(uint32_t(counter >> 32));
}

struct PhiloxKeys {
  uint64_t k0[philox::kRounds];
  uint64_t k1[philox::kRounds];

  TK_INLINE explicit PhiloxKeys(const uint32_t* key) {
    uint32_t a = key[0], b = key[1];
    for (int round = 0; round < philox::kRounds; ++round) {
      k0[round] = a;
      k1[round] = b;
      a += philox::kWeyl0;
      b += philox::kWeyl1;
    }
  }
};

// Two vectors at once: a round is a chain of dependent instructions that leaves half the units idle.
constexpr int kPhiloxStreams = 2;
// philox_blocks writes whole multiples of so many blocks.
constexpr int kPhiloxStep = kPhiloxStreams * kU64Width;

// words = blocks first_block, first_block + 1, ... under the key: `blocks` of them, rounded up to a multiple of kPhiloxStep.
TK_INLINE void philox_blocks(const PhiloxKeys& keys, uint64_t first_block, int blocks, uint32_t* words) {
  constexpr int kStreams = kPhiloxStreams;
  uint64_t lanes[kU64Width];
  for (int i = 0; i < kU64Width; ++i) lanes[i] = pair_of_lane(i);
  const VecU64 lane_blocks = load_u64(lanes);
  const VecU64 multiplier0 = set1_u64(philox::kMultiplier0), multiplier1 = set1_u64(philox::kMultiplier1);
  for (int done = 0; done < blocks; done += kPhiloxStep) {
    VecU64 c0[kStreams], c1[kStreams], c2[kStreams], c3[kStreams];
    for (int s = 0; s < kStreams; ++s) {
      c0[s] = set1_u64(first_block + uint64_t(done + s * kU64Width)) + lane_blocks;
      c1[s] = high_word(c0[s]);
      c2[s] = c3[s] = set1_u64(0);
    }
    for (int round = 0; round < philox::kRounds; ++round) {
      const VecU64 k0 = set1_u64(keys.k0[round]), k1 = set1_u64(keys.k1[round]);
      for (int s = 0; s < kStreams; ++s) {
        const VecU64 p0 = mul_low(c0[s], multiplier0), p1 = mul_low(c2[s], multiplier1);
        c0[s] = high_word(p1) ^ (c1[s] ^ k0);
        c1[s] = p1;
        c2[s] = high_word(p0) ^ (c3[s] ^ k1);
        c3[s] = p0;
      }
    }
    for (int s = 0; s < kStreams; ++s) {
      store_pairs(words + (done + s * kU64Width) * philox::kLanes, join_words(c0[s], c1[s]), join_words(c2[s], c3[s]));
    }
  }
}

TK_END_LEVEL
