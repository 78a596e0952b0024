#include <array>

#include "op_test.h"

namespace tktest::matmul_test {
namespace {

struct Shape {
  int64_t a_batch, b_batch, m, n, k;
};

// Sums in double precision, and the sum of absolute products that scales the error.
void reference(const Shape& s, bool ta, bool tb, const float* a, const float* b, std::vector<double>* y,
               std::vector<double>* scale) {
  const int64_t batch = std::max(s.a_batch, s.b_batch);
  y->assign(size_t(batch * s.m * s.n), 0.0);
  scale->assign(y->size(), 0.0);
  for (int64_t i = 0; i < batch; ++i) {
    const float* ai = a + (s.a_batch == 1 ? 0 : i * s.m * s.k);
    const float* bi = b + (s.b_batch == 1 ? 0 : i * s.k * s.n);
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t k = 0; k < s.k; ++k) {
        const double av = ta ? ai[k * s.m + m] : ai[m * s.k + k];
        for (int64_t n = 0; n < s.n; ++n) {
          const double product = av * (tb ? bi[n * s.k + k] : bi[k * s.n + n]);
          const size_t at = size_t((i * s.m + m) * s.n + n);
          (*y)[at] += product;
          (*scale)[at] += std::fabs(product);
        }
      }
    }
  }
}

// Rounding errors of k sums behave like a random walk: sqrt(k) eps/2 of the sum of |a b| in the mean; times 4 for the worst of
// all elements, plus the rounding of the products where a level has no fused multiply-add.
double tolerance(int64_t k, double scale) { return (2.0 * std::sqrt(double(k)) + 2.0) * 1.2e-7 * scale + 1e-30; }

void check(const Shape& s, bool ta, bool tb) {
  const int64_t batch = std::max(s.a_batch, s.b_batch);
  Tensor a = Tensor::random(ta ? std::vector<int64_t>{s.a_batch, s.k, s.m} : std::vector<int64_t>{s.a_batch, s.m, s.k}, 1);
  Tensor b = Tensor::random(tb ? std::vector<int64_t>{s.b_batch, s.n, s.k} : std::vector<int64_t>{s.b_batch, s.k, s.n}, 2);
  std::vector<double> expected, scale;
  reference(s, ta, tb, a.f(), b.f(), &expected, &scale);
  for (tk::Level level : tk::usable_levels()) {
    std::vector<float> first;
    for (int threads : {1, 2}) {
      Tensor y(tk::DType::f32, {batch, s.m, s.n});
      tktest::call_op({level, threads}, "matmul", {&a, &b, &y}, {ta, tb});
      int64_t wrong = 0;
      for (int64_t i = 0; i < y.size(); ++i) {
        if (!(std::fabs(y.f()[i] - expected[size_t(i)]) <= tolerance(s.k, scale[size_t(i)]))) ++wrong;
      }
      CHECK(wrong == 0);
      if (wrong > 0) {
        std::printf("  matmul [%d,%d] m %d n %d k %d ta %d tb %d level %s threads %d: %d wrong\n", int(s.a_batch),
                    int(s.b_batch), int(s.m), int(s.n), int(s.k), ta, tb, tk::level_name(level), threads, int(wrong));
      }
      if (threads == 1) {
        first.assign(y.f(), y.f() + y.size());
      } else {
        CHECK(y.size() == 0 || std::memcmp(first.data(), y.f(), size_t(y.bytes())) == 0);
      }
    }
  }
}

void check_all_transposes(const Shape& s) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) check(s, ta, tb);
  }
}

TEST(matmul_every_small_size) {
  // Around one and two vectors and tiles of every level, with the skinny paths at 1 to 4.
  for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 13}) {
    for (int64_t n : {1, 2, 4, 5, 8, 9, 15, 16, 17, 33}) {
      for (int64_t k : {1, 2, 3, 8, 17}) check_all_transposes({1, 1, m, n, k});
    }
  }
}

TEST(matmul_empty) {
  check_all_transposes({1, 1, 0, 5, 7});
  check_all_transposes({1, 1, 5, 0, 7});
  check_all_transposes({1, 1, 5, 7, 0});
  check_all_transposes({0, 0, 5, 7, 3});
  check_all_transposes({3, 3, 4, 20, 0});
}

TEST(matmul_blocks_and_borders) {
  check_all_transposes({1, 1, 49, 65, 255});
  check_all_transposes({1, 1, 145, 97, 321});  // one row and column more than whole tiles; two blocks of k
  check_all_transposes({1, 1, 150, 530, 70});  // wide, one block
  check_all_transposes({1, 1, 301, 49, 600});  // tall, several blocks of rows
  check_all_transposes({1, 1, 64, 40, 2100});  // long k: packed in parts
}

