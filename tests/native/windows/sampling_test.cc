#include "expected.h"

namespace tktest::sampling_test {
namespace {

double pixel(const Tensor& x, int64_t n, int64_t row, int64_t column, int64_t c) {
  const auto& s = x.shape();
  return double(x.f()[((n * s[1] + row) * s[2] + column) * s[3] + c]);
}

double half_up(double value) { return std::floor(value + 0.5); }

// Four pixels with weights; those outside count as `outside`.
double blend(const Tensor& x, int64_t n, double row, double column, int64_t c, double outside) {
  const double top = std::floor(row), left = std::floor(column);
  double sum = 0;
  for (int i = 0; i < 4; ++i) {
    const double r = top + i / 2, k = left + i % 2;
    const double weight = (i / 2 ? row - top : top + 1 - row) * (i % 2 ? column - left : left + 1 - column);
    const bool inside = r >= 0 && r < double(x.shape()[1]) && k >= 0 && k < double(x.shape()[2]);
    sum += weight * (inside ? pixel(x, n, int64_t(r), int64_t(k), c) : outside);
  }
  return sum;
}

void check_crops(Tensor& x, Tensor& boxes, Tensor& images, int64_t crop_h, int64_t crop_w, bool nearest) {
  const int64_t h = x.shape()[1], w = x.shape()[2], channels = x.shape()[3], count = boxes.shape()[0];
  Expected y(size_t(count * crop_h * crop_w * channels));
  for (int64_t out = 0; out < int64_t(y.values.size()); ++out) {
    const int64_t c = out % channels, i = out / channels % crop_w, j = out / channels / crop_w % crop_h;
    const int64_t box = out / channels / crop_w / crop_h;
    const float* k = boxes.f() + box * 4;
    const auto position = [](double from, double to, int64_t at, int64_t crop, int64_t size) {
      return crop > 1 ? from * double(size - 1) + double(at) * ((to - from) * double(size - 1) / double(crop - 1))
                      : 0.5 * (from + to) * double(size - 1);
    };
    const double row = position(k[0], k[2], j, crop_h, h), column = position(k[1], k[3], i, crop_w, w);
    double value = 0;
    if (images.i()[box] < x.shape()[0]) {
      if (row < 0 || row > double(h - 1) || column < 0 || column > double(w - 1)) {
        value = -7.5;
      } else if (nearest) {
        value = pixel(x, images.i()[box], int64_t(half_up(row)), int64_t(half_up(column)), c);
      } else {
        value = blend(x, images.i()[box], row, column, c, 0);
      }
    }
    y.values[size_t(out)] = value;
    y.bounds[size_t(out)] = nearest ? 0 : 9 * 6e-8 * 8;  // nine roundings of numbers no larger than 8
  }
  check_expected("crop_and_resize", {&x, &boxes, &images}, {count, crop_h, crop_w, channels}, y, {nearest}, {-7.5});
}

TEST(crop_and_resize_boxes) {
  // Whole, part, mirrored, beyond the border, a point; the last two of no image and of the second.
  Tensor boxes = Tensor::f32({7, 4}, {0,    0, 1,    1,    0.1f, 0.2f, 0.7f, 0.9f, 0.9f, 0.8f, 0.1f, 0.3f, -0.5f, 0.5f,
                                      1.2f, 2, 0.5f, 0.5f, 0.5f, 0.5f, 0,    0,    1,    1,    0.3f, 0,    0.6f,  1});
  Tensor images = Tensor::i32({7}, {0, 1, 0, 1, 1, 2, 1});
  for (int64_t channels : {1, 3, 8, 19}) {
    Tensor x = Tensor::random({2, 6, 9, channels}, 3);
    for (bool nearest : {false, true}) {
      check_crops(x, boxes, images, 4, 5, nearest);
      check_crops(x, boxes, images, 1, 1, nearest);
      check_crops(x, boxes, images, 33, 40, nearest);
    }
  }
}

TEST(crop_and_resize_edges) {
  Tensor x = Tensor::random({1, 4, 4, 2}, 3), boxes = Tensor::f32({2, 4}, {NAN, 0, 1, 1, 0, 0, 1, 1});
  Tensor images = Tensor::i32({2}, {0, -3});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, {2, 1, 1, 2}), none(tk::DType::f32, {0, 3, 3, 2});
    Tensor no_boxes(tk::DType::f32, {0, 4}), no_images(tk::DType::i32, {0});
    CHECK(tktest::call_op(run, "crop_and_resize", {&x, &boxes, &images, &y}, {0}, {5}) == -3);
    CHECK(std::isnan(y.f()[0]) && std::isnan(y.f()[1]) && y.f()[2] == 0 && y.f()[3] == 0);
    CHECK(tktest::call_op(run, "crop_and_resize", {&x, &no_boxes, &no_images, &none}, {0}, {5}) == INT64_MIN);
  }
}

