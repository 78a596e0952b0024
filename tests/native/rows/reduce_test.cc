// Reductions against double precision and exact integer arithmetic; order fixed whatever the threads.
#include "op_test.h"

namespace tktest::reduce_test {
using tk::DType;

namespace {

struct Shape {
  int64_t outer, n, inner;
};
const Shape kShapes[] = {
    {1, 1, 1},      {1, 7, 1},      {1, 8, 1},      {1, 17, 1},    {3, 0, 1},     {3, 0, 5},      {0, 4, 1},
    {2, 5, 0},      {5, 1, 3},      {100, 10, 1},   {33, 31, 1},   {1, 1000, 1},  {2, 1023, 1},   {2, 1024, 1},
    {2, 1025, 1},   {1, 5000, 1},   {1, 200001, 1}, {3, 70000, 1}, {40, 3000, 1}, {1, 9, 3},      {1, 1000, 3},
    {1, 100003, 3}, {1, 50000, 10}, {7, 100, 16},   {2, 257, 33},  {1, 300, 100}, {1, 2000, 129}, {1, 700, 1024},
    {1, 40, 1025},  {1, 513, 1500}, {3, 64, 2050},  {500, 2, 3},   {4, 8, 8},     {1, 65536, 17}, {1, 12, 40000},
    {33, 20, 32},   {32, 66661, 1},
};

float value_at(const Tensor& x, const Shape& s, int64_t o, int64_t k, int64_t j) { return x.f()[(o * s.n + k) * s.inner + j]; }

Tensor copy_as(DType dtype, const Tensor& x, std::vector<int64_t> shape, double scale) {
  Tensor t(dtype, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::i32) t.i()[i] = int32_t(double(x.f()[i]) * scale);
    if (dtype == DType::u8) t.b()[i] = double(x.f()[i]) > scale;
  }
  return t;
}

// Calls with 1 and 2 threads, checks that the bits agree and returns the result.
Tensor reduce(tk::Level level, const char* name, Tensor& x, DType out, const Shape& s) {
  Tensor y(out, {s.outer, s.inner}), two(out, {s.outer, s.inner});
  call_op({level, 1}, name, {&x, &y});
  call_op({level, 2}, name, {&x, &two});
  CHECK(y.bytes() == 0 || std::memcmp(y.data(), two.data(), size_t(y.bytes())) == 0);
  return y;
}

}  // namespace

TEST(float_reductions) {
  for (const Shape& s : kShapes) {
    Tensor x = Tensor::random({s.outer, s.n, s.inner}, 1);
    for (tk::Level level : tk::usable_levels()) {
      Tensor sum = reduce(level, "reduce_sum", x, DType::f32, s), mean = reduce(level, "reduce_mean", x, DType::f32, s);
      Tensor max = reduce(level, "reduce_max", x, DType::f32, s), min = reduce(level, "reduce_min", x, DType::f32, s);
      bool right = true;
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t j = 0; j < s.inner; ++j) {
          double total = 0, magnitude = 0;
          float largest = -INFINITY, smallest = INFINITY;
          for (int64_t k = 0; k < s.n; ++k) {
            const float v = value_at(x, s, o, k, j);
            total += double(v);
            magnitude += std::fabs(double(v));
            largest = std::max(largest, v);
            smallest = std::min(smallest, v);
          }
          // Rounding errors of additions of random sign: far below the bound (log2 n + block length) * 2^-24 * magnitude.
          const double bound = 4e-7 * magnitude + 1e-37;
          const int64_t at = o * s.inner + j;
          right = right && std::fabs(double(sum.f()[at]) - total) <= bound;
          right = right && max.f()[at] == largest && min.f()[at] == smallest;
          right = right && (s.n == 0 ? std::isnan(mean.f()[at])
                                     : std::fabs(double(mean.f()[at]) - total / double(s.n)) <= bound / double(s.n));
        }
      }
      CHECK(right);
      if (!right) std::printf("[%d %d %d]\n", int(s.outer), int(s.n), int(s.inner));
    }
  }
}

