// What forward and gradient share: the problem as read from the operands, products of blocks, and masked scores of a block.
#pragma once

#include "ops/common/gemm_pack.h"
#include "ops/common/philox_blocks.h"
#include "ops/common/rows.h"

TK_BEGIN_LEVEL

constexpr int64_t kQueryBlock = 48;  // whole row tiles at every level
constexpr int64_t kKeyBlock = 96;    // whole column tiles; a block of scores is 18 KB

// [B, T, heads, size] seen as one matrix per batch and head, `row` floats from place to place.
struct Heads {
  float* data;
  int64_t places, heads, size;

  TK_INLINE int64_t row() const { return heads * size; }
  TK_INLINE float* at(int64_t batch, int64_t place, int64_t head) const {
    return data + ((batch * places + place) * heads + head) * size;
  }
};

TK_INLINE Heads read_heads(const Operand& operand) {
  TK_CHECK_EQ(operand.rank, 4);
  return {operand.f32(), operand.dims[1], operand.dims[2], operand.dims[3]};
}

struct AttentionMask {
  const void* data;  // null: none
  bool additive;
  int64_t batch, head, query, key;  // strides in elements, 0 where it repeats
};

// Which weights are dropped: a pure function of the random state, head, query and key, made anew wherever it is asked for.
struct WeightDropout {
  bool on;             // false: none
  PhiloxState philox;  // from begin_dropout: who asks for workspace has no values
  int32_t threshold;
  float scale;         // 1 / (1 - rate)
  int64_t row_blocks;  // blocks of random words of one query and head
};

struct Attention {
  int64_t batch;
  Heads q, k, v;
  AttentionMask mask;
  WeightDropout dropout;
  bool causal;
  int64_t shift;
  float scale;

  TK_INLINE int64_t group() const { return q.heads / k.heads; }
  // Keys from here on are hidden from all queries before `query_end`.
  TK_INLINE int64_t key_end(int64_t query_end) const {
    if (!causal) return k.places;
    const int64_t end = query_end + shift;
    return end < 0 ? 0 : end < k.places ? end : k.places;
  }
  // The first query that sees a key from `key` on.
  TK_INLINE int64_t query_begin(int64_t key) const {
    if (!causal || key - shift <= 0) return 0;
    return key - shift < q.places ? key - shift : q.places;
  }
};

inline AttentionMask read_mask(const Operand& mask, int64_t batch, int64_t heads, int64_t queries, int64_t keys) {
  if (mask.rank != 4) {
    TK_CHECK_EQ(mask.size, 0);
    return {};
  }
  const int64_t full[4] = {batch, heads, queries, keys};
  int64_t strides[4], stride = 1;
  for (int d = 3; d >= 0; --d) {
    TK_CHECK(mask.dims[d] == full[d] || mask.dims[d] == 1);
    strides[d] = mask.dims[d] == 1 ? 0 : stride;
    stride *= mask.dims[d];
  }
  return {mask.data, mask.dtype == DType::f32, strides[0], strides[1], strides[2], strides[3]};
}

inline WeightDropout read_weight_dropout(const Operand& random, double rate, int64_t keys) {
  if (random.size == 0) return {};
  TK_CHECK(rate >= 0 && rate < 1);
  TK_CHECK_EQ(random.size, 4);
  return {true, {}, philox::dropout_threshold(rate), float(1 / (1 - rate)), philox::blocks_for(keys)};
}

inline Attention read_attention(const Operand& q, const Operand& k, const Operand& v, const Operand& mask,
                                const Operand& random, bool causal, int64_t shift, double scale, double rate) {
  Attention a = {q.dims[0], read_heads(q), read_heads(k), read_heads(v), {}, {}, causal, shift, float(scale)};
  TK_CHECK(k.dims[0] == a.batch && v.dims[0] == a.batch);
  TK_CHECK_EQ(a.k.size, a.q.size);
  TK_CHECK(a.v.places == a.k.places && a.v.heads == a.k.heads);
  TK_CHECK(a.k.heads > 0 && a.q.heads % a.k.heads == 0);
  a.mask = read_mask(mask, a.batch, a.q.heads, a.q.places, a.k.places);
  a.dropout = read_weight_dropout(random, rate, a.k.places);
  return a;
}

// Floats of scratch for packing one panel of any product of blocks.
TK_INLINE int64_t panel_floats(const Attention& a) {
  const int64_t depth = max64(max64(a.q.size, a.v.size), max64(kQueryBlock, kKeyBlock));
  return round_up(depth * kTileCols + kPackSlack, 16);
}

