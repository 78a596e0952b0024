// Unary kernels against double precision over the whole range of floats, special values, lengths, positions and threads.
#include "op_test.h"

namespace tktest::unary_test {
using tk::DType;

namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))); }
double elu(double x) { return x >= 0 ? x : std::expm1(x); }
double selu(double x) { return x >= 0 ? 1.0507009873554805 * x : 1.7580993408473769 * std::expm1(x); }
double rsqrt(double x) { return 1 / std::sqrt(x); }
double reciprocal(double x) { return 1 / x; }
double relu(double x) { return x <= 0 ? 0 : x; }
double relu6(double x) { return x <= 0 ? 0 : x > 6 ? 6 : x; }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double square(double x) { return x * x; }
double negate(double x) { return -x; }

struct Function {
  const char* name;
  double (*reference)(double);
  double max_ulp;
};
// Bounds: exp and log 2, the other elementary functions 4 (promised in ops/common/vector_math.h); 0.5 where one correctly
// rounded operation is all there is, 0.51 where a double result is rounded, 1.5 for two operations; selu multiplies a 2 ulp
// result by a rounded constant. libm states up to 2 for its own.
const Function kFunctions[] = {
    {"exp", std::exp, 2},      {"log", std::log, 2},     {"tanh", std::tanh, 4},   {"sigmoid", sigmoid, 4},
    {"erf", std::erf, 4},      {"sin", std::sin, 4},     {"cos", std::cos, 4},     {"tan", std::tan, 0.51},
    {"expm1", std::expm1, 4},  {"log1p", std::log1p, 4}, {"sinh", std::sinh, 4},   {"cosh", std::cosh, 4},
    {"softplus", softplus, 4}, {"elu", elu, 4},          {"selu", selu, 4},        {"acos", std::acos, 2},
    {"acosh", std::acosh, 3},  {"asin", std::asin, 2},   {"asinh", std::asinh, 3}, {"atan", std::atan, 2},
    {"atanh", std::atanh, 3},  {"rsqrt", rsqrt, 1.5},    {"sqrt", std::sqrt, 0.5}, {"reciprocal", reciprocal, 0.5},
    {"abs", std::fabs, 0},     {"ceil", std::ceil, 0},   {"floor", std::floor, 0}, {"round", std::nearbyint, 0},
    {"relu", relu, 0},         {"relu6", relu6, 0},      {"sign", sign, 0},        {"square", square, 0.5},
    {"neg", negate, 0},
};

float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

// Distance in units of the last place of the float nearest to `want`; infinite where only one of both is NaN or infinite.
double ulp_distance(float got, double want) {
  const float nearest = float(want);
  if (std::isnan(nearest) || std::isnan(got)) return std::isnan(nearest) && std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(nearest) || std::isinf(got)) return nearest == got ? 0 : INFINITY;
  int exponent = -148;
  if (want != 0) std::frexp(want, &exponent);
  return std::fabs(double(got) - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Every 8191st bit pattern, both signs, and all special values; plus a dense stretch where most of the functions bend.
std::vector<float> sweep() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 8191) values.push_back(float_of(uint32_t(bits)));
  for (int i = -40000; i <= 40000; ++i) values.push_back(float(i) * 0.00123f);
  for (float x :
       {0.0f,           -0.0f,           1.0f,      -1.0f,     INFINITY,   -INFINITY, NAN,     1e-45f, -1e-45f, 1.17549435e-38f,
        3.40282347e38f, -3.40282347e38f, 88.72283f, 88.72284f, -87.33655f, -103.97f,  -104.0f, 89.0f,  89.5f,   100000.0f,
        100001.0f,      12000.0f,        12001.0f,  1e10f,     0.5f,       1.5f,      2.5f,    -0.5f,  -1.5f,   8388607.5f,
        4194303.5f,     16777216.0f,     9.01f,     3.95f}) {
    values.push_back(x);
  }
  return values;
}

void run_unary(const Run& run, const char* name, Tensor& x, Tensor& y, std::vector<double> floats = {}) {
  call_op(run, name, {&x, &y}, {}, std::move(floats));
}

bool same_bits(Tensor& a, Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), size_t(a.bytes())) == 0;
}

}  // namespace

