// Softmax and cross-entropy against double precision.
#include "op_test.h"

namespace tktest::softmax_test {
using tk::DType;

namespace {

struct Shape {
  int64_t rows, cols;
};
const Shape kShapes[] = {{0, 5},  {1, 1},   {7, 2},    {5, 3},    {3, 7},    {4, 8},    {4, 9},    {300, 10},  {33, 17},
                         {9, 31}, {8, 100}, {3, 1000}, {5, 1023}, {4, 1024}, {3, 1025}, {2, 5000}, {1, 70001}, {40, 2000}};

struct Row {
  double max = -INFINITY, sum = 0;
};
Row row_of(const float* x, int64_t n) {
  Row row;
  for (int64_t i = 0; i < n; ++i) row.max = std::max(row.max, double(x[i]));
  for (int64_t i = 0; i < n; ++i) row.sum += std::exp(double(x[i]) - row.max);
  return row;
}

// Runs with 1 and 2 threads and checks that the bits agree.
void call_both(tk::Level level, const char* name, std::initializer_list<Tensor*> inputs, Tensor& out) {
  std::vector<Tensor*> tensors(inputs);
  Tensor two = out;
  const auto call = [&](int threads, Tensor& y) {
    std::vector<Tensor*> operands = tensors;
    operands.push_back(&y);
    return call_op_list({level, threads}, name, operands);
  };
  CHECK(call(1, out) == INT64_MIN);
  CHECK(call(2, two) == INT64_MIN);
  CHECK(out.bytes() == 0 || std::memcmp(out.data(), two.data(), size_t(out.bytes())) == 0);
}

Tensor labels_for(const Shape& s) {
  Tensor t(DType::i32, {s.rows});
  for (int64_t r = 0; r < s.rows; ++r) t.i()[r] = int32_t(r * 7919 % s.cols);
  return t;
}
// Weights of a row add up to 1, but for every third row (to 0.8); one weight in four is 0.
Tensor weights_for(const Shape& s) {
  Tensor t = Tensor::random({s.rows, s.cols}, 9);
  for (int64_t r = 0; r < s.rows; ++r) {
    double total = 0;
    for (int64_t j = 0; j < s.cols; ++j) {
      float& p = t.f()[r * s.cols + j];
      p = s.cols > 1 && j % 4 == 1 ? 0.0f : std::fabs(p) + 0.01f;
      total += double(p);
    }
    for (int64_t j = 0; j < s.cols; ++j) t.f()[r * s.cols + j] *= float((r % 3 == 2 ? 0.8 : 1.0) / total);
  }
  return t;
}

// e^d inherits the rounding of d = x - max (|d| * 2^-24, |d| up to some 40 here, less where it counts), 2 ulp of exp, 1 of the
// sum and 2 of the scaling: 1e-6 of the value, and an absolute part for shares that are nothing beside 1.
constexpr double kRelative = 3e-6;
constexpr double kAbsolute = 1e-30;

}  // namespace

TEST(softmax_and_log_softmax) {
  for (const Shape& s : kShapes) {
    for (float scale : {1.0f, 10.0f}) {
      Tensor x = Tensor::random({s.rows, s.cols}, 1, scale);
      for (tk::Level level : tk::usable_levels()) {
        Tensor y(DType::f32, {s.rows, s.cols}), l(DType::f32, {s.rows, s.cols});
        call_both(level, "softmax", {&x}, y);
        call_both(level, "log_softmax", {&x}, l);
        bool right = true;
        for (int64_t r = 0; r < s.rows; ++r) {
          const Row row = row_of(x.f() + r * s.cols, s.cols);
          double total = 0;
          for (int64_t j = 0; j < s.cols; ++j) {
            const int64_t at = r * s.cols + j;
            const double d = double(x.f()[at]) - row.max, want = std::exp(d) / row.sum;
            right = right && std::fabs(double(y.f()[at]) - want) <= kRelative * want + kAbsolute;
            right = right &&
                    std::fabs(double(l.f()[at]) - (d - std::log(row.sum))) <= 3e-7 * (std::fabs(d) + 1 + std::log(row.sum));
            total += double(y.f()[at]);
          }
          right = right && std::fabs(total - 1) < 1e-6;
        }
        CHECK(right);
        if (!right) std::printf("[%d %d] scale %g\n", int(s.rows), int(s.cols), double(scale));
        Tensor in_place = x;
        call_op({level, 1}, "softmax", {&in_place, &in_place});
        CHECK(x.bytes() == 0 || std::memcmp(in_place.data(), y.data(), size_t(y.bytes())) == 0);
        in_place = x;
        call_op({level, 1}, "log_softmax", {&in_place, &in_place});
        CHECK(x.bytes() == 0 || std::memcmp(in_place.data(), l.data(), size_t(l.bytes())) == 0);
      }
    }
  }
}

TEST(special_rows) {
  const int64_t cols = 11;
  for (const Run& run : runs()) {
    Tensor x(DType::f32, {6, cols}), y(DType::f32, {6, cols});
    for (int64_t i = 0; i < x.size(); ++i) x.f()[i] = float(i % 5);
    for (int64_t j = 0; j < cols; ++j) x.f()[j] = -INFINITY;  // row 0: all -inf
    x.f()[1 * cols + 3] = NAN;
    x.f()[2 * cols + 9] = INFINITY;
    for (int64_t j = 0; j < cols; ++j) x.f()[3 * cols + j] = j == 4 ? 7.0f : -INFINITY;
    x.f()[4 * cols + 10] = 1000;
    for (int64_t j = 0; j < cols; ++j) x.f()[5 * cols + j] = -3e38f;
    call_op(run, "softmax", {&x, &y});
    for (int64_t j = 0; j < cols; ++j) {
      CHECK(std::isnan(y.f()[j]) && std::isnan(y.f()[cols + j]) && std::isnan(y.f()[2 * cols + j]));
      CHECK(y.f()[3 * cols + j] == (j == 4 ? 1.0f : 0.0f));
      CHECK(y.f()[4 * cols + j] == (j == 10 ? 1.0f : 0.0f));
      CHECK(std::fabs(y.f()[5 * cols + j] - 1.0f / 11) < 1e-8f);  // half an ulp of 1/11, twice
    }
    call_op(run, "log_softmax", {&x, &y});
    CHECK(std::isnan(y.f()[0]) && std::isnan(y.f()[cols]) && std::isnan(y.f()[2 * cols]));
    CHECK(y.f()[3 * cols + 4] == 0 && y.f()[3 * cols] == -INFINITY);
    CHECK(y.f()[4 * cols] == x.f()[4 * cols] - 1000);
  }
}

TEST(softmax_gradient) {
  for (const Shape& s : kShapes) {
    Tensor x = Tensor::random({s.rows, s.cols}, 2, 3), dy = Tensor::random({s.rows, s.cols}, 3),
           y(DType::f32, {s.rows, s.cols});
    for (tk::Level level : tk::usable_levels()) {
      call_op({level, 1}, "softmax", {&x, &y});
      Tensor dx(DType::f32, {s.rows, s.cols});
      call_both(level, "softmax_grad", {&dy, &y}, dx);
      bool right = true;
      for (int64_t r = 0; r < s.rows; ++r) {
        double dot = 0, magnitude = 0;
        for (int64_t j = 0; j < s.cols; ++j) {
          const double product = double(dy.f()[r * s.cols + j]) * double(y.f()[r * s.cols + j]);
          dot += product;
          magnitude += std::fabs(product);
        }
        for (int64_t j = 0; j < s.cols; ++j) {
          const int64_t at = r * s.cols + j;
          const double p = double(y.f()[at]), g = double(dy.f()[at]);
          // Rounding of the dot product (relative to its terms), the difference and the product.
          right = right && std::fabs(double(dx.f()[at]) - p * (g - dot)) <= 1e-6 * p * (std::fabs(g) + magnitude) + 1e-40;
        }
      }
      CHECK(right);
      for (Tensor* alias : {&dy, &y}) {
        Tensor kept = *alias;
        Tensor& g = alias == &dy ? kept : dy;
        Tensor& p = alias == &y ? kept : y;
        call_op({level, 1}, "softmax_grad", {&g, &p, &kept});
        CHECK(dx.bytes() == 0 || std::memcmp(kept.data(), dx.data(), size_t(dx.bytes())) == 0);
      }
    }
  }
}

struct Targets {
  const char* name;
  double smoothing;
  bool weighted, ignored;
};
const Targets kTargets[] = {{"plain", 0, false, false},
                            {"smooth", 0.1, false, false},
                            {"weighted", 0, true, false},
                            {"ignored", 0, false, true},
                            {"all of them", 0.2, true, true}};

// Both ops on 1 and 2 threads, compared bit for bit, then with sums in double.
void check_cross_entropy(const Shape& s, const Targets& how, bool sparse, tk::Level level) {
  Tensor x = Tensor::random({s.rows, s.cols}, 4, 4), classes = labels_for(s), probabilities = weights_for(s);
  Tensor dloss = Tensor::random({s.rows}, 5), weight = Tensor::random({how.weighted ? s.cols : 0}, 6);
  for (int64_t j = 0; j < weight.size(); ++j) weight.f()[j] = j % 5 == 3 ? 0.0f : std::fabs(weight.f()[j]);
  const int64_t ignored = s.cols > 1 ? 1 : -7;
  if (how.ignored && s.cols == 1) {
    for (int64_t r = 0; r < s.rows; r += 2) classes.i()[r] = -7;
  }
  Tensor& labels = sparse ? classes : probabilities;
  std::vector<Tensor> losses, row_weights, gradients;
  for (int threads : {1, 2}) {
    Tensor loss(DType::f32, {s.rows}), row_weight(DType::f32, {s.rows}), dx(DType::f32, {s.rows, s.cols});
    const std::vector<int64_t> ints = {how.ignored, ignored};
    CHECK(call_op({level, threads}, "softmax_cross_entropy", {&x, &labels, &weight, &loss, &row_weight}, ints,
                  {how.smoothing}) == INT64_MIN);
    call_op({level, threads}, "softmax_cross_entropy_grad", {&x, &labels, &weight, &dloss, &dx}, ints, {how.smoothing});
    Tensor in_place = x;
    call_op({level, threads}, "softmax_cross_entropy_grad", {&in_place, &labels, &weight, &dloss, &in_place}, ints,
            {how.smoothing});
    CHECK(dx.bytes() == 0 || std::memcmp(in_place.data(), dx.data(), size_t(dx.bytes())) == 0);
    losses.push_back(loss);
    row_weights.push_back(row_weight);
    gradients.push_back(dx);
  }
  CHECK(s.rows == 0 || std::memcmp(losses[0].data(), losses[1].data(), size_t(losses[0].bytes())) == 0);
  CHECK(s.rows == 0 || std::memcmp(gradients[0].data(), gradients[1].data(), size_t(gradients[0].bytes())) == 0);
  bool right = true;
  for (int64_t r = 0; r < s.rows; ++r) {
    const bool skipped = sparse && how.ignored && classes.i()[r] == ignored;
    const float* z = x.f() + r * s.cols;
    const Row row = row_of(z, s.cols);
    const auto class_weight = [&](int64_t j) { return skipped ? 0.0 : how.weighted ? double(weight.f()[j]) : 1.0; };
    const auto target = [&](int64_t j) {
      const double t = sparse ? double(classes.i()[r] == j) : double(probabilities.f()[r * s.cols + j]);
      return class_weight(j) * ((1 - how.smoothing) * t + how.smoothing / double(s.cols));
    };
    double want = 0, total = 0;
    for (int64_t j = 0; j < s.cols; ++j) {
      want -= target(j) * (double(z[j]) - row.max - std::log(row.sum));
      total += target(j);
    }
    // ln sum is off by the relative error of the sum, about 1e-7, whatever its size.
    right = right && std::fabs(double(losses[0].f()[r]) - want) <= 1e-6 * (want + total);
    const double counted = skipped ? 0.0 : sparse ? class_weight(classes.i()[r]) : 1.0;
    right = right && double(row_weights[0].f()[r]) == counted;
    for (int64_t j = 0; j < s.cols; ++j) {
      const double p = std::exp(double(z[j]) - row.max) / row.sum, g = double(dloss.f()[r]);
      // The difference of share and target keeps the rounding of both.
      const double bound = std::fabs(g) * (kRelative * p * total + 3e-7 * target(j)) + kAbsolute;
      right = right && std::fabs(double(gradients[0].f()[r * s.cols + j]) - g * (p * total - target(j))) <= bound;
    }
  }
  CHECK(right);
  if (!right) std::printf("[%d %d] %s, %s\n", int(s.rows), int(s.cols), how.name, sparse ? "classes" : "probabilities");
}

TEST(cross_entropy_and_gradient) {
  for (const Shape& s : kShapes)
    for (const Targets& how : kTargets)
      for (bool sparse : {true, false})
        for (tk::Level level : tk::usable_levels()) check_cross_entropy(s, how, sparse, level);
}

TEST(labels_outside_are_reported_and_clamped) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::random({3, 5}, 6), dloss = Tensor::f32({3}, {1, 1, 1}), none(DType::f32, {0});
    Tensor bad = Tensor::i32({3}, {1, 2, 5}), near = Tensor::i32({3}, {1, 2, 4});
    Tensor low = Tensor::i32({3}, {-1, 2, 4}), zero = Tensor::i32({3}, {0, 2, 4});
    Tensor loss(DType::f32, {3}), want(DType::f32, {3}), weight(DType::f32, {3});
    Tensor dx(DType::f32, {3, 5}), want_dx(DType::f32, {3, 5});
    const auto forward = [&](Tensor* labels, Tensor* to) {
      return call_op(run, "softmax_cross_entropy", {&x, labels, &none, to, &weight}, {0, 0}, {0.0});
    };
    const auto backward = [&](Tensor* labels, Tensor* to) {
      return call_op(run, "softmax_cross_entropy_grad", {&x, labels, &none, &dloss, to}, {0, 0}, {0.0});
    };
    for (auto& [wrong, right, index] : {std::tuple{&bad, &near, int64_t(5)}, std::tuple{&low, &zero, int64_t(-1)}}) {
      CHECK(forward(wrong, &loss) == index);
      CHECK(forward(right, &want) == INT64_MIN);
      CHECK(std::memcmp(loss.data(), want.data(), 12) == 0);
      CHECK(backward(wrong, &dx) == index);
      CHECK(backward(right, &want_dx) == INT64_MIN);
      CHECK(std::memcmp(dx.data(), want_dx.data(), 60) == 0);
    }
  }
}

