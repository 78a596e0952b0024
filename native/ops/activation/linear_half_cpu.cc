#include "ops/activation/linear_half.h"

#include "ops/common/activation_math.h"
#include "ops/common/column_sums.h"
#include "ops/common/elementwise.h"
#include "ops/common/gemm_half.h"

TK_BEGIN_LEVEL
namespace {

const uint16_t* halves(const Operand& operand) { return static_cast<const uint16_t*>(operand.data); }

// What becomes of a piece of a row of x w.
struct HalfEpilogue {
  DType type;
  int64_t n, kind;
  const float* bias;  // or null
  uint16_t* saved;    // or null
  uint16_t* y;

  static void finish(const void* self, int64_t, int64_t row, int64_t col, int64_t count, float* sums) {
    const HalfEpilogue& e = *static_cast<const HalfEpilogue*>(self);
    const int64_t at = row * e.n + col;
    if (e.bias != nullptr) {
      map_row(sums, sums, count, [&](VecF z, int64_t i, int k) { return z + load_row(e.bias + col + i, k, 0.0f); });
    }
    if (e.saved != nullptr) narrow_run(e.type, sums, e.saved + at, count);
    if (e.kind != 0) {
      activation::with(e.kind,
                       [&](auto function) { map_row(sums, sums, count, [&](VecF z, int64_t, int) { return function.f(z); }); });
    }
    narrow_run(e.type, sums, e.y + at, count);
  }
};

HalfGemm half_forward(const OpCall& call, const HalfEpilogue* epilogue) {
  const Operand &x = call[0], &w = call[1], &y = call[3];
  TK_CHECK(x.rank == 2 && w.rank == 2 && y.rank == 2);
  HalfGemm product;
  product.type = x.dtype;
  product.m = x.dims[0], product.k = x.dims[1], product.n = w.dims[1];
  TK_CHECK_EQ(w.dims[0], product.k);
  TK_CHECK(y.dims[0] == product.m && y.dims[1] == product.n);
  product.a = {halves(x), product.k, 1};
  product.b = {halves(w), product.n, 1};
  product.a_batch = product.b_batch = 0;
  product.self = epilogue;
  product.finish = HalfEpilogue::finish;
  return product;
}

void store_half_rows(const void* self, int64_t, int64_t row, int64_t col, int64_t count, float* sums) {
  const Operand& y = *static_cast<const Operand*>(self);
  narrow_run(y.dtype, sums, static_cast<uint16_t*>(y.data) + row * y.dims[1] + col, count);
}
void store_float_rows(const void* self, int64_t, int64_t row, int64_t col, int64_t count, float* sums) {
  const Operand& y = *static_cast<const Operand*>(self);
  std::memcpy(y.f32() + row * y.dims[1] + col, sums, size_t(count) * sizeof(float));
}

// Both products of the gradient, and where the parts of the workspace begin, in floats.
struct HalfLinearGrad {
  int64_t m, n, k;
  HalfGemm dx, dw;
  int64_t gemm_at, sums_at, floats;

