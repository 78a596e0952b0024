#include "ops/reduce/reduce.h"

#include "ops/common/elementwise.h"
#include "ops/reduce/reduce_driver.h"

TK_BEGIN_LEVEL
namespace {

// combine(a, b) for vectors and single elements: a is what was gathered so far.
template <class Element>
struct Sum;
template <>
struct Sum<float> {
  using T = float;
  using Vec = VecF;
  static constexpr T kIdentity = 0.0f;
  TK_INLINE static Vec combine(Vec a, Vec b) { return a + b; }
  TK_INLINE static T combine(T a, T b) { return a + b; }
};
template <>
struct Sum<int32_t> {
  using T = int32_t;
  using Vec = VecI;
  static constexpr T kIdentity = 0;
  TK_INLINE static Vec combine(Vec a, Vec b) { return a + b; }
  TK_INLINE static T combine(T a, T b) { return int32_t(uint32_t(a) + uint32_t(b)); }
};
template <class Element>
struct Product;
template <>
struct Product<float> {
  using T = float;
  using Vec = VecF;
  static constexpr T kIdentity = 1.0f;
  TK_INLINE static Vec combine(Vec a, Vec b) { return a * b; }
  TK_INLINE static T combine(T a, T b) { return a * b; }
};
template <>
struct Product<int32_t> {
  using T = int32_t;
  using Vec = VecI;
  static constexpr T kIdentity = 1;
  TK_INLINE static Vec combine(Vec a, Vec b) { return a * b; }
  TK_INLINE static T combine(T a, T b) { return int32_t(uint32_t(a) * uint32_t(b)); }
};
// A NaN on either side stays: vmax and vmin give b when one is NaN, and a's NaN is put back.
template <class Element>
struct Max;
template <>
struct Max<float> {
  using T = float;
  using Vec = VecF;
  static constexpr T kIdentity = -INFINITY;
  TK_INLINE static Vec combine(Vec a, Vec b) { return select(is_nan(a), a, vmax(a, b)); }
  TK_INLINE static T combine(T a, T b) { return a != a || a > b ? a : b; }
};
template <>
struct Max<int32_t> {
  using T = int32_t;
  using Vec = VecI;
  static constexpr T kIdentity = INT32_MIN;
  TK_INLINE static Vec combine(Vec a, Vec b) { return vmax(a, b); }
  TK_INLINE static T combine(T a, T b) { return a > b ? a : b; }
};
template <class Element>
struct Min;
template <>
struct Min<float> {
  using T = float;
  using Vec = VecF;
  static constexpr T kIdentity = INFINITY;
  TK_INLINE static Vec combine(Vec a, Vec b) { return select(is_nan(a), a, vmin(a, b)); }
  TK_INLINE static T combine(T a, T b) { return a != a || a < b ? a : b; }
};
template <>
struct Min<int32_t> {
  using T = int32_t;
  using Vec = VecI;
  static constexpr T kIdentity = INT32_MAX;
  TK_INLINE static Vec combine(Vec a, Vec b) { return vmin(a, b); }
  TK_INLINE static T combine(T a, T b) { return a < b ? a : b; }
};

// Pairs of equal size are combined as soon as both are there: like a binary counter, whose digits are the waiting partials.
constexpr int kCascadeDepth = 40;  // 2^40 blocks: more than memory holds

constexpr int64_t kRowBlock = kChunkMultiple;

// Up to kRowBlock elements into one vector of partial results.
template <class R>
TK_INLINE typename R::Vec reduce_block(const typename R::T* x, int64_t n) {
  using Vec = typename R::Vec;
  Vec a0 = splat(R::kIdentity), a1 = a0, a2 = a0, a3 = a0;
  int64_t i = 0;
  for (; i + 4 * kVecWidth <= n; i += 4 * kVecWidth) {
    a0 = R::combine(a0, load(x + i));
    a1 = R::combine(a1, load(x + i + kVecWidth));
    a2 = R::combine(a2, load(x + i + 2 * kVecWidth));
    a3 = R::combine(a3, load(x + i + 3 * kVecWidth));
  }
  for (; i + kVecWidth <= n; i += kVecWidth) a0 = R::combine(a0, load(x + i));
  if (i < n) a1 = R::combine(a1, load_part(x + i, int(n - i), R::kIdentity));
  return R::combine(R::combine(a0, a1), R::combine(a2, a3));
}

// Partial results of blocks, combined pairwise as they come.
template <class R>
struct Cascade {
  typename R::Vec waiting[kCascadeDepth];
  int depth = 0;
  int64_t block = 0;