TEST(accuracy_over_the_whole_range) {
  const std::vector<float> values = sweep();
  const int64_t n = int64_t(values.size());
  for (const Function& function : kFunctions) {
    Tensor x = Tensor::f32({n}, values);
    std::vector<double> want(values.size());
    for (size_t i = 0; i < values.size(); ++i) want[i] = function.reference(double(values[i]));
    for (tk::Level level : tk::usable_levels()) {
      Tensor y(DType::f32, {n});
      run_unary({level, 2}, function.name, x, y);
      double worst = 0;
      int64_t where = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double distance = ulp_distance(y.f()[i], want[size_t(i)]);
        if (distance > worst) {
          worst = distance;
          where = i;
        }
      }
      CHECK(worst <= function.max_ulp);
      if (worst > function.max_ulp) {
        std::printf("%s at %s: %g ulp for %a: got %a, want %a\n", function.name, tk::level_name(level), worst,
                    double(values[size_t(where)]), double(y.f()[where]), want[size_t(where)]);
      }
    }
  }
}

// JavaScript's functions keep the sign of zero, and so must these; sign and relu give +0.
TEST(zeros_keep_their_sign) {
  for (const Run& run : runs()) {
    for (const char* name : {"sin", "tan", "tanh", "sinh", "asin", "asinh", "atan", "atanh", "erf", "expm1", "log1p", "sqrt",
                             "ceil", "floor", "round", "elu", "selu"}) {
      Tensor x = Tensor::f32({2}, {0.0f, -0.0f}), y(DType::f32, {2});
      run_unary(run, name, x, y);
      CHECK(bits_of(y.f()[0]) == 0 && bits_of(y.f()[1]) == 0x80000000u);
    }
    for (const char* name : {"relu", "relu6", "sign"}) {
      Tensor x = Tensor::f32({2}, {0.0f, -0.0f}), y(DType::f32, {2});
      run_unary(run, name, x, y);
      CHECK(bits_of(y.f()[0]) == 0 && bits_of(y.f()[1]) == 0);
    }
    Tensor x = Tensor::f32({2}, {-0.3f, -0.5f}), y(DType::f32, {2});
    run_unary(run, "round", x, y);
    CHECK(bits_of(y.f()[0]) == 0x80000000u && bits_of(y.f()[1]) == 0x80000000u);
    run_unary(run, "ceil", x, y);
    CHECK(bits_of(y.f()[0]) == 0x80000000u);
  }
}

// A value gives the same bits wherever it stands, however long the array is and however many threads work.
TEST(results_do_not_depend_on_position_or_threads) {
  for (tk::Level level : tk::usable_levels()) {
    for (const Function& function : kFunctions) {
      const int64_t n = 70001;
      Tensor x = Tensor::random({n}, 7, 8.0f);
      Tensor one(DType::f32, {n}), two(DType::f32, {n});
      run_unary({level, 1}, function.name, x, one);
      run_unary({level, 2}, function.name, x, two);
      CHECK(same_bits(one, two));
      for (int64_t start = 1; start <= 19; ++start) {
        const int64_t length = 37 - start;
        Tensor part = Tensor::f32({length}, std::vector<float>(x.f() + start, x.f() + start + length)), y(DType::f32, {length});
        run_unary({level, 1}, function.name, part, y);
        CHECK(std::memcmp(y.data(), one.f() + start, size_t(length) * 4) == 0);
      }
    }
  }
}

TEST(lengths_and_in_place) {
  for (const Run& run : runs()) {
    for (int64_t n : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1000, 16384, 32769}) {
      for (const char* name : {"relu", "exp", "neg"}) {
        Tensor x = Tensor::random({n}, 3), y(DType::f32, {n});
        run_unary(run, name, x, y);
        for (int64_t i = 0; i < n; ++i) {
          const double v = double(x.f()[i]);
          const double want = name[0] == 'r' ? relu(v) : name[0] == 'e' ? std::exp(v) : -v;
          CHECK(ulp_distance(y.f()[i], want) <= 2);
        }
        run_unary(run, name, x, x);
        CHECK(same_bits(x, y));
      }
    }
  }
}

// Above 16 MB outputs are written past the caches, by another loop.
TEST(large_outputs) {
  const int64_t n = (int64_t(17) << 18) + 5;
  Tensor x = Tensor::random({n}, 5), y(DType::f32, {n});
  for (const Run& run : runs()) {
    std::memset(y.data(), 0xFF, size_t(y.bytes()));
    run_unary(run, "square", x, y);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) wrong += y.f()[i] != x.f()[i] * x.f()[i];
    CHECK(wrong == 0);
  }
}

