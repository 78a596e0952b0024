// Layer, RMS, group and batch norm with their gradients against sums in double.
#include "reference.h"

namespace tktest::row_group_norm_test {
namespace {

constexpr double kEpsilon = 1e-5;
// A handful of roundings of numbers of size 1 to 10.
constexpr double kForward = 2e-6;
// Sums of some ten to a thousand products besides.
constexpr double kGradient = 1e-5;

struct Norm {
  int64_t images, places, channels, groups;
  bool centered;
};

// One reference for all: x [N, S, C] normalised per image and group. A row norm is N = rows, S = 1, groups = 1.
struct Reference {
  Doubles y, mean, inverse;
};
Reference reference(const Norm& n, const Doubles& x, const Doubles& scale, const Doubles& offset) {
  Reference r;
  r.y.resize(x.size());
  const int64_t size = n.channels / n.groups;
  for (int64_t i = 0; i < n.images; ++i) {
    for (int64_t g = 0; g < n.groups; ++g) {
      double sum = 0, squares = 0;
      const auto each = [&](const auto& body) {
        for (int64_t s = 0; s < n.places; ++s)
          for (int64_t c = g * size; c < (g + 1) * size; ++c) body(size_t((i * n.places + s) * n.channels + c), size_t(c));
      };
      each([&](size_t at, size_t) { sum += x[at]; });
      const double count = double(n.places * size), mean = n.centered ? sum / count : 0.0;
      each([&](size_t at, size_t) { squares += (x[at] - mean) * (x[at] - mean); });
      const double inverse = 1 / std::sqrt(squares / count + kEpsilon);
      each([&](size_t at, size_t c) {
        r.y[at] = (x[at] - mean) * inverse * (scale.empty() ? 1 : scale[c]) + (offset.empty() ? 0 : offset[c]);
      });
      r.mean.push_back(mean);
      r.inverse.push_back(inverse);
    }
  }
  return r;
}

Tensor shifted(std::vector<int64_t> shape, uint32_t seed, float by) {
  Tensor t = Tensor::random(std::move(shape), seed);
  for (int64_t i = 0; i < t.size(); ++i) t.f()[i] += by;
  return t;
}

void check_row_norm(int64_t rows, int64_t cols, bool centered, bool affine, bool gradient) {
  const Norm n = {rows, 1, cols, 1, centered};
  Tensor x = shifted({rows, cols}, 1, 3), residual = Tensor::random({rows, cols}, 2), dy = Tensor::random({rows, cols}, 3);
  const int64_t length = affine ? cols : 0;
  Tensor scale = shifted({length}, 4, 1), offset = Tensor::random({length}, 5), dsum = Tensor::random({rows, cols}, 6);
  const Reference want = reference(n, doubles_of(x), doubles_of(scale), doubles_of(offset));
  for (tk::Level level : tk::usable_levels()) {
    const auto out = outputs_of(level, "row_norm", {&x, &scale, &offset}, {x.shape(), {rows}, {rows}}, {centered}, {kEpsilon});
    check_close("y", out[0], want.y, kForward);
    check_close("mean", out[1], want.mean, kForward);
    check_close("inverse", out[2], want.inverse, kForward);
    // The sum of x and residual is rounded first, and what follows is the plain norm of it.
    const auto joined = outputs_of(level, "residual_norm", {&x, &residual, &scale, &offset},
                                   {x.shape(), x.shape(), {rows}, {rows}}, {centered}, {kEpsilon});
    Tensor sum = joined[0], mean = out[1], inverse = out[2];
    bool added = true;
    for (int64_t i = 0; i < x.size(); ++i) added = added && sum.f()[i] == x.f()[i] + residual.f()[i];
    CHECK(added);
    const auto alone =
        outputs_of(level, "row_norm", {&sum, &scale, &offset}, {x.shape(), {rows}, {rows}}, {centered}, {kEpsilon});
    CHECK(x.size() == 0 || std::memcmp(alone[0].data(), joined[1].data(), size_t(x.bytes())) == 0);
    const auto grads =
        outputs_of(level, "row_norm_grad", {&dy, &x, &scale, &mean, &inverse}, {x.shape(), {length}, {length}}, {centered});
    const auto residual_grads = outputs_of(level, "residual_norm_grad", {&dy, &dsum, &x, &scale, &mean, &inverse},
                                           {x.shape(), {length}, {length}}, {centered});
    bool more = true;
    for (int64_t i = 0; i < x.size(); ++i) more = more && residual_grads[0].f()[i] == grads[0].f()[i] + dsum.f()[i];
    CHECK(more);
    if (!gradient) continue;
    Doubles values = doubles_of(x), s = doubles_of(scale), o = doubles_of(offset), d = doubles_of(dy);
    const auto loss = [&] { return dot(d, reference(n, values, s, o).y); };
    // x is rounded beside its mean of 3, which h repeats `inverse` times larger and dx once more: rows of few, close values.
    double steepest = 1;
    for (double inverse : want.inverse) steepest = std::max(steepest, inverse);
    check_close("dx", grads[0], numeric_gradient(values, loss), kGradient * steepest * steepest);
    check_close("dscale", grads[1], numeric_gradient(s, loss), kGradient * steepest);
    check_close("doffset", grads[2], numeric_gradient(o, loss), kGradient);
  }
}

void check_group_norm(const Norm& n, bool affine, bool gradient) {
  Tensor x = shifted({n.images, n.places, n.channels}, 1, 3), dy = Tensor::random(x.shape(), 2);
  const int64_t length = affine ? n.channels : 0;
  Tensor scale = shifted({length}, 4, 1), offset = Tensor::random({length}, 5);
  const Reference want = reference(n, doubles_of(x), doubles_of(scale), doubles_of(offset));
  const std::vector<int64_t> statistics = {n.images, n.groups};
  for (tk::Level level : tk::usable_levels()) {
    const auto out =
        outputs_of(level, "group_norm", {&x, &scale, &offset}, {x.shape(), statistics, statistics}, {n.groups}, {kEpsilon});
    check_close("y", out[0], want.y, kForward);
    check_close("mean", out[1], want.mean, kForward);
    check_close("inverse", out[2], want.inverse, kForward);
    Tensor mean = out[1], inverse = out[2];
    const auto grads = outputs_of(level, "group_norm_grad", {&dy, &x, &scale, &mean, &inverse}, {x.shape(), {length}, {length}},
                                  {n.groups, 0});
    const auto fixed = outputs_of(level, "group_norm_grad", {&dy, &x, &scale, &mean, &inverse}, {x.shape(), {length}, {length}},
                                  {n.groups, 1});
    Doubles constant(size_t(x.size()));
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t c = i % n.channels, image = i / (n.places * n.channels), group = c * n.groups / n.channels;
      constant[size_t(i)] =
          double(dy.f()[i]) * want.inverse[size_t(image * n.groups + group)] * (affine ? double(scale.f()[c]) : 1);
    }
    check_close("dx of fixed statistics", fixed[0], constant, kForward);
    if (!gradient) continue;
    Doubles values = doubles_of(x), s = doubles_of(scale), o = doubles_of(offset), d = doubles_of(dy);
    const auto loss = [&] { return dot(d, reference(n, values, s, o).y); };
    check_close("dx", grads[0], numeric_gradient(values, loss), kGradient);
    check_close("dscale", grads[1], numeric_gradient(s, loss), kGradient);
    check_close("doffset", grads[2], numeric_gradient(o, loss), kGradient);
  }
}

}  // namespace

