#include <cstdlib>

#include "windows/convolution.h"

namespace tktest::conv_test {
namespace {

struct Shape {
  int64_t n, h, w, c, kh, kw, cout;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  int64_t oh() const { return (h + pad_top + pad_bottom - (kh - 1) * dilation_h - 1) / stride_h + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - (kw - 1) * dilation_w - 1) / stride_w + 1; }
  std::vector<int64_t> attributes() const { return {stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left}; }
};

Shape same(Shape s) {
  // As tfjs's "same": the output is ceil(input / stride), the odd row of zeros comes after.
  const auto split = [](int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t* before, int64_t* after) {
    const int64_t out = (size + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size);
    *before = total / 2;
    *after = total - *before;
  };
  split(s.h, s.kh, s.stride_h, s.dilation_h, &s.pad_top, &s.pad_bottom);
  split(s.w, s.kw, s.stride_w, s.dilation_w, &s.pad_left, &s.pad_right);
  return s;
}

// Calls visit(index of x, index of filter, index of y) for every product of the convolution.
template <class Visit>
void for_each_product(const Shape& s, const Visit& visit) {
  const int64_t oh = s.oh(), ow = s.ow();
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j)
        for (int64_t kh = 0; kh < s.kh; ++kh)
          for (int64_t kw = 0; kw < s.kw; ++kw) {
            const int64_t h = i * s.stride_h - s.pad_top + kh * s.dilation_h,
                          w = j * s.stride_w - s.pad_left + kw * s.dilation_w;
            if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
            const int64_t x = ((n * s.h + h) * s.w + w) * s.c, f = (kh * s.kw + kw) * s.c * s.cout,
                          y = ((n * oh + i) * ow + j) * s.cout;
            for (int64_t c = 0; c < s.c; ++c)
              for (int64_t o = 0; o < s.cout; ++o) visit(x + c, f + c * s.cout + o, y + o);
          }
}

void check(const Shape& s) {
  check_convolution("conv2d", {s.n, s.h, s.w, s.c}, {s.kh, s.kw, s.c, s.cout}, {s.n, s.oh(), s.ow(), s.cout}, s.attributes(),
                    [&](const auto& visit) { for_each_product(s, visit); });
}

TEST(conv_channels_around_the_vector_width) {
  for (int64_t c : {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 33}) {
    for (int64_t cout : {1, 3, 8, 16, 19}) check(same({2, 5, 6, c, 3, 3, cout}));
  }
}

TEST(conv_windows_strides_and_dilations) {
  for (int64_t c : {1, 3, 20}) {
    for (int64_t kernel : {1, 2, 3, 5}) {
      for (int64_t stride : {1, 2, 3}) {
        for (int64_t dilation : {1, 2, 3}) {
          Shape s{1, 13, 14, c, kernel, kernel, 10};
          s.stride_h = s.stride_w = stride;
          s.dilation_h = s.dilation_w = dilation;
          check(s);
          check(same(s));
        }
      }
    }
  }
}

TEST(conv_unequal_sides) {
  for (int64_t c : {2, 18}) {
    Shape s{2, 9, 12, c, 2, 4, 5};
    s.stride_h = 2, s.dilation_w = 2;
    check(same(s));
    s = {2, 12, 9, c, 4, 1, 5};
    s.stride_w = 3, s.pad_top = 3, s.pad_bottom = 1, s.pad_right = 2;
    check(s);
    s = {1, 7, 7, c, 1, 3, 6};
    s.stride_h = 4, s.stride_w = 6, s.dilation_w = 4, s.pad_left = 5, s.pad_right = 5;  // taps that no pixel of dx meets
    check(s);
  }
}

TEST(conv_padding_larger_than_the_image) {
  for (int64_t c : {1, 17}) {
    Shape s{1, 3, 2, c, 3, 3, 4};
    s.pad_top = 5, s.pad_bottom = 4, s.pad_left = 6, s.pad_right = 3;
    check(s);
    s.stride_h = s.stride_w = 2;
    check(s);
  }
}

TEST(conv_cropped_by_negative_padding) {
  for (int64_t c : {1, 17}) {
    Shape s{2, 9, 10, c, 3, 2, 4};
    s.pad_top = -2, s.pad_left = -1, s.pad_bottom = -1;
    check(s);
    s.pad_right = 2;
    check(s);
  }
}

TEST(conv_pointwise) {
  check({2, 7, 5, 20, 1, 1, 30});
  check({1, 1, 1, 3, 1, 1, 2});
  Shape s{2, 7, 5, 20, 1, 1, 30};
  s.stride_h = s.stride_w = 2;
  check(s);
  s.pad_top = s.pad_bottom = 1;
  check(s);
}

TEST(conv_several_blocks_of_k) {
  check(same({1, 6, 7, 130, 3, 3, 20}));  // blocks of two taps
  check(same({1, 5, 5, 700, 3, 1, 17}));  // taps longer than a block
  check(same({1, 3, 4, 20, 2, 2, 700}));  // the same for the input gradient
  check({1, 3, 400, 18, 2, 3, 7});        // output rows longer than a block, for the filter gradient
  check(same({1, 2, 330, 2, 3, 3, 7}));
  check(same({1, 4, 3, 360, 3, 3, 340}));  // packed filter larger than one super-block
}

TEST(conv_shared_by_threads) {
  check(same({8, 28, 28, 1, 5, 5, 20}));
  check(same({2, 24, 24, 32, 3, 3, 40}));
  Shape s = {2, 32, 32, 3, 7, 7, 24};
  s.stride_h = s.stride_w = 2;
  check(same(s));
}

TEST(conv_empty) {
  check({0, 4, 4, 3, 3, 3, 2});
  check({1, 4, 4, 0, 3, 3, 2});
  check({1, 4, 4, 3, 3, 3, 0});
  Shape none{1, 2, 4, 3, 3, 3, 2};  // no output row fits
  check(none);
}

TEST(conv_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 3}, 1), filter = Tensor::random({3, 3, 2, 5}, 2), y(tk::DType::f32, {1, 2, 2, 5});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "conv2d", {&x, &filter, &y}, {1, 1, 1, 1, 0, 0}), "E_INTERNAL");
}

TEST(conv_propagates_nan) {
  const Shape s = same({1, 6, 6, 20, 3, 3, 9});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({1, 6, 6, 20}, std::vector<float>(720, 0.0f));
    Tensor filter = Tensor::f32({3, 3, 20, 9}, std::vector<float>(1620, 0.0f)), y(tk::DType::f32, {1, 6, 6, 9});
    x.f()[(2 * 6 + 3) * 20 + 7] = std::nanf("");
    tktest::call_op(run, "conv2d", {&x, &filter, &y}, s.attributes());
    int64_t wrong = 0;
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t h = i / 54, w = i / 9 % 6;
      if (std::isnan(y.f()[i]) != (std::abs(h - 2) <= 1 && std::abs(w - 3) <= 1)) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

}  // namespace tktest::conv_test
