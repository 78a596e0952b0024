#include "cuda/context.h"
// context.h first.
#include "ops/pool/pool.h"
#include "ops/pool/pool_windows.h"

// A thread per element, in gather form both ways: the gradient of a pixel visits the windows that hold it in rising order, so
// no atomics are needed and the order of additions is fixed.
TK_BEGIN_CUDA
namespace {

// The window of output pixel `pixel`, and the image it lies in.
struct Place {
  Window window;
  int64_t image;
};
__device__ inline Place place_of(const PoolGeometry& g, int64_t pixel) {
  Place place;
  place.window.w = tap_range(g.w, pixel % g.w.out);
  place.window.h = tap_range(g.h, pixel / g.w.out % g.h.out);
  place.window.d = tap_range(g.d, pixel / (g.w.out * g.h.out) % g.d.out);
  place.image = pixel / (g.w.out * g.h.out * g.d.out);
  return place;
}

struct Winner {
  float value;
  int64_t number;  // of the tap in the window; -1 when there is none
};
template <bool kLast>
__device__ inline Winner largest_tap(const PoolGeometry& g, const Window& window, const float* from) {
  Winner best = {-INFINITY, -1};
  for_each_tap(g, window, [&](int64_t offset, int64_t number) {
    const float value = from[offset];
    if (kLast ? value >= best.value : value > best.value) best = {value, number};
  });
  return best;
}

void max_pool_of(const CudaContext& context, const PoolGeometry& g, const float* x, float* y, int64_t size) {
  for_each(
      context, size,
      [=] __device__(int64_t i) {
        const Place place = place_of(g, i / g.c);
        y[i] = largest_tap<false>(g, place.window, x + place.image * g.x_image() + i % g.c).value;
      },
      1);
}

void avg_pool_of(const CudaContext& context, const PoolGeometry& g, const float* x, float* y, int64_t size,
                 bool empty_is_zero) {
  for_each(
      context, size,
      [=] __device__(int64_t i) {
        const Place place = place_of(g, i / g.c);
        const float* from = x + place.image * g.x_image() + i % g.c;
        float sum = 0;
        for_each_tap(g, place.window, [&](int64_t offset, int64_t) { sum += from[offset]; });
        const int64_t count = place.window.count();
        y[i] = count == 0 && empty_is_zero ? 0.0f : sum / float(count);
      },
      1);
}

// visit(pixel of y, number of the tap) for every window that holds pixel (d, h, w) of an image, rising.
template <class Visit>
__device__ inline void for_each_holder(const PoolGeometry& g, int64_t d, int64_t h, int64_t w, const Visit& visit) {
  const auto first_of = [](const PoolAxis& axis, int64_t at) {
    const int64_t low = at + axis.pad - (axis.window - 1) * axis.dilation;
    return low <= 0 ? 0 : (low + axis.stride - 1) / axis.stride;
  };
  const auto last_of = [](const PoolAxis& axis, int64_t at) {
    const int64_t high = at + axis.pad;
    return high < 0 ? int64_t(-1) : high / axis.stride < axis.out - 1 ? high / axis.stride : axis.out - 1;
  };
  // The tap through which position o meets `at`; -1 when the dilation steps over it.
  const auto tap_of = [](const PoolAxis& axis, int64_t o, int64_t at) {
    const int64_t distance = at - (o * axis.stride - axis.pad);
    return distance % axis.dilation == 0 ? distance / axis.dilation : int64_t(-1);
  };
  for (int64_t od = first_of(g.d, d); od <= last_of(g.d, d); ++od) {
    const int64_t kd = tap_of(g.d, od, d);
    if (kd < 0) continue;
    for (int64_t oh = first_of(g.h, h); oh <= last_of(g.h, h); ++oh) {
      const int64_t kh = tap_of(g.h, oh, h);
      if (kh < 0) continue;
      for (int64_t ow = first_of(g.w, w); ow <= last_of(g.w, w); ++ow) {
        const int64_t kw = tap_of(g.w, ow, w);
        if (kw >= 0) visit((od * g.h.out + oh) * g.w.out + ow, (kd * g.h.window + kh) * g.w.window + kw);
      }
    }
  }
}

// dx[i] = sum of share(pixel of y over all images, tap) over the windows that hold pixel i.
template <bool kMax, bool kLast>
void pool_grad_of(const CudaContext& context, const PoolGeometry& g, const float* dy, const float* x, float* dx, int64_t size) {
  for_each(
      context, size,
      [=] __device__(int64_t i) {
        const int64_t c = i % g.c, pixel = i / g.c;
        const int64_t w = pixel % g.w.in, h = pixel / g.w.in % g.h.in, d = pixel / (g.w.in * g.h.in) % g.d.in;
        const int64_t image = pixel / (g.w.in * g.h.in * g.d.in), outputs = g.d.out * g.h.out * g.w.out;
        float sum = 0;
        for_each_holder(g, d, h, w, [&](int64_t holder, int64_t tap) {
          const float gradient = dy[(image * outputs + holder) * g.c + c];
          if (kMax) {
            const Place place = place_of(g, image * outputs + holder);
            if (largest_tap<kLast>(g, place.window, x + image * g.x_image() + c).number == tap) sum += gradient;
          } else {
            sum += gradient / float(g.window());
          }
        });
        dx[i] = sum;
      },
      1);
}

}  // namespace

