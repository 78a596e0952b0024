#include "ops/image/image_math.h"
#include "ops/image/sampling.h"

TK_BEGIN_LEVEL
namespace {

// Positions of one axis of a crop: start + i * step.
struct CropAxis {
  double start, step;
};

TK_INLINE CropAxis crop_axis(float from, float to, int64_t image, int64_t crop) {
  const double first = double(from), last = double(to), reach = double(image - 1);
  if (crop > 1) return {first * reach, (last - first) * reach / double(crop - 1)};
  return {0.5 * (first + last) * reach, 0};
}

TK_INLINE bool is_outside(double position, int64_t size) { return position < 0 || position > double(size - 1); }

TK_INLINE void fill_pixel(float* y, float value, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) y[c] = value;
}

// y = the four pixels round (row, column) blended: along the columns first.
TK_INLINE void blend_pixel(const float* image, double row, double column, int64_t width, int64_t channels, float* y) {
  const int64_t top = int64_t(::floor(row)), bottom = int64_t(::ceil(row));
  const int64_t left = int64_t(::floor(column)) * channels, right = int64_t(::ceil(column)) * channels;
  const float row_weight = float(row - double(top)), column_weight = float(column - ::floor(column));
  const float *upper = image + top * width * channels, *lower = image + bottom * width * channels;
  const VecF across = set1(column_weight), down = set1(row_weight);
  int64_t c = 0;
  for (; c + kVecWidth <= channels; c += kVecWidth) {
    const VecF above = load(upper + left + c) + (load(upper + right + c) - load(upper + left + c)) * across;
    const VecF below = load(lower + left + c) + (load(lower + right + c) - load(lower + left + c)) * across;
    store(y + c, above + (below - above) * down);
  }
  for (; c < channels; ++c) {
    const float above = upper[left + c] + (upper[right + c] - upper[left + c]) * column_weight;
    const float below = lower[left + c] + (lower[right + c] - lower[left + c]) * column_weight;
    y[c] = above + (below - above) * row_weight;
  }
}

}  // namespace

void crop_and_resize_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &boxes = call[1], &box_image = call[2], &y = call[3];
  TK_CHECK(x.rank == 4 && y.rank == 4);
  TK_CHECK_EQ(x.dims[3], y.dims[3]);
  TK_CHECK_EQ(boxes.size, y.dims[0] * 4);
  TK_CHECK_EQ(box_image.size, y.dims[0]);
  if (y.size == 0) return;
  const int64_t n = x.dims[0], h = x.dims[1], w = x.dims[2], channels = x.dims[3], crop_h = y.dims[1], crop_w = y.dims[2];
  const bool nearest = TK_INT(call, crop_and_resize, nearest) != 0;
  const float extrapolation = float(TK_FLOAT(call, crop_and_resize, extrapolation));
  const int64_t row_size = crop_w * channels;
  context.parallel_for(y.dims[0] * crop_h, image_grain(row_size * 4), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t box = unit / crop_h;
      float* target = y.f32() + unit * row_size;
      const int64_t index = box_image.i32()[box];
      if (index < 0) context.report_index(index, n);
      if (index < 0 || index >= n) {
        fill_pixel(target, 0.0f, row_size);
        continue;
      }
      const float* corners = boxes.f32() + box * 4;
      const CropAxis rows = crop_axis(corners[0], corners[2], h, crop_h),
                     columns = crop_axis(corners[1], corners[3], w, crop_w);
      const double row = rows.start + double(unit % crop_h) * rows.step;
      const float* image = x.f32() + index * h * w * channels;
      for (int64_t i = 0; i < crop_w; ++i, target += channels) {
        const double column = columns.start + double(i) * columns.step;
        if (is_outside(row, h) || is_outside(column, w)) {
          fill_pixel(target, extrapolation, channels);
        } else if (row != row || column != column) {
          fill_pixel(target, NAN, channels);
        } else if (nearest) {
          const int64_t at = int64_t(round_half_up(row)) * w + int64_t(round_half_up(column));
          std::memcpy(target, image + at * channels, size_t(channels) * sizeof(float));
        } else {
          blend_pixel(image, row, column, w, channels, target);
        }
      }
    }
  });
}

TK_END_LEVEL