TEST(row_norm_and_gradients) {
  for (bool centered : {true, false}) {
    for (bool affine : {true, false}) {
      for (int64_t cols : {1, 2, 7, 8, 9, 17, 33}) check_row_norm(3, cols, centered, affine, true);
      check_row_norm(300, 64, centered, affine, false);
      check_row_norm(70, 1025, centered, affine, false);
      check_row_norm(0, 5, centered, affine, true);
    }
  }
}

TEST(row_norm_of_large_operands) { check_row_norm(4200, 1024, true, true, false); }  // 17 MB: written past the caches

TEST(group_norm_and_gradients) {
  for (bool affine : {true, false}) {
    for (int64_t channels : {1, 3, 8, 12, 17}) {
      check_group_norm({2, 5, channels, channels, true}, affine, true);
      check_group_norm({2, 5, channels, 1, true}, affine, true);
    }
    check_group_norm({3, 7, 12, 4, true}, affine, true);
    check_group_norm({1, 700, 6, 2, true}, affine, false);
    check_group_norm({2, 1500, 40, 8, true}, affine, false);
    check_group_norm({70, 9, 64, 32, true}, affine, false);
  }
}

// A mean of 10,000 standard deviations leaves the normalised values right to what f32 can tell of x: 1e4 * 2^-24.
TEST(group_norm_keeps_digits_beside_a_large_mean) {
  const Norm n = {1, 1000, 3, 3, true};
  Tensor x = shifted({1, 1000, 3}, 1, 1e4f), none(tk::DType::f32, {0});
  const Reference want = reference(n, doubles_of(x), {}, {});
  for (tk::Level level : tk::usable_levels()) {
    const auto out = outputs_of(level, "group_norm", {&x, &none, &none}, {x.shape(), {1, 3}, {1, 3}}, {3}, {kEpsilon});
    check_close("y", out[0], want.y, 1.5e-3);
    check_close("inverse", out[2], want.inverse, 1e-6);
  }
}

