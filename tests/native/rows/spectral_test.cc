#include "op_test.h"

namespace tktest::spectral_test {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The sum itself, in double; the angle is reduced by integers first.
void reference(const Tensor& real, const Tensor& imag, int64_t rows, int64_t n, bool inverse, std::vector<double>* re,
               std::vector<double>* im) {
  std::vector<double> cosine(static_cast<size_t>(n)), sine(static_cast<size_t>(n));
  for (int64_t k = 0; k < n; ++k) {
    cosine[size_t(k)] = std::cos(2 * kPi * double(k) / double(n));
    sine[size_t(k)] = (inverse ? 1 : -1) * std::sin(2 * kPi * double(k) / double(n));
  }
  re->assign(size_t(rows * n), 0.0);
  im->assign(size_t(rows * n), 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < n; ++k) {
      double a = 0, b = 0;
      for (int64_t j = 0; j < n; ++j) {
        const size_t root = size_t(j * k % n);
        const double x = real.f()[r * n + j], y = imag.f()[r * n + j];
        a += x * cosine[root] - y * sine[root];
        b += x * sine[root] + y * cosine[root];
      }
      const double scale = inverse ? 1.0 / double(n) : 1.0;
      (*re)[size_t(r * n + k)] = a * scale;
      (*im)[size_t(r * n + k)] = b * scale;
    }
}

void check(int64_t rows, int64_t n) {
  Tensor real = Tensor::random({rows, n}, 1), imag = Tensor::random({rows, n}, 2);
  for (bool inverse : {false, true}) {
    std::vector<double> re, im;
    reference(real, imag, rows, n, inverse, &re, &im);
    // The row's size: errors in double spread over a row, 1e-13 of it covers transform and reference.
    double size = 0;
    for (int64_t i = 0; i < rows * n; ++i) size = std::max(size, std::hypot(re[size_t(i)], im[size_t(i)]));
    for (tk::Level level : tk::usable_levels()) {
      std::vector<float> first;
      for (int threads : {1, 2}) {
        Tensor real_y(tk::DType::f32, {rows, n}), imag_y(tk::DType::f32, {rows, n});
        tktest::call_op({level, threads}, "fft", {&real, &imag, &real_y, &imag_y}, {inverse});
        int64_t wrong = 0;
        for (int64_t i = 0; i < rows * n; ++i) {
          // One rounding to float.
          const double a = re[size_t(i)], b = im[size_t(i)], spread = 1e-13 * size;
          if (!(std::fabs(real_y.f()[i] - a) <= 6e-8 * std::fabs(a) + spread)) ++wrong;
          if (!(std::fabs(imag_y.f()[i] - b) <= 6e-8 * std::fabs(b) + spread)) ++wrong;
        }
        CHECK(wrong == 0);
        if (wrong > 0) {
          std::printf("  fft [%d, %d] inverse %d level %s threads %d: %d wrong\n", int(rows), int(n), int(inverse),
                      tk::level_name(level), threads, int(wrong));
        }
        if (threads == 1) {
          first.assign(real_y.f(), real_y.f() + real_y.size());
          first.insert(first.end(), imag_y.f(), imag_y.f() + imag_y.size());
        } else if (rows * n > 0) {
          CHECK(std::memcmp(first.data(), real_y.f(), size_t(real_y.bytes())) == 0);
          CHECK(std::memcmp(first.data() + real_y.size(), imag_y.f(), size_t(imag_y.bytes())) == 0);
        }
      }
    }
  }
}

TEST(fft_every_short_length) {
  for (int64_t n = 1; n <= 70; ++n) check(3, n);
}

TEST(fft_radices_and_large_primes) {
  for (int64_t n : {128, 243, 343, 360, 625, 1001, 1024, 1331, 1573, 2048}) check(1, n);
  for (int64_t n : {97, 289, 509, 1009, 1018}) check(1, n);
}

TEST(fft_rows_and_stages_shared_by_threads) {
  check(100, 96);
  check(40, 101);
  check(1, 4096);
  check(1, 4099);
}

TEST(fft_empty) {
  check(0, 4);
  check(3, 0);
}

TEST(fft_long_rows_come_back) {
  // The reference would take minutes here; forward and inverse together must give what went in, up to two roundings to float,
  // each relative to the size of the values it rounds (sqrt(n) times larger in between, sqrt(n) times smaller back).
  for (int64_t n : {int64_t(1) << 17, int64_t(3 * 5 * 7 * 11 * 13 * 8), int64_t(100003)}) {
    Tensor real = Tensor::random({1, n}, 1), imag = Tensor::random({1, n}, 2);
    for (const tktest::Run& run : tktest::runs()) {
      Tensor a(tk::DType::f32, {1, n}), b(tk::DType::f32, {1, n}), c(tk::DType::f32, {1, n}), d(tk::DType::f32, {1, n});
      tktest::call_op(run, "fft", {&real, &imag, &a, &b}, {0});
      tktest::call_op(run, "fft", {&a, &b, &c, &d}, {1});
      int64_t wrong = 0;
      for (int64_t i = 0; i < n; ++i) {
        if (!(std::fabs(c.f()[i] - real.f()[i]) <= 1e-6) || !(std::fabs(d.f()[i] - imag.f()[i]) <= 1e-6)) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST(fft_spreads_not_a_number_over_its_row) {
  Tensor real = Tensor::random({2, 6}, 1), imag = Tensor::random({2, 6}, 2);
  real.f()[2] = std::nanf("");
  for (const tktest::Run& run : tktest::runs()) {
    Tensor a(tk::DType::f32, {2, 6}), b(tk::DType::f32, {2, 6});
    tktest::call_op(run, "fft", {&real, &imag, &a, &b}, {0});
    int nans = 0;
    for (int i = 0; i < 12; ++i) nans += std::isnan(a.f()[i]) ? (i < 6 ? 1 : 100) : 0;
    CHECK(nans == 6);
  }
}

TEST(complex_abs_rounds_once) {
  Tensor real = Tensor::random({20011}, 1), imag = Tensor::random({20011}, 2);
  const float special[][3] = {{3e38f, 1e38f, 3.1622777e38f},        {1e-40f, 0, 1e-40f}, {INFINITY, std::nanf(""), INFINITY},
                              {std::nanf(""), -INFINITY, INFINITY}, {-3, 4, 5},          {0, 0, 0}};
  for (int i = 0; i < 6; ++i) real.f()[i] = special[i][0], imag.f()[i] = special[i][1];
  real.f()[6] = std::nanf("");
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, {20011});
    tktest::call_op(run, "complex_abs", {&real, &imag, &y});
    for (int i = 0; i < 6; ++i) CHECK(y.f()[i] == special[i][2] || std::fabs(y.f()[i] / special[i][2] - 1) < 2e-7);
    CHECK(std::isnan(y.f()[6]));
    int64_t wrong = 0;
    for (int64_t i = 7; i < y.size(); ++i) {
      const double a = real.f()[i], b = imag.f()[i];
      if (y.f()[i] != float(std::sqrt(a * a + b * b))) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

}  // namespace tktest::spectral_test