TEST(classification_gives_bytes) {
  const std::vector<float> values = {0, -0.0f, 1, INFINITY, -INFINITY, NAN, -NAN, 3e38f, 1e-45f, 7, 8};
  const uint8_t finite[] = {1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1}, inf[] = {0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0};
  for (const Run& run : runs()) {
    Tensor x = Tensor::f32({11}, values), y(DType::u8, {11});
    run_unary(run, "is_finite", x, y);
    CHECK(std::memcmp(y.data(), finite, 11) == 0);
    run_unary(run, "is_inf", x, y);
    CHECK(std::memcmp(y.data(), inf, 11) == 0);
    run_unary(run, "is_nan", x, y);
    for (int i = 0; i < 11; ++i) CHECK(y.b()[i] == (std::isnan(values[size_t(i)]) ? 1 : 0));
    Tensor b = Tensor::u8({5}, {0, 1, 0, 2, 255}), not_b(DType::u8, {5});
    run_unary(run, "logical_not", b, not_b);
    const uint8_t want[] = {1, 0, 1, 0, 0};
    CHECK(std::memcmp(not_b.data(), want, 5) == 0);
  }
}

TEST(int32_wraps) {
  const std::vector<int32_t> values = {0, 1, -1, 5, 7, -9, 46341, -65536, INT32_MAX, INT32_MIN, 6, 100, -100};
  const int64_t n = int64_t(values.size());
  for (const Run& run : runs()) {
    Tensor x = Tensor::i32({n}, values), y(DType::i32, {n});
    const auto check = [&](const char* name, auto&& reference) {
      run_unary(run, name, x, y);
      for (int64_t i = 0; i < n; ++i) CHECK(y.i()[i] == int32_t(uint32_t(uint64_t(reference(int64_t(values[size_t(i)]))))));
    };
    check("abs", [](int64_t v) { return v < 0 ? -v : v; });
    check("neg", [](int64_t v) { return -v; });
    check("square", [](int64_t v) { return v * v; });
    check("sign", [](int64_t v) { return int64_t(v > 0) - int64_t(v < 0); });
    check("relu", [](int64_t v) { return v > 0 ? v : int64_t(0); });
    check("relu6", [](int64_t v) { return v <= 0 ? int64_t(0) : v > 6 ? int64_t(6) : v; });
  }
}

TEST(ops_with_attributes) {
  const std::vector<float> values = {-2, -0.0f, 0, 3, NAN, INFINITY, -INFINITY, 0.5f, 1e-45f};
  for (const Run& run : runs()) {
    Tensor x = Tensor::f32({9}, values), y(DType::f32, {9});
    const auto equal = [&](const std::vector<float>& want) {
      for (size_t i = 0; i < want.size(); ++i) CHECK(ulp_distance(y.f()[i], double(want[i])) == 0);
    };
    run_unary(run, "leaky_relu", x, y, {0.25});
    equal({-0.5f, 0, 0, 3, NAN, INFINITY, -INFINITY, 0.5f, 1e-45f});
    run_unary(run, "step", x, y, {0.25});
    equal({0.25f, 0.25f, 0.25f, 1, NAN, 1, 0.25f, 1, 1});
    run_unary(run, "clip", x, y, {-1, 0.25});
    equal({-1, 0, 0, 0.25f, NAN, 0.25f, -1, 0.25f, 1e-45f});
    Tensor whole = Tensor::i32({7}, {-3, -2, 0, 1, 2, 3, INT32_MIN}), z(DType::i32, {7});
    run_unary(run, "step", whole, z, {5.9});
    CHECK(z.i()[0] == 5 && z.i()[2] == 5 && z.i()[3] == 1);
    // x > 2.7 gives ToInt32(2.7), x < -2.7 gives ToInt32(-2.7).
    run_unary(run, "clip", whole, z, {-2.7, 2.7});
    const int32_t want[] = {-2, -2, 0, 1, 2, 2, -2};
    CHECK(std::memcmp(z.data(), want, sizeof want) == 0);
    run_unary(run, "clip", whole, z, {-INFINITY, INFINITY});
    CHECK(same_bits(whole, z));
  }
}

TEST(copy_moves_bytes) {
  for (const Run& run : runs()) {
    Tensor x = Tensor::random({200003}, 9), y(DType::f32, {200003});
    run_unary(run, "copy", x, y);
    CHECK(same_bits(x, y));
    Tensor b = Tensor::u8({3}, {0, 1, 1}), c(DType::u8, {3});
    run_unary(run, "copy", b, c);
    CHECK(same_bits(b, c));
  }
}

}  // namespace tktest::unary_test