// Distances are taken from the mean of the first rows of a chunk, here of 64 of 512. Rows behind them that lie elsewhere, as
// rows in some order do, cost no more than an eighth of the squares suggests.
TEST(group_norm_of_rows_that_start_elsewhere) {
  for (int64_t channels : {3, 8, 40}) {
    const Norm n = {1, 1100, channels, channels, true};
    Tensor x = shifted({1, 1100, channels}, 1, 50);
    for (int64_t i = 0; i < 1100 * channels; ++i) {
      if (i / channels % 512 < 64) x.f()[i] += 1e3f;
    }
    Tensor none(tk::DType::f32, {0});
    const Reference want = reference(n, doubles_of(x), {}, {});
    for (tk::Level level : tk::usable_levels()) {
      const auto out = outputs_of(level, "group_norm", {&x, &none, &none}, {x.shape(), {1, channels}, {1, channels}},
                                  {channels}, {kEpsilon});
      check_close("y", out[0], want.y, 4e-6);
      // Sums of 512 distances of up to 1000, against a mean of some 200.
      check_close("mean", out[1], want.mean, 4e-6);
      check_close("inverse", out[2], want.inverse, 1e-6);
    }
  }
}

TEST(group_norm_of_large_operands) { check_group_norm({1, 70000, 64, 64, true}, true, false); }  // written past the caches

TEST(batch_norm_train_moves_running_statistics) {
  const int64_t places = 37, channels = 5;
  const Norm n = {1, places, channels, channels, true};
  Tensor x = shifted({1, places, channels}, 1, 2), scale = Tensor::random({channels}, 2),
         offset = Tensor::random({channels}, 3);
  const Reference want = reference(n, doubles_of(x), doubles_of(scale), doubles_of(offset));
  for (const Run& run : runs()) {
    for (bool unbiased : {true, false}) {
      Tensor mean = Tensor::random({channels}, 4), variance = Tensor::random({channels}, 5);
      Doubles means = doubles_of(mean), variances = doubles_of(variance);
      Tensor y(tk::DType::f32, x.shape()), saved(tk::DType::f32, {1, channels}), inverse(tk::DType::f32, {1, channels});
      call_op(run, "batch_norm_train", {&x, &scale, &offset, &mean, &variance, &y, &saved, &inverse}, {unbiased},
              {kEpsilon, 0.1});
      for (size_t c = 0; c < size_t(channels); ++c) {
        const double biased = 1 / (want.inverse[c] * want.inverse[c]) - kEpsilon;
        means[c] += 0.1 * (want.mean[c] - means[c]);
        variances[c] += 0.1 * (biased * (unbiased ? double(places) / double(places - 1) : 1) - variances[c]);
      }
      check_close("y", y, want.y, kForward);
      check_close("running mean", mean, means, 1e-6);
      check_close("running variance", variance, variances, 1e-6);
    }
  }
}

TEST(empty_inputs_leave_running_statistics_alone) {
  for (const Run& run : runs()) {
    Tensor x(tk::DType::f32, {1, 0, 2}), none(tk::DType::f32, {0}), mean = Tensor::f32({2}, {1, 2}),
                                                                    variance = Tensor::f32({2}, {3, 4});
    Tensor y(tk::DType::f32, {1, 0, 2}), saved(tk::DType::f32, {1, 2}), inverse(tk::DType::f32, {1, 2});
    call_op(run, "batch_norm_train", {&x, &none, &none, &mean, &variance, &y, &saved, &inverse}, {1}, {kEpsilon, 0.1});
    CHECK(mean.f()[0] == 1 && mean.f()[1] == 2 && variance.f()[0] == 3 && variance.f()[1] == 4);
    Tensor dy(tk::DType::f32, {1, 0, 2}), dx(tk::DType::f32, {1, 0, 2}), dscale(tk::DType::f32, {2}),
        doffset(tk::DType::f32, {2});
    call_op(run, "group_norm_grad", {&dy, &x, &none, &saved, &inverse, &dx, &dscale, &doffset}, {2, 0});
    CHECK(dscale.f()[0] == 0 && dscale.f()[1] == 0 && doffset.f()[0] == 0 && doffset.f()[1] == 0);
  }
}

}  // namespace tktest::row_group_norm_test
