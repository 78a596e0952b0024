// Softmax and cross-entropy against double precision.
#include "op_test.h"

using namespace tktest;
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
    switch (tensors.size()) {
      case 1: return call_op({level, threads}, name, {tensors[0], &y});
      case 2: return call_op({level, threads}, name, {tensors[0], tensors[1], &y});
      default: return call_op({level, threads}, name, {tensors[0], tensors[1], tensors[2], &y});
    }
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

TEST(cross_entropy_and_gradient) {
  for (const Shape& s : kShapes) {
    Tensor x = Tensor::random({s.rows, s.cols}, 4, 4), classes = labels_for(s), weights = weights_for(s);
    Tensor dloss = Tensor::random({s.rows}, 5);
    for (Tensor* labels : {&classes, &weights}) {
      for (tk::Level level : tk::usable_levels()) {
        Tensor loss(DType::f32, {s.rows}), dx(DType::f32, {s.rows, s.cols});
        call_both(level, "softmax_cross_entropy", {&x, labels}, loss);
        call_both(level, "softmax_cross_entropy_grad", {&x, labels, &dloss}, dx);
        bool right = true;
        for (int64_t r = 0; r < s.rows; ++r) {
          const Row row = row_of(x.f() + r * s.cols, s.cols);
          const auto weight = [&](int64_t j) {
            return labels == &classes ? double(classes.i()[r] == j) : double(weights.f()[r * s.cols + j]);
          };
          double want = 0, total = 0;
          for (int64_t j = 0; j < s.cols; ++j) {
            want -= weight(j) * (double(x.f()[r * s.cols + j]) - row.max - std::log(row.sum));
            total += weight(j);
          }
          // ln sum is off by the relative error of the sum, about 1e-7, whatever its size.
          right = right && std::fabs(double(loss.f()[r]) - want) <= 1e-6 * (want + 1);
          for (int64_t j = 0; j < s.cols; ++j) {
            const double p = std::exp(double(x.f()[r * s.cols + j]) - row.max) / row.sum;
            const double gradient = double(dloss.f()[r]) * (p * total - weight(j));
            // The difference of share and weight keeps the rounding of both.
            const double bound = std::fabs(double(dloss.f()[r])) * (kRelative * p + 3e-7 * weight(j)) + kAbsolute;
            right = right && std::fabs(double(dx.f()[r * s.cols + j]) - gradient) <= bound;
          }
        }
        CHECK(right);
        if (!right) std::printf("[%d %d] %s\n", int(s.rows), int(s.cols), labels == &classes ? "classes" : "weights");
        Tensor in_place = x;
        call_op({level, 1}, "softmax_cross_entropy_grad", {&in_place, labels, &dloss, &in_place});
        CHECK(dx.bytes() == 0 || std::memcmp(in_place.data(), dx.data(), size_t(dx.bytes())) == 0);
      }
    }
  }
}

TEST(labels_outside_are_reported_and_clamped) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::random({3, 5}, 6), dloss = Tensor::f32({3}, {1, 1, 1});
    Tensor bad = Tensor::i32({3}, {1, 2, 5}), near = Tensor::i32({3}, {1, 2, 4});
    Tensor low = Tensor::i32({3}, {-1, 2, 4}), zero = Tensor::i32({3}, {0, 2, 4});
    Tensor loss(DType::f32, {3}), want(DType::f32, {3}), dx(DType::f32, {3, 5}), want_dx(DType::f32, {3, 5});
    for (auto& [wrong, right, index] : {std::tuple{&bad, &near, int64_t(5)}, std::tuple{&low, &zero, int64_t(-1)}}) {
      CHECK(call_op(run, "softmax_cross_entropy", {&x, wrong, &loss}) == index);
      CHECK(call_op(run, "softmax_cross_entropy", {&x, right, &want}) == INT64_MIN);
      CHECK(std::memcmp(loss.data(), want.data(), 12) == 0);
      CHECK(call_op(run, "softmax_cross_entropy_grad", {&x, wrong, &dloss, &dx}) == index);
      CHECK(call_op(run, "softmax_cross_entropy_grad", {&x, right, &dloss, &want_dx}) == INT64_MIN);
      CHECK(std::memcmp(dx.data(), want_dx.data(), 60) == 0);
    }
  }
}

// Masked classes: a logit of -inf with weight 0 takes no part; no classes at all give loss 0.
TEST(masked_classes) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::f32({1, 3}, {1, -INFINITY, 1}), p = Tensor::f32({1, 3}, {0.5f, 0, 0.5f}), one = Tensor::f32({1}, {1});
    Tensor loss(DType::f32, {1}), dx(DType::f32, {1, 3});
    call_op(run, "softmax_cross_entropy", {&x, &p, &loss});
    CHECK(std::fabs(double(loss.f()[0]) - std::log(2.0)) < 1e-7);
    call_op(run, "softmax_cross_entropy_grad", {&x, &p, &one, &dx});
    CHECK(dx.f()[0] == 0 && dx.f()[1] == 0 && dx.f()[2] == 0);
    Tensor empty(DType::f32, {2, 0}), none(DType::f32, {2, 0}), losses(DType::f32, {2});
    call_op(run, "softmax_cross_entropy", {&empty, &none, &losses});
    CHECK(losses.f()[0] == 0 && losses.f()[1] == 0);
  }
}

TEST_MAIN
