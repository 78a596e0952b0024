// Products with at most four rows or columns. The small side is called x (at most four vectors of length k), the large operand
// w.
//   sums: w is [k, n] with neighbouring n; y[r, n] += x[r, k] w[k, n], several k at a time, y staying in L1
//   dots: w is [n, k] with neighbouring k; y[r, n] = dot(x[r], w[n]) in kVecWidth partial sums
// Order of summation: sums add k in rising order; dots add lane l over k = l, l + kVecWidth, ..., then the lanes pairwise.
#include "ops/common/gemm.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kSkinny = 4;
constexpr int64_t kMinDotLength = 2 * kVecWidth;
constexpr int64_t kSkinnyUnitWork = 128 * 1024;  // elements of w per unit: some 15 us when they come from beyond L2

// The product as seen above. y[r, j] lies at y[r * y_row + j * y_col].
struct Skinny {
  int64_t rows, n, k;
  const float* x;
  int64_t x_row, x_col;
  const float* w;
  int64_t w_stride;  // floats from one row of w to the next
  bool dots;
  bool copy_x;  // dots need the elements of each x side by side
  int64_t x_batch, w_batch;
  int64_t y_row, y_col;
};

Skinny view(const GemmArgs& args) {
  Skinny s;
  s.k = args.k;
  // The smaller side is x. Sums with w = A need y's elements side by side, hence a single column.
  const bool exchange = args.m > kSkinny || (args.n < args.m && (args.a.row != 1 || args.n == 1));
  if (!exchange) {
    s.rows = args.m, s.n = args.n;
    s.x = args.a.data, s.x_row = args.a.row, s.x_col = args.a.col, s.x_batch = args.a_batch;
    s.w = args.b.data, s.w_batch = args.b_batch;
    s.dots = args.b.col != 1;
    s.w_stride = s.dots ? args.b.col : args.b.row;
    s.y_row = args.n, s.y_col = 1;
  } else {
    s.rows = args.n, s.n = args.m;
    s.x = args.b.data, s.x_row = args.b.col, s.x_col = args.b.row, s.x_batch = args.b_batch;
    s.w = args.a.data, s.w_batch = args.a_batch;
    s.dots = args.a.row != 1;
    s.w_stride = s.dots ? args.a.row : args.a.col;
    s.y_row = 1, s.y_col = args.n;
  }
  s.copy_x = s.dots && s.x_col != 1;
  return s;
}

// y[r, j] (+)= sum over i < Depth of x[r, k + i] w[k + i, j] for j in [j0, j1).
template <int Rows, int Depth>
TK_INLINE void add_rows(const Skinny& s, const float* x, const float* w, float* y, int64_t k, int64_t j0, int64_t j1) {
  float a[Rows][Depth];
  for (int r = 0; r < Rows; ++r) {
    for (int i = 0; i < Depth; ++i) a[r][i] = x[r * s.x_row + (k + i) * s.x_col];
  }
  const float* rows = w + k * s.w_stride;
  int64_t j = j0;
  for (; j + 2 * kVecWidth <= j1; j += 2 * kVecWidth) {
    VecF sum[Rows][2];
    TK_UNROLL for (int r = 0; r < Rows; ++r) {
      TK_UNROLL for (int v = 0; v < 2; ++v) sum[r][v] = k == 0 ? zero() : load(y + r * s.y_row + j + v * kVecWidth);
    }
    TK_UNROLL for (int i = 0; i < Depth; ++i) {
      const VecF w0 = load(rows + i * s.w_stride + j), w1 = load(rows + i * s.w_stride + j + kVecWidth);
      TK_UNROLL for (int r = 0; r < Rows; ++r) {
        const VecF element = set1(a[r][i]);
        sum[r][0] = fmadd(element, w0, sum[r][0]);
        sum[r][1] = fmadd(element, w1, sum[r][1]);
      }
    }
    TK_UNROLL for (int r = 0; r < Rows; ++r) {
      TK_UNROLL for (int v = 0; v < 2; ++v) store(y + r * s.y_row + j + v * kVecWidth, sum[r][v]);
    }
  }
  for (; j < j1; j += kVecWidth) {
    const int n = int(min64(kVecWidth, j1 - j));
    for (int r = 0; r < Rows; ++r) {
      VecF sum = k == 0 ? zero() : load_part(y + r * s.y_row + j, n);
      for (int i = 0; i < Depth; ++i) sum = fmadd(set1(a[r][i]), load_part(rows + i * s.w_stride + j, n), sum);
      store_part(y + r * s.y_row + j, sum, n);
    }
  }
}

template <int Rows>
void sums(const Skinny& s, const float* x, const float* w, float* y, int64_t j0, int64_t j1) {
  constexpr int kDepth = Rows == 1 ? 8 : 4;  // elements of x kept at hand: as many as there are registers left
  int64_t k = 0;
  for (; k + kDepth <= s.k; k += kDepth) add_rows<Rows, kDepth>(s, x, w, y, k, j0, j1);
  for (; k < s.k; ++k) add_rows<Rows, 1>(s, x, w, y, k, j0, j1);
}

