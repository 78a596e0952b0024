// Matrix product on operands of a 16-bit storage dtype, sums in f32.
//   C[batch, m, n] = sum over k of A[batch, m, k] B[batch, k, n]
// Operands are never widened as a whole: pieces of them are while they are packed, and then multiplied as f32. Where bf16 pairs
// can be multiplied as they are (bf16_products() of cpu/cpu_info.h), pairs of neighbouring k are packed instead.
// Order of summation depends on m, n, k and on bf16_products() only, never on the number of threads. k = 0 gives zeros; NaN and
// infinities propagate. The bf16 instruction takes operands and sums below 2^-126 for zeros.
#pragma once
#include "ops/common/gemm_kernel.h"
#include "ops/common/half_runs.h"

TK_BEGIN_LEVEL

// A matrix by strides; one of them is 1.
struct HalfMatrix {
  const uint16_t* data;
  int64_t row, col;
};

struct HalfGemm {
  DType type = DType::bf16;  // of a and b
  int64_t batch = 1, m = 0, n = 0, k = 0;
  HalfMatrix a, b;
  int64_t a_batch, b_batch;  // 0: the same matrix for every batch
  const void* self;
  // Takes sums: C[batch, row, col + i] = sums[i] for i < count. Called once per element, by any thread.
  void (*finish)(const void* self, int64_t batch, int64_t row, int64_t col, int64_t count, float* sums);
};

// Bytes of 64-byte aligned scratch memory that half_gemm needs with up to num_threads threads.
int64_t half_gemm_workspace(const HalfGemm& product, int num_threads);
void half_gemm(const HalfGemm& product, void* workspace, CpuContext& context);

// A tile of C as sums over pairs of k; pairs of bf16 numbers stand in one word, the one of the smaller k in the lower half.
struct PairTile {
  const uint32_t* a;  // [pairs][kTileRows]
  const uint32_t* b;  // [pairs][b_stride]
  int64_t b_stride, pairs;
  float* c;  // row i at c + i * c_stride, whole vectors
  int64_t c_stride;
  bool accumulate;  // add to what is there
};
using PairKernel = void (*)(const PairTile&);

TK_END_LEVEL
