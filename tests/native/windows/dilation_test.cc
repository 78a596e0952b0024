#include "expected.h"

namespace tktest::dilation_test {
namespace {

struct Shape {
  int64_t n, h, w, c, filter_h, filter_w;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  int64_t oh() const { return (h + pad_top + pad_bottom - (filter_h - 1) * dilation_h - 1) / stride_h + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - (filter_w - 1) * dilation_w - 1) / stride_w + 1; }
  std::vector<int64_t> ints() const { return {stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left}; }
};

void check_values(const Shape& s, Tensor& x, Tensor& filter, Tensor& dy) {
  Expected y(size_t(dy.size())), dx(size_t(x.size())), dfilter(size_t(filter.size()));
  for (int64_t out = 0; out < dy.size(); ++out) {
    const int64_t c = out % s.c, j = out / s.c % s.ow(), i = out / s.c / s.ow() % s.oh(), n = out / s.c / s.ow() / s.oh();
    const int64_t first_h = i * s.stride_h - s.pad_top, first_w = j * s.stride_w - s.pad_left;
    double best = -9007199254740992.0;  // 2^53: where tfjs starts
    int64_t best_h = std::max<int64_t>(first_h, 0), best_w = std::max<int64_t>(first_w, 0), best_tap = 0;
    for (int64_t tap = 0; tap < s.filter_h * s.filter_w; ++tap) {
      const int64_t h = first_h + tap / s.filter_w * s.dilation_h, w = first_w + tap % s.filter_w * s.dilation_w;
      if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
      // The op adds in f32: so must the reference, or near ties would go to other taps.
      const float sum = x.f()[((n * s.h + h) * s.w + w) * s.c + c] + filter.f()[tap * s.c + c];
      if (double(sum) > best) best = double(sum), best_h = h, best_w = w, best_tap = tap;
    }
    const double g = double(dy.f()[out]);
    y.values[size_t(out)] = best;
    if (best_h < s.h && best_w < s.w) {
      const size_t at = size_t(((n * s.h + best_h) * s.w + best_w) * s.c + c);
      dx.values[at] += g;
      dx.bounds[at] += std::fabs(g) * 6e-8 * double(s.filter_h * s.filter_w);  // a rounding per term
    }
    dfilter.values[size_t(best_tap * s.c + c)] += g;
    dfilter.bounds[size_t(best_tap * s.c + c)] += std::fabs(g) * 6e-8 * double(s.n * s.oh() * s.ow());
  }
  check_expected("dilation2d", {&x, &filter}, dy.shape(), y, s.ints());
  check_expected("dilation2d_input_grad", {&dy, &x, &filter}, x.shape(), dx, s.ints());
  check_expected("dilation2d_filter_grad", {&dy, &x, &filter}, filter.shape(), dfilter, s.ints());
}

void check(const Shape& s) {
  Tensor x = Tensor::random({s.n, s.h, s.w, s.c}, 1), filter = Tensor::random({s.filter_h, s.filter_w, s.c}, 2);
  Tensor dy = Tensor::random({s.n, s.oh(), s.ow(), s.c}, 3);
  check_values(s, x, filter, dy);
  // Whole numbers: many ties, which the first tap wins.
  for (Tensor* tensor : {&x, &filter}) {
    for (int64_t i = 0; i < tensor->size(); ++i) tensor->f()[i] = float(int(tensor->f()[i]));
  }
  check_values(s, x, filter, dy);
}

TEST(dilation_channels) {
  for (int64_t c : {1, 3, 4, 7, 8, 9, 16, 19}) check({2, 6, 5, c, 3, 2});
}

TEST(dilation_strides_dilations_and_padding) {
  for (int64_t stride : {1, 2, 3}) {
    for (int64_t dilation : {1, 2}) {
      Shape s{2, 9, 11, 3, 2, 3};
      s.stride_h = stride, s.stride_w = 4 - stride, s.dilation_h = dilation, s.dilation_w = 3 - dilation;
      check(s);
      s.pad_top = 1, s.pad_bottom = 2, s.pad_left = 2, s.pad_right = 1;
      check(s);
    }
  }
}

TEST(dilation_positions_outside_the_image) {
  Shape s{1, 3, 3, 5, 2, 2};
  s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 4;
  check(s);
}

TEST(dilation_large_and_empty) {
  check({2, 40, 50, 9, 3, 3});
  check({0, 5, 5, 3, 2, 2});
  check({1, 5, 5, 0, 2, 2});
}

TEST(dilation_not_a_number_and_infinities) {
  Tensor x = Tensor::f32({1, 1, 6, 1}, {NAN, NAN, 1, -INFINITY, -INFINITY, INFINITY}),
         filter = Tensor::f32({1, 2, 1}, {0, 0.5f});
  Tensor dy = Tensor::f32({1, 1, 5, 1}, {1, 2, 4, 8, 16});
  check_values({1, 1, 6, 1, 1, 2}, x, filter, dy);
  const float y_expected[] = {-0x1p53f, 1.5f, 1, -0x1p53f, INFINITY}, dx_expected[] = {1, 0, 6, 8, 0, 16};
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, dy.shape()), dx(tk::DType::f32, x.shape());
    tktest::call_op(run, "dilation2d", {&x, &filter, &y}, {1, 1, 1, 1, 0, 0});
    tktest::call_op(run, "dilation2d_input_grad", {&dy, &x, &filter, &dx}, {1, 1, 1, 1, 0, 0});
    CHECK(std::memcmp(y.f(), y_expected, sizeof y_expected) == 0);
    CHECK(std::memcmp(dx.f(), dx_expected, sizeof dx_expected) == 0);
  }
}

TEST(dilation_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 3}, 1), filter = Tensor::random({2, 2, 2}, 1), y(tk::DType::f32, {1, 3, 3, 3});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "dilation2d", {&x, &filter, &y}, {1, 1, 1, 1, 0, 0}), "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::dilation_test
