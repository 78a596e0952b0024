#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

TK_BEGIN_LEVEL

void avg_pool2d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool(call, call[0], call[1]);
  if (call[1].size == 0) return;
  for_each_window(g, call[0].f32(), call[1].f32(), context,
                  [&](const float* image, float* y, const TapRange& h, const TapRange& w) {
                    const VecF count = set1(float(h.count() * w.count()));
                    for (int64_t c = 0; c < g.c; c += kVecWidth) {
                      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
                      VecF sum = zero();
                      for (int64_t kh = h.first; kh < h.last; ++kh) {
                        const float* row = image + (h.start + kh * g.dilation_h) * g.w * g.c + c;
                        for (int64_t kw = w.first; kw < w.last; ++kw) {
                          sum = sum + load_channels(row + (w.start + kw * g.dilation_w) * g.c, n);
                        }
                      }
                      store_channels(y + c, sum / count, n);
                    }
                  });
}

void avg_pool2d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool(call, call[1], call[0]);
  if (call[1].size == 0) return;
  const float* dy = call[0].f32();
  float* dx = call[1].f32();
  for_each_window_of_bands(g, dx, context,
                           [&](int64_t image, int64_t dy_at, const TapRange& h, const TapRange& w, const Band& band) {
                             const VecF count = set1(float(h.count() * w.count()));
                             for (int64_t c = 0; c < g.c; c += kVecWidth) {
                               const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
                               const VecF share = load_channels(dy + dy_at + c, n) / count;
                               for (int64_t kh = h.first; kh < h.last; ++kh) {
                                 const int64_t row = h.start + kh * g.dilation_h;
                                 if (row < band.first || row >= band.last) continue;
                                 float* line = dx + ((image * g.h + row) * g.w + w.start) * g.c + c;
                                 for (int64_t kw = w.first; kw < w.last; ++kw) {
                                   float* target = line + kw * g.dilation_w * g.c;
                                   store_channels(target, load_channels(target, n) + share, n);
                                 }
                               }
                             }
                           });
}

TK_END_LEVEL
