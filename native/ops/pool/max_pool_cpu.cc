#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

TK_BEGIN_LEVEL
namespace {

void max_pool(const PoolGeometry& g, const float* x, float* y, CpuContext& context) {
  for_each_window(g, context, [&](int64_t image, int64_t at, const Window& window) {
    const float* from = x + image * g.x_image();
    for (int64_t c = 0; c < g.c; c += kVecWidth) {
      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
      VecF best = set1(-INFINITY);
      // vmax keeps its second operand where the first is NaN.
      for_each_tap(g, window, [&](int64_t offset, int64_t) { best = vmax(load_channels(from + offset + c, n), best); });
      store_channels(y + at + c, best, n);
    }
  });
}

// The largest tap of a window per channel, and its number in the window; -1 when there is none.
enum class Tie { first, last };
struct Largest {
  VecF value;
  VecI number;
};
template <Tie Winner>
TK_INLINE Largest find_largest(const PoolGeometry& g, const Window& window, const float* from, int n) {
  Largest best = {set1(-INFINITY), set1i(-1)};
  for_each_tap(g, window, [&](int64_t offset, int64_t number) {
    const VecF value = load_channels(from + offset, n);
    const Mask wins = Winner == Tie::first ? value > best.value : value >= best.value;
    best.value = select(wins, value, best.value);
    best.number = select(wins, set1i(int32_t(number)), best.number);
  });
  return best;
}

template <Tie Winner>
void max_pool_grad(const PoolGeometry& g, const float* dy, const float* x, float* dx, CpuContext& context) {
  for_each_window_of_bands(g, dx, context, [&](int64_t image, int64_t at, const Window& window, const Window& reached) {
    const int64_t base = image * g.x_image();
    for (int64_t c = 0; c < g.c; c += kVecWidth) {
      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
      const Largest best = find_largest<Winner>(g, window, x + base + c, n);
      const VecF gradient = load_channels(dy + at + c, n);
      for_each_tap(g, reached, [&](int64_t offset, int64_t number) {
        const Mask chosen = best.number == set1i(int32_t(number));
        if (!any(chosen)) return;
        float* target = dx + base + offset + c;
        const VecF old = load_channels(target, n);
        store_channels(target, select(chosen, old + gradient, old), n);
      });
    }
  });
}

}  // namespace

void max_pool2d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool2d(call, call[0], call[1]);
  if (call[1].size > 0) max_pool(g, call[0].f32(), call[1].f32(), context);
}

void max_pool3d_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool3d(call, call[0], call[1]);
  if (call[1].size > 0) max_pool(g, call[0].f32(), call[1].f32(), context);
}

void max_pool2d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool2d(call, call[1], call[0]);
  TK_CHECK_EQ(call[1].size, call[2].size);
  if (call[2].size > 0) max_pool_grad<Tie::first>(g, call[0].f32(), call[1].f32(), call[2].f32(), context);
}

void max_pool3d_grad_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool3d(call, call[1], call[0]);
  TK_CHECK_EQ(call[1].size, call[2].size);
  if (call[2].size > 0) max_pool_grad<Tie::last>(g, call[0].f32(), call[1].f32(), call[2].f32(), context);
}

void max_pool2d_argmax_cpu(const OpCall& call, CpuContext& context) {
  const PoolGeometry g = read_pool2d(call, call[0], call[1]);
  TK_CHECK_EQ(call[1].size, call[2].size);
  if (call[1].size == 0) return;
  const bool with_batch = TK_INT(call, max_pool2d_argmax, with_batch) != 0;
  const float* x = call[0].f32();
  float* y = call[1].f32();
  int32_t* positions = call[2].i32();
  for_each_window(g, context, [&](int64_t image, int64_t at, const Window& window) {
    const float* from = x + image * g.x_image();
    for (int64_t c = 0; c < g.c; c += kVecWidth) {
      const int n = g.c - c < kVecWidth ? int(g.c - c) : kVecWidth;
      const Largest best = find_largest<Tie::first>(g, window, from + c, n);
      store_channels(y + at + c, best.value, n);
      int32_t numbers[kVecWidth];
      store(numbers, best.number);
      for (int i = 0; i < n; ++i) {
        if (numbers[i] < 0) {
          positions[at + c + i] = -1;
          continue;
        }
        const int64_t h = window.h.start + numbers[i] / g.w.window * g.h.dilation;
        const int64_t w = window.w.start + numbers[i] % g.w.window * g.w.dilation;
        const int64_t row = (with_batch ? image * g.h.in : 0) + h;
        positions[at + c + i] = int32_t((row * g.w.in + w) * g.c + c + i);
      }
    }
  });
}

TK_END_LEVEL
