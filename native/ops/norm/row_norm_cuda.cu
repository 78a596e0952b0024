#include "cuda/column_sums.cuh"
#include "cuda/rows.cuh"
// context.h first.
#include "ops/norm/row_norm.h"

TK_BEGIN_CUDA
namespace {

const float* given_vector(const Operand& operand, int64_t size) {
  if (operand.size == 0) return nullptr;
  TK_CHECK_EQ(operand.size, size);
  return operand.f32();
}
float* wanted_vector(const Operand& operand, int64_t size) { return const_cast<float*>(given_vector(operand, size)); }

struct NormShape {
  int64_t rows, cols;
  explicit NormShape(const Operand& x) : rows(0), cols(x.dims[x.rank - 1]) {
    TK_CHECK(x.rank >= 1);
    rows = cols == 0 ? 0 : x.size / cols;
  }
};

// x, or x + residual which is also kept.
struct NormWork {
  const float *x, *residual, *scale, *offset;
  float *sum, *y, *mean, *inverse;
  int64_t cols;
  bool centered;
  double epsilon;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const float *from = x + row * cols, *added = residual == nullptr ? nullptr : residual + row * cols;
    float *kept = sum == nullptr ? nullptr : sum + row * cols, *to = y + row * cols;
    const auto load = [=](int64_t i) { return added == nullptr ? from[i] : from[i] + added[i]; };
    const RowValues<kWidth, kPer, decltype(load)> values(cols, shared, load);
    const double count = double(cols);
    const float centre = centered ? float(values.sum([](int64_t, float v) { return v; }) / count) : 0.0f;
    const double squares = values.sum([&](int64_t, float v) { return (v - centre) * (v - centre); });
    const float factor = float(1.0 / sqrt(squares / count + epsilon));
    values.each([&](int64_t i, float v) {
      if (kept != nullptr) kept[i] = v;
      float h = (v - centre) * factor;
      if (scale != nullptr) h = h * scale[i];
      if (offset != nullptr) h = h + offset[i];
      to[i] = h;
    });
    if (values.lane == 0) mean[row] = centre, inverse[row] = factor;
  }
};

// dx of a row; the sums over rows are another kernel's.
struct NormGradWork {
  const float *dy, *dsum, *x, *scale, *mean, *inverse;
  float* dx;
  int64_t cols;
  bool centered;

  template <int kWidth, int kPer>
  __device__ void row(int64_t row, double* shared) const {
    const float *from = x + row * cols, *gradient = dy + row * cols;
    const float *through = dsum == nullptr ? nullptr : dsum + row * cols, *factors = scale;
    float* to = dx + row * cols;
    const float centre = mean[row], factor = inverse[row];
    const auto load = [=](int64_t i) { return factors == nullptr ? gradient[i] : gradient[i] * factors[i]; };
    const auto load_x = [=](int64_t i) { return (from[i] - centre) * factor; };
    const RowValues<kWidth, kPer, decltype(load)> g(cols, shared, load);
    const RowValues<kWidth, kPer, decltype(load_x)> h(cols, shared, load_x);
    const double total = centered ? g.sum([](int64_t, float v) { return v; }) : 0.0;
    double mine = 0;
    g.zip(h, [&](int64_t, float gi, float hi) { mine += double(gi * hi); });
    const double product = g.fold(mine, [](double a, double b) { return a + b; });
    const float a = float(total / double(cols)), b = float(product / double(cols));
    g.zip(h, [&](int64_t i, float gi, float hi) {
      const float d = (gi - a - hi * b) * factor;
      to[i] = through == nullptr ? d : d + through[i];
    });
  }
};

// Both sums over rows: of dy h, and of dy.
void norm_weight_gradients(const CudaContext& context, const float* dy, const float* x, const float* mean, const float* inverse,
                           const NormShape& shape, float* dscale, float* doffset, double* parts) {
  if (dscale == nullptr && doffset == nullptr) return;
  const int64_t cols = shape.cols;
  sum_column_parts<2>(context, 1, shape.rows, cols, parts, [=] __device__(int64_t, int64_t row, int64_t col, double(&sums)[2]) {
    const float g = dy[row * cols + col];
    sums[0] += double(g * ((x[row * cols + col] - mean[row]) * inverse[row]));
    sums[1] += double(g);
  });
  combine_column_parts<2>(context, shape.rows, cols, parts, [=] __device__(int which, int64_t col, double total) {
    float* to = which == 0 ? dscale : doffset;
    if (to != nullptr) to[col] = float(total);
  });
}

