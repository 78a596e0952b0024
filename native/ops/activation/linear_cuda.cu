#include "cuda/column_sums.cuh"
#include "cuda/gemm/gemm.h"
// context.h first.
#include "ops/activation/linear.h"
#include "ops/common/activation_math.h"

TK_BEGIN_CUDA
namespace {

// Whether the parts of a call that exist have one 16-bit type.
bool is_of_one_half(const OpCall& call, std::initializer_list<int> narrow) {
  const DType type = call[0].dtype;
  if (type != DType::f16 && type != DType::bf16) return false;
  for (const int i : narrow) {
    if (call[i].size != 0 && call[i].dtype != type) return false;
  }
  return true;
}

// Floats of a part of the workspace, so that what follows is aligned.
int64_t aligned_floats(int64_t count) { return (count + 63) / 64 * 64; }
int64_t gemm_floats(const Gemm& problem) { return aligned_floats((gemm_workspace(problem) + 3) / 4); }

Gemm linear_problem(const OpCall& call) {
  const Operand &x = call[0], &w = call[1], &bias = call[2], &y = call[3], &saved = call[4];
  TK_CHECK(x.rank == 2 && w.rank == 2 && y.rank == 2);
  Gemm p;
  p.m = x.dims[0], p.k = x.dims[1], p.n = w.dims[1];
  TK_CHECK_EQ(w.dims[0], p.k);
  TK_CHECK(y.dims[0] == p.m && y.dims[1] == p.n);
  p.a = {x.data, p.k, 1, 0};
  p.b = {w.data, p.n, 1, 0};
  p.y = y.data, p.y_row = p.n;
  if (bias.size != 0) TK_CHECK_EQ(bias.size, p.n);
  if (saved.size != 0) TK_CHECK_EQ(saved.size, y.size);
  p.type = p.epilogue.type = x.dtype, p.y_type = y.dtype;
  p.epilogue.bias = bias.size == 0 ? nullptr : bias.data;
  p.epilogue.saved = saved.size == 0 ? nullptr : saved.data;
  const int64_t kind = TK_INT(call, linear, kind);
  TK_CHECK(kind >= 0 && kind < activation::kCount);
  p.epilogue.activation = int(kind);
  return p;
}

struct LinearGrad {
  int64_t m, n, k;
  bool makes_dz;
  Gemm dx, dw;
  int64_t dz_floats, product_floats;

  LinearGrad(const OpCall& call, const void* dz) {
    const Operand &dy = call[0], &x = call[1], &w = call[2], &saved = call[3];
    TK_CHECK(dy.rank == 2 && x.rank == 2 && w.rank == 2);
    m = x.dims[0], k = x.dims[1], n = w.dims[1];
    TK_CHECK(dy.dims[0] == m && dy.dims[1] == n);
    TK_CHECK_EQ(w.dims[0], k);
    makes_dz = TK_INT(call, linear_grad, kind) != 0;
    if (makes_dz) TK_CHECK_EQ(saved.size, dy.size);
    TK_CHECK(call[4].size == 0 || call[4].size == x.size);
    TK_CHECK(call[5].size == 0 || call[5].size == w.size);
    TK_CHECK(call[6].size == 0 || call[6].size == n);
    dx.type = dw.type = x.dtype;
    dx.y_type = call[4].dtype, dw.y_type = call[5].dtype;
    dx.m = m, dx.n = k, dx.k = n;
    dx.a = {dz, n, 1, 0};
    dx.b = {w.data, 1, n, 0};
    dx.y = call[4].data, dx.y_row = k;
    dw.m = k, dw.n = n, dw.k = m;
    dw.a = {x.data, 1, k, 0};
    dw.b = {dz, n, 1, 0};
    dw.y = call[5].data, dw.y_row = n;
    dz_floats = makes_dz ? aligned_floats(dy.size) : 0;
    const int64_t a = call[4].size == 0 ? 0 : gemm_floats(dx), b = call[5].size == 0 ? 0 : gemm_floats(dw);
    product_floats = a > b ? a : b;
  }
};

// dz has the type of dy: the products take it with x and w.
template <class T, class Function>
void make_dz(const CudaContext& context, const T* dy, const T* saved, T* dz, int64_t n, const Function& function) {
  for_each(context, n, [=] __device__(int64_t i) { dz[i] = T(float(dy[i]) * function.derivative(VecF{float(saved[i])}).v); });
}

template <class T>
void run_linear_grad(const OpCall& call, const CudaContext& context) {
  float* workspace = static_cast<float*>(call.workspace);
  const int64_t kind = TK_INT(call, linear_grad, kind);
  const T *dy = static_cast<const T*>(call[0].data), *saved = static_cast<const T*>(call[3].data);
  T* made = reinterpret_cast<T*>(workspace);
  const T* dz = kind == 0 ? dy : made;
  const LinearGrad g(call, dz);
  if (g.makes_dz) {
    activation::with(kind, [&](auto function) { make_dz(context, dy, saved, made, call[0].size, function); });
  }
  float* scratch = workspace + g.dz_floats;
  if (call[4].size != 0) gemm(context, g.dx, scratch);
  if (call[5].size != 0) gemm(context, g.dw, scratch);
  if (call[6].size != 0) {
    column_sums(context, dz, g.m, g.n, call[6].f32(), reinterpret_cast<double*>(scratch + g.product_floats));
  }
}

}  // namespace

bool linear_cuda_takes_half(const OpCall& call) { return is_of_one_half(call, {1, 2, 3, 4}); }

int64_t linear_cuda_workspace(const OpCall& call) { return gemm_workspace(linear_problem(call)); }

void linear_cuda(const OpCall& call, CudaContext& context) { gemm(context, linear_problem(call), call.workspace); }

bool linear_grad_cuda_takes_half(const OpCall& call) {
  const auto is_f32 = [&](int i) { return call[i].size == 0 || call[i].dtype == DType::f32; };
  return is_of_one_half(call, {1, 2, 3, 4}) && is_f32(5) && is_f32(6);
}

int64_t linear_grad_cuda_workspace(const OpCall& call) {
  const LinearGrad g(call, call[0].data);
  return (g.dz_floats + g.product_floats) * int64_t(sizeof(float)) +
         (call[6].size == 0 ? 0 : column_parts(1, g.m, g.n, 1) * int64_t(sizeof(double)));
}

void linear_grad_cuda(const OpCall& call, CudaContext& context) {
  if (call[0].dtype == DType::bf16) return run_linear_grad<__nv_bfloat16>(call, context);
  if (call[0].dtype == DType::f16) return run_linear_grad<__half>(call, context);
  run_linear_grad<float>(call, context);
}

TK_END_CUDA