  TK_INLINE void add(typename R::Vec v) {
    for (int64_t bits = block++; bits & 1; bits >>= 1) v = R::combine(waiting[--depth], v);
    waiting[depth++] = v;
  }
  TK_INLINE typename R::Vec result() {
    typename R::Vec v = splat(R::kIdentity);
    while (depth > 0) v = R::combine(waiting[--depth], v);
    return v;
  }
};

template <class R>
typename R::Vec reduce_blocks(const typename R::T* x, int64_t n) {
  if (n <= kRowBlock) return reduce_block<R>(x, n);
  Cascade<R> cascade;
  for (int64_t i = 0; i < n; i += kRowBlock) cascade.add(reduce_block<R>(x + i, n - i < kRowBlock ? n - i : kRowBlock));
  return cascade.result();
}

// A long row is read in kStreams places at once: the hardware fetches ahead within a page only, and while it starts on the next
// page of one stream, the others go on (64 MB: 22 instead of 14 GB/s on one Zen 3 core).
constexpr int kStreams = 4;
constexpr int64_t kStreamBlocks = 16;  // blocks of a stream, at least

// kStreams times `blocks` whole blocks; each stream as a row of its own, then the streams pairwise.
template <class R>
typename R::Vec reduce_streams(const typename R::T* x, int64_t blocks) {
  const int64_t stride = blocks * kRowBlock;
  Cascade<R> cascades[kStreams];
  for (int64_t at = 0; at < stride; at += kRowBlock) {
    typename R::Vec a[kStreams][2];
    for (auto& pair : a) pair[0] = pair[1] = splat(R::kIdentity);
    for (int64_t i = at; i < at + kRowBlock; i += 2 * kVecWidth) {
      for (int s = 0; s < kStreams; ++s) {
        a[s][0] = R::combine(a[s][0], load(x + s * stride + i));
        a[s][1] = R::combine(a[s][1], load(x + s * stride + i + kVecWidth));
      }
    }
    for (int s = 0; s < kStreams; ++s) cascades[s].add(R::combine(a[s][0], a[s][1]));
  }
  return R::combine(R::combine(cascades[0].result(), cascades[1].result()),
                    R::combine(cascades[2].result(), cascades[3].result()));
}

template <class R>
typename R::T reduce_row(const typename R::T* x, int64_t n) {
  const auto fold = [](typename R::Vec a, typename R::Vec b) { return R::combine(a, b); };
  const int64_t blocks = n / (kRowBlock * kStreams);
  if (blocks < kStreamBlocks) return fold_lanes(reduce_blocks<R>(x, n), fold);
  const int64_t done = blocks * kRowBlock * kStreams;
  typename R::Vec v = reduce_streams<R>(x, blocks);
  if (done < n) v = R::combine(v, reduce_blocks<R>(x + done, n - done));
  return fold_lanes(v, fold);
}

template <class R>
TK_INLINE typename R::Vec load_columns(const typename R::T* x, int64_t left) {
  return left >= kVecWidth ? load(x) : load_part(x, int(left), R::kIdentity);
}

// into[j] = combine(into[j], part[j]) over a tile's vectors.
template <class R>
void combine_tile(typename R::T* into, const typename R::T* part, int64_t columns) {
  for (int64_t j = 0; j < columns; j += kVecWidth) store(into + j, R::combine(load(into + j), load(part + j)));
}

// A block of rows into sums[0, columns rounded up): eight rows at a time as a tree, so that sums is touched once per eight
// rows.
template <class R>
void reduce_rows(const typename R::T* x, int64_t stride, int64_t rows, int64_t columns, typename R::T* sums) {
  for (int64_t j = 0; j < columns; j += kVecWidth) store(sums + j, splat(R::kIdentity));
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8, x += 8 * stride) {
    for (int64_t j = 0; j < columns; j += kVecWidth) {
      const int64_t left = columns - j;
      typename R::Vec v[8];
      for (int k = 0; k < 8; ++k) v[k] = load_columns<R>(x + k * stride + j, left);
      const auto low = R::combine(R::combine(v[0], v[1]), R::combine(v[2], v[3]));
      const auto high = R::combine(R::combine(v[4], v[5]), R::combine(v[6], v[7]));
      store(sums + j, R::combine(load(sums + j), R::combine(low, high)));
    }
  }
  for (; r < rows; ++r, x += stride) {
    for (int64_t j = 0; j < columns; j += kVecWidth) {
      store(sums + j, R::combine(load(sums + j), load_columns<R>(x + j, columns - j)));
    }
  }
}

