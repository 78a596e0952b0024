#include "windows/convolution.h"

namespace tktest::depthwise_test {
namespace {

struct Shape {
  int64_t n, h, w, c, m, kh, kw;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  int64_t oh() const { return (h + pad_top + pad_bottom - (kh - 1) * dilation_h - 1) / stride_h + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - (kw - 1) * dilation_w - 1) / stride_w + 1; }
  std::vector<int64_t> attributes() const { return {stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left}; }
};

// Calls visit(index of x, index of filter, index of y) for every product of the convolution.
template <class Visit>
void for_each_product(const Shape& s, const Visit& visit) {
  const int64_t outputs = s.n * s.oh() * s.ow() * s.c * s.m;
  for (int64_t y = 0; y < outputs; ++y) {
    const int64_t channel = y % (s.c * s.m), pixel = y / (s.c * s.m);
    const int64_t j = pixel % s.ow(), i = pixel / s.ow() % s.oh(), n = pixel / s.ow() / s.oh();
    for (int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
      const int64_t h = i * s.stride_h - s.pad_top + tap / s.kw * s.dilation_h;
      const int64_t w = j * s.stride_w - s.pad_left + tap % s.kw * s.dilation_w;
      if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
      visit(((n * s.h + h) * s.w + w) * s.c + channel / s.m, tap * s.c * s.m + channel, y);
    }
  }
}

void check(const Shape& s) {
  check_convolution("depthwise_conv2d", {s.n, s.h, s.w, s.c}, {s.kh, s.kw, s.c, s.m}, {s.n, s.oh(), s.ow(), s.c * s.m},
                    s.attributes(), [&](const auto& visit) { for_each_product(s, visit); });
}

TEST(depthwise_channels_around_the_vector_width) {
  for (int64_t c : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40}) {
    Shape s{2, 6, 11, c, 1, 3, 3};
    check(s);
    s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 1;
    check(s);
  }
}

TEST(depthwise_multiplier) {
  for (int64_t c : {1, 3, 8}) {
    for (int64_t m : {2, 3, 8, 9}) {
      Shape s{2, 7, 6, c, m, 3, 2};
      s.pad_top = 1, s.pad_right = 1, s.stride_w = 2;
      check(s);
    }
  }
}

TEST(depthwise_windows_strides_and_dilations) {
  for (int64_t kernel : {1, 2, 3, 5}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t dilation : {1, 2, 3}) {
        Shape s{1, 13, 14, 10, 1, kernel, kernel};
        s.stride_h = s.stride_w = stride;
        s.dilation_h = s.dilation_w = dilation;
        check(s);
        s.pad_top = s.pad_left = (kernel - 1) * dilation / 2;
        s.pad_bottom = s.pad_right = (kernel - 1) * dilation - s.pad_top;
        check(s);
      }
    }
  }
}

TEST(depthwise_padding_beyond_the_image_and_cropping) {
  Shape s{1, 3, 2, 9, 1, 3, 3};
  s.pad_top = 5, s.pad_bottom = 4, s.pad_left = 6, s.pad_right = 3;
  check(s);
  s = {2, 9, 10, 9, 1, 3, 2};
  s.pad_top = -2, s.pad_left = -1, s.pad_bottom = -1;
  check(s);
  s = {1, 7, 7, 8, 1, 1, 3};
  s.stride_h = 4, s.stride_w = 6, s.dilation_w = 4, s.pad_left = 5, s.pad_right = 5;  // pixels of x that no tap meets
  check(s);
}

TEST(depthwise_shared_by_threads) {
  Shape s{2, 40, 40, 32, 1, 3, 3};
  s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 1;
  check(s);
  s.stride_h = s.stride_w = 2;
  check(s);
  check({1, 30, 31, 12, 4, 5, 5});
}

// Rows are done by fours and pixels by strips: every remainder of both, and rows of x that are missing above and below.
TEST(depthwise_blocks_of_rows_and_what_is_left) {
  for (int64_t kernel : {3, 5}) {
    for (int64_t stride : {1, 2}) {
      for (int64_t size = 1; size <= 10; ++size) {
        Shape s{2, size, 11 - size, 9, 1, kernel, kernel};
        s.stride_h = s.stride_w = stride;
        s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = kernel / 2;
        check(s);
        s.pad_top = 0, s.pad_left = 1, s.pad_bottom = s.pad_right = kernel;
        check(s);
      }
    }
  }
  Shape s{1, 9, 12, 8, 1, 3, 5};  // a filter that is no square, different steps
  s.stride_h = 2, s.dilation_w = 2, s.pad_left = 2;
  check(s);
}

TEST(depthwise_results_beyond_a_cache) {
  Shape s{2, 66, 65, 33, 1, 3, 3};
  s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 1;
  check(s);
}

TEST(depthwise_empty) {
  check({0, 4, 4, 3, 2, 3, 3});
  check({1, 4, 4, 0, 2, 3, 3});
  check({1, 4, 4, 3, 0, 3, 3});
  check({1, 2, 4, 3, 2, 3, 3});  // no output row fits: gradients are zero
}

TEST(depthwise_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 3}, 1), filter = Tensor::random({3, 3, 2, 5}, 2), y(tk::DType::f32, {1, 2, 2, 10});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "depthwise_conv2d", {&x, &filter, &y}, {1, 1, 1, 1, 0, 0}),
               "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::depthwise_test
