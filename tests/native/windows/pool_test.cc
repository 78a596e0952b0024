#include "windows/pooling.h"

namespace tktest::pool_test {
namespace {

struct Shape {
  int64_t n, h, w, c, window_h, window_w;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  int64_t oh() const { return (h + pad_top + pad_bottom - (window_h - 1) * dilation_h - 1) / stride_h + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - (window_w - 1) * dilation_w - 1) / stride_w + 1; }
  std::vector<int64_t> attributes() const {
    return {window_h, window_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left};
  }
};

// One output channel at a time, in double precision.
PoolExpected reference(const Shape& s, const float* x, const float* dy) {
  const int64_t oh = s.oh(), ow = s.ow();
  PoolExpected e;
  for (auto* list : {&e.max, &e.avg, &e.avg_scale}) list->assign(size_t(s.n * oh * ow * s.c), 0.0);
  for (auto* list : {&e.max_grad, &e.avg_grad, &e.max_grad_scale, &e.avg_grad_scale}) {
    list->assign(size_t(s.n * s.h * s.w * s.c), 0.0);
  }
  for (int64_t out = 0; out < s.n * oh * ow * s.c; ++out) {
    const int64_t c = out % s.c, j = out / s.c % ow, i = out / s.c / ow % oh, n = out / s.c / ow / oh;
    std::vector<size_t> taps;
    for (int64_t kh = 0; kh < s.window_h; ++kh) {
      for (int64_t kw = 0; kw < s.window_w; ++kw) {
        const int64_t h = i * s.stride_h - s.pad_top + kh * s.dilation_h, w = j * s.stride_w - s.pad_left + kw * s.dilation_w;
        if (h >= 0 && h < s.h && w >= 0 && w < s.w) taps.push_back(size_t(((n * s.h + h) * s.w + w) * s.c + c));
      }
    }
    double best = -INFINITY, sum = 0, scale = 0;
    int64_t best_at = -1;
    for (size_t at : taps) {
      if (x[at] > best) best = x[at], best_at = int64_t(at);
      sum += x[at];
      scale += std::fabs(x[at]);
    }
    const double count = double(taps.size()), g = dy[out];
    e.max[size_t(out)] = best;
    e.avg[size_t(out)] = sum / count;
    e.avg_scale[size_t(out)] = scale / count;
    if (best_at >= 0) {
      e.max_grad[size_t(best_at)] += g;
      e.max_grad_scale[size_t(best_at)] += std::fabs(g);
    }
    const double share = g / double(s.window_h * s.window_w);  // as tfjs defines it: taps outside the image count
    for (size_t at : taps) {
      e.avg_grad[at] += share;
      e.avg_grad_scale[at] += std::fabs(share);
    }
  }
  return e;
}

void check_values(const Shape& s, Tensor& x, Tensor& dy) {
  const PoolExpected e = reference(s, x.f(), dy.f());
  // Sums of at most window taps, or of as many windows as meet a pixel, plus one division.
  const double steps = double(s.window_h * s.window_w) + 1;
  for (tk::Level level : tk::usable_levels()) {
    std::vector<std::vector<float>> first;
    for (int threads : {1, 2}) {
      Tensor max(tk::DType::f32, dy.shape()), avg(tk::DType::f32, dy.shape());
      Tensor max_grad(tk::DType::f32, x.shape()), avg_grad(tk::DType::f32, x.shape());
      const tktest::Run run{level, threads};
      tktest::call_op(run, "max_pool2d", {&x, &max}, s.attributes());
      tktest::call_op(run, "avg_pool2d", {&x, &avg}, s.attributes());
      tktest::call_op(run, "max_pool2d_grad", {&dy, &x, &max_grad}, s.attributes());
      tktest::call_op(run, "avg_pool2d_grad", {&dy, &avg_grad}, s.attributes());
      const int64_t wrong[] = {count_wrong(max, e.max, nullptr, 0), count_wrong(avg, e.avg, &e.avg_scale, steps),
                               count_wrong(max_grad, e.max_grad, &e.max_grad_scale, steps),
                               count_wrong(avg_grad, e.avg_grad, &e.avg_grad_scale, steps)};
      for (int op = 0; op < 4; ++op) {
        CHECK(wrong[op] == 0);
        if (wrong[op] == 0) continue;
        std::printf(
            "  pool op %d x [%d,%d,%d,%d] window %d,%d stride %d,%d dilation %d,%d pad %d,%d level %s threads %d: %d wrong\n",
            op, int(s.n), int(s.h), int(s.w), int(s.c), int(s.window_h), int(s.window_w), int(s.stride_h), int(s.stride_w),
            int(s.dilation_h), int(s.dilation_w), int(s.pad_top), int(s.pad_left), tk::level_name(level), threads,
            int(wrong[op]));
      }
      const Tensor* outputs[] = {&max, &avg, &max_grad, &avg_grad};
      for (size_t op = 0; op < 4; ++op) {
        const Tensor& out = *outputs[op];
        if (threads == 1) {
          first.emplace_back(out.f(), out.f() + out.size());
        } else {
          CHECK(out.size() == 0 || std::memcmp(first[op].data(), out.f(), size_t(out.bytes())) == 0);
        }
      }
    }
  }
}

void check(const Shape& s) {
  Tensor x = Tensor::random({s.n, s.h, s.w, s.c}, 1), dy = Tensor::random({s.n, s.oh(), s.ow(), s.c}, 2);
  check_values(s, x, dy);
  // Many equal values: the first one takes the gradient.
  for (int64_t i = 0; i < x.size(); ++i) x.f()[i] = float(int(x.f()[i]));
  check_values(s, x, dy);
}

TEST(pool_channels_around_the_vector_width) {
  for (int64_t c : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33}) {
    Shape s{2, 6, 5, c, 2, 2};
    s.stride_h = s.stride_w = 2;
    check(s);
    s.pad_bottom = s.pad_right = 1;
    check(s);
  }
}

