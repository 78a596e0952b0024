#include "ops/common/elementwise.h"
#include "ops/spectral/spectral.h"

TK_BEGIN_LEVEL

void complex_abs_cpu(const OpCall& call, CpuContext& context) {
  TK_CHECK_EQ(call[0].size, call[2].size);
  TK_CHECK_EQ(call[1].size, call[2].size);
  const float *real = call[0].f32(), *imag = call[1].f32();
  float* y = call[2].f32();
  context.parallel_for(call[2].size, kMathGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const double a = real[i], b = imag[i];
      const bool infinite = __builtin_isinf(real[i]) || __builtin_isinf(imag[i]);
      y[i] = infinite ? INFINITY : float(::sqrt(a * a + b * b));
    }
  });
}

TK_END_LEVEL
