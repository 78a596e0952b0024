#include "cuda/context.h"
// context.h first.
#include "ops/common/runs.h"
#include "ops/image/image_math.h"
#include "ops/image/sampling.h"

// A thread per element of the result; positions are formed in double as on the CPU.
TK_BEGIN_CUDA
namespace {

struct CropRange {
  double start, step;
};
__device__ inline CropRange crop_range(float from, float to, int64_t image, int64_t crop) {
  const double first = double(from), last = double(to), reach = double(image - 1);
  if (crop > 1) return {first * reach, (last - first) * reach / double(crop - 1)};
  return {0.5 * (first + last) * reach, 0};
}
__device__ inline bool beyond(double position, int64_t size) { return position < 0 || position > double(size - 1); }

enum BorderMode : int64_t { kFillBorder, kReflectBorder, kWrapBorder, kNearestBorder };

__device__ inline double clamp_position(double position, double last) {
  // NaN stays: both comparisons are false.
  return position < 0 ? 0 : position > last ? last : position;
}

// Where a position beyond [0, size - 1] is read. The clamps catch what rounding to a pixel would carry over the border.
__device__ inline double bring_inside(double position, int64_t size, int64_t mode) {
  const double n = double(size), last = n - 1;
  if (mode == kFillBorder) return position;
  if (mode == kNearestBorder || (position >= 0 && position <= last)) return clamp_position(position, last);
  if (position != position) return position;
  if (size <= 1) return 0;
  if (mode == kReflectBorder) {
    const double period = 2 * n;
    if (position < 0) {
      position += period * trunc(-position / period);
      position = position < -n ? position + period : -position - 1;
    } else {
      position -= period * trunc(position / period);
      if (position >= n) position = period - position - 1;
    }
  } else if (position < 0) {
    position += n * (trunc(-position / last) + 1);
  } else {
    position -= n * trunc(position / last);
  }
  return clamp_position(position, last);
}

// One channel of an image; `fill` outside.
struct Plane {
  const float* data;
  int64_t h, w, c;
  double fill;
  __device__ double at(double row, double column) const {
    const bool inside = row >= 0 && row < double(h) && column >= 0 && column < double(w);
    return inside ? double(data[(int64_t(row) * w + int64_t(column)) * c]) : fill;
  }
};

// As many fill values as channels of most images; the last stands for all channels after it.
constexpr int kMostFills = 16;
struct Fills {
  uint32_t of[kMostFills];
  int count;
};

template <class T>
void rotate_of(const OpCall& call, const CudaContext& context) {
  const Operand &x_operand = call[0], &y_operand = call[1];
  const int64_t h = x_operand.dims[1], w = x_operand.dims[2], channels = x_operand.dims[3];
  const double sine = TK_FLOAT(call, rotate_image, sine), cosine = TK_FLOAT(call, rotate_image, cosine);
  const double center_x = TK_FLOAT(call, rotate_image, center_x), center_y = TK_FLOAT(call, rotate_image, center_y);
  const double* given = &TK_FLOAT(call, rotate_image, fill);
  const int64_t count = call.num_floats - (given - call.floats);
  TK_CHECK(count > 0);
  TK_CHECK(count <= kMostFills);
  Fills fills;
  fills.count = int(count);
  for (int i = 0; i < fills.count; ++i) fills.of[i] = element_bits(x_operand.dtype, given[i]);
  const T* x = static_cast<const T*>(x_operand.data);
  T* y = static_cast<T*>(y_operand.data);
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    const int64_t channel = i % channels, at = i / channels;
    const double across = double(at % w) - center_x, down = double(at / w % h) - center_y;
    const double column = round_half_up(across * cosine - down * sine + center_x);
    const double row = round_half_up(across * sine + down * cosine + center_y);
    if (column >= 0 && column < double(w) && row >= 0 && row < double(h)) {
      y[i] = x[((at / (w * h) * h + int64_t(row)) * w + int64_t(column)) * channels + channel];
    } else {
      y[i] = T(fills.of[channel < fills.count ? channel : fills.count - 1]);
    }
  });
}

}  // namespace