// All terms equal and positive: the errors have one sign and grow with the length of each chain of additions, so a plain
// running sum would be off by 1e-4 and more. Blocked pairwise sums stay within a few units of the last place.
TEST(sums_are_as_good_as_pairwise) {
  const Shape shapes[] = {{1, 3000001, 1}, {1, 3000001, 2}, {1, 200001, 33}, {40, 100001, 1}};
  for (const Shape& s : shapes) {
    Tensor x(DType::f32, {s.outer, s.n, s.inner});
    for (int64_t i = 0; i < x.size(); ++i) x.f()[i] = 0.1f;
    for (tk::Level level : tk::usable_levels()) {
      Tensor y = reduce(level, "reduce_sum", x, DType::f32, s);
      const double want = double(0.1f) * double(s.n);
      for (int64_t i = 0; i < y.size(); ++i) CHECK(std::fabs(double(y.f()[i]) / want - 1) <= 2e-6);
    }
  }
}

TEST(products) {
  const Shape shapes[] = {{1, 0, 1}, {3, 17, 1}, {2, 40, 5}, {1, 1500, 1}, {1, 30000, 2}};
  for (const Shape& s : shapes) {
    Tensor x = Tensor::random({s.outer, s.n, s.inner}, 2, 0.01f);
    for (int64_t i = 0; i < x.size(); ++i) x.f()[i] += 1;
    Tensor whole = copy_as(DType::i32, x, {s.outer, s.n, s.inner}, 1000);
    for (int64_t i = 0; i < whole.size(); ++i) whole.i()[i] |= 1;  // odd: the product modulo 2^32 never becomes 0
    for (tk::Level level : tk::usable_levels()) {
      Tensor y = reduce(level, "reduce_prod", x, DType::f32, s), z = reduce(level, "reduce_prod", whole, DType::i32, s);
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t j = 0; j < s.inner; ++j) {
          double product = 1;
          uint32_t exact = 1;
          for (int64_t k = 0; k < s.n; ++k) {
            product *= double(value_at(x, s, o, k, j));
            exact *= uint32_t(whole.i()[(o * s.n + k) * s.inner + j]);
          }
          // Each of n multiplications may be off by 2^-24, with random signs: sqrt(n) of them, times 6.
          CHECK(std::fabs(double(y.f()[o * s.inner + j]) / product - 1) <= 6e-8 * (6 * std::sqrt(double(s.n)) + 1));
          CHECK(z.i()[o * s.inner + j] == int32_t(exact));
        }
      }
    }
  }
}

TEST(int32_and_byte_reductions) {
  for (const Shape& s : kShapes) {
    Tensor base = Tensor::random({s.outer, s.n, s.inner}, 3);
    Tensor x = copy_as(DType::i32, base, {s.outer, s.n, s.inner}, 1.5e9);
    for (double threshold : {-3.0, 0.0, 3.0}) {  // mostly true, mixed, mostly false
      Tensor b = copy_as(DType::u8, base, {s.outer, s.n, s.inner}, threshold);
      for (tk::Level level : tk::usable_levels()) {
        Tensor all = reduce(level, "reduce_all", b, DType::u8, s), any = reduce(level, "reduce_any", b, DType::u8, s);
        bool right = true;
        for (int64_t o = 0; o < s.outer; ++o) {
          for (int64_t j = 0; j < s.inner; ++j) {
            bool every = true, some = false;
            for (int64_t k = 0; k < s.n; ++k) {
              const bool v = b.b()[(o * s.n + k) * s.inner + j] != 0;
              every = every && v;
              some = some || v;
            }
            right = right && all.b()[o * s.inner + j] == every && any.b()[o * s.inner + j] == some;
          }
        }
        CHECK(right);
      }
    }
    for (tk::Level level : tk::usable_levels()) {
      Tensor sum = reduce(level, "reduce_sum", x, DType::i32, s);
      Tensor max = reduce(level, "reduce_max", x, DType::i32, s), min = reduce(level, "reduce_min", x, DType::i32, s);
      bool right = true;
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t j = 0; j < s.inner; ++j) {
          uint32_t total = 0;
          int32_t largest = INT32_MIN, smallest = INT32_MAX;
          for (int64_t k = 0; k < s.n; ++k) {
            const int32_t v = x.i()[(o * s.n + k) * s.inner + j];
            total += uint32_t(v);
            largest = std::max(largest, v);
            smallest = std::min(smallest, v);
          }
          const int64_t at = o * s.inner + j;
          right = right && sum.i()[at] == int32_t(total) && max.i()[at] == largest && min.i()[at] == smallest;
        }
      }
      CHECK(right);
    }
  }
}

