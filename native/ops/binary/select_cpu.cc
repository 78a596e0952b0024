#include "ops/binary/select.h"

#include "ops/common/runs.h"

TK_BEGIN_LEVEL
namespace {

constexpr int kInputs = 3;  // condition, a, b

// y's axes with the strides of the three inputs (0 where an input is broadcast); axes along which all go on evenly are merged.
struct SelectAxes {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank][kInputs];
};

SelectAxes merge_axes(const OpCall& call) {
  const Operand& y = call[kInputs];
  int64_t strides[kMaxRank][kInputs];
  for (int input = 0; input < kInputs; ++input) {
    const Operand& x = call[input];
    const int shift = y.rank - x.rank;
    TK_CHECK(shift >= 0);
    int64_t stride = 1;
    for (int d = y.rank - 1; d >= 0; --d) {
      const int64_t dim = d >= shift ? x.dims[d - shift] : 1;
      TK_CHECK(dim == y.dims[d] || dim == 1);
      strides[d][input] = dim == 1 ? 0 : stride;
      stride *= dim;
    }
  }
  SelectAxes axes;
  for (int d = 0; d < y.rank; ++d) {
    if (y.dims[d] == 1) continue;
    const int last = axes.rank - 1;
    bool merges = last >= 0;
    for (int input = 0; merges && input < kInputs; ++input)
      merges = axes.strides[last][input] == strides[d][input] * y.dims[d];
    const int at = merges ? last : axes.rank++;
    axes.dims[at] = merges ? axes.dims[at] * y.dims[d] : y.dims[d];
    for (int input = 0; input < kInputs; ++input) axes.strides[at][input] = strides[d][input];
  }
  if (axes.rank == 0) {
    axes.rank = 1;
    axes.dims[0] = 1;
    for (int input = 0; input < kInputs; ++input) axes.strides[0][input] = 0;
  }
  return axes;
}

template <class T, int kA, int kB>
TK_INLINE void select_run(const uint8_t* __restrict condition, const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const T left = a[i * kA], right = b[i * kB];
    y[i] = condition[i] != 0 ? left : right;
  }
}

template <class T>
TK_INLINE void select_row(const uint8_t* condition, const T* a, const T* b, T* y, int64_t n, const int64_t* strides) {
  if (strides[0] == 0) {
    const T* chosen = *condition != 0 ? a : b;
    if ((*condition != 0 ? strides[1] : strides[2]) == 0) return fill_run(y, n, *chosen);
    // y may be the chosen input itself.
    std::memmove(y, chosen, size_t(n) * sizeof(T));
    return;
  }
  if (strides[1] != 0) {
    strides[2] != 0 ? select_run<T, 1, 1>(condition, a, b, y, n) : select_run<T, 1, 0>(condition, a, b, y, n);
  } else {
    strides[2] != 0 ? select_run<T, 0, 1>(condition, a, b, y, n) : select_run<T, 0, 0>(condition, a, b, y, n);
  }
}

template <class T>
void select_elements(const SelectAxes& axes, const uint8_t* condition, const T* a, const T* b, T* y, int64_t size,
                     CpuContext& context) {
  const int last = axes.rank - 1;
  const int64_t columns = axes.dims[last];
  const int64_t* steps = axes.strides[last];
  context.parallel_for(size, move_grain(sizeof(T)), [&](int64_t begin, int64_t end, int) {
    int64_t column = begin % columns;
    for (int64_t row = begin / columns; begin < end; ++row) {
      int64_t rest = row, offset[kInputs];
      for (int input = 0; input < kInputs; ++input) offset[input] = column * steps[input];
      for (int d = last - 1; d >= 0; --d) {
        const int64_t index = rest % axes.dims[d];
        rest /= axes.dims[d];
        for (int input = 0; input < kInputs; ++input) offset[input] += index * axes.strides[d][input];
      }
      const int64_t count = columns - column < end - begin ? columns - column : end - begin;
      select_row(condition + offset[0], a + offset[1], b + offset[2], y + begin, count, steps);
      begin += count;
      column = 0;
    }
  });
}

}  // namespace

void select_cpu(const OpCall& call, CpuContext& context) {
  const Operand &condition = call[0], &a = call[1], &b = call[2], &y = call[3];
  if (y.size == 0) return;
  const SelectAxes axes = merge_axes(call);
  if (dtype_bytes(y.dtype) == 4) {
    select_elements(axes, condition.u8(), static_cast<const uint32_t*>(a.data), static_cast<const uint32_t*>(b.data),
                    static_cast<uint32_t*>(y.data), y.size, context);
  } else {
    select_elements(axes, condition.u8(), a.u8(), b.u8(), y.u8(), y.size, context);
  }
}

TK_END_LEVEL
