#include "ops/activation/linear.h"

#include "ops/activation/linear_half.h"
#include "ops/common/activation_math.h"
#include "ops/common/column_sums.h"
#include "ops/common/elementwise.h"
#include "ops/common/gemm.h"

TK_BEGIN_LEVEL
namespace {

GemmArgs forward_args(const OpCall& call) {
  const Operand &x = call[0], &w = call[1], &y = call[3];
  TK_CHECK(x.rank == 2 && w.rank == 2 && y.rank == 2);
  GemmArgs args;
  args.m = x.dims[0];
  args.k = x.dims[1];
  args.n = w.dims[1];
  TK_CHECK_EQ(w.dims[0], args.k);
  TK_CHECK(y.dims[0] == args.m && y.dims[1] == args.n);
  args.a = {x.f32(), args.k, 1};
  args.b = {w.f32(), args.n, 1};
  args.c = y.f32();
  return args;
}

struct LinearGrad {
  int64_t m, n, k;
  bool makes_dz;
  GemmArgs dx, dw;
  int64_t dz_floats, gemm_floats, sum_floats;
};

LinearGrad read_linear_grad(const OpCall& call, const float* dz, int num_threads) {
  const Operand &dy = call[0], &x = call[1], &w = call[2], &saved = call[3], &dx = call[4], &dw = call[5], &dbias = call[6];
  TK_CHECK(dy.rank == 2 && x.rank == 2 && w.rank == 2);
  LinearGrad g = {};
  g.m = x.dims[0];
  g.k = x.dims[1];
  g.n = w.dims[1];
  TK_CHECK(dy.dims[0] == g.m && dy.dims[1] == g.n);
  TK_CHECK_EQ(w.dims[0], g.k);
  g.makes_dz = TK_INT(call, linear_grad, kind) != 0;
  if (g.makes_dz) TK_CHECK_EQ(saved.size, dy.size);
  TK_CHECK(dx.size == 0 || dx.size == x.size);
  TK_CHECK(dw.size == 0 || dw.size == w.size);
  TK_CHECK(dbias.size == 0 || dbias.size == g.n);
  g.dx.m = g.m;
  g.dx.n = g.k;
  g.dx.k = g.n;
  g.dx.a = {dz, g.n, 1};
  g.dx.b = {w.f32(), 1, g.n};
  g.dx.c = dx.f32();
  g.dw.m = g.k;
  g.dw.n = g.n;
  g.dw.k = g.m;
  g.dw.a = {x.f32(), 1, g.k};
  g.dw.b = {dz, g.n, 1};
  g.dw.c = dw.f32();
  g.dz_floats = g.makes_dz ? round_up(dy.size, 16) : 0;
  const int64_t bytes =
      max64(dx.size == 0 ? 0 : gemm_workspace(g.dx, num_threads), dw.size == 0 ? 0 : gemm_workspace(g.dw, num_threads));
  g.gemm_floats = round_up(ceil_div(bytes, int64_t(sizeof(float))), 16);
  g.sum_floats = dbias.size == 0 ? 0 : column_sums_floats(g.m, g.n);
  return g;
}

}  // namespace

int64_t linear_workspace(const OpCall& call, int num_threads) {
  if (call[0].dtype != DType::f32) return half_linear_workspace(call, num_threads);
  return gemm_workspace(forward_args(call), num_threads);
}

void linear_cpu(const OpCall& call, CpuContext& context) {
  if (call[0].dtype != DType::f32) return half_linear(call, context);
  GemmArgs args = forward_args(call);
  const Operand &bias = call[2], &y = call[3], &saved = call[4];
  if (bias.size != 0) TK_CHECK_EQ(bias.size, args.n);
  if (saved.size != 0) TK_CHECK_EQ(saved.size, y.size);
  const int64_t kind = TK_INT(call, linear, kind);
  const RowsOver over = {context, args.n};
  if (bias.size == 0 && saved.size == 0 && kind == 0) {
    args.done = over.done();
    return gemm(args, call.workspace, context);
  }
  const bool follows = context.takes_rows(args.n);
  const float* added = bias.size == 0 ? nullptr : bias.f32();
  float* kept = saved.size == 0 ? nullptr : saved.f32();
  activation::with(kind, [&](auto function) {
    const auto finish = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t at = begin * args.n; at < end * args.n; at += args.n) {
        map_row(y.f32() + at, y.f32() + at, args.n, [&](VecF z, int64_t i, int k) {
          if (added != nullptr) z = z + load_row(added + i, k, 0.0f);
          if (kept != nullptr) store_row(kept + at + i, z, k);
          return function.f(z);
        });
      }
      if (follows) over(begin, end, thread);
    };
    args.done = rows_done(finish);
    gemm(args, call.workspace, context);
  });
}

int64_t linear_grad_workspace(const OpCall& call, int num_threads) {
  if (call[0].dtype != DType::f32) return half_linear_grad_workspace(call, num_threads);
  const LinearGrad g = read_linear_grad(call, call[0].f32(), num_threads);
  return (g.dz_floats + g.gemm_floats + g.sum_floats) * int64_t(sizeof(float));
}

void linear_grad_cpu(const OpCall& call, CpuContext& context) {
  if (call[0].dtype != DType::f32) return half_linear_grad(call, context);
  const Operand &dy = call[0], &saved = call[3], &dx = call[4], &dw = call[5], &dbias = call[6];
  const int64_t kind = TK_INT(call, linear_grad, kind);
  float* workspace = static_cast<float*>(call.workspace);
  const float* dz = kind == 0 ? dy.f32() : workspace;
  LinearGrad g = read_linear_grad(call, dz, context.num_threads());
  float *scratch = workspace + g.dz_floats, *sums = scratch + g.gemm_floats;
  const RowChunks chunks = cut_rows(g.m, g.n);
  if (g.makes_dz) {
    activation::with(kind, [&](auto function) {
      // Sums of the chunk's columns while it is in the cache: the order is that of column_sums.
      context.parallel_for(chunks.count(), 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t c = begin; c < end; ++c) {
          const int64_t rows = chunks.end(c) - chunks.begin(c), at = chunks.begin(c) * g.n;
          const float* values = saved.f32() + at;
          map_row(dy.f32() + at, workspace + at, rows * g.n,
                  [&](VecF v, int64_t i, int k) { return v * function.derivative(load_row(values + i, k, 0.0f)); });
          if (dbias.size != 0) sum_columns(workspace + at, g.n, rows, g.n, sums + c * g.n);
        }
      });
    });
  }
  const RowsOver over = {context, g.k};
  g.dx.done = over.done();
  if (dx.size != 0) gemm(g.dx, scratch, context);
  if (dw.size != 0) gemm(g.dw, scratch, context);
  if (dbias.size == 0) return;
  if (g.makes_dz) {
    combine_chunks(sums, g.n, chunks.count(), g.n, dbias.f32(), context);
  } else {
    column_sums(dz, g.m, g.n, dbias.f32(), sums, context);
  }
}

TK_END_LEVEL
