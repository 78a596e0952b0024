#include "ops/common/runs.h"
#include "ops/layout/layout.h"

TK_BEGIN_LEVEL
namespace {

// Axes of a padding, outermost first; an axis without padding is merged into the one before it.
struct PaddedAxes {
  int rank = 0;
  int64_t x[kMaxRank + 1];
  int64_t y[kMaxRank + 1];
  int64_t before[kMaxRank + 1];
};

// Fills one row of y or a part of it: columns [first, last) of a row whose part inside x starts at `source`; null when the
// row lies outside x.
template <class T>
TK_INLINE void pad_row(T* y, const T* source, int64_t before, int64_t n, int64_t first, int64_t last, T value) {
  const int64_t copy_first = source == nullptr ? last : before < first ? first : before < last ? before : last;
  const int64_t copy_end = source == nullptr || before + n < copy_first ? copy_first : before + n;
  const int64_t copy_last = copy_end < last ? copy_end : last;
  fill_run(y + first, copy_first - first, value);
  if (copy_first < copy_last) {
    copy_run(y + copy_first, source + copy_first - before, (copy_last - copy_first) * int64_t(sizeof(T)));
  }
  fill_run(y + copy_last, last - copy_last, value);
}

template <class T>
void pad_elements(const PaddedAxes& axes, const T* x, T* y, int64_t size, T value, CpuContext& context) {
  const int last = axes.rank - 1;
  const int64_t columns = axes.y[last];
  context.parallel_for(size, move_grain(sizeof(T)), [&](int64_t begin, int64_t end, int) {
    int64_t column = begin % columns;
    for (int64_t row = begin / columns; begin < end; ++row) {
      int64_t rest = row, offset = 0, stride = axes.x[last];
      bool inside = true;
      for (int d = last - 1; d >= 0; --d) {
        const int64_t index = rest % axes.y[d] - axes.before[d];
        rest /= axes.y[d];
        inside = inside && index >= 0 && index < axes.x[d];
        offset += index * stride;
        stride *= axes.x[d];
      }
      const int64_t count = columns - column < end - begin ? columns - column : end - begin;
      pad_row(y + begin - column, inside ? x + offset : nullptr, axes.before[last], axes.x[last], column, column + count,
              value);
      begin += count;
      column = 0;
    }
  });
}

// Index in x of index i of y (counted from x's first element). border: 0 repeats the border element, 1 does not.
TK_INLINE int64_t mirrored(int64_t i, int64_t n, int64_t border) {
  if (i < 0) return -i - 1 + border;
  return i < n ? i : 2 * n - 1 - border - i;
}

// The last padded axis has runs of `inner` elements; all axes before it are walked by index.
template <class T>
void mirror_elements(const PaddedAxes& axes, int64_t inner, const T* x, T* y, int64_t border, CpuContext& context) {
  const int last = axes.rank - 1;
  const int64_t n = axes.x[last], before = axes.before[last], columns = axes.y[last];
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= axes.y[d];
  const int64_t run = inner * int64_t(sizeof(T));
  context.parallel_for(rows, 1 + kMoveGrainBytes / (columns * run), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t rest = row, offset = 0, stride = n;
      for (int d = last - 1; d >= 0; --d) {
        offset += mirrored(rest % axes.y[d] - axes.before[d], axes.x[d], border) * stride;
        rest /= axes.y[d];
        stride *= axes.x[d];
      }
      const T* source = x + offset * inner;
      T* out = y + row * columns * inner;
      for (int64_t i = 0; i < before; ++i) copy_run(out + i * inner, source + mirrored(i - before, n, border) * inner, run);
      copy_run(out + before * inner, source, n * run);
      for (int64_t i = before + n; i < columns; ++i)
        copy_run(out + i * inner, source + mirrored(i - before, n, border) * inner, run);
    }
  });
}

}  // namespace

void pad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t* before = TK_INTS(call, pad, before);
  TK_CHECK_EQ(call.num_ints, x.rank);
  TK_CHECK_EQ(x.rank, y.rank);
  PaddedAxes axes;
  axes.x[0] = axes.y[0] = axes.rank = 1;
  axes.before[0] = 0;
  for (int d = 0; d < x.rank; ++d) {
    TK_CHECK(before[d] >= 0 && before[d] + x.dims[d] <= y.dims[d]);
    if (x.dims[d] == y.dims[d]) {
      axes.x[axes.rank - 1] *= x.dims[d];
      axes.y[axes.rank - 1] *= x.dims[d];
      axes.before[axes.rank - 1] *= x.dims[d];
    } else {
      axes.x[axes.rank] = x.dims[d];
      axes.y[axes.rank] = y.dims[d];
      axes.before[axes.rank++] = before[d];
    }
  }
  const uint32_t value = element_bits(y.dtype, TK_FLOAT(call, pad, value));
  if (dtype_bytes(y.dtype) == 4) {
    pad_elements(axes, static_cast<const uint32_t*>(x.data), static_cast<uint32_t*>(y.data), y.size, value, context);
  } else {
    pad_elements(axes, x.u8(), y.u8(), y.size, uint8_t(value), context);
  }
}

void mirror_pad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t border = TK_INT(call, mirror_pad, symmetric) != 0 ? 0 : 1;
  const int64_t* before = TK_INTS(call, mirror_pad, before);
  TK_CHECK_EQ(call.num_ints, x.rank + 1);
  TK_CHECK_EQ(x.rank, y.rank);
  if (y.size == 0) return;
  for (int d = 0; d < x.rank; ++d) {
    const int64_t after = y.dims[d] - before[d] - x.dims[d], most = x.dims[d] - border;
    TK_CHECK(before[d] >= 0 && after >= 0 && (before[d] == 0 || before[d] <= most) && (after == 0 || after <= most));
  }
  PaddedAxes axes;
  axes.x[0] = axes.y[0] = axes.rank = 1;
  axes.before[0] = 0;
  // Trailing axes without padding are one run; a padded axis cannot absorb the axes after it, as its order is reversed.
  int padded = x.rank;
  int64_t inner = 1;
  while (padded > 0 && x.dims[padded - 1] == y.dims[padded - 1]) inner *= x.dims[--padded];
  for (int d = 0; d < padded; ++d) {
    axes.x[axes.rank] = x.dims[d];
    axes.y[axes.rank] = y.dims[d];
    axes.before[axes.rank++] = before[d];
  }
  if (dtype_bytes(y.dtype) == 4) {
    mirror_elements(axes, inner, static_cast<const uint32_t*>(x.data), static_cast<uint32_t*>(y.data), border, context);
  } else {
    mirror_elements(axes, inner, x.u8(), y.u8(), border, context);
  }
}

TK_END_LEVEL