// Masked classes: a logit of -inf with weight 0 takes no part; no classes at all give loss 0.
TEST(masked_classes) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::f32({1, 3}, {1, -INFINITY, 1}), p = Tensor::f32({1, 3}, {0.5f, 0, 0.5f}), one = Tensor::f32({1}, {1});
    Tensor loss(DType::f32, {1}), weight(DType::f32, {1}), dx(DType::f32, {1, 3}), none(DType::f32, {0});
    call_op(run, "softmax_cross_entropy", {&x, &p, &none, &loss, &weight}, {0, 0}, {0.0});
    CHECK(std::fabs(double(loss.f()[0]) - std::log(2.0)) < 1e-7);
    call_op(run, "softmax_cross_entropy_grad", {&x, &p, &none, &one, &dx}, {0, 0}, {0.0});
    CHECK(dx.f()[0] == 0 && dx.f()[1] == 0 && dx.f()[2] == 0);
    Tensor empty(DType::f32, {2, 0}), nothing(DType::f32, {2, 0}), losses(DType::f32, {2}), weights(DType::f32, {2});
    call_op(run, "softmax_cross_entropy", {&empty, &nothing, &none, &losses, &weights}, {0, 0}, {0.0});
    CHECK(losses.f()[0] == 0 && losses.f()[1] == 0);
  }
}

}  // namespace tktest::softmax_test