TEST(pool_windows_strides_and_dilations) {
  for (int64_t window : {1, 2, 3, 4}) {
    for (int64_t stride : {1, 2, 3, 5}) {
      for (int64_t dilation : {1, 2}) {
        Shape s{2, 11, 12, 6, window, window};
        s.stride_h = s.stride_w = stride;
        s.dilation_h = s.dilation_w = dilation;
        check(s);
        const int64_t pad = (window - 1) * dilation;
        s.pad_top = pad / 2, s.pad_bottom = pad - pad / 2, s.pad_left = pad - pad / 2, s.pad_right = pad / 2;
        check(s);
      }
    }
  }
}

TEST(pool_unequal_sides) {
  Shape s{1, 9, 13, 10, 2, 5};
  s.stride_h = 3, s.stride_w = 2, s.dilation_w = 2, s.pad_top = 1, s.pad_right = 4;
  check(s);
  check({3, 1, 7, 4, 1, 7});
  check({3, 7, 1, 4, 7, 1});
}

TEST(pool_windows_outside_the_image) {
  Shape s{1, 3, 3, 9, 2, 2};
  s.pad_top = 3, s.pad_bottom = 3, s.pad_left = 4, s.pad_right = 2;
  check(s);
  s.pad_top = -1, s.pad_left = 0;  // cropped
  check(s);
}

TEST(pool_many_bands_and_threads) {
  Shape s{2, 61, 40, 24, 3, 3};
  s.stride_h = s.stride_w = 2, s.pad_top = s.pad_left = 1;
  check(s);
  s = {1, 50, 64, 64, 2, 2};
  s.stride_h = s.stride_w = 2;
  check(s);
  s = {1, 40, 64, 64, 3, 3};
  s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 1;
  check(s);
  s.stride_h = 7, s.pad_top = 2;
  check(s);
}

TEST(pool_empty) {
  check({0, 4, 4, 3, 2, 2});
  check({1, 4, 4, 0, 2, 2});
  check({1, 1, 4, 3, 2, 2});  // no window fits: gradients are zero
}

TEST(pool_not_a_number_and_infinities) {
  const float nan = std::nanf(""), inf = INFINITY;
  Shape s{1, 2, 8, 1, 2, 2};
  s.stride_w = 2;
  // Four windows: a NaN among numbers, all NaN, all -infinity, an infinity.
  Tensor x = Tensor::f32({1, 2, 8, 1}, {nan, 1, nan, nan, -inf, -inf, 2, inf, 3, 2, nan, nan, -inf, -inf, inf, 1});
  Tensor dy = Tensor::f32({1, 1, 4, 1}, {1, 2, 4, 8});
  check_values(s, x, dy);
  const float max[] = {3, -inf, -inf, inf}, max_grad[] = {0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0};
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, dy.shape()), dx(tk::DType::f32, x.shape());
    tktest::call_op(run, "max_pool2d", {&x, &y}, s.attributes());
    CHECK(std::memcmp(y.f(), max, sizeof max) == 0);
    tktest::call_op(run, "max_pool2d_grad", {&dy, &x, &dx}, s.attributes());
    CHECK(std::memcmp(dx.f(), max_grad, sizeof max_grad) == 0);
  }
}

TEST(pool_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 3}, 1), y(tk::DType::f32, {1, 2, 2, 4});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "max_pool2d", {&x, &y}, {2, 2, 2, 2, 1, 1, 0, 0}), "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::pool_test
