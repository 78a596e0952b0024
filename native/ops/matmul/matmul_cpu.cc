#include "ops/matmul/matmul.h"

#include "ops/common/gemm.h"
#include "ops/common/gemm_half.h"

TK_BEGIN_LEVEL
namespace {

// A [rows, cols] matrix stored row by row, or as its transpose.
StridedMatrix strided(const float* data, bool transposed, int64_t rows, int64_t cols) {
  if (transposed) return {data, 1, rows};
  return {data, cols, 1};
}

GemmArgs read_args(const OpCall& call) {
  const Operand &a = call[0], &b = call[1], &y = call[2];
  const bool transpose_a = TK_INT(call, matmul, transpose_a) != 0, transpose_b = TK_INT(call, matmul, transpose_b) != 0;
  TK_CHECK(a.rank == 3 && b.rank == 3 && y.rank == 3);
  GemmArgs args;
  args.batch = y.dims[0];
  args.m = y.dims[1];
  args.n = y.dims[2];
  args.k = a.dims[transpose_a ? 1 : 2];
  TK_CHECK_EQ(a.dims[transpose_a ? 2 : 1], args.m);
  TK_CHECK_EQ(b.dims[transpose_b ? 2 : 1], args.k);
  TK_CHECK_EQ(b.dims[transpose_b ? 1 : 2], args.n);
  TK_CHECK(a.dims[0] == args.batch || a.dims[0] == 1);
  TK_CHECK(b.dims[0] == args.batch || b.dims[0] == 1);
  args.a = strided(a.f32(), transpose_a, args.m, args.k);
  args.b = strided(b.f32(), transpose_b, args.k, args.n);
  args.a_batch = a.dims[0] == 1 ? 0 : args.m * args.k;
  args.b_batch = b.dims[0] == 1 ? 0 : args.k * args.n;
  args.c = y.f32();
  return args;
}

void store_sums(const void* self, int64_t batch, int64_t row, int64_t col, int64_t count, float* sums) {
  const Operand& y = *static_cast<const Operand*>(self);
  const int64_t at = (batch * y.dims[1] + row) * y.dims[2] + col;
  if (y.dtype == DType::f32) {
    std::memcpy(y.f32() + at, sums, size_t(count) * sizeof(float));
  } else {
    narrow_run(y.dtype, sums, static_cast<uint16_t*>(y.data) + at, count);
  }
}

// The same product of 16-bit operands.
HalfGemm read_half_args(const OpCall& call) {
  const GemmArgs args = read_args(call);
  TK_CHECK(call[1].dtype == call[0].dtype);
  const auto half = [](const Operand& operand, const StridedMatrix& matrix) {
    return HalfMatrix{static_cast<const uint16_t*>(operand.data), matrix.row, matrix.col};
  };
  HalfGemm product;
  product.type = call[0].dtype;
  product.batch = args.batch, product.m = args.m, product.n = args.n, product.k = args.k;
  product.a = half(call[0], args.a), product.b = half(call[1], args.b);
  product.a_batch = args.a_batch, product.b_batch = args.b_batch;
  product.self = &call[2];
  product.finish = store_sums;
  return product;
}

}  // namespace

int64_t matmul_workspace(const OpCall& call, int num_threads) {
  if (call[0].dtype != DType::f32) return half_gemm_workspace(read_half_args(call), num_threads);
  return gemm_workspace(read_args(call), num_threads);
}

void matmul_cpu(const OpCall& call, CpuContext& context) {
  if (call[0].dtype != DType::f32) return half_gemm(read_half_args(call), call.workspace, context);
  GemmArgs args = read_args(call);
  const RowsOver over = {context, args.n};
  args.done = over.done();
  gemm(args, call.workspace, context);
}

TK_END_LEVEL
