#include "windows/convolution.h"

namespace tktest::conv3d_test {
namespace {

struct Axis {
  int64_t in, kernel, stride = 1, dilation = 1, before = 0, after = 0;
  int64_t out() const { return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1; }
};

struct Shape {
  int64_t n, c, cout;
  Axis d, h, w;

  std::vector<int64_t> attributes() const {
    return {d.stride, h.stride, w.stride, d.dilation, h.dilation, w.dilation, d.before, h.before, w.before};
  }
};

// Calls visit(index of x, index of filter, index of y) for every product of the convolution.
template <class Visit>
void for_each_product(const Shape& s, const Visit& visit) {
  const int64_t out[] = {s.d.out(), s.h.out(), s.w.out()};
  const int64_t pixels = s.n * out[0] * out[1] * out[2], taps = s.d.kernel * s.h.kernel * s.w.kernel;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const int64_t j = pixel % out[2], i = pixel / out[2] % out[1], o = pixel / (out[2] * out[1]) % out[0];
    const int64_t n = pixel / (out[2] * out[1] * out[0]);
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t w = j * s.w.stride - s.w.before + tap % s.w.kernel * s.w.dilation;
      const int64_t h = i * s.h.stride - s.h.before + tap / s.w.kernel % s.h.kernel * s.h.dilation;
      const int64_t d = o * s.d.stride - s.d.before + tap / (s.w.kernel * s.h.kernel) * s.d.dilation;
      if (d < 0 || d >= s.d.in || h < 0 || h >= s.h.in || w < 0 || w >= s.w.in) continue;
      const int64_t x = (((n * s.d.in + d) * s.h.in + h) * s.w.in + w) * s.c;
      for (int64_t c = 0; c < s.c; ++c)
        for (int64_t co = 0; co < s.cout; ++co) visit(x + c, (tap * s.c + c) * s.cout + co, pixel * s.cout + co);
    }
  }
}

void check(const Shape& s) {
  check_convolution("conv3d", {s.n, s.d.in, s.h.in, s.w.in, s.c}, {s.d.kernel, s.h.kernel, s.w.kernel, s.c, s.cout},
                    {s.n, s.d.out(), s.h.out(), s.w.out(), s.cout}, s.attributes(),
                    [&](const auto& visit) { for_each_product(s, visit); });
}

TEST(conv3d_channels) {
  for (int64_t c : {1, 3, 8, 15, 16, 17}) {
    for (int64_t cout : {1, 5, 16}) check({2, c, cout, {4, 3, 1, 1, 1, 1}, {5, 2}, {6, 3, 1, 1, 1, 1}});
  }
}

TEST(conv3d_strides_dilations_and_padding) {
  for (int64_t c : {1, 2, 18}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t dilation : {1, 2}) {
        const Axis axis = {8, 3, stride, dilation, 2, 1};
        check({1, c, 4, axis, {6, 1, stride}, {7, 2, 1, dilation, 0, 1}});
        check({2, c, 3, {7, 2, 1, dilation}, axis, {9, 3, stride}});
      }
    }
  }
}

TEST(conv3d_taps_that_meet_nothing) {
  for (int64_t c : {1, 17}) {
    check({1, c, 3, {2, 3, 1, 1, 4, 3}, {3, 2, 2, 1, 3, 3}, {2, 3, 1, 1, 5, 4}});
    check({1, c, 3, {7, 1, 4}, {5, 3, 3, 2, 2, 2}, {7, 2, 5, 3}});        // pixels of x without a tap
    check({2, c, 3, {6, 2, 1, 1, -1, -2}, {6, 2, 1, 1, -2, 1}, {5, 3}});  // cropped
  }
}

TEST(conv3d_pointwise_and_shared_by_threads) {
  check({2, 20, 30, {3, 1}, {4, 1}, {5, 1}});
  check({2, 8, 16, {8, 3, 1, 1, 1, 1}, {12, 3, 1, 1, 1, 1}, {12, 3, 1, 1, 1, 1}});
  check({2, 1, 16, {10, 3}, {14, 5, 1, 1, 2, 2}, {14, 5, 1, 1, 2, 2}});
}

TEST(conv3d_empty) {
  check({0, 3, 2, {4, 3}, {4, 3}, {4, 3}});
  check({1, 0, 2, {4, 3}, {4, 3}, {4, 3}});
  check({1, 3, 2, {2, 3}, {4, 3}, {4, 3}});  // no plane fits
}

TEST(conv3d_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 4, 3}, 1), filter = Tensor::random({3, 3, 3, 2, 5}, 2),
         y(tk::DType::f32, {1, 2, 2, 2, 5});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "conv3d", {&x, &filter, &y}, {1, 1, 1, 1, 1, 1, 0, 0, 0}),
               "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::conv3d_test
