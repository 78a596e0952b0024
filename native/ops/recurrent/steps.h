// The loop over the steps of a recurrent layer. In every step rows of the batch are multiplied by a matrix that is the same in
// all steps, then something is done with each row. Rows of the batch need nothing from each other, so threads share them and
// run through all steps without waiting; where rows are few or the matrix is large, threads share each step instead. Either way
// a result is the same sum in the same order.
#pragma once

#include "ops/recurrent/sequence.h"

TK_BEGIN_LEVEL

constexpr int64_t kFewRows = 4;                   // up to here a product reads the matrix where it lies (gemm_skinny)
constexpr int64_t kRowsPerUnit = 16;              // what they read and write in a step stays in the first level of cache
constexpr int64_t kRowsPerThread = 4;             // with fewer, threads share the columns of the matrix
constexpr int64_t kSharedMatrixFloats = 1 << 20;  // beyond, each thread reading all of it in each step costs more than waiting
constexpr int64_t kStepUnitWork = 256 * 1024;     // multiply-adds of the smallest piece worth handing to a thread

// A matrix [k, n] that rows of the batch are multiplied by in every step.
struct StepMatrix {
  StridedMatrix b;
  int64_t k, n;
  float* packed = nullptr;  // blocks of k, each as panels of kTileCols columns

  TK_INLINE int64_t panels() const { return ceil_div(n, kTileCols); }
  TK_INLINE int64_t row_floats() const { return round_up(n, kVecWidth); }
};

// Columns [first, first + count) of the recurrent kernel: for h R.
TK_INLINE StepMatrix state_matrix(const Sequence& s, const float* recurrent, int64_t first, int64_t count) {
  return {{at_offset(recurrent, first), s.width(), 1}, s.hidden, count};
}
// The transpose of that: for dg R^T.
TK_INLINE StepMatrix state_gradient_matrix(const Sequence& s, const float* recurrent, int64_t first, int64_t count) {
  return {{at_offset(recurrent, first), 1, s.width()}, count, s.hidden};
}

// c [batch, n] = rows of `a`, `a_stride` floats apart, times the matrix.
TK_INLINE GemmArgs step_product(const Sequence& s, const StepMatrix& matrix, const float* a, int64_t a_stride, float* c) {
  return product(s.batch, matrix.n, matrix.k, {a, a_stride, 1}, matrix.b, c);
}

// Floats of the packed matrix, and of scratch memory its products need.
TK_INLINE int64_t packed_floats(const Sequence& s, const StepMatrix& matrix) {
  return s.batch <= kFewRows ? 0 : round_up(matrix.k * matrix.row_floats(), 16);
}
TK_INLINE int64_t step_scratch_floats(int64_t floats, const Sequence& s, const StepMatrix& matrix, int num_threads) {
  return s.batch > kFewRows ? floats : most_floats(floats, step_product(s, matrix, nullptr, matrix.k, nullptr), num_threads);
}

inline void pack_step_matrix(const Sequence& s, StepMatrix& matrix, float* packed, CpuContext& context) {
  if (packed_floats(s, matrix) == 0) return;
  matrix.packed = packed;
  const KBlocks k = cut_k(1, matrix.k);
  context.parallel_for(matrix.panels(), 1 + 16384 / (matrix.k * kTileCols), [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * kTileCols, cols = min64(end * kTileCols, matrix.n) - first;
    for (int64_t block = 0; block < k.count(); ++block) {
      const int64_t k0 = k.begin(block), length = k.end(block) - k0;
      pack_b_panels(matrix.b, k0, length, first, cols, packed + k0 * matrix.row_floats() + first * length);
    }
  });
}

