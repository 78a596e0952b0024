#include "ops/image/dilation.h"

#include "ops/image/image_math.h"

TK_BEGIN_LEVEL
namespace {

static_assert(same_image_attributes(attrs::dilation2d_ints, attrs::dilation2d_input_grad_ints) &&
                  same_image_attributes(attrs::dilation2d_ints, attrs::dilation2d_filter_grad_ints),
              "the three ops are read by one function");

// Number.MIN_SAFE_INTEGER of JavaScript as f32: what tfjs takes for less than everything.
constexpr float kLeast = -0x1p53f;
// Most partial sums of the filter gradient.
constexpr int64_t kMaxParts = 16;

struct Dilation {
  const float *x, *filter;
  int64_t n, h, w, c, oh, ow, filter_h, filter_w;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;

  TK_INLINE int64_t row_work() const { return ow * c * filter_h * filter_w; }
};

TK_INLINE Dilation read_dilation(const OpCall& call, const Operand& x, const Operand& filter, const Operand& y) {
  TK_CHECK(x.rank == 4 && filter.rank == 3 && y.rank == 4);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK_EQ(x.dims[3], y.dims[3]);
  TK_CHECK_EQ(x.dims[3], filter.dims[2]);
  Dilation d;
  d.x = x.f32(), d.filter = filter.f32();
  d.n = x.dims[0], d.h = x.dims[1], d.w = x.dims[2], d.c = x.dims[3];
  d.oh = y.dims[1], d.ow = y.dims[2], d.filter_h = filter.dims[0], d.filter_w = filter.dims[1];
  d.stride_h = TK_INT(call, dilation2d, stride_h), d.stride_w = TK_INT(call, dilation2d, stride_w);
  d.dilation_h = TK_INT(call, dilation2d, dilation_h), d.dilation_w = TK_INT(call, dilation2d, dilation_w);
  d.pad_top = TK_INT(call, dilation2d, pad_top), d.pad_left = TK_INT(call, dilation2d, pad_left);
  TK_CHECK(d.stride_h >= 1 && d.stride_w >= 1 && d.dilation_h >= 1 && d.dilation_w >= 1);
  TK_CHECK(d.h * d.w <= INT32_MAX && d.filter_h * d.filter_w <= INT32_MAX);
  return d;
}

// One position's largest sums for up to kVecWidth channels, and the taps they came from.
struct Largest {
  VecF value;
  VecI pixel;  // h*W + w of the tap; -1 when there is none
  VecI tap;    // fh*FW + fw; -1 when there is none
};

// row: n*OH + oh. Pixels and taps are followed only WithPlace.
template <bool WithPlace>
TK_INLINE Largest find_largest(const Dilation& d, int64_t row, int64_t column, int64_t channel, int lanes) {
  Largest best = {set1(kLeast), set1i(-1), set1i(-1)};
  const float* image = d.x + row / d.oh * d.h * d.w * d.c + channel;
  const int64_t first_h = row % d.oh * d.stride_h - d.pad_top, first_w = column * d.stride_w - d.pad_left;
  for (int64_t fh = 0; fh < d.filter_h; ++fh) {
    const int64_t h = first_h + fh * d.dilation_h;
    if (h < 0 || h >= d.h) continue;
    for (int64_t fw = 0; fw < d.filter_w; ++fw) {
      const int64_t w = first_w + fw * d.dilation_w;
      if (w < 0 || w >= d.w) continue;
      const int64_t tap = fh * d.filter_w + fw, pixel = h * d.w + w;
      const VecF sum = load_channels(image + pixel * d.c, lanes) + load_channels(d.filter + tap * d.c + channel, lanes);
      const Mask larger = sum > best.value;
      best.value = select(larger, sum, best.value);
      if constexpr (WithPlace) {
        best.pixel = select(larger, set1i(int32_t(pixel)), best.pixel);
        best.tap = select(larger, set1i(int32_t(tap)), best.tap);
      }
    }
  }
  return best;
}

TK_INLINE int lanes_from(const Dilation& d, int64_t channel) {
  return d.c - channel < kVecWidth ? int(d.c - channel) : kVecWidth;
}

// The pixel that takes the gradient of a position without a largest tap; -1 for none.
TK_INLINE int64_t fallback_pixel(const Dilation& d, int64_t row, int64_t column) {
  int64_t h = row % d.oh * d.stride_h - d.pad_top, w = column * d.stride_w - d.pad_left;
  if (h < 0) h = 0;
  if (w < 0) w = 0;
  return h < d.h && w < d.w ? h * d.w + w : -1;
}

// Partial sums of the filter gradient: each takes an equal share of the rows of dy.
TK_INLINE int64_t num_parts(const Operand& dy) {
  const int64_t rows = dy.dims[0] * dy.dims[1];
  return rows < kMaxParts ? rows : kMaxParts;
}

}  // namespace

