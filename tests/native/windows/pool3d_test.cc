// 3-D pooling, and the positions of 2-D maxima.
#include "windows/pooling.h"

namespace tktest::pool3d_test {
namespace {

struct Axis {
  int64_t in, window, stride = 1, dilation = 1, before = 0, after = 0;
  int64_t out() const { return (in + before + after - (window - 1) * dilation - 1) / stride + 1; }
  int64_t at(int64_t position, int64_t tap) const { return position * stride - before + tap * dilation; }
};

struct Shape {
  int64_t n, c;
  Axis d, h, w;

  std::vector<int64_t> attributes() const {
    return {d.window,   h.window,   w.window,   d.stride, h.stride, w.stride,
            d.dilation, h.dilation, w.dilation, d.before, h.before, w.before};
  }
};

// One output channel at a time, in double precision.
PoolExpected reference(const Shape& s, const Tensor& x, const Tensor& dy) {
  PoolExpected e;
  for (auto* list : {&e.max, &e.avg, &e.avg_scale}) list->assign(size_t(dy.size()), 0.0);
  for (auto* list : {&e.max_grad, &e.max_grad_scale, &e.avg_grad, &e.avg_grad_scale}) list->assign(size_t(x.size()), 0.0);
  for (int64_t out = 0; out < dy.size(); ++out) {
    const int64_t c = out % s.c, pixel = out / s.c;
    const int64_t j = pixel % s.w.out(), i = pixel / s.w.out() % s.h.out(), o = pixel / (s.w.out() * s.h.out()) % s.d.out();
    const int64_t n = pixel / (s.w.out() * s.h.out() * s.d.out());
    std::vector<size_t> taps;
    for (int64_t kd = 0; kd < s.d.window; ++kd)
      for (int64_t kh = 0; kh < s.h.window; ++kh)
        for (int64_t kw = 0; kw < s.w.window; ++kw) {
          const int64_t d = s.d.at(o, kd), h = s.h.at(i, kh), w = s.w.at(j, kw);
          if (d < 0 || d >= s.d.in || h < 0 || h >= s.h.in || w < 0 || w >= s.w.in) continue;
          taps.push_back(size_t((((n * s.d.in + d) * s.h.in + h) * s.w.in + w) * s.c + c));
        }
    double best = -INFINITY, sum = 0, scale = 0;
    int64_t best_at = -1;
    for (size_t at : taps) {
      if (x.f()[at] >= best) best = x.f()[at], best_at = int64_t(at);
      sum += x.f()[at];
      scale += std::fabs(x.f()[at]);
    }
    const double count = taps.empty() ? 1.0 : double(taps.size()), g = dy.f()[out];
    e.max[size_t(out)] = best;
    e.avg[size_t(out)] = sum / count;
    e.avg_scale[size_t(out)] = scale / count;
    if (best_at >= 0) {
      e.max_grad[size_t(best_at)] += g;
      e.max_grad_scale[size_t(best_at)] += std::fabs(g);
    }
    for (size_t at : taps) {
      const double share = g / double(s.d.window * s.h.window * s.w.window);
      e.avg_grad[at] += share;
      e.avg_grad_scale[at] += std::fabs(share);
    }
  }
  return e;
}

void check_values(const Shape& s, Tensor& x, Tensor& dy) {
  const PoolExpected e = reference(s, x, dy);
  // Sums of at most window taps, or of as many windows as meet a pixel, plus one division.
  const double steps = double(s.d.window * s.h.window * s.w.window) + 1;
  for (tk::Level level : tk::usable_levels()) {
    std::vector<std::vector<float>> first;
    for (int threads : {1, 2}) {
      Tensor max(tk::DType::f32, dy.shape()), avg(tk::DType::f32, dy.shape());
      Tensor max_grad(tk::DType::f32, x.shape()), avg_grad(tk::DType::f32, x.shape());
      const tktest::Run run{level, threads};
      tktest::call_op(run, "max_pool3d", {&x, &max}, s.attributes());
      tktest::call_op(run, "avg_pool3d", {&x, &avg}, s.attributes());
      tktest::call_op(run, "max_pool3d_grad", {&dy, &x, &max_grad}, s.attributes());
      tktest::call_op(run, "avg_pool3d_grad", {&dy, &avg_grad}, s.attributes());
      CHECK(count_wrong(max, e.max, nullptr, 0) == 0);
      CHECK(count_wrong(avg, e.avg, &e.avg_scale, steps) == 0);
      CHECK(count_wrong(max_grad, e.max_grad, &e.max_grad_scale, steps) == 0);
      CHECK(count_wrong(avg_grad, e.avg_grad, &e.avg_grad_scale, steps) == 0);
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
  Tensor x = Tensor::random({s.n, s.d.in, s.h.in, s.w.in, s.c}, 1);
  Tensor dy = Tensor::random({s.n, s.d.out(), s.h.out(), s.w.out(), s.c}, 2);
  check_values(s, x, dy);
  // Many equal values: the last one takes the gradient.
  for (int64_t i = 0; i < x.size(); ++i) x.f()[i] = float(int(x.f()[i]));
  check_values(s, x, dy);
}

TEST(pool3d_channels_around_the_vector_width) {
  for (int64_t c : {1, 3, 7, 8, 9, 17}) check({2, c, {4, 2, 2}, {5, 3, 1, 1, 1, 1}, {6, 2, 2}});
}

TEST(pool3d_windows_strides_and_dilations) {
  for (int64_t window : {1, 2, 3}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t dilation : {1, 2}) {
        const int64_t pad = (window - 1) * dilation;
        const Axis plain = {7, window, stride, dilation}, padded = {7, window, stride, dilation, pad / 2, pad - pad / 2};
        check({1, 5, plain, padded, plain});
        check({2, 3, padded, plain, padded});
      }
    }
  }
}

TEST(pool3d_many_bands_and_threads) {
  check({2, 24, {13, 3, 2, 1, 1, 1}, {14, 3, 2, 1, 1, 1}, {15, 3, 2}});
  check({1, 32, {12, 2, 2}, {16, 2, 2}, {16, 2, 2}});
  check({1, 16, {12, 3, 1, 1, 1, 1}, {12, 3, 1, 1, 1, 1}, {12, 3, 1, 1, 1, 1}});
  check({1, 16, {12, 2, 5, 1, 1, 3}, {16, 3, 1}, {16, 3, 1}});
}

TEST(pool3d_windows_outside_the_image) {
  check({1, 9, {3, 2, 1, 1, 3, 3}, {2, 2, 1, 1, 3, 1}, {3, 2, 1, 1, 0, 2}});
  check({1, 2, {4, 2, 1, 1, -1, 0}, {4, 2}, {4, 2, 1, 1, -2, 1}});  // cropped
}

TEST(pool3d_empty) {
  check({0, 3, {4, 2}, {4, 2}, {4, 2}});
  check({1, 0, {4, 2}, {4, 2}, {4, 2}});
  check({1, 3, {1, 2}, {4, 2}, {4, 2}});  // no window fits: gradients are zero
}

TEST(pool3d_not_a_number_and_infinities) {
  const float nan = std::nanf(""), inf = INFINITY;
  const Shape s = {1, 1, {1, 1}, {2, 2, 2}, {8, 2, 2}};
  Tensor x = Tensor::f32({1, 1, 2, 8, 1}, {nan, 1, nan, nan, -inf, -inf, 2, inf, 3, 2, nan, nan, -inf, -inf, inf, 1});
  Tensor dy = Tensor::f32({1, 1, 1, 4, 1}, {1, 2, 4, 8});
  check_values(s, x, dy);
}

TEST(max_pool2d_argmax_gives_the_first_largest) {
  const int64_t n = 2, h = 7, w = 6, oh = 4, ow = 3;
  for (int64_t c : {1, 7, 8, 19}) {
    Tensor x = Tensor::random({n, h, w, c}, 5);
    for (int64_t i = 0; i < x.size(); ++i) x.f()[i] = float(int(2 * x.f()[i]));
    x.f()[0] = std::nanf("");
    for (int with_batch : {0, 1}) {
      for (const tktest::Run& run : tktest::runs()) {
        Tensor y(tk::DType::f32, {n, oh, ow, c}), positions(tk::DType::i32, {n, oh, ow, c});
        tktest::call_op(run, "max_pool2d_argmax", {&x, &y, &positions}, {3, 2, 2, 2, 1, 1, 1, 0, with_batch});
        int64_t wrong = 0;
        for (int64_t out = 0; out < y.size(); ++out) {
          const int64_t ch = out % c, j = out / c % ow, i = out / (c * ow) % oh, image = out / (c * ow * oh);
          float best = -INFINITY;
          int64_t at = -1;
          for (int64_t kh = 0; kh < 3; ++kh)
            for (int64_t kw = 0; kw < 2; ++kw) {
              const int64_t row = i * 2 - 1 + kh, column = j * 2 + kw;
              if (row < 0 || row >= h) continue;
              const float value = x.f()[((image * h + row) * w + column) * c + ch];
              if (value > best) best = value, at = (((with_batch ? image : 0) * h + row) * w + column) * c + ch;
            }
          if (y.f()[out] != best || positions.i()[out] != at) ++wrong;
        }
        CHECK(wrong == 0);
      }
    }
  }
}

TEST(max_pool2d_argmax_without_a_maximum) {
  Tensor x = Tensor::f32({1, 1, 2, 1}, {std::nanf(""), -INFINITY});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, {1, 1, 1, 1}), positions(tk::DType::i32, {1, 1, 1, 1});
    tktest::call_op(run, "max_pool2d_argmax", {&x, &y, &positions}, {1, 2, 1, 1, 1, 1, 0, 0, 1});
    CHECK(y.f()[0] == -INFINITY);
    CHECK(positions.i()[0] == -1);
  }
}

}  // namespace

}  // namespace tktest::pool3d_test
