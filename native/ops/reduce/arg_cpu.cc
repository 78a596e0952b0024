#include "ops/reduce/reduce.h"

#include "ops/common/elementwise.h"
#include "ops/reduce/reduce_driver.h"

TK_BEGIN_LEVEL
namespace {

// The best value so far and where it stood. Every search starts from the first element of the whole axis at index 0, so a NaN
// there is never beaten, and a NaN elsewhere never beats.
template <class Value>
struct Best {
  Value value;
  int32_t index;
};

template <bool kMax, class T>
TK_INLINE auto beats(T a, T b) {
  if constexpr (kMax) {
    return a > b;
  } else {
    return a < b;
  }
}

template <bool kMax, class In, class Value>
Best<Value> search_row(Best<Value> best, const In* x, int64_t n, int32_t first_index) {
  auto value0 = splat(best.value), value1 = value0;
  VecI index0 = set1i(0), index1 = index0;
  alignas(64) int32_t lanes[kVecWidth];
  for (int i = 0; i < kVecWidth; ++i) lanes[i] = first_index + i;
  VecI here = load(lanes);
  const VecI width = set1i(kVecWidth);
  int64_t i = 0;
  for (; i + 2 * kVecWidth <= n; i += 2 * kVecWidth) {
    const auto v0 = load_lanes(x + i), v1 = load_lanes(x + i + kVecWidth);
    const Mask better0 = beats<kMax>(v0, value0), better1 = beats<kMax>(v1, value1);
    const VecI next = here + width;
    value0 = select(better0, v0, value0);
    index0 = select(better0, here, index0);
    value1 = select(better1, v1, value1);
    index1 = select(better1, next, index1);
    here = next + width;
  }
  Value values[2 * kVecWidth];
  int32_t indices[2 * kVecWidth];
  store(values, value0);
  store(values + kVecWidth, value1);
  store(indices, index0);
  store(indices + kVecWidth, index1);
  for (int lane = 0; lane < 2 * kVecWidth; ++lane) {
    const bool earlier = values[lane] == best.value && indices[lane] < best.index;
    if (beats<kMax>(values[lane], best.value) || earlier) best = {values[lane], indices[lane]};
  }
  for (; i < n; ++i) {
    if (beats<kMax>(Value(x[i]), best.value)) best = {Value(x[i]), int32_t(first_index + i)};
  }
  return best;
}

// values and indices have room for whole vectors and hold the best so far.
template <bool kMax, class In, class Value>
void search_columns(const In* x, int64_t stride, int64_t rows, int64_t columns, int32_t first_index, Value* values,
                    int32_t* indices) {
  for (int64_t r = 0; r < rows; ++r, x += stride) {
    const VecI here = set1i(int32_t(first_index + r));
    for (int64_t j = 0; j < columns; j += kVecWidth) {
      const int64_t left = columns - j;
      const auto v = left >= kVecWidth ? load_lanes(x + j) : load_lanes_part(x + j, int(left));
      const auto old = load(values + j);
      const Mask better = beats<kMax>(v, old);
      store(values + j, select(better, v, old));
      store(indices + j, select(better, here, load(indices + j)));
    }
  }
}

template <bool kMax, class In, class Value>
void run_search(const OpCall& call, CpuContext& context) {
  const ReduceGeometry g = reduce_geometry(call);
  TK_CHECK(g.n <= INT32_MAX);
  const In* x = static_cast<const In*>(call[0].data);
  int32_t* y = call[1].i32();
  if (g.n == 0) {
    if (call[1].size > 0) std::memset(y, 0, size_t(call[1].bytes()));
    return;
  }
  Best<Value> partials[kMaxPartials];
  context.parallel_for(g.units(), reduce_grain(g), [&](int64_t begin, int64_t end, int) {
    Value values[kTileRoom];
    int32_t indices[kTileRoom];
    for (int64_t unit = begin; unit < end; ++unit) {
      const ReduceUnit u = reduce_unit(g, unit);
      const In* first = x + u.outer * g.n * g.inner + u.first_column;
      const In* from = first + u.first_row * g.inner;
      if (g.inner == 1) {
        const Best<Value> best = search_row<kMax>(Best<Value>{Value(*first), 0}, from, u.rows, int32_t(u.first_row));
        values[0] = best.value;
        indices[0] = best.index;
      } else {
        for (int64_t j = 0; j < u.columns + kVecWidth; ++j) {
          values[j] = j < u.columns ? Value(first[j]) : Value(0);
          indices[j] = 0;
        }
        search_columns<kMax>(from, g.inner, u.rows, u.columns, int32_t(u.first_row), values, indices);
      }
      if (g.chunks == 1) {
        std::memcpy(y + u.outer * g.inner + u.first_column, indices, size_t(u.columns) * 4);
      } else {
        Best<Value>* to = partials + (u.outer * g.chunks + u.chunk) * g.inner + u.first_column;
        for (int64_t j = 0; j < u.columns; ++j) to[j] = {values[j], indices[j]};
      }
    }
  });
  if (g.chunks == 1) return;
  for (int64_t o = 0; o < g.outer; ++o) {
    for (int64_t j = 0; j < g.inner; ++j) {
      const Best<Value>* column = partials + o * g.chunks * g.inner + j;
      Best<Value> best = column[0];
      for (int64_t c = 1; c < g.chunks; ++c) {
        if (beats<kMax>(column[c * g.inner].value, best.value)) best = column[c * g.inner];
      }
      y[o * g.inner + j] = best.index;
    }
  }
}

template <bool kMax>
void run_search_of(const OpCall& call, CpuContext& context) {
  switch (call[0].dtype) {
    case DType::f32: return run_search<kMax, float, float>(call, context);
    case DType::i32: return run_search<kMax, int32_t, int32_t>(call, context);
    case DType::u8: return run_search<kMax, uint8_t, int32_t>(call, context);
    default: fail_check(__FILE__, __LINE__, "dtype of x", int64_t(call[0].dtype));
  }
}

}  // namespace

void argmax_cpu(const OpCall& call, CpuContext& context) { run_search_of<true>(call, context); }
void argmin_cpu(const OpCall& call, CpuContext& context) { run_search_of<false>(call, context); }

TK_END_LEVEL
