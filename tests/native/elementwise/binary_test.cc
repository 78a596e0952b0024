// Binary kernels and select: formulas against JavaScript's arithmetic in double, broadcasting against plain index arithmetic.
#include "op_test.h"

namespace tktest::binary_test {
using tk::DType;

namespace {

double js_max(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return NAN;
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
double js_min(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return NAN;
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
double js_pow(double a, double b) {
  if (std::isnan(b) || (std::fabs(a) == 1 && std::isinf(b))) return NAN;
  return std::pow(a, b);
}
double tfjs_mod(double a, double b) {
  const double remainder = std::fmod(a, b);
  if ((a < 0 && b < 0) || (a >= 0 && b >= 0)) return remainder;
  return std::fmod(remainder + b, b);
}

struct Function {
  const char* name;
  double (*reference)(double, double);
  double max_relative;  // of the result rounded to f32; 0 where the f32 operation is correctly rounded
};
// 2^-23 is 1 to 2 ulp: elu_grad and squared_difference round twice, atan2 and pow come from libm.
constexpr double kTwoRoundings = 1.2e-7;
const Function kFloatFunctions[] = {
    {"add", [](double a, double b) { return a + b; }, 0},
    {"sub", [](double a, double b) { return a - b; }, 0},
    {"mul", [](double a, double b) { return a * b; }, 0},
    {"div", [](double a, double b) { return a / b; }, 0},
    {"maximum", js_max, 0},
    {"minimum", js_min, 0},
    {"floor_div", [](double a, double b) { return std::floor(a / b); }, 0},
    {"mod", tfjs_mod, 0},
    {"prelu", [](double a, double b) { return a < 0 ? a * b : a; }, 0},
    {"squared_difference", [](double a, double b) { return double(float(a - b)) * double(float(a - b)); }, 0},
    {"elu_grad", [](double a, double b) { return b >= 0 ? a : a * (b + 1); }, kTwoRoundings},
    {"atan2", [](double a, double b) { return std::atan2(a, b); }, kTwoRoundings},
    {"pow", js_pow, kTwoRoundings},
};
const Function kComparisons[] = {
    {"equal", [](double a, double b) { return double(a == b); }, 0},
    {"not_equal", [](double a, double b) { return double(a != b); }, 0},
    {"less", [](double a, double b) { return double(a < b); }, 0},
    {"less_equal", [](double a, double b) { return double(a <= b); }, 0},
    {"greater", [](double a, double b) { return double(a > b); }, 0},
    {"greater_equal", [](double a, double b) { return double(a >= b); }, 0},
};

bool close(double got, double want, double max_relative) {
  const double rounded = double(float(want));
  if (std::isnan(rounded) || std::isnan(got)) return std::isnan(rounded) && std::isnan(got);
  if (got == rounded) return got != 0 || std::signbit(got) == std::signbit(rounded);
  return std::fabs(got - want) <= max_relative * std::fabs(want) + (max_relative > 0 ? 1.5e-45 : 0);
}

std::vector<float> interesting() {
  return {0,       -0.0f, 1,      -1,     2,     -2,   0.1f,  -0.1f,  3.5f, -3.5f,    7,         1e-10f,
          -1e-10f, 1e30f, -1e30f, 1e-45f, 3e38f, 0.5f, 1e10f, -1e10f, 100,  INFINITY, -INFINITY, NAN};
}

}  // namespace

TEST(float_formulas_on_all_pairs_of_special_values) {
  const std::vector<float> values = interesting();
  std::vector<float> a, b;
  for (float u : values) {
    for (float v : values) {
      a.push_back(u);
      b.push_back(v);
    }
  }
  Tensor extra_a = Tensor::random({2000}, 1, 5), extra_b = Tensor::random({2000}, 2, 3);
  a.insert(a.end(), extra_a.f(), extra_a.f() + 2000);
  b.insert(b.end(), extra_b.f(), extra_b.f() + 2000);
  const int64_t n = int64_t(a.size());
  for (const Run& run : runs()) {
    for (const Function& function : kFloatFunctions) {
      Tensor x = Tensor::f32({n}, a), z = Tensor::f32({n}, b), y(DType::f32, {n});
      call_op(run, function.name, {&x, &z, &y});
      for (int64_t i = 0; i < n; ++i) {
        const double u = double(x.f()[i]), v = double(z.f()[i]);
        const bool ok = close(double(y.f()[i]), function.reference(u, v), function.max_relative);
        CHECK(ok);
        if (!ok) std::printf("%s(%g, %g) = %g, want %g\n", function.name, u, v, double(y.f()[i]), function.reference(u, v));
      }
    }
    for (const Function& function : kComparisons) {
      Tensor x = Tensor::f32({n}, a), z = Tensor::f32({n}, b), y(DType::u8, {n});
      call_op(run, function.name, {&x, &z, &y});
      for (int64_t i = 0; i < n; ++i) CHECK(y.b()[i] == function.reference(double(x.f()[i]), double(z.f()[i])));
    }
  }
}

TEST(int32_formulas_wrap_and_take_zero_divisors) {
  const std::vector<int32_t> values = {0,  1,  -1, 2,  -2,   3,     -3,     7,         -7,
                                       10, 31, 32, 33, 1000, 65536, -65537, INT32_MAX, INT32_MIN};
  std::vector<int32_t> a, b;
  for (int32_t u : values) {
    for (int32_t v : values) {
      a.push_back(u);
      b.push_back(v);
    }
  }
  const int64_t n = int64_t(a.size());
  const auto wrap = [](int64_t v) { return int32_t(uint32_t(uint64_t(v))); };
  for (const Run& run : runs()) {
    Tensor x = Tensor::i32({n}, a), z = Tensor::i32({n}, b);
    const auto check = [&](const char* name, auto&& reference) {
      Tensor y(DType::i32, {n});
      call_op(run, name, {&x, &z, &y});
      for (int64_t i = 0; i < n; ++i) CHECK(y.i()[i] == reference(int64_t(x.i()[i]), int64_t(z.i()[i])));
    };
    check("add", [&](int64_t u, int64_t v) { return wrap(u + v); });
    check("sub", [&](int64_t u, int64_t v) { return wrap(u - v); });
    check("mul", [&](int64_t u, int64_t v) { return wrap(u * v); });
    check("maximum", [&](int64_t u, int64_t v) { return wrap(u > v ? u : v); });
    check("minimum", [&](int64_t u, int64_t v) { return wrap(u < v ? u : v); });
    check("squared_difference", [&](int64_t u, int64_t v) { return wrap(int64_t(wrap(u - v)) * wrap(u - v)); });
    check("floor_div", [&](int64_t u, int64_t v) { return v == 0 ? 0 : wrap(int64_t(std::floor(double(u) / double(v)))); });
    check("mod", [&](int64_t u, int64_t v) { return v == 0 ? 0 : int32_t(tfjs_mod(double(u), double(v))); });
    check("bitwise_and", [&](int64_t u, int64_t v) { return wrap(u & v); });
    check("pow", [&](int64_t u, int64_t v) {
      if (v < 0) return u == 1 ? 1 : u == -1 ? (v % 2 ? -1 : 1) : 0;
      if (v == INT32_MAX) {
        // u^(2^31) is 1 modulo 2^32 for odd u, so this is the inverse of u; Newton's iteration doubles its digits from 3.
        uint32_t inverse = uint32_t(u);
        for (int i = 0; i < 4; ++i) inverse *= 2 - uint32_t(u) * inverse;
        return u % 2 ? int32_t(inverse) : 0;
      }
      int64_t power = 1;
      for (int64_t i = 0; i < v; ++i) power = wrap(power * u);
      return wrap(power);
    });
    for (const Function& function : kComparisons) {
      Tensor y(DType::u8, {n});
      call_op(run, function.name, {&x, &z, &y});
      for (int64_t i = 0; i < n; ++i) CHECK(y.b()[i] == function.reference(x.i()[i], z.i()[i]));
    }
  }
}

TEST(bytes) {
  for (const Run& run : runs()) {
    const int64_t n = 203;
    Tensor a(DType::u8, {n}), b(DType::u8, {n}), y(DType::u8, {n});
    for (int64_t i = 0; i < n; ++i) {
      a.b()[i] = uint8_t(i / 3 % 2);
      b.b()[i] = uint8_t(i % 2);
    }
    for (const Function& function : kComparisons) {
      call_op(run, function.name, {&a, &b, &y});
      for (int64_t i = 0; i < n; ++i) CHECK(y.b()[i] == function.reference(a.b()[i], b.b()[i]));
    }
    call_op(run, "logical_and", {&a, &b, &y});
    for (int64_t i = 0; i < n; ++i) CHECK(y.b()[i] == (a.b()[i] && b.b()[i]));
    call_op(run, "logical_or", {&a, &b, &y});
    for (int64_t i = 0; i < n; ++i) CHECK(y.b()[i] == (a.b()[i] || b.b()[i]));
    // One repeated operand, longer than a block.
    Tensor yes = Tensor::u8({1}, {1});
    call_op(run, "logical_and", {&yes, &b, &y});
    CHECK(std::memcmp(y.data(), b.data(), size_t(n)) == 0);
  }
}

namespace {

using Shape = std::vector<int64_t>;

Shape broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1, db = i < b.size() ? b[b.size() - 1 - i] : 1;
    out[out.size() - 1 - i] = da == 1 ? db : da;
  }
  return out;
}
// Offset in a dense tensor of `shape` of the element that broadcasts to element `index` of `out`.
int64_t offset_of(const Shape& shape, const Shape& out, int64_t index) {
  int64_t offset = 0, stride = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t dim = out[out.size() - 1 - i], at = index % dim;
    index /= dim;
    if (i < shape.size()) {
      const int64_t own = shape[shape.size() - 1 - i];
      offset += own == 1 ? 0 : at * stride;
      stride *= own;
    }
  }
  return offset;
}

const std::pair<Shape, Shape> kShapes[] = {
    {{}, {}},
    {{1}, {}},
    {{5}, {}},
    {{}, {1000}},
    {{7}, {7}},
    {{3, 4}, {4}},
    {{4}, {3, 4}},
    {{100, 10}, {10}},
    {{1000, 3}, {3}},
    {{300, 1}, {300, 7}},
    {{300, 7}, {300, 1}},
    {{70, 1}, {1, 90}},
    {{1, 90}, {70, 1}},
    {{64, 128}, {128}},
    {{64, 128}, {64, 1}},
    {{2, 3, 4, 5}, {4, 1}},
    {{2, 3, 4, 5}, {3, 1, 1}},
    {{2, 3, 4, 5}, {2, 1, 4, 1}},
    {{2, 1, 4, 1}, {1, 3, 1, 5}},
    {{8, 16, 16, 3}, {3}},
    {{8, 16, 16, 3}, {8, 1, 1, 3}},
    {{2, 33, 65}, {33, 1}},
    {{2, 1, 2, 1, 2, 1, 2, 1}, {1, 3, 1, 3, 1, 3, 1, 3}},
    {{2, 2, 2, 2, 2, 2, 2, 2}, {2, 1, 2, 1, 2, 1, 2, 1}},
    {{0, 3}, {3}},
    {{0, 3}, {1}},
    {{4, 0}, {4, 1}},
    {{1, 1, 1}, {1}},
    {{5, 600}, {1, 600}},
    {{9, 513}, {513}},
    {{513, 9}, {9}},
    {{2, 300, 2}, {300, 2}},
    {{300, 2}, {2, 300, 2}},
    {{90000}, {1}},
    {{3, 40000}, {3, 1}},
    {{300, 300}, {300}},
    {{40000, 3}, {40000, 1}},
    {{1, 5, 1}, {3, 1, 7}},
    {{600, 2, 1}, {2, 4}},
};

}  // namespace

