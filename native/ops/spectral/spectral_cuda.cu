#include "cuda/context.h"
// context.h first.
#include "ops/spectral/spectral.h"

TK_BEGIN_CUDA

// The sum that defines it, in double, a thread per element of the result: n operations each.
void fft_cuda(const OpCall& call, CudaContext& context) {
  const int64_t n = call[0].dims[call[0].rank - 1];
  const float *real = call[0].f32(), *imag = call[1].f32();
  float *real_y = call[2].f32(), *imag_y = call[3].f32();
  const bool inverse = TK_INT(call, fft, inverse) != 0;
  for_each(
      context, call[0].size,
      [=] __device__(int64_t i) {
        const int64_t row = i / n * n, k = i % n;
        double sum_real = 0, sum_imag = 0;
        int64_t turn = 0;  // j k modulo n
        for (int64_t j = 0; j < n; ++j) {
          const double angle = 6.283185307179586476925 * double(turn) / double(n);
          const double cosine = cos(angle), sine = inverse ? sin(angle) : -sin(angle);
          const double a = double(real[row + j]), b = double(imag[row + j]);
          sum_real += a * cosine - b * sine;
          sum_imag += a * sine + b * cosine;
          turn += k;
          if (turn >= n) turn -= n;
        }
        const double scale = inverse ? 1.0 / double(n) : 1.0;
        real_y[i] = float(sum_real * scale);
        imag_y[i] = float(sum_imag * scale);
      },
      1);
}

void complex_abs_cuda(const OpCall& call, CudaContext& context) {
  const float *real = call[0].f32(), *imag = call[1].f32();
  float* y = call[2].f32();
  for_each(context, call[2].size, [=] __device__(int64_t i) {
    const double a = double(real[i]), b = double(imag[i]);
    y[i] = fabsf(real[i]) == INFINITY || fabsf(imag[i]) == INFINITY ? float(INFINITY) : float(sqrt(a * a + b * b));
  });
}

TK_END_CUDA
