#include "ops/image/image_math.h"
#include "ops/image/sampling.h"

TK_BEGIN_LEVEL
namespace {

enum FillMode : int64_t { kConstant, kReflect, kWrap, kNearest };

TK_INLINE double clamp_to(double position, double last) {
  // NaN stays: both comparisons are false.
  return position < 0 ? 0 : position > last ? last : position;
}

// Where a position beyond [0, size - 1] is read. The clamps catch what rounding to a pixel would carry over the border.
TK_INLINE double map_position(double position, int64_t size, int64_t mode) {
  const double n = double(size), last = n - 1;
  if (mode == kConstant) return position;
  if (mode == kNearest || (position >= 0 && position <= last)) return clamp_to(position, last);
  if (position != position) return position;
  if (size <= 1) return 0;
  if (mode == kReflect) {
    const double period = 2 * n;
    if (position < 0) {
      position += period * ::trunc(-position / period);
      position = position < -n ? position + period : -position - 1;
    } else {
      position -= period * ::trunc(position / period);
      if (position >= n) position = period - position - 1;
    }
  } else if (position < 0) {
    position += n * (::trunc(-position / last) + 1);
  } else {
    position -= n * ::trunc(position / last);
  }
  return clamp_to(position, last);
}

struct Image {
  const float* data;
  int64_t h, w, c;
  double fill;

  // The pixel at whole numbers, or null outside.
  TK_INLINE const float* at(double row, double column) const {
    const bool inside = row >= 0 && row < double(h) && column >= 0 && column < double(w);
    return inside ? data + (int64_t(row) * w + int64_t(column)) * c : nullptr;
  }
  TK_INLINE double value(const float* pixel, int64_t channel) const { return pixel != nullptr ? double(pixel[channel]) : fill; }
};

TK_INLINE void read_nearest(const Image& image, double row, double column, float* y) {
  const float* pixel = image.at(round_half_up(row), round_half_up(column));
  for (int64_t c = 0; c < image.c; ++c) y[c] = float(image.value(pixel, c));
}

TK_INLINE void read_bilinear(const Image& image, double row, double column, float* y) {
  const double top = ::floor(row), left = ::floor(column), bottom = top + 1, right = left + 1;
  const double to_left = right - column, to_right = column - left, to_top = bottom - row, to_bottom = row - top;
  if (top >= 0 && bottom < double(image.h) && left >= 0 && right < double(image.w)) {
    const float* upper = image.data + (int64_t(top) * image.w + int64_t(left)) * image.c;
    const float* lower = upper + image.w * image.c;
    for (int64_t c = 0; c < image.c; ++c) {
      const double above = to_left * double(upper[c]) + to_right * double(upper[image.c + c]);
      const double below = to_left * double(lower[c]) + to_right * double(lower[image.c + c]);
      y[c] = float(to_top * above + to_bottom * below);
    }
    return;
  }
  const float *top_left = image.at(top, left), *top_right = image.at(top, right);
  const float *bottom_left = image.at(bottom, left), *bottom_right = image.at(bottom, right);
  for (int64_t c = 0; c < image.c; ++c) {
    const double above = to_left * image.value(top_left, c) + to_right * image.value(top_right, c);
    const double below = to_left * image.value(bottom_left, c) + to_right * image.value(bottom_right, c);
    y[c] = float(to_top * above + to_bottom * below);
  }
}

}  // namespace

void transform_image_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &transforms = call[1], &y = call[2];
  TK_CHECK(x.rank == 4 && y.rank == 4 && transforms.rank == 2);
  TK_CHECK_EQ(x.dims[0], y.dims[0]);
  TK_CHECK_EQ(x.dims[3], y.dims[3]);
  TK_CHECK_EQ(transforms.dims[1], 8);
  TK_CHECK(transforms.dims[0] == 1 || transforms.dims[0] == x.dims[0]);
  if (y.size == 0) return;
  const bool bilinear = TK_INT(call, transform_image, bilinear) != 0;
  const int64_t mode = TK_INT(call, transform_image, fill_mode);
  TK_CHECK(mode >= kConstant && mode <= kNearest);
  const double fill = TK_FLOAT(call, transform_image, fill);
  const int64_t h = x.dims[1], w = x.dims[2], channels = x.dims[3], out_h = y.dims[1], out_w = y.dims[2];
  const int64_t row_size = out_w * channels;
  context.parallel_for(y.dims[0] * out_h, image_grain(row_size * 4), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t n = unit / out_h;
      const double v = double(unit % out_h);
      const float* t = transforms.f32() + (transforms.dims[0] == 1 ? 0 : n * 8);
      const Image image = {x.f32() + n * h * w * channels, h, w, channels, fill};
      float* target = y.f32() + unit * row_size;
      for (int64_t i = 0; i < out_w; ++i, target += channels) {
        const double u = double(i);
        const double scale = double(t[6]) * u + double(t[7]) * v + 1;
        if (scale == 0) {
          for (int64_t c = 0; c < channels; ++c) target[c] = float(fill);
          continue;
        }
        const double column = map_position((double(t[0]) * u + double(t[1]) * v + double(t[2])) / scale, w, mode);
        const double row = map_position((double(t[3]) * u + double(t[4]) * v + double(t[5])) / scale, h, mode);
        if (bilinear) {
          read_bilinear(image, row, column, target);
        } else {
          read_nearest(image, row, column, target);
        }
      }
    }
  });
}

TK_END_LEVEL