// Panels [panel0, panel1) of the columns of `rows` rows: c = a matrix.
inline void multiply_rows(const StepMatrix& matrix, const float* a, int64_t a_stride, int64_t rows, float* c, int64_t c_stride,
                          int64_t panel0, int64_t panel1) {
  constexpr int64_t kGroup = 16;  // tiles of rows that a panel of the matrix passes by
  const KBlocks k = cut_k(1, matrix.k);
  for (int64_t row = 0, count; row < rows; row += count) {
    count = min64(rows - row, kGroup * kTileRows);
    // Tiles as equal as can be: a short last one would take as long as a full one.
    const int64_t tiles = ceil_div(count, kTileRows), height = count / tiles, taller = count % tiles;
    const float* a_rows[kGroup * kTileRows];
    float* c_rows[kGroup * kTileRows];
    for (int64_t i = 0; i < count; ++i) {
      a_rows[i] = a + (row + i) * a_stride;
      c_rows[i] = c + (row + i) * c_stride;
    }
    for (int64_t block = 0; block < k.count(); ++block) {
      const int64_t k0 = k.begin(block), length = k.end(block) - k0;
      const float* panels = matrix.packed + k0 * matrix.row_floats();
      for (int64_t p = panel0; p < panel1; ++p) {
        const int64_t column = p * kTileCols;
        const int cols = int(min64(kTileCols, matrix.n - column));
        for (int64_t tile = 0, i = 0; tile < tiles; ++tile) {
          const int tile_rows = int(height + (tile < taller ? 1 : 0));
          run_row_tile({a_rows + i, kTileRows, 1, k0, length, panels + column * length, round_up(cols, kVecWidth)}, tile_rows,
                       {c_rows + i, column, cols, block > 0});
          i += tile_rows;
        }
      }
    }
  }
}

// Brings what the next step reads nearer: from one step to the next, rows of an array [B,T,...] lie too short a way for the
// hardware to see what comes.
TK_INLINE void fetch_floats([[maybe_unused]] const float* from, [[maybe_unused]] int64_t count) {
#if defined(__GNUC__)
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i, 0, 2);
#endif
}

// Runs all steps for rows [begin, end) of the batch on the calling thread.
struct RowsRunner {
  int64_t begin, end;

  // c [batch, n] = rows of `a`, `a_stride` floats apart, times the matrix.
  TK_INLINE void multiply(const StepMatrix& matrix, const float* a, int64_t a_stride, float* c) const {
    multiply_rows(matrix, a + begin * a_stride, a_stride, end - begin, c + begin * matrix.n, matrix.n, 0, matrix.panels());
  }
  // body(b) for each row.
  template <class Body>
  TK_INLINE void rows(const Body& body) const {
    for (int64_t b = begin; b < end; ++b) body(b);
  }
};

// Runs the steps for all rows, each with all threads.
struct StepsRunner {
  const Sequence& s;
  float* scratch;
  CpuContext& context;

  TK_INLINE void multiply(const StepMatrix& matrix, const float* a, int64_t a_stride, float* c) const {
    if (matrix.packed == nullptr) return gemm(step_product(s, matrix, a, a_stride, c), scratch, context);
    const int64_t panel_work = s.batch * matrix.k * kTileCols;
    context.parallel_for(matrix.panels(), 1 + kStepUnitWork / panel_work, [&](int64_t begin, int64_t end, int) {
      multiply_rows(matrix, a, a_stride, s.batch, c, matrix.n, begin, end);
    });
  }
  template <class Body>
  TK_INLINE void rows(const Body& body) const {
    context.parallel_for(s.batch, s.grain(), [&](int64_t begin, int64_t end, int) {
      for (int64_t b = begin; b < end; ++b) body(b);
    });
  }
};

// Calls steps(runner), once for all rows of the batch or for parts of them.
template <class Steps>
TK_INLINE void run_steps(const Sequence& s, float* scratch, CpuContext& context, const Steps& steps) {
  const int64_t threads = context.num_threads(), row_work = s.steps * s.hidden * s.width() + 1;
  const bool apart = s.batch > kFewRows && s.batch >= kRowsPerThread * threads && s.hidden * s.width() <= kSharedMatrixFloats;
  if (!apart) return steps(StepsRunner{s, scratch, context});
  const int64_t units = round_up(ceil_div(s.batch, kRowsPerUnit), threads), unit = ceil_div(s.batch, units);
  context.parallel_for(s.batch, max64(unit, 1 + kStepUnitWork / row_work), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b += unit) steps(RowsRunner{b, min64(b + unit, end)});
  });
}

TK_END_LEVEL