void run_row_norm(const CudaContext& context, const Operand& x, const Operand* residual, const Operand& scale,
                  const Operand& offset, const Operand* sum, const Operand& y, const Operand& mean, const Operand& inverse,
                  bool centered, double epsilon) {
  const NormShape shape(x);
  TK_CHECK_EQ(y.size, x.size);
  TK_CHECK_EQ(mean.size, shape.rows);
  TK_CHECK_EQ(inverse.size, shape.rows);
  if (residual != nullptr) {
    TK_CHECK_EQ(residual->size, x.size);
    TK_CHECK_EQ(sum->size, x.size);
  }
  for_each_row(context, shape.rows, shape.cols,
               NormWork{x.f32(), residual == nullptr ? nullptr : residual->f32(), given_vector(scale, shape.cols),
                        given_vector(offset, shape.cols), sum == nullptr ? nullptr : sum->f32(), y.f32(), mean.f32(),
                        inverse.f32(), shape.cols, centered, epsilon});
}

int64_t norm_grad_workspace(const Operand& x, const Operand& dscale, const Operand& doffset) {
  if (dscale.size + doffset.size == 0) return 0;
  const NormShape shape(x);
  return column_parts(1, shape.rows, shape.cols, 2) * int64_t(sizeof(double));
}

void run_row_norm_grad(const CudaContext& context, const Operand& dy, const float* dsum, const Operand& x, const Operand& scale,
                       const Operand& mean, const Operand& inverse, const Operand& dx, const Operand& dscale,
                       const Operand& doffset, bool centered, void* workspace) {
  const NormShape shape(x);
  TK_CHECK_EQ(dy.size, x.size);
  TK_CHECK_EQ(dx.size, x.size);
  TK_CHECK_EQ(mean.size, shape.rows);
  TK_CHECK_EQ(inverse.size, shape.rows);
  for_each_row(context, shape.rows, shape.cols,
               NormGradWork{dy.f32(), dsum, x.f32(), given_vector(scale, shape.cols), mean.f32(), inverse.f32(), dx.f32(),
                            shape.cols, centered});
  norm_weight_gradients(context, dy.f32(), x.f32(), mean.f32(), inverse.f32(), shape, wanted_vector(dscale, shape.cols),
                        wanted_vector(doffset, shape.cols), static_cast<double*>(workspace));
}

}  // namespace

void row_norm_cuda(const OpCall& call, CudaContext& context) {
  run_row_norm(context, call[0], nullptr, call[1], call[2], nullptr, call[3], call[4], call[5],
               TK_INT(call, row_norm, centered) != 0, TK_FLOAT(call, row_norm, epsilon));
}

void residual_norm_cuda(const OpCall& call, CudaContext& context) {
  run_row_norm(context, call[0], &call[1], call[2], call[3], &call[4], call[5], call[6], call[7],
               TK_INT(call, residual_norm, centered) != 0, TK_FLOAT(call, residual_norm, epsilon));
}

int64_t row_norm_grad_cuda_workspace(const OpCall& call) { return norm_grad_workspace(call[1], call[6], call[7]); }

void row_norm_grad_cuda(const OpCall& call, CudaContext& context) {
  run_row_norm_grad(context, call[0], nullptr, call[1], call[2], call[3], call[4], call[5], call[6], call[7],
                    TK_INT(call, row_norm_grad, centered) != 0, call.workspace);
}

int64_t residual_norm_grad_cuda_workspace(const OpCall& call) { return norm_grad_workspace(call[2], call[7], call[8]); }

void residual_norm_grad_cuda(const OpCall& call, CudaContext& context) {
  run_row_norm_grad(context, call[0], given_vector(call[1], call[2].size), call[2], call[3], call[4], call[5], call[6], call[7],
                    call[8], TK_INT(call, residual_norm_grad, centered) != 0, call.workspace);
}

TK_END_CUDA
