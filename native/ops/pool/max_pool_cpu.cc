#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

TK_BEGIN_LEVEL
namespace {

// Where the taps of a whole window of 2x2 or 3x3 lie in the image: listed once per window, so that the loop over channels has
// nothing to work out.
struct TapList {
  int64_t offset[9];
  int count = 0;
};
TK_INLINE TapList list_taps(const PoolGeometry& g, const Window& window) {
  TapList list;
  if (window.count() != 4 && window.count() != 9) return list;
  for_each_tap(g, window, [&](int64_t offset, int64_t) { list.offset[list.count++] = offset; });
  return list;
}

template <int Count>
TK_INLINE void largest_of(const TapList& taps, const float* from, float* y, int64_t channels) {
  int64_t offset[Count];
  for (int t = 0; t < Count; ++t) offset[t] = taps.offset[t];
  for (int64_t c = 0; c < channels; c += kVecWidth) {
    const int n = channels - c < kVecWidth ? int(channels - c) : kVecWidth;
    VecF best = set1(-INFINITY);
    for (int t = 0; t < Count; ++t) best = vmax(load_channels(from + offset[t] + c, n), best);
    store_channels(y + c, best, n);
  }
}

void max_pool(const PoolGeometry& g, const float* x, float* y, CpuContext& context) {
  for_each_window(g, context, [&](int64_t image, int64_t at, const Window& window) {
    const float* from = x + image * g.x_image();
    const TapList taps = list_taps(g, window);
    if (taps.count == 4) return largest_of<4>(taps, from, y + at, g.c);
    if (taps.count == 9) return largest_of<9>(taps, from, y + at, g.c);
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

// dx += dy at the largest tap of one window. Disjoint: no other window reaches its taps, which are zero so far.
template <Tie Winner, int Count, bool Disjoint>
TK_INLINE void add_to_largest(const TapList& taps, const float* dy, const float* x, float* dx, int64_t channels) {
  int64_t offset[Count];
  for (int t = 0; t < Count; ++t) offset[t] = taps.offset[t];
  for (int64_t c = 0; c < channels; c += kVecWidth) {
    const int n = channels - c < kVecWidth ? int(channels - c) : kVecWidth;
    VecF best = set1(-INFINITY);
    VecI number = set1i(-1);
    for (int t = 0; t < Count; ++t) {
      const VecF value = load_channels(x + offset[t] + c, n);
      const Mask wins = Winner == Tie::first ? value > best : value >= best;
      best = select(wins, value, best);
      number = select(wins, set1i(t), number);
    }
    const VecF gradient = load_channels(dy + c, n);
    for (int t = 0; t < Count; ++t) {
      float* target = dx + offset[t] + c;
      const VecF old = Disjoint ? zero() : load_channels(target, n);
      store_channels(target, select(number == set1i(t), old + gradient, old), n);
    }
  }
}

TK_INLINE bool is_disjoint(const PoolAxis& axis) { return axis.stride >= axis.window && axis.dilation == 1; }

template <Tie Winner>
void max_pool_grad(const PoolGeometry& g, const float* dy, const float* x, float* dx, CpuContext& context) {
  const bool disjoint = is_disjoint(g.d) && is_disjoint(g.h) && is_disjoint(g.w);
  for_each_window_of_bands(g, dx, context, [&](int64_t image, int64_t at, const Window& window, const Window& reached) {
    const int64_t base = image * g.x_image();
    if (reached.count() == window.count()) {
      const TapList taps = list_taps(g, window);
      const float *gradient = dy + at, *from = x + base;
      if (taps.count == 4) {
        return disjoint ? add_to_largest<Winner, 4, true>(taps, gradient, from, dx + base, g.c)
                        : add_to_largest<Winner, 4, false>(taps, gradient, from, dx + base, g.c);
      }
      if (taps.count == 9) {
        return disjoint ? add_to_largest<Winner, 9, true>(taps, gradient, from, dx + base, g.c)
                        : add_to_largest<Winner, 9, false>(taps, gradient, from, dx + base, g.c);
      }
    }
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
