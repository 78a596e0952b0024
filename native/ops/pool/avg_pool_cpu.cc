#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

TK_BEGIN_LEVEL
namespace {

// least: what the sum is divided by when fewer taps lie in the image.
void avg_pool(const PoolGeometry& g, const float* x, float* y, int64_t least, CpuContext& context) {
  for_each_window(g, context, [&](int64_t image, int64_t at, const Window& window) {
    const float* from = x + image * g.x_image();
    const int64_t taps = window.count();
    const VecF count = set1(float(taps < least ? least : taps));
    for (int64_t c = 0; c < g.c; c += kVecWidth) {
      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
      VecF sum = zero();
      for_each_tap(g, window, [&](int64_t offset, int64_t) { sum = sum + load_channels(from + offset + c, n); });
      store_channels(y + at + c, sum / count, n);
    }
  });
}

void avg_pool_grad(const PoolGeometry& g, const float* dy, float* dx, CpuContext& context) {
  const VecF count = set1(float(g.window()));
  for_each_window_of_bands(g, dx, context, [&](int64_t image, int64_t at, const Window&, const Window& reached) {
    float* to = dx + image * g.x_image();
    for (int64_t c = 0; c < g.c; c += kVecWidth) {
      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
      const VecF share = load_channels(dy + at + c, n) / count;
      for_each_tap(g, reached, [&](int64_t offset, int64_t) {
        float* target = to + offset + c;
        store_channels(target, load_channels(target, n) + share, n);
      });
    }
  });
}

}  // namespace

void avg_pool2d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool2d(call, call[0], call[1]);
  if (call[1].size > 0) avg_pool(g, call[0].f32(), call[1].f32(), 0, context);
}

void avg_pool3d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool3d(call, call[0], call[1]);
  if (call[1].size > 0) avg_pool(g, call[0].f32(), call[1].f32(), 1, context);
}

void avg_pool2d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool2d(call, call[1], call[0]);
  if (call[1].size > 0) avg_pool_grad(g, call[0].f32(), call[1].f32(), context);
}

void avg_pool3d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool3d(call, call[1], call[0]);
  if (call[1].size > 0) avg_pool_grad(g, call[0].f32(), call[1].f32(), context);
}

TK_END_LEVEL
