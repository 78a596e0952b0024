#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

TK_BEGIN_LEVEL

void max_pool2d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool(call, call[0], call[1]);
  if (call[1].size == 0) return;
  for_each_window(g, call[0].f32(), call[1].f32(), context,
                  [&](const float* image, float* y, const TapRange& h, const TapRange& w) {
                    for (int64_t c = 0; c < g.c; c += kVecWidth) {
                      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
                      VecF best = set1(-INFINITY);
                      for (int64_t kh = h.first; kh < h.last; ++kh) {
                        const float* row = image + (h.start + kh * g.dilation_h) * g.w * g.c + c;
                        for (int64_t kw = w.first; kw < w.last; ++kw) {
                          // vmax keeps its second operand where the first is NaN.
                          best = vmax(load_channels(row + (w.start + kw * g.dilation_w) * g.c, n), best);
                        }
                      }
                      store_channels(y + c, best, n);
                    }
                  });
}

void max_pool2d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool(call, call[1], call[0]);
  TK_CHECK_EQ(call[1].size, call[2].size);
  if (call[2].size == 0) return;
  const float *dy = call[0].f32(), *x = call[1].f32();
  float* dx = call[2].f32();
  for_each_window_of_bands(
      g, dx, context, [&](int64_t image, int64_t dy_at, const TapRange& h, const TapRange& w, const Band& band) {
        const int64_t base = image * g.h * g.w * g.c;
        for (int64_t c = 0; c < g.c; c += kVecWidth) {
          const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
          VecF best = set1(-INFINITY);
          VecI position = set1i(-1);
          for (int64_t kh = h.first; kh < h.last; ++kh) {
            for (int64_t kw = w.first; kw < w.last; ++kw) {
              const int64_t at = ((h.start + kh * g.dilation_h) * g.w + w.start + kw * g.dilation_w) * g.c + c;
              const VecF value = load_channels(x + base + at, n);
              const Mask larger = value > best;
              best = select(larger, value, best);
              position = select(larger, set1i(int32_t(kh * g.window_w + kw)), position);
            }
          }
          const VecF gradient = load_channels(dy + dy_at + c, n);
          for (int64_t kh = h.first; kh < h.last; ++kh) {
            const int64_t row = h.start + kh * g.dilation_h;
            if (row < band.first || row >= band.last) continue;
            for (int64_t kw = w.first; kw < w.last; ++kw) {
              const Mask chosen = position == set1i(int32_t(kh * g.window_w + kw));
              if (!any(chosen)) continue;
              float* target = dx + base + (row * g.w + w.start + kw * g.dilation_w) * g.c + c;
              const VecF old = load_channels(target, n);
              store_channels(target, select(chosen, old + gradient, old), n);
            }
          }
        }
      });
}

TK_END_LEVEL