// c[m, n] (+)= A B for small blocks. A: rows `a_row` apart, or, transposed, element (i, k) at a[k * a_row + i].
template <bool kTransposedA>
TK_INLINE void block_product(const float* a, int64_t a_row, int64_t m, const StridedMatrix& b, int64_t depth, int64_t n,
                             float* c, int64_t c_row, bool accumulate, float* panel) {
  for (int64_t n0 = 0; n0 < n; n0 += kTileCols) {
    const int cols = int(min64(kTileCols, n - n0));
    pack_b_panel(b, 0, depth, n0, cols, panel);
    const int64_t stride = round_up(cols, kVecWidth);
    for (int64_t i = 0; i < m; i += kTileRows) {
      const int rows = int(min64(kTileRows, m - i));
      float* c_rows[kTileRows];
      for (int r = 0; r < rows; ++r) c_rows[r] = c + (i + r) * c_row;
      const TileOut out = {c_rows, n0, cols, accumulate};
      if constexpr (kTransposedA) {
        const ColumnSegment segment = {a + i, 0, depth};
        run_column_tile({&segment, 1, 0, a_row, panel, stride}, rows, out);
      } else {
        const float* a_rows[kTileRows];
        for (int r = 0; r < rows; ++r) a_rows[r] = a + (i + r) * a_row;
        run_row_tile({a_rows, kTileRows, 1, 0, depth, panel, stride}, rows, out);
      }
    }
  }
}

// The keys (or values) of a block as the right side of q k^T: depth rows, one column per place.
TK_INLINE StridedMatrix transposed(const float* first, int64_t row) { return {first, 1, row}; }

// Which block: queries [i0, i1) of a query head meet keys [j0, j1).
struct ScoreBlock {
  int64_t batch, head, i0, i1, j0, j1;
};

// To be called by a body, before anything is dropped.
inline void begin_dropout(Attention& a, const Operand& random) {
  if (a.dropout.on) a.dropout.philox = read_philox(random);
}

static_assert(kKeyBlock % philox::kLanes == 0, "a block of keys begins with a block of random words");
constexpr int kDropoutWords = (kKeyBlock / philox::kLanes + kPhiloxStep - 1) / kPhiloxStep * kPhiloxStep * philox::kLanes;

// factors[j - j0] = 1 / (1 - rate) where query i keeps its weight of key j, else 0; for the keys of the block.
TK_INLINE void dropout_factors(const Attention& a, const PhiloxKeys& keys, const ScoreBlock& s, int64_t i, float* factors) {
  const WeightDropout& dropout = a.dropout;
  const int64_t row = (s.batch * a.q.heads + s.head) * a.q.places + i, count = s.j1 - s.j0;
  uint32_t words[kDropoutWords];
  philox_blocks(keys, dropout.philox.counter + uint64_t(row * dropout.row_blocks + s.j0 / philox::kLanes),
                int(philox::blocks_for(count)), words);
  const int32_t threshold = dropout.threshold;
  const float scale = dropout.scale;
  for (int64_t j = 0; j < count; ++j) factors[j] = philox::bits24(words[j]) >= threshold ? scale : 0.0f;
}

// x * factor, 0 where it is dropped, be x infinite or NaN.
TK_INLINE VecF drop_lanes(VecF x, VecF factor) { return select(factor == zero(), zero(), x * factor); }

// scores[i][j] = scale q_i . k_j + mask, -inf where hidden; rows kKeyBlock apart.
inline void masked_scores(const Attention& a, const ScoreBlock& s, float* scores, float* panel) {
  const int64_t key_head = s.head / a.group(), keys = s.j1 - s.j0;
  block_product<false>(a.q.at(s.batch, s.i0, s.head), a.q.row(), s.i1 - s.i0,
                       transposed(a.k.at(s.batch, s.j0, key_head), a.k.row()), a.q.size, keys, scores, kKeyBlock, false, panel);
  const VecF scale = set1(a.scale);
  const AttentionMask& mask = a.mask;
  for (int64_t i = s.i0; i < s.i1; ++i) {
    float* row = scores + (i - s.i0) * kKeyBlock;
    const int64_t at = s.batch * mask.batch + s.head * mask.head + i * mask.query + s.j0 * mask.key;
    map_row(row, row, keys, [&](VecF v, int64_t, int) { return v * scale; });
    if (mask.data != nullptr && mask.additive) {
      const float* added = static_cast<const float*>(mask.data) + at;
      const bool repeats = mask.key == 0;
      map_row(row, row, keys, [&](VecF v, int64_t j, int n) {
        const VecF term = repeats ? set1(added[0]) : load_row(added + j, n, 0.0f);
        return select(term == set1(-INFINITY), term, v + term);  // what is hidden stays hidden, be its score NaN
      });
    } else if (mask.data != nullptr) {
      const uint8_t* seen = static_cast<const uint8_t*>(mask.data) + at;
      for (int64_t j = 0; j < keys; ++j)
        if (seen[j * mask.key] == 0) row[j] = -INFINITY;
    }
    if (a.causal) {
      for (int64_t j = max64(s.j0, i + a.shift + 1); j < s.j1; ++j) row[j - s.j0] = -INFINITY;
    }
  }
}

TK_END_LEVEL
