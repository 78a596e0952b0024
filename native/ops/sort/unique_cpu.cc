#include "ops/sort/sort.h"

TK_BEGIN_LEVEL
namespace {

// Bit patterns that are equal exactly where the elements count as equal.
TK_INLINE uint32_t identity_of(float x) {
  const float y = x != x ? __builtin_nanf("") : x + 0.0f;  // turns -0 into 0
  uint32_t bits;
  std::memcpy(&bits, &y, sizeof bits);
  return bits;
}
TK_INLINE uint32_t identity_of(int32_t x) { return uint32_t(x); }
TK_INLINE uint32_t identity_of(uint8_t x) { return x; }

TK_INLINE int64_t table_places(int64_t n) {
  int64_t places = 16;
  while (places < 2 * n) places *= 2;
  return places;
}

template <class T>
struct Columns {
  const T* x;
  int64_t outer, n, inner;

  TK_INLINE const T* run(int64_t o, int64_t column) const { return x + (o * n + column) * inner; }

  uint64_t hash(int64_t column) const {
    uint64_t h = 0;
    for (int64_t o = 0; o < outer; ++o) {
      const T* values = run(o, column);
      for (int64_t i = 0; i < inner; ++i) {
        h = (h ^ identity_of(values[i])) * 0x9e3779b97f4a7c15u;  // 2^64 over the golden ratio
        h ^= h >> 29;
      }
    }
    return h;
  }

  bool equal(int64_t a, int64_t b) const {
    for (int64_t o = 0; o < outer; ++o) {
      const T *left = run(o, a), *right = run(o, b);
      for (int64_t i = 0; i < inner; ++i)
        if (identity_of(left[i]) != identity_of(right[i])) return false;
    }
    return true;
  }
};

// Hashing shares out well; the numbering depends on what came before and is done in order.
template <class T>
void number_columns(const OpCall& call, CpuContext& context) {
  const Columns<T> columns{static_cast<const T*>(call[0].data), call[0].dims[0], call[0].dims[1], call[0].dims[2]};
  const int64_t n = columns.n, places = table_places(n);
  uint64_t* hashes = static_cast<uint64_t*>(call.workspace);
  int32_t* table = reinterpret_cast<int32_t*>(hashes + n);
  int32_t *ids = call[1].i32(), *first = call[2].i32();
  constexpr int64_t kGrainElements = 16384;
  const int64_t column_size = columns.outer * columns.inner;
  context.parallel_for(n, 1 + kGrainElements / (1 + column_size), [&](int64_t begin, int64_t end, int) {
    for (int64_t j = begin; j < end; ++j) hashes[j] = columns.hash(j);
  });
  std::memset(table, 0xFF, size_t(places) * sizeof *table);
  int32_t count = 0;
  for (int64_t j = 0; j < n; ++j) {
    int64_t place = int64_t(hashes[j] & uint64_t(places - 1));
    while (table[place] >= 0) {
      const int32_t other = first[table[place]];
      if (hashes[other] == hashes[j] && columns.equal(other, j)) break;
      place = (place + 1) & (places - 1);
    }
    if (table[place] < 0) {
      table[place] = count;
      first[count++] = int32_t(j);
    }
    ids[j] = table[place];
  }
  for (int64_t i = count; i < n; ++i) first[i] = 0;
  call[3].i32()[0] = count;
}

}  // namespace

int64_t unique_workspace(const OpCall& call, int) {
  const int64_t n = call[0].dims[1];
  return n * int64_t(sizeof(uint64_t)) + table_places(n) * int64_t(sizeof(int32_t));
}

void unique_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &ids = call[1], &first = call[2], &count = call[3];
  TK_CHECK_EQ(x.rank, 3);
  TK_CHECK(x.dims[1] <= INT32_MAX);
  TK_CHECK_EQ(ids.size, x.dims[1]);
  TK_CHECK_EQ(first.size, x.dims[1]);
  TK_CHECK_EQ(count.size, 1);
  switch (x.dtype) {
    case DType::f32: return number_columns<float>(call, context);
    case DType::i32: return number_columns<int32_t>(call, context);
    case DType::u8: return number_columns<uint8_t>(call, context);
    default: fail_check(__FILE__, __LINE__, "dtype of x", int64_t(x.dtype));
  }
}

TK_END_LEVEL
