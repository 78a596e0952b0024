#include "cuda/column_sums.cuh"
// context.h first.
#include "ops/activation/activation.h"
#include "ops/common/activation_math.h"

TK_BEGIN_CUDA
namespace {

template <class Function>
void apply_function(const CudaContext& context, const float* x, float* y, int64_t n, const Function& function) {
  for_each(context, n, [=] __device__(int64_t i) { y[i] = function.f(VecF{x[i]}).v; });
}
template <class Function>
void apply_derivative(const CudaContext& context, const float* dy, const float* saved, float* dx, int64_t n,
                      const Function& function) {
  for_each(context, n, [=] __device__(int64_t i) { dx[i] = dy[i] * function.derivative(VecF{saved[i]}).v; });
}

}  // namespace

void activation_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK_EQ(y.size, x.size);
  activation::with(TK_INT(call, activation, kind),
                   [&](auto function) { apply_function(context, x.f32(), y.f32(), x.size, function); });
}

void activation_grad_cuda(const OpCall& call, CudaContext& context) {
  const Operand &dy = call[0], &saved = call[1], &dx = call[2];
  TK_CHECK_EQ(saved.size, dy.size);
  TK_CHECK_EQ(dx.size, dy.size);
  activation::with(TK_INT(call, activation_grad, kind),
                   [&](auto function) { apply_derivative(context, dy.f32(), saved.f32(), dx.f32(), dy.size, function); });
}

int64_t prelu_grad_cuda_workspace(const OpCall& call) {
  const Operand& x = call[1];
  const int64_t cols = x.dims[x.rank - 1], rows = cols == 0 ? 0 : x.size / cols;
  return (column_parts(1, rows, cols, 1) + cols) * int64_t(sizeof(double));
}

void prelu_grad_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x_operand = call[1], &alpha_operand = call[2], &dalpha_operand = call[4];
  TK_CHECK(x_operand.rank >= 1);
  const int64_t cols = x_operand.dims[x_operand.rank - 1], rows = cols == 0 ? 0 : x_operand.size / cols;
  TK_CHECK_EQ(call[0].size, x_operand.size);
  TK_CHECK_EQ(call[3].size, x_operand.size);
  TK_CHECK(alpha_operand.size == 1 || alpha_operand.size == cols);
  if (dalpha_operand.size != 0) TK_CHECK_EQ(dalpha_operand.size, alpha_operand.size);
  const bool shared = alpha_operand.size == 1;
  const float *dy = call[0].f32(), *x = x_operand.f32(), *alpha = alpha_operand.f32();
  float *dx = call[3].f32(), *dalpha = dalpha_operand.f32();
  for_each(context, x_operand.size,
           [=] __device__(int64_t i) { dx[i] = x[i] > 0 ? dy[i] : dy[i] * alpha[shared ? 0 : i % cols]; });
  if (dalpha_operand.size == 0) return;
  double *parts = static_cast<double*>(call.workspace), *columns = parts + column_parts(1, rows, cols, 1);
  sum_column_parts<1>(context, 1, rows, cols, parts, [=] __device__(int64_t, int64_t row, int64_t col, double(&sums)[1]) {
    const int64_t i = row * cols + col;
    sums[0] += x[i] > 0 ? 0.0 : double(dy[i] * x[i]);
  });
  combine_column_parts<1>(context, rows, cols, parts, [=] __device__(int, int64_t col, double total) {
    columns[col] = total;
    if (!shared) dalpha[col] = float(total);
  });
  if (!shared) return;
  for_each(context, 1, [=] __device__(int64_t) {
    double total = 0;
    for (int64_t col = 0; col < cols; ++col) total += columns[col];
    dalpha[0] = float(total);
  });
}

TK_END_CUDA