TEST(broadcasting) {
  for (const auto& [a_shape, b_shape] : kShapes) {
    Tensor a = Tensor::random(a_shape, 1), b = Tensor::random(b_shape, 2);
    const Shape shape = broadcast(a_shape, b_shape);
    for (const Run& run : runs()) {
      Tensor y(DType::f32, shape), less(DType::u8, shape);
      call_op(run, "sub", {&a, &b, &y});
      call_op(run, "less", {&a, &b, &less});
      bool right = true;
      for (int64_t i = 0; i < y.size(); ++i) {
        const float u = a.f()[offset_of(a_shape, shape, i)], v = b.f()[offset_of(b_shape, shape, i)];
        right = right && y.f()[i] == u - v && less.b()[i] == (u < v);
      }
      CHECK(right);
    }
  }
}

TEST(select_broadcasts_three_operands) {
  const Shape shapes[][3] = {
      {{6}, {6}, {6}},           {{}, {5}, {5}},          {{200}, {}, {}},       {{3, 1}, {1, 50}, {3, 50}},
      {{40, 1, 3}, {2, 1}, {3}}, {{2, 70}, {70}, {2, 1}}, {{0, 2}, {2}, {1, 2}}, {{300, 200}, {200}, {1}}};
  for (const auto& [c_shape, a_shape, b_shape] : shapes) {
    const Shape shape = broadcast(c_shape, broadcast(a_shape, b_shape));
    Tensor c(DType::u8, c_shape), a = Tensor::random(a_shape, 3), b = Tensor::random(b_shape, 4);
    for (int64_t i = 0; i < c.size(); ++i) c.b()[i] = uint8_t(i * 7 % 3 == 0);
    Tensor a8(DType::u8, a_shape), b8(DType::u8, b_shape);
    for (int64_t i = 0; i < a8.size(); ++i) a8.b()[i] = uint8_t(i % 2);
    for (int64_t i = 0; i < b8.size(); ++i) b8.b()[i] = uint8_t(2 + i % 2);
    for (const Run& run : runs()) {
      Tensor y(DType::f32, shape), y8(DType::u8, shape);
      call_op(run, "select", {&c, &a, &b, &y});
      call_op(run, "select", {&c, &a8, &b8, &y8});
      bool right = true;
      for (int64_t i = 0; i < y.size(); ++i) {
        const bool first = c.b()[offset_of(c_shape, shape, i)] != 0;
        const int64_t at = first ? offset_of(a_shape, shape, i) : offset_of(b_shape, shape, i);
        right = right && y.f()[i] == (first ? a : b).f()[at] && y8.b()[i] == (first ? a8 : b8).b()[at];
      }
      CHECK(right);
    }
  }
}

