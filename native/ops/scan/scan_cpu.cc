#include "ops/scan/scan.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kScanUnit = 16 * 1024;  // elements per unit of parallel work: some 20 us
constexpr int64_t kLines = 64;            // neighbouring lines scanned together, so that memory is read in runs

struct Direction {
  int64_t n, step, first;  // elements of a line, distance of two in scan order, offset of the first one
  bool exclusive;
};

// `lines` neighbouring lines at once; Sum holds what has been met so far.
template <class Sum, class T, class Op>
TK_INLINE void scan_lines(const T* x, T* y, const Direction& d, int64_t lines, Sum initial, const Op& op) {
  Sum sums[kLines];
  for (int64_t i = 0; i < lines; ++i) sums[i] = initial;
  int64_t at = d.first;
  for (int64_t j = 0; j < d.n; ++j, at += d.step) {
    for (int64_t i = 0; i < lines; ++i) {
      const Sum next = op(sums[i], Sum(x[at + i]));
      y[at + i] = T(d.exclusive ? sums[i] : next);
      sums[i] = next;
    }
  }
}

template <class Sum, class T, class Op>
void scan(const Operand& from, const Operand& to, bool exclusive, bool reverse, Sum initial, CpuContext& context,
          const Op& op) {
  TK_CHECK(from.rank == 3 && to.rank == 3);
  TK_CHECK_EQ(from.size, to.size);
  const int64_t outer = from.dims[0], n = from.dims[1], inner = from.dims[2];
  if (from.size == 0) return;
  const T* x = static_cast<const T*>(from.data);
  T* y = static_cast<T*>(to.data);
  const Direction d = {n, reverse ? -inner : inner, reverse ? (n - 1) * inner : 0, exclusive};
  const int64_t groups = (inner + kLines - 1) / kLines, width = inner < kLines ? inner : kLines;
  const int64_t grain = n * width >= kScanUnit ? 1 : kScanUnit / (n * width);
  context.parallel_for(outer * groups, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t column = unit % groups * kLines, start = unit / groups * n * inner + column;
      const int64_t lines = inner - column < kLines ? inner - column : kLines;
      if (lines == 1)
        scan_lines(x + start, y + start, d, 1, initial, op);
      else
        scan_lines(x + start, y + start, d, lines, initial, op);
    }
  });
}

template <class Op>
void scan_any(const OpCall& call, bool exclusive, bool reverse, int initial, CpuContext& context, const Op& op) {
  if (call[0].dtype == DType::f32) {
    scan<double, float>(call[0], call[1], exclusive, reverse, double(initial), context, op);
  } else {
    // Unsigned: signed overflow is undefined in C++.
    scan<uint32_t, int32_t>(call[0], call[1], exclusive, reverse, uint32_t(initial), context, op);
  }
}

}  // namespace

void cumsum_cpu(const OpCall& call, CpuContext& context) {
  scan_any(call, TK_INT(call, cumsum, exclusive) != 0, TK_INT(call, cumsum, reverse) != 0, 0, context,
           [](auto sum, auto value) { return sum + value; });
}

void cumprod_cpu(const OpCall& call, CpuContext& context) {
  scan_any(call, TK_INT(call, cumprod, exclusive) != 0, TK_INT(call, cumprod, reverse) != 0, 1, context,
           [](auto product, auto value) { return product * value; });
}

TK_END_LEVEL