void crop_and_resize_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x_operand = call[0], &y_operand = call[3];
  TK_CHECK(x_operand.rank == 4 && y_operand.rank == 4);
  TK_CHECK_EQ(x_operand.dims[3], y_operand.dims[3]);
  TK_CHECK_EQ(call[1].size, y_operand.dims[0] * 4);
  TK_CHECK_EQ(call[2].size, y_operand.dims[0]);
  const int64_t n = x_operand.dims[0], h = x_operand.dims[1], w = x_operand.dims[2], channels = x_operand.dims[3];
  const int64_t crop_h = y_operand.dims[1], crop_w = y_operand.dims[2];
  const bool nearest = TK_INT(call, crop_and_resize, nearest) != 0;
  const float extrapolation = float(TK_FLOAT(call, crop_and_resize, extrapolation));
  const float *x = x_operand.f32(), *boxes = call[1].f32();
  const int32_t* box_image = call[2].i32();
  float* y = y_operand.f32();
  const IndexReporter reporter = context.reporter();
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    const int64_t channel = i % channels, at = i / channels, box = at / (crop_w * crop_h), index = box_image[box];
    if (index < 0) reporter(index, n);
    if (index < 0 || index >= n) {
      y[i] = 0.0f;
      return;
    }
    const float* corners = boxes + box * 4;
    const CropRange rows = crop_range(corners[0], corners[2], h, crop_h),
                    columns = crop_range(corners[1], corners[3], w, crop_w);
    const double row = rows.start + double(at / crop_w % crop_h) * rows.step;
    const double column = columns.start + double(at % crop_w) * columns.step;
    const float* image = x + index * h * w * channels + channel;
    if (beyond(row, h) || beyond(column, w)) {
      y[i] = extrapolation;
    } else if (row != row || column != column) {
      y[i] = NAN;
    } else if (nearest) {
      y[i] = image[(int64_t(round_half_up(row)) * w + int64_t(round_half_up(column))) * channels];
    } else {
      const int64_t top = int64_t(floor(row)), bottom = int64_t(ceil(row));
      const int64_t left = int64_t(floor(column)), right = int64_t(ceil(column));
      const float row_weight = float(row - double(top)), column_weight = float(column - double(left));
      const auto across = [&](int64_t line) {
        const float from = image[(line * w + left) * channels], to = image[(line * w + right) * channels];
        return from + (to - from) * column_weight;
      };
      const float above = across(top), below = across(bottom);
      y[i] = above + (below - above) * row_weight;
    }
  });
}

void transform_image_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x_operand = call[0], &transforms_operand = call[1], &y_operand = call[2];
  TK_CHECK(x_operand.rank == 4 && y_operand.rank == 4 && transforms_operand.rank == 2);
  TK_CHECK_EQ(transforms_operand.dims[1], 8);
  TK_CHECK(transforms_operand.dims[0] == 1 || transforms_operand.dims[0] == x_operand.dims[0]);
  const bool bilinear = TK_INT(call, transform_image, bilinear) != 0, shared = transforms_operand.dims[0] == 1;
  const int64_t mode = TK_INT(call, transform_image, fill_mode);
  const double fill = TK_FLOAT(call, transform_image, fill);
  const int64_t h = x_operand.dims[1], w = x_operand.dims[2], channels = x_operand.dims[3];
  const int64_t out_h = y_operand.dims[1], out_w = y_operand.dims[2];
  const float *x = x_operand.f32(), *transforms = transforms_operand.f32();
  float* y = y_operand.f32();
  for_each(context, y_operand.size, [=] __device__(int64_t i) {
    const int64_t channel = i % channels, at = i / channels, n = at / (out_w * out_h);
    const double u = double(at % out_w), v = double(at / out_w % out_h);
    const float* t = transforms + (shared ? 0 : n * 8);
    const double scale = double(t[6]) * u + double(t[7]) * v + 1;
    if (scale == 0) {
      y[i] = float(fill);
      return;
    }
    const double column = bring_inside((double(t[0]) * u + double(t[1]) * v + double(t[2])) / scale, w, mode);
    const double row = bring_inside((double(t[3]) * u + double(t[4]) * v + double(t[5])) / scale, h, mode);
    const Plane plane = {x + n * h * w * channels + channel, h, w, channels, fill};
    if (!bilinear) {
      y[i] = float(plane.at(round_half_up(row), round_half_up(column)));
      return;
    }
    const double top = floor(row), left = floor(column), bottom = top + 1, right = left + 1;
    const double above = (right - column) * plane.at(top, left) + (column - left) * plane.at(top, right);
    const double below = (right - column) * plane.at(bottom, left) + (column - left) * plane.at(bottom, right);
    y[i] = float((bottom - row) * above + (row - top) * below);
  });
}

void rotate_image_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK(call[0].rank == 4);
  TK_CHECK_EQ(call[0].size, call[1].size);
  call[0].dtype == DType::u8 ? rotate_of<uint8_t>(call, context) : rotate_of<uint32_t>(call, context);
}

TK_END_CUDA