TEST(matmul_packed_b_in_several_super_blocks) {
  check({1, 1, 60, 700, 1600}, false, false);
  check({1, 1, 60, 700, 1600}, true, true);
  check({1, 1, 50, 1100, 1030}, false, true);
}

TEST(matmul_long_k_in_parts) {
  check({1, 1, 49, 20, 9000}, true, false);
  check({1, 1, 100, 33, 5000}, false, true);
  check({2, 2, 60, 16, 4100}, true, false);
  // Around the largest result that one thread sums alone, and rows of A that fill panels but for the last one.
  for (int64_t m : {191, 192, 193}) check({1, 1, m, 17, 2100}, true, false);
  for (int64_t n : {511, 512, 513}) check({1, 1, 9, n, 2100}, true, false);
}

TEST(matmul_skinny) {
  for (int64_t few : {1, 2, 3, 4}) {
    check_all_transposes({1, 1, few, 700, 515});
    check_all_transposes({1, 1, 700, few, 515});
    check_all_transposes({1, 1, 1, few, 1000});
  }
}

TEST(matmul_batched) {
  for (const Shape& s :
       {Shape{5, 5, 7, 9, 11}, Shape{5, 1, 7, 9, 11}, Shape{1, 5, 7, 9, 11}, Shape{3, 3, 70, 40, 50}, Shape{3, 1, 70, 40, 50},
        Shape{1, 3, 70, 40, 50}, Shape{17, 17, 64, 64, 32}, Shape{4, 4, 1, 33, 20}, Shape{4, 1, 3, 33, 20},
        Shape{4, 4, 33, 2, 40}, Shape{2, 2, 150, 140, 130}, Shape{20, 20, 60, 530, 40}}) {
    check_all_transposes(s);
  }
}

TEST(matmul_cuts_for_threads) {
  // Enough work that two threads share every path: direct B by rows and by columns, packed B, dots, sums.
  check({1, 1, 900, 64, 128}, false, false);
  check({1, 1, 30, 900, 300}, false, false);
  check({1, 1, 333, 333, 333}, false, true);
  check({1, 1, 2, 3000, 400}, false, false);
  check({1, 1, 2, 3000, 400}, false, true);
  check({1, 1, 3000, 1, 400}, true, false);
}

TEST(matmul_propagates_nan_and_infinity) {
  const float nan = std::nanf(""), inf = INFINITY;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 20, 9}, {20, 1, 40}, {7, 19, 9}, {60, 70, 30}, {160, 90, 300}}) {
    for (const tktest::Run& run : tktest::runs()) {
      // A zero row of a times NaN and infinity in b: 0 * NaN and 0 * inf are NaN.
      Tensor a = Tensor::f32({1, m, k}, std::vector<float>(size_t(m * k), 0.0f));
      Tensor b = Tensor::f32({1, k, n}, std::vector<float>(size_t(k * n), 1.0f));
      b.f()[(k - 1) * n] = nan;
      b.f()[n - 1] = n > 1 ? inf : nan;
      Tensor y(tk::DType::f32, {1, m, n});
      tktest::call_op(run, "matmul", {&a, &b, &y}, {0, 0});
      int64_t wrong = 0;
      for (int64_t i = 0; i < m * n; ++i) {
        const bool expect_nan = i % n == 0 || i % n == n - 1;
        if (expect_nan ? !std::isnan(y.f()[i]) : y.f()[i] != 0.0f) ++wrong;
      }
      CHECK(wrong == 0);
      // A positive infinity stays one: it is not turned into NaN by padding.
      for (int64_t i = 0; i < m * k; ++i) a.f()[i] = 1.0f;
      for (int64_t i = 0; i < k * n; ++i) b.f()[i] = 1.0f;
      a.f()[(m - 1) * k] = inf;
      tktest::call_op(run, "matmul", {&a, &b, &y}, {0, 0});
      wrong = 0;
      for (int64_t i = 0; i < m * n; ++i) {
        if (y.f()[i] != (i / n == m - 1 ? inf : float(k))) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST(matmul_checks_shapes) {
  Tensor a = Tensor::random({1, 3, 4}, 1), b = Tensor::random({1, 5, 6}, 2), y(tk::DType::f32, {1, 3, 6});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "matmul", {&a, &b, &y}, {0, 0}), "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::matmul_test