// y in the place of the first or the second input of the same shape.
TEST(in_place) {
  const std::pair<Shape, Shape> shapes[] = {
      {{1000}, {1000}}, {{1000}, {}}, {{70, 9}, {9}}, {{70, 9}, {70, 1}}, {{20, 100}, {100}}};
  for (const auto& [a_shape, b_shape] : shapes) {
    for (const Run& run : runs()) {
      Tensor a = Tensor::random(a_shape, 5), b = Tensor::random(b_shape, 6), y(DType::f32, a_shape), z(DType::f32, a_shape);
      call_op(run, "sub", {&a, &b, &y});
      call_op(run, "sub", {&b, &a, &z});
      Tensor first = Tensor::random(a_shape, 5), second = Tensor::random(a_shape, 5);
      call_op(run, "sub", {&first, &b, &first});
      call_op(run, "sub", {&b, &second, &second});
      CHECK(std::memcmp(first.data(), y.data(), size_t(y.bytes())) == 0);
      CHECK(std::memcmp(second.data(), z.data(), size_t(z.bytes())) == 0);
    }
  }
}

// The power's two ways (all exponents of a vector 2, or not) must agree.
TEST(results_do_not_depend_on_position_or_threads) {
  for (tk::Level level : tk::usable_levels()) {
    for (const Function& function : kFloatFunctions) {
      const int64_t n = 70001;
      Tensor a = Tensor::random({n}, 7, 3), b = Tensor::random({n}, 8, 2), one(DType::f32, {n}), two(DType::f32, {n});
      for (int64_t i = 0; i < n; i += 3) b.f()[i] = 2;
      call_op({level, 1}, function.name, {&a, &b, &one});
      call_op({level, 2}, function.name, {&a, &b, &two});
      CHECK(std::memcmp(one.data(), two.data(), size_t(one.bytes())) == 0);
      for (int64_t i = 0; i < 40; ++i) {
        Tensor u = Tensor::f32({}, {a.f()[i]}), v = Tensor::f32({}, {b.f()[i]}), y(DType::f32, {});
        call_op({level, 1}, function.name, {&u, &v, &y});
        CHECK(std::memcmp(y.data(), one.f() + i, 4) == 0);
      }
    }
  }
}

// Above 16 MB outputs are written past the caches: dense, row, column and short-row broadcasts, with rows that are no whole
// number of cache lines.
TEST(large_outputs) {
  const std::pair<Shape, Shape> shapes[] = {
      {{4300001}, {4300001}}, {{4201, 1031}, {1031}}, {{4201, 1031}, {4201, 1}}, {{430001, 10}, {10}}};
  for (const auto& [a_shape, b_shape] : shapes) {
    Tensor a = Tensor::random(a_shape, 5), b = Tensor::random(b_shape, 6);
    for (tk::Level level : tk::usable_levels()) {
      Tensor y(DType::f32, a_shape);
      call_op({level, 2}, "add", {&a, &b, &y});
      int64_t wrong = 0;
      for (int64_t i = 0; i < y.size(); ++i) wrong += y.f()[i] != a.f()[i] + b.f()[offset_of(b_shape, a_shape, i)];
      CHECK(wrong == 0);
    }
  }
}

}  // namespace tktest::binary_test