  HalfLinearGrad(const OpCall& call, const uint16_t* dz, int num_threads) {
    const Operand &dy = call[0], &x = call[1], &w = call[2], &saved = call[3];
    TK_CHECK(dy.rank == 2 && x.rank == 2 && w.rank == 2);
    m = x.dims[0], k = x.dims[1], n = w.dims[1];
    TK_CHECK(dy.dims[0] == m && dy.dims[1] == n);
    TK_CHECK_EQ(w.dims[0], k);
    const bool makes_dz = TK_INT(call, linear_grad, kind) != 0;
    if (makes_dz) TK_CHECK_EQ(saved.size, dy.size);
    TK_CHECK(call[4].size == 0 || call[4].size == x.size);
    TK_CHECK(call[5].size == 0 || call[5].size == w.size);
    TK_CHECK(call[6].size == 0 || call[6].size == n);
    dx.type = dw.type = dy.dtype;
    dx.m = m, dx.n = k, dx.k = n;
    dx.a = {dz, n, 1}, dx.b = {halves(w), 1, n};
    dx.self = &call[4], dx.finish = store_half_rows;
    dw.m = k, dw.n = n, dw.k = m;
    dw.a = {halves(x), 1, k}, dw.b = {dz, n, 1};
    dw.self = &call[5], dw.finish = store_float_rows;
    dx.a_batch = dx.b_batch = dw.a_batch = dw.b_batch = 0;
    const int64_t products = max64(call[4].size == 0 ? 0 : half_gemm_workspace(dx, num_threads),
                                   call[5].size == 0 ? 0 : half_gemm_workspace(dw, num_threads));
    gemm_at = makes_dz ? round_up(ceil_div(dy.size, 2), 16) : 0;
    sums_at = gemm_at + round_up(ceil_div(products, int64_t(sizeof(float))), 16);
    floats = sums_at + (call[6].size == 0 ? 0 : cut_rows(m, n).count() * n);
  }
};

// sums[j] = dz[0, j] + dz[1, j] + ...: chunks of rows apart, then the chunks in rising order.
void half_column_sums(DType type, const uint16_t* dz, int64_t m, int64_t n, float* sums, float* chunks, CpuContext& context) {
  const RowChunks rows = cut_rows(m, n);
  context.parallel_for(rows.count(), 1, [&](int64_t begin, int64_t end, int) {
    constexpr int64_t kRun = 256;
    float run[kRun];
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* own = chunks + chunk * n;
      std::memset(own, 0, size_t(n) * sizeof(float));
      for (int64_t row = rows.begin(chunk); row < rows.end(chunk); ++row) {
        for (int64_t j = 0; j < n; j += kRun) {
          const int64_t count = min64(kRun, n - j);
          widen_run(type, dz + row * n + j, run, count);
          map_row(own + j, own + j, count, [&](VecF v, int64_t i, int k) { return v + load_row(run + i, k, 0.0f); });
        }
      }
    }
  });
  std::memset(sums, 0, size_t(n) * sizeof(float));
  for (int64_t chunk = 0; chunk < rows.count(); ++chunk) {
    const float* own = chunks + chunk * n;
    map_row(sums, sums, n, [&](VecF v, int64_t i, int k) { return v + load_row(own + i, k, 0.0f); });
  }
}

}  // namespace

int64_t half_linear_workspace(const OpCall& call, int num_threads) {
  return round_up(call[2].size, 16) * int64_t(sizeof(float)) + half_gemm_workspace(half_forward(call, nullptr), num_threads);
}

void half_linear(const OpCall& call, CpuContext& context) {
  const Operand &bias = call[2], &y = call[3], &saved = call[4];
  float* widened = static_cast<float*>(call.workspace);
  HalfEpilogue epilogue = {y.dtype, y.dims[1], TK_INT(call, linear, kind), nullptr, nullptr, static_cast<uint16_t*>(y.data)};
  if (bias.size != 0) {
    TK_CHECK_EQ(bias.size, epilogue.n);
    if (bias.dtype != DType::f32) widen_run(bias.dtype, halves(bias), widened, bias.size);
    epilogue.bias = bias.dtype == DType::f32 ? bias.f32() : widened;
  }
  if (saved.size != 0) {
    TK_CHECK_EQ(saved.size, y.size);
    epilogue.saved = static_cast<uint16_t*>(saved.data);
  }
  half_gemm(half_forward(call, &epilogue), widened + round_up(bias.size, 16), context);
}

int64_t half_linear_grad_workspace(const OpCall& call, int num_threads) {
  return HalfLinearGrad(call, halves(call[0]), num_threads).floats * int64_t(sizeof(float));
}

void half_linear_grad(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &saved = call[3];
  const int64_t kind = TK_INT(call, linear_grad, kind);
  float* workspace = static_cast<float*>(call.workspace);
  uint16_t* made = static_cast<uint16_t*>(call.workspace);
  const uint16_t* dz = kind == 0 ? halves(dy) : made;
  const HalfLinearGrad g(call, dz, context.num_threads());
  if (kind != 0) {
    activation::with(kind, [&](auto function) {
      context.parallel_for(dy.size, kMathGrain, [&](int64_t begin, int64_t end, int) {
        constexpr int64_t kRun = 256;
        float run[kRun], at[kRun];
        for (int64_t i = begin; i < end; i += kRun) {
          const int64_t count = min64(kRun, end - i);
          widen_run(dy.dtype, halves(dy) + i, run, count);
          widen_run(dy.dtype, halves(saved) + i, at, count);
          map_row(run, run, count,
                  [&](VecF v, int64_t j, int k) { return v * function.derivative(load_row(at + j, k, 0.0f)); });
          narrow_run(dy.dtype, run, made + i, count);
        }
      });
    });
  }
  if (call[4].size != 0) half_gemm(g.dx, workspace + g.gemm_at, context);
  if (call[5].size != 0) half_gemm(g.dw, workspace + g.gemm_at, context);
  if (call[6].size != 0) half_column_sums(dy.dtype, dz, g.m, g.n, call[6].f32(), workspace + g.sums_at, context);
}

TK_END_LEVEL