void dilation2d_cpu(const OpCall& call, CpuContext& context) {
  const Operand& y = call[2];
  const Dilation d = read_dilation(call, call[0], call[1], y);
  if (y.size == 0) return;
  context.parallel_for(d.n * d.oh, image_grain(d.row_work()), [&](int64_t begin, int64_t end, int) {
    for (int64_t position = begin * d.ow; position < end * d.ow; ++position) {
      float* target = y.f32() + position * d.c;
      for (int64_t c = 0; c < d.c; c += kVecWidth) {
        const int lanes = lanes_from(d, c);
        store_channels(target + c, find_largest<false>(d, position / d.ow, position % d.ow, c, lanes).value, lanes);
      }
    }
  });
}

void dilation2d_input_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &dx = call[3];
  const Dilation d = read_dilation(call, call[1], call[2], dy);
  TK_CHECK_EQ(dx.size, call[1].size);
  if (dx.size == 0) return;
  // Positions overlap in x, so a unit is one vector of channels of a whole image.
  const int64_t vectors = (d.c + kVecWidth - 1) / kVecWidth;
  context.parallel_for(d.n * vectors, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / vectors, c = unit % vectors * kVecWidth;
      const int lanes = lanes_from(d, c);
      float* target = dx.f32() + image * d.h * d.w * d.c + c;
      for (int64_t pixel = 0; pixel < d.h * d.w; ++pixel) std::memset(target + pixel * d.c, 0, size_t(lanes) * sizeof(float));
      for (int64_t row = image * d.oh; row < (image + 1) * d.oh; ++row) {
        for (int64_t column = 0; column < d.ow; ++column) {
          int32_t pixels[kVecWidth];
          store(pixels, find_largest<true>(d, row, column, c, lanes).pixel);
          const float* gradient = dy.f32() + (row * d.ow + column) * d.c + c;
          for (int lane = 0; lane < lanes; ++lane) {
            const int64_t pixel = pixels[lane] >= 0 ? pixels[lane] : fallback_pixel(d, row, column);
            if (pixel >= 0) target[pixel * d.c + lane] += gradient[lane];
          }
        }
      }
    }
  });
}

int64_t dilation2d_filter_grad_workspace(const OpCall& call, int) {
  return num_parts(call[0]) * aligned_bytes(call[2].size, sizeof(float));
}

void dilation2d_filter_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &dfilter = call[3];
  const Dilation d = read_dilation(call, call[1], call[2], dy);
  TK_CHECK_EQ(dfilter.size, call[2].size);
  if (dfilter.size == 0) return;
  const int64_t rows = d.n * d.oh, parts = num_parts(dy),
                stride = aligned_bytes(dfilter.size, sizeof(float)) / int64_t(sizeof(float));
  float* const sums = static_cast<float*>(call.workspace);
  context.parallel_for(parts, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t part = begin; part < end; ++part) {
      float* sum = sums + part * stride;
      std::memset(sum, 0, size_t(dfilter.bytes()));
      for (int64_t position = part * rows / parts * d.ow; position < (part + 1) * rows / parts * d.ow; ++position) {
        for (int64_t c = 0; c < d.c; c += kVecWidth) {
          const int lanes = lanes_from(d, c);
          int32_t taps[kVecWidth];
          store(taps, find_largest<true>(d, position / d.ow, position % d.ow, c, lanes).tap);
          const float* gradient = dy.f32() + position * d.c + c;
          for (int lane = 0; lane < lanes; ++lane) {
            const int64_t tap = taps[lane] >= 0 ? taps[lane] : 0;
            sum[tap * d.c + c + lane] += gradient[lane];
          }
        }
      }
    }
  });
  context.parallel_for(dfilter.size, kImageUnit, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float sum = 0;
      for (int64_t part = 0; part < parts; ++part) sum += sums[part * stride + i];
      dfilter.f32()[i] = sum;
    }
  });
}

TK_END_LEVEL