TEST(argmax_and_argmin_take_the_first) {
  for (const Shape& s : kShapes) {
    Tensor base = Tensor::random({s.outer, s.n, s.inner}, 4);
    Tensor whole = copy_as(DType::i32, base, {s.outer, s.n, s.inner}, 4);  // few values: many ties
    Tensor bytes = copy_as(DType::u8, base, {s.outer, s.n, s.inner}, 2);
    Tensor coarse(DType::f32, {s.outer, s.n, s.inner});
    for (int64_t i = 0; i < coarse.size(); ++i) coarse.f()[i] = i % 97 == 5 ? NAN : std::round(base.f()[i] * 3);
    for (tk::Level level : tk::usable_levels()) {
      for (Tensor* x : {&coarse, &whole, &bytes}) {
        Tensor largest = reduce(level, "argmax", *x, DType::i32, s), smallest = reduce(level, "argmin", *x, DType::i32, s);
        bool right = true;
        for (int64_t o = 0; o < s.outer; ++o) {
          for (int64_t j = 0; j < s.inner; ++j) {
            int32_t first_max = 0, first_min = 0;
            const auto at = [&](int64_t k) {
              const int64_t i = (o * s.n + k) * s.inner + j;
              return x == &coarse ? double(x->f()[i]) : x == &whole ? double(x->i()[i]) : double(x->b()[i]);
            };
            for (int64_t k = 1; k < s.n; ++k) {
              if (at(k) > at(first_max)) first_max = int32_t(k);
              if (at(k) < at(first_min)) first_min = int32_t(k);
            }
            right = right && largest.i()[o * s.inner + j] == first_max && smallest.i()[o * s.inner + j] == first_min;
          }
        }
        CHECK(right);
        if (!right) std::printf("[%d %d %d] %s\n", int(s.outer), int(s.n), int(s.inner), x == &coarse ? "f32" : "i32 or u8");
      }
    }
  }
}

TEST(nan_and_infinity) {
  const Shape shapes[] = {{1, 3, 1}, {1, 100, 1}, {1, 5000, 1}, {1, 100, 7}, {1, 3000, 40}, {1, 100000, 1}};
  for (const Shape& s : shapes) {
    for (int64_t where : {int64_t(0), s.n / 2, s.n - 1}) {
      Tensor x = Tensor::random({s.outer, s.n, s.inner}, 5);
      x.f()[where * s.inner] = NAN;
      for (tk::Level level : tk::usable_levels()) {
        for (const char* name : {"reduce_max", "reduce_min", "reduce_sum", "reduce_mean", "reduce_prod"}) {
          Tensor y = reduce(level, name, x, DType::f32, s);
          CHECK(std::isnan(y.f()[0]));
          if (s.inner > 1) CHECK(!std::isnan(y.f()[1]));
        }
        if (where == 0) CHECK(reduce(level, "argmax", x, DType::i32, s).i()[0] == 0);
      }
      x.f()[where * s.inner] = -INFINITY;
      for (tk::Level level : tk::usable_levels()) {
        CHECK(reduce(level, "reduce_min", x, DType::f32, s).f()[0] == -INFINITY);
        CHECK(reduce(level, "reduce_sum", x, DType::f32, s).f()[0] == -INFINITY);
        CHECK(reduce(level, "argmin", x, DType::i32, s).i()[0] == where);
      }
    }
  }
}

}  // namespace tktest::reduce_test