void max_pool2d_cuda(const OpCall& call, CudaContext& context) {
  max_pool_of(context, read_pool2d(call, call[0], call[1]), call[0].f32(), call[1].f32(), call[1].size);
}
void max_pool3d_cuda(const OpCall& call, CudaContext& context) {
  max_pool_of(context, read_pool3d(call, call[0], call[1]), call[0].f32(), call[1].f32(), call[1].size);
}
void avg_pool2d_cuda(const OpCall& call, CudaContext& context) {
  avg_pool_of(context, read_pool2d(call, call[0], call[1]), call[0].f32(), call[1].f32(), call[1].size, false);
}
void avg_pool3d_cuda(const OpCall& call, CudaContext& context) {
  avg_pool_of(context, read_pool3d(call, call[0], call[1]), call[0].f32(), call[1].f32(), call[1].size, true);
}
void max_pool2d_grad_cuda(const OpCall& call, CudaContext& context) {
  const PoolGeometry g = read_pool2d(call, call[1], call[0]);
  pool_grad_of<true, false>(context, g, call[0].f32(), call[1].f32(), call[2].f32(), call[2].size);
}
void max_pool3d_grad_cuda(const OpCall& call, CudaContext& context) {
  const PoolGeometry g = read_pool3d(call, call[1], call[0]);
  pool_grad_of<true, true>(context, g, call[0].f32(), call[1].f32(), call[2].f32(), call[2].size);
}
void avg_pool2d_grad_cuda(const OpCall& call, CudaContext& context) {
  const PoolGeometry g = read_pool2d(call, call[1], call[0]);
  pool_grad_of<false, false>(context, g, call[0].f32(), nullptr, call[1].f32(), call[1].size);
}
void avg_pool3d_grad_cuda(const OpCall& call, CudaContext& context) {
  const PoolGeometry g = read_pool3d(call, call[1], call[0]);
  pool_grad_of<false, false>(context, g, call[0].f32(), nullptr, call[1].f32(), call[1].size);
}

void max_pool2d_argmax_cuda(const OpCall& call, CudaContext& context) {
  const PoolGeometry g = read_pool2d(call, call[0], call[1]);
  const bool with_batch = TK_INT(call, max_pool2d_argmax, with_batch) != 0;
  const float* x = call[0].f32();
  float* y = call[1].f32();
  int32_t* positions = call[2].i32();
  for_each(
      context, call[1].size,
      [=] __device__(int64_t i) {
        const Place place = place_of(g, i / g.c);
        const Winner best = largest_tap<false>(g, place.window, x + place.image * g.x_image() + i % g.c);
        y[i] = best.value;
        const int64_t h = place.window.h.start + best.number / g.w.window * g.h.dilation;
        const int64_t w = place.window.w.start + best.number % g.w.window * g.w.dilation;
        const int64_t row = (with_batch ? place.image * g.h.in : 0) + h;
        positions[i] = best.number < 0 ? -1 : int32_t((row * g.w.in + w) * g.c + i % g.c);
      },
      1);
}

TK_END_CUDA
