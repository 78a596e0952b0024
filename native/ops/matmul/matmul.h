// Batched matrix product: y[B,M,N] = op(a) op(b), op being the transpose where the attribute says so.
//   a [Ba,M,K], or [Ba,K,M] with transpose_a; b [Bb,K,N], or [Bb,N,K] with transpose_b; Ba and Bb are B or 1
//   f32; products and sums in f32; y must not overlap a or b
//   or a and b f16 or bf16, both the same, and y of that dtype or f32: ops/common/gemm_half.h
//   K = 0 gives zeros. NaN and infinities propagate: no product is skipped, zero times NaN is NaN.
//   workspace: matmul_workspace; packed panels and, for long K with a small y, partial sums
//   Order of summation depends on shapes, attributes and instruction set only, not on the number of threads.
// Source of the blocking: Goto, van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"; Van Zee, van de Geijn
// 2015, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality".
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t matmul_workspace(const OpCall& call, int num_threads);
void matmul_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