// A period of the filled line, written out: where position `at` of the endless line is read.
double mapped(double at, int64_t size, int64_t mode) {
  const double n = double(size), last = n - 1;
  if (mode == 0) return at;
  if (mode == 3) return std::fmin(std::fmax(at, 0.0), last);
  if (mode == 1) {
    // Mirror images of width n: fold the line at -1/2 and n - 1/2.
    double folded = std::fmod(at + 0.5, 2 * n);
    if (folded < 0) folded += 2 * n;
    if (folded > n) folded = 2 * n - folded;
    return std::fmin(std::fmax(folded - 0.5, 0.0), last);
  }
  // Wrapping shifts by whole images; as tfjs counts them, by steps of n - 1.
  if (at < 0) {
    at += n * (std::trunc(-at / last) + 1);
  } else if (at > last) {
    at -= n * std::trunc(at / last);
  }
  return std::fmin(std::fmax(at, 0.0), last);
}

void check_transform(Tensor& x, Tensor& transforms, int64_t out_h, int64_t out_w, bool bilinear, int64_t mode) {
  const int64_t h = x.shape()[1], w = x.shape()[2], channels = x.shape()[3], count = x.shape()[0];
  const double fill = 2.5;
  Expected y(size_t(count * out_h * out_w * channels));
  for (int64_t out = 0; out < int64_t(y.values.size()); ++out) {
    const int64_t c = out % channels, n = out / channels / out_w / out_h;
    const double u = double(out / channels % out_w), v = double(out / channels / out_w % out_h);
    const float* t = transforms.f() + (transforms.shape()[0] == 1 ? 0 : n * 8);
    const double k = t[6] * u + t[7] * v + 1;
    double value = fill;
    if (k != 0) {
      const double column = mapped((t[0] * u + t[1] * v + t[2]) / k, w, mode),
                   row = mapped((t[3] * u + t[4] * v + t[5]) / k, h, mode);
      if (bilinear) {
        value = blend(x, n, row, column, c, fill);
      } else {
        const double r = half_up(row), s = half_up(column);
        if (r >= 0 && r < double(h) && s >= 0 && s < double(w)) value = pixel(x, n, int64_t(r), int64_t(s), c);
      }
    }
    y.values[size_t(out)] = value;
    // One rounding to f32, and positions that the reference folds in another order (2^-50 of a pixel); nearest copies.
    y.bounds[size_t(out)] = bilinear ? 6e-8 * 8 : 0;
  }
  check_expected("transform_image", {&x, &transforms}, {count, out_h, out_w, channels}, y, {bilinear, mode}, {fill});
}

TEST(transform_modes) {
  Tensor x = Tensor::random({2, 5, 7, 3}, 4), gray = Tensor::random({1, 40, 50, 1}, 5);
  // A turn with a shift, and a perspective with a scale; odd numbers keep positions off the halves.
  Tensor both = Tensor::f32({2, 8}, {0.83f, -0.41f, 2.13f, 0.37f, 0.91f, -3.17f, 0, 0,  //
                                     1.71f, 0.13f, -5.37f, 0.07f, 2.23f, -8.19f, 0.011f, -0.013f});
  Tensor one = Tensor::f32({1, 8}, {1.3f, 0.2f, -11.7f, -0.3f, 0.9f, 6.1f, 0.001f, 0.002f});
  for (int64_t mode : {0, 1, 2, 3}) {
    for (bool bilinear : {false, true}) {
      check_transform(x, both, 5, 7, bilinear, mode);
      check_transform(x, one, 9, 4, bilinear, mode);
      check_transform(gray, one, 40, 50, bilinear, mode);
    }
  }
}

