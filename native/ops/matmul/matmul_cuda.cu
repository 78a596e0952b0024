#include "cuda/gemm/gemm.h"
// context.h first.
#include "ops/matmul/matmul.h"

TK_BEGIN_CUDA
namespace {

Gemm matmul_problem(const OpCall& call) {
  const Operand &a = call[0], &b = call[1], &y = call[2];
  TK_CHECK(a.rank == 3 && b.rank == 3 && y.rank == 3);
  const bool transpose_a = TK_INT(call, matmul, transpose_a) != 0, transpose_b = TK_INT(call, matmul, transpose_b) != 0;
  Gemm p;
  p.batch = y.dims[0], p.m = y.dims[1], p.n = y.dims[2], p.k = transpose_a ? a.dims[1] : a.dims[2];
  TK_CHECK_EQ(transpose_a ? a.dims[2] : a.dims[1], p.m);
  TK_CHECK_EQ(transpose_b ? b.dims[1] : b.dims[2], p.n);
  TK_CHECK_EQ(transpose_b ? b.dims[2] : b.dims[1], p.k);
  TK_CHECK((a.dims[0] == p.batch || a.dims[0] == 1) && (b.dims[0] == p.batch || b.dims[0] == 1));
  p.a = {a.data, transpose_a ? 1 : p.k, transpose_a ? p.m : 1, a.dims[0] == 1 ? 0 : p.m * p.k};
  p.b = {b.data, transpose_b ? 1 : p.n, transpose_b ? p.k : 1, b.dims[0] == 1 ? 0 : p.k * p.n};
  p.type = a.dtype, p.y_type = y.dtype;
  p.y = y.data, p.y_row = p.n, p.y_batch = p.m * p.n;
  return p;
}

}  // namespace

bool matmul_cuda_takes_half(const OpCall& call) { return is_half_product(call); }

int64_t matmul_cuda_workspace(const OpCall& call) { return gemm_workspace(matmul_problem(call)); }

void matmul_cuda(const OpCall& call, CudaContext& context) { gemm(context, matmul_problem(call), call.workspace); }

TK_END_CUDA
