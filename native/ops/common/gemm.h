// Plain fp32 matrix product on strided operands; what matmul and 1x1 convolutions call.
//   C[batch, m, n] = sum over k of A[batch, m, k] B[batch, k, n]
// C is overwritten; it must not overlap A or B. k = 0 gives zeros; NaN and infinities propagate.
// Order of summation depends on m, n, k, the strides and the level only, never on the number of threads.
#pragma once
#include "ops/common/gemm_blocks.h"

TK_BEGIN_LEVEL

struct GemmArgs {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  StridedMatrix a, b;                // of each, the row or the column stride is 1
  int64_t a_batch = 0, b_batch = 0;  // 0: the same matrix for every batch
  float* c = nullptr;                // dense [batch, m, n]
  RowsDone done;                     // rows of all batches in one count
};

// Bytes of 64-byte aligned scratch memory that gemm needs with up to num_threads threads.
int64_t gemm_workspace(const GemmArgs& args, int num_threads);
void gemm(const GemmArgs& args, void* workspace, CpuContext& context);

// Products with at most four rows or columns: bound by reading the large operand once.
bool is_skinny(const GemmArgs& args);
int64_t gemm_skinny_workspace(const GemmArgs& args);
void gemm_skinny(const GemmArgs& args, float* workspace, CpuContext& context);

TK_END_LEVEL