template <class R>
void reduce_columns(const typename R::T* x, int64_t stride, int64_t rows, int64_t columns, typename R::T* out) {
  using T = typename R::T;
  constexpr int64_t kRowsPerBlock = 256;
  constexpr int kTileDepth = 24;  // 2^32 rows
  alignas(64) T waiting[kTileDepth][kTileRoom];
  int depth = 0;
  int64_t block = 0;
  for (int64_t r = 0; r < rows || r == 0; r += kRowsPerBlock, ++block) {
    reduce_rows<R>(x + r * stride, stride, rows - r < kRowsPerBlock ? rows - r : kRowsPerBlock, columns, waiting[depth]);
    for (int64_t bits = block; bits & 1; bits >>= 1, --depth) combine_tile<R>(waiting[depth - 1], waiting[depth], columns);
    ++depth;
  }
  for (--depth; depth > 0; --depth) combine_tile<R>(waiting[depth - 1], waiting[depth], columns);
  std::memcpy(out, waiting[0], size_t(columns) * sizeof(T));
}

// Few columns that are all of the row: k rows are read as one of k * columns, so that vectors are full; the k groups are folded
// at the end, and the rows that are left over join the front ones.
template <class R>
void reduce_narrow(const typename R::T* x, int64_t rows, int64_t columns, typename R::T* out) {
  using T = typename R::T;
  int64_t k = 1;
  while (k * 2 * columns <= 128 && k * 16 <= rows) k *= 2;
  if (k == 1) return reduce_columns<R>(x, columns, rows, columns, out);
  T groups[128];
  const int64_t whole = rows / k;
  reduce_columns<R>(x, k * columns, whole, k * columns, groups);
  const T* rest = x + whole * k * columns;
  for (int64_t i = 0; i < (rows - whole * k) * columns; ++i) groups[i] = R::combine(groups[i], rest[i]);
  for (int64_t half = k / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half * columns; ++i) groups[i] = R::combine(groups[i], groups[i + half * columns]);
  }
  std::memcpy(out, groups, size_t(columns) * sizeof(T));
}

template <class R>
void rows_of(const void* x_data, int64_t n, int64_t count, void* out_data) {
  using T = typename R::T;
  const T* x = static_cast<const T*>(x_data);
  T* out = static_cast<T*>(out_data);
  for (int64_t i = 0; i < count; ++i, x += n) out[i] = reduce_row<R>(x, n);
}

template <class R>
void columns_of(const void* x_data, int64_t stride, int64_t rows, int64_t columns, void* out_data) {
  using T = typename R::T;
  const T* x = static_cast<const T*>(x_data);
  T* out = static_cast<T*>(out_data);
  stride == columns&& columns <= 32 ? reduce_narrow<R>(x, rows, columns, out)
                                    : reduce_columns<R>(x, stride, rows, columns, out);
}

template <class R>
void combine_parts(void* into_data, const void* part_data, int64_t count) {
  using T = typename R::T;
  T* into = static_cast<T*>(into_data);
  const T* part = static_cast<const T*>(part_data);
  for (int64_t i = 0; i < count; ++i) into[i] = R::combine(into[i], part[i]);
}

void divide_by_count(void* out_data, int64_t count, int64_t n) {
  float* out = static_cast<float*>(out_data);
  for (int64_t i = 0; i < count; ++i) out[i] = out[i] / float(n);
}

template <class R>
constexpr Reducer kReducer = {sizeof(typename R::T), sizeof(typename R::T), &rows_of<R>,
                              &columns_of<R>,        &combine_parts<R>,     nullptr};

template <template <class> class R>
void run_numbers(const OpCall& call, CpuContext& context) {
  const DType dtype = call[0].dtype;
  if (dtype == DType::f32) return run_reduction(call, context, kReducer<R<float>>);
  TK_CHECK_EQ(int(dtype), int(DType::i32));
  run_reduction(call, context, kReducer<R<int32_t>>);
}

}  // namespace

void reduce_sum_cpu(const OpCall& call, CpuContext& context) { run_numbers<Sum>(call, context); }
void reduce_prod_cpu(const OpCall& call, CpuContext& context) { run_numbers<Product>(call, context); }
void reduce_max_cpu(const OpCall& call, CpuContext& context) { run_numbers<Max>(call, context); }
void reduce_min_cpu(const OpCall& call, CpuContext& context) { run_numbers<Min>(call, context); }
void reduce_mean_cpu(const OpCall& call, CpuContext& context) {
  Reducer mean = kReducer<Sum<float>>;
  mean.finish = &divide_by_count;
  run_reduction(call, context, mean);
}

TK_END_LEVEL