TEST(transform_edges) {
  Tensor x = Tensor::random({1, 3, 4, 2}, 4), dot = Tensor::random({1, 1, 1, 2}, 4);
  // Infinite positions in the first column and NaN ones where 0 / 0 meets.
  Tensor vanishing = Tensor::f32({1, 8}, {1, 0, 0, 0, 1, 0, -1, 0}), shift = Tensor::f32({1, 8}, {1, 0, -9, 0, 1, 13, 0, 0});
  check_transform(x, vanishing, 3, 4, true, 0);
  for (int64_t mode : {1, 3}) check_transform(dot, shift, 2, 2, true, mode);
  Tensor not_a_number = Tensor::f32({1, 8}, {NAN, 0, 0, 0, 1, 0, 0, 0});
  for (const tktest::Run& run : tktest::runs()) {
    for (int64_t mode : {0, 1, 2, 3}) {
      Tensor blended(tk::DType::f32, {1, 1, 1, 2}), nearest(tk::DType::f32, {1, 1, 1, 2});
      tktest::call_op(run, "transform_image", {&x, &not_a_number, &blended}, {1, mode}, {4});
      tktest::call_op(run, "transform_image", {&x, &not_a_number, &nearest}, {0, mode}, {4});
      CHECK(std::isnan(blended.f()[0]) && std::isnan(blended.f()[1]) && nearest.f()[0] == 4 && nearest.f()[1] == 4);
    }
  }
}

TEST(rotate_turns_and_fills) {
  const int64_t h = 9, w = 12;
  for (int64_t channels : {1, 3, 4, 5}) {
    Tensor x = Tensor::random({2, h, w, channels}, 6);
    for (double radians : {0.0, 0.37, -1.3, 3.0}) {
      const double sine = std::sin(radians), cosine = std::cos(radians), cx = 5.3, cy = 3.9;
      const std::vector<double> fill = {1, 2, 3, 255};
      Expected y(size_t(x.size()));
      for (int64_t out = 0; out < x.size(); ++out) {
        const int64_t c = out % channels, n = out / channels / w / h;
        const double u = double(out / channels % w) - cx, v = double(out / channels / w % h) - cy;
        const double column = half_up(u * cosine - v * sine + cx), row = half_up(u * sine + v * cosine + cy);
        const bool inside = column >= 0 && column < double(w) && row >= 0 && row < double(h);
        y.values[size_t(out)] = inside ? pixel(x, n, int64_t(row), int64_t(column), c) : fill[size_t(std::min<int64_t>(c, 3))];
      }
      check_expected("rotate_image", {&x}, x.shape(), y, {}, {sine, cosine, cx, cy, 1, 2, 3, 255});
    }
  }
}

TEST(rotate_other_dtypes) {
  // A quarter turn of 2 x 2 round its middle, and one round a corner that leaves half of it empty.
  Tensor bytes = Tensor::u8({1, 2, 2, 1}, {1, 0, 1, 1}), words = Tensor::i32({1, 2, 2, 1}, {-1, 2, 3, 0x7fffffff});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor byte_y(tk::DType::u8, {1, 2, 2, 1}), word_y(tk::DType::i32, {1, 2, 2, 1});
    tktest::call_op(run, "rotate_image", {&bytes, &byte_y}, {}, {1, 0, 0.5, 0.5, 9});
    CHECK(std::memcmp(byte_y.b(), "\0\1\1\1", 4) == 0);
    tktest::call_op(run, "rotate_image", {&words, &word_y}, {}, {1, 0, 0, 0, -9.7});
    const int32_t expected[] = {-1, 3, -9, -9};
    CHECK(std::memcmp(word_y.i(), expected, sizeof expected) == 0);
  }
}

}  // namespace

}  // namespace tktest::sampling_test
