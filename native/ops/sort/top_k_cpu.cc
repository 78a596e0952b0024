#include "ops/sort/sort.h"

TK_BEGIN_LEVEL
namespace {

// Elements are ranked by keys whose ascending order is the order of the result: the value, turned round, in the upper half and
// the index in the lower. All keys of a row differ, so every correct algorithm gives the same result.
TK_INLINE uint32_t falling(float x) {
  if (x != x) return UINT32_MAX;
  const float y = x + 0.0f;  // turns -0 into 0
  uint32_t bits;
  std::memcpy(&bits, &y, sizeof bits);
  return ~(bits >> 31 ? ~bits : bits | 0x80000000u);
}
TK_INLINE uint32_t falling(int32_t x) { return ~(uint32_t(x) ^ 0x80000000u); }
TK_INLINE uint32_t falling(uint8_t x) { return 255u - x; }

// Selection by a heap costs n comparisons plus log k steps for each key that enters it; from some share of the row on, sorting
// everything by radix is faster. Measured on one Zen 3 core, random values: equal at k = n / 16 for n = 10^4, half the time
// there for n = 10^5.
TK_INLINE bool sorts_whole_row(int64_t n, int64_t k) { return n >= 512 && k > n / 16; }

TK_INLINE int64_t keys_per_thread(int64_t n, int64_t k) { return sorts_whole_row(n, k) ? 2 * n : k; }

// Restores the heap (largest key at the root) below `at`.
TK_INLINE void sift_down(uint64_t* heap, int64_t size, int64_t at) {
  const uint64_t key = heap[at];
  for (int64_t child; (child = 2 * at + 1) < size; at = child) {
    if (child + 1 < size && heap[child + 1] > heap[child]) ++child;
    if (heap[child] <= key) break;
    heap[at] = heap[child];
  }
  heap[at] = key;
}

// The k smallest keys of the row in ascending order, in `heap`.
template <class T>
void select_by_heap(const T* x, int64_t n, int64_t k, uint64_t* heap) {
  for (int64_t i = 0; i < k; ++i) heap[i] = uint64_t(falling(x[i])) << 32 | uint64_t(i);
  for (int64_t i = k / 2; i-- > 0;) sift_down(heap, k, i);
  uint32_t worst = uint32_t(heap[0] >> 32);
  for (int64_t i = k; i < n; ++i) {
    const uint32_t key = falling(x[i]);
    if (key >= worst) continue;  // an equal value with a higher index ranks lower
    heap[0] = uint64_t(key) << 32 | uint64_t(i);
    sift_down(heap, k, 0);
    worst = uint32_t(heap[0] >> 32);
  }
  for (int64_t size = k; size-- > 1;) {
    const uint64_t largest = heap[0];
    heap[0] = heap[size];
    heap[size] = largest;
    sift_down(heap, size, 0);
  }
}

constexpr int kDigitBits = 11;
constexpr int kDigits = 3;
constexpr int kBuckets = 1 << kDigitBits;

// All keys of the row in ascending order. Passes from the lowest digit of the value upward are stable, and the keys start in
// the order of their indices, so the lower half needs no pass of its own. Returns the one of both buffers that holds the
// result.
template <class T>
const uint64_t* sort_by_radix(const T* x, int64_t n, uint64_t* from, uint64_t* to) {
  uint32_t counts[kDigits][kBuckets];
  std::memset(counts, 0, sizeof counts);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t key = falling(x[i]);
    from[i] = uint64_t(key) << 32 | uint64_t(i);
    for (int digit = 0; digit < kDigits; ++digit) ++counts[digit][key >> (digit * kDigitBits) & (kBuckets - 1)];
  }
  for (int digit = 0; digit < kDigits; ++digit) {
    uint32_t* places = counts[digit];
    uint32_t start = 0;
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      const uint32_t count = places[bucket];
      places[bucket] = start;
      start += count;
    }
    const int shift = 32 + digit * kDigitBits;
    for (int64_t i = 0; i < n; ++i) to[places[from[i] >> shift & (kBuckets - 1)]++] = from[i];
    uint64_t* const sorted = to;
    to = from;
    from = sorted;
  }
  return from;
}

template <class T>
void top_k_rows(const OpCall& call, CpuContext& context) {
  const int64_t n = call[0].dims[1], rows = call[1].dims[0], k = call[1].dims[1];
  const T* x = static_cast<const T*>(call[0].data);
  T* values = static_cast<T*>(call[1].data);
  int32_t* indices = call[2].i32();
  const int64_t scratch = keys_per_thread(n, k);
  constexpr int64_t kGrainElements = 8192;  // about 20 us of selection
  context.parallel_for(rows, 1 + kGrainElements / n, [&](int64_t begin, int64_t end, int thread) {
    uint64_t* keys = static_cast<uint64_t*>(call.workspace) + thread * scratch;
    for (int64_t row = begin; row < end; ++row) {
      const T* from = x + row * n;
      const uint64_t* best = keys;
      if (sorts_whole_row(n, k)) {
        best = sort_by_radix(from, n, keys, keys + n);
      } else {
        select_by_heap(from, n, k, keys);
      }
      for (int64_t i = 0; i < k; ++i) {
        const int32_t index = int32_t(uint32_t(best[i]));
        indices[row * k + i] = index;
        values[row * k + i] = from[index];
      }
    }
  });
}

}  // namespace

int64_t top_k_workspace(const OpCall& call, int num_threads) {
  return keys_per_thread(call[0].dims[1], call[1].dims[1]) * num_threads * int64_t(sizeof(uint64_t));
}

void top_k_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &values = call[1], &indices = call[2];
  TK_CHECK(x.rank == 2 && values.rank == 2 && indices.rank == 2);
  TK_CHECK(x.dims[1] <= INT32_MAX && values.dims[1] <= x.dims[1]);
  TK_CHECK_EQ(values.dims[0], x.dims[0]);
  TK_CHECK_EQ(indices.size, values.size);
  if (values.size == 0) return;
  switch (x.dtype) {
    case DType::f32: return top_k_rows<float>(call, context);
    case DType::i32: return top_k_rows<int32_t>(call, context);
    case DType::u8: return top_k_rows<uint8_t>(call, context);
    default: fail_check(__FILE__, __LINE__, "dtype of x", int64_t(x.dtype));
  }
}

TK_END_LEVEL