template <int Rows, int Cols>
TK_INLINE void dot_tile(const Skinny& s, const float* x, int64_t x_row, const float* w, float* y) {
  VecF sum[Rows][Cols];
  TK_UNROLL for (int r = 0; r < Rows; ++r) { TK_UNROLL for (int c = 0; c < Cols; ++c) sum[r][c] = zero(); }
  int64_t k = 0;
  for (; k + kVecWidth <= s.k; k += kVecWidth) {
    VecF a[Rows];
    TK_UNROLL for (int r = 0; r < Rows; ++r) a[r] = load(x + r * x_row + k);
    TK_UNROLL for (int c = 0; c < Cols; ++c) {
      const VecF b = load(w + c * s.w_stride + k);
      TK_UNROLL for (int r = 0; r < Rows; ++r) sum[r][c] = fmadd(a[r], b, sum[r][c]);
    }
  }
  if (k < s.k) {
    const int n = int(s.k - k);
    TK_UNROLL for (int r = 0; r < Rows; ++r) {
      const VecF a = load_part(x + r * x_row + k, n);
      TK_UNROLL for (int c = 0; c < Cols; ++c) sum[r][c] = fmadd(a, load_part(w + c * s.w_stride + k, n), sum[r][c]);
    }
  }
  TK_UNROLL for (int r = 0; r < Rows; ++r) {
    TK_UNROLL for (int c = 0; c < Cols; ++c) y[r * s.y_row + c * s.y_col] = sum_lanes(sum[r][c]);
  }
}

template <int Rows>
void dots(const Skinny& s, const float* x, int64_t x_row, const float* w, float* y, int64_t j0, int64_t j1) {
  constexpr int kCols = Rows == 1 ? 8 : Rows == 2 ? 4 : 2;  // eight sums in flight hide the latency of the multiply-add
  int64_t j = j0;
  for (; j + kCols <= j1; j += kCols) dot_tile<Rows, kCols>(s, x, x_row, w + j * s.w_stride, y + j * s.y_col);
  for (; j < j1; ++j) dot_tile<Rows, 1>(s, x, x_row, w + j * s.w_stride, y + j * s.y_col);
}

}  // namespace

bool is_skinny(const GemmArgs& args) {
  if (args.m <= kSkinny) return true;
  if (args.n > kSkinny) return false;
  // Few columns: dots when rows of A are long enough to fill vectors; sums only where y's rows are contiguous.
  return args.a.row != 1 ? args.k >= kMinDotLength : args.n == 1;
}

int64_t gemm_skinny_workspace(const GemmArgs& args) {
  const Skinny s = view(args);
  return s.copy_x ? round_up(args.batch * s.rows * s.k, 16) : 0;
}

void gemm_skinny(const GemmArgs& args, float* workspace, CpuContext& context) {
  const Skinny s = view(args);
  if (s.copy_x) {
    for (int64_t batch = 0; batch < args.batch; ++batch) {
      for (int64_t r = 0; r < s.rows; ++r) {
        const float* x = s.x + batch * s.x_batch + r * s.x_row;
        float* copy = workspace + (batch * s.rows + r) * s.k;
        for (int64_t k = 0; k < s.k; ++k) copy[k] = x[k * s.x_col];
      }
    }
  }
  // Columns per unit: whole pairs of vectors, so that a cut never falls inside one.
  const int64_t even = ceil_div(s.n, 2 * context.num_threads());
  const int64_t columns = round_up(max64(even, kSkinnyUnitWork / max64(1, s.k)), 2 * kVecWidth);
  const int64_t chunks = ceil_div(s.n, columns);
  const int64_t grain = max64(1, kSkinnyUnitWork / (min64(columns, s.n) * s.k));
  context.parallel_for(args.batch * chunks, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t batch = unit / chunks, j0 = unit % chunks * columns, j1 = min64(j0 + columns, s.n);
      const float* x = s.copy_x ? workspace + batch * s.rows * s.k : s.x + batch * s.x_batch;
      const float* w = s.w + batch * s.w_batch;
      float* y = args.c + batch * args.m * args.n;
      const int64_t x_row = s.copy_x ? s.k : s.x_row;
      switch (s.rows) {
        case 1: s.dots ? dots<1>(s, x, x_row, w, y, j0, j1) : sums<1>(s, x, w, y, j0, j1); break;
        case 2: s.dots ? dots<2>(s, x, x_row, w, y, j0, j1) : sums<2>(s, x, w, y, j0, j1); break;
        case 3: s.dots ? dots<3>(s, x, x_row, w, y, j0, j1) : sums<3>(s, x, w, y, j0, j1); break;
        default: s.dots ? dots<4>(s, x, x_row, w, y, j0, j1) : sums<4>(s, x, w, y, j0, j1); break;
      }
    }
  });
}

TK_END_LEVEL
