// Random ops: known answers, equality with the scalar formulas bit for bit, and statistics. Seeds are fixed, so a statistical
// bound holds always or never; the bounds are those a true generator would miss less than once in a thousand seeds.
#include <algorithm>

#include "op_test.h"
#include "ops/common/philox.h"

namespace tktest::random_test {
namespace {

Tensor make_state(uint32_t key_lo, uint32_t key_hi, uint64_t counter) {
  return Tensor::i32({4}, {int32_t(key_lo), int32_t(key_hi), int32_t(uint32_t(counter)), int32_t(uint32_t(counter >> 32))});
}

uint64_t counter_of(Tensor& state) { return uint64_t(uint32_t(state.i()[3])) << 32 | uint32_t(state.i()[2]); }

// Word of element i, straight from the definition in random.h.
uint32_t word(const uint32_t* key, uint64_t counter, int64_t i) {
  const uint64_t block = counter + uint64_t(i / 4);
  const uint32_t in[4] = {uint32_t(block), uint32_t(block >> 32), 0, 0};
  uint32_t out[4];
  tk::philox::block(in, key, out);
  return out[i % 4];
}

constexpr uint32_t kKey[2] = {0x12345678, 0x9ABCDEF0};
// Carries out of the lower counter word in the middle of a call.
constexpr uint64_t kCounters[] = {0, 0xFFFFFFFE, 0x1FFFFFFFFu - 30, 0xFFFFFFFFFFFFFFFD};
// Around one block, one chunk of 256 and one unit of parallel work (32768).
constexpr int64_t kSizes[] = {0, 1, 3, 4, 5, 255, 256, 257, 1023, 32768, 100003};

int64_t blocks(int64_t n) { return (n + 3) / 4; }

int64_t ulps(float value, double exact) {
  const float rounded = float(exact);
  return int64_t(std::fabs(double(value) - exact) / (std::nextafter(std::fabs(rounded), INFINITY) - std::fabs(rounded)));
}

// Kolmogorov's distance between sorted samples and a distribution function, times sqrt(n); 1.95 is its 0.999 quantile.
template <class Distribution>
double kolmogorov(std::vector<double> samples, const Distribution& distribution) {
  std::sort(samples.begin(), samples.end());
  double most = 0;
  const double n = double(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    const double p = distribution(samples[i]);
    most = std::max({most, p - double(i) / n, double(i + 1) / n - p});
  }
  return most * std::sqrt(n);
}
constexpr double kKolmogorovBound = 1.95;

double correlation(const std::vector<double>& v, size_t lag) {
  double mean = 0, variance = 0, covariance = 0;
  for (double x : v) mean += x / double(v.size());
  for (size_t i = 0; i + lag < v.size(); ++i) {
    variance += (v[i] - mean) * (v[i] - mean);
    covariance += (v[i] - mean) * (v[i + lag] - mean);
  }
  return covariance / variance;
}

std::vector<double> values(const Tensor& t) { return std::vector<double>(t.f(), t.f() + t.size()); }

}  // namespace

// kat_vectors of the authors' Random123 library, philox4x32 with 10 rounds.
TEST(philox_known_answers) {
  struct Answer {
    uint32_t counter[4], key[2], out[4];
  };
  const Answer answers[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Answer& answer : answers) {
    uint32_t out[4];
    tk::philox::block(answer.counter, answer.key, out);
    for (int i = 0; i < 4; ++i) CHECK(out[i] == answer.out[i]);
  }
}

// Over the full range of int32 an element is its word less 2^31: the op shows the generator's words.
TEST(words_match_the_definition) {
  for (const Run& run : tktest::runs()) {
    for (uint64_t counter : kCounters) {
      for (int64_t n : kSizes) {
        Tensor state = make_state(kKey[0], kKey[1], counter), y(tk::DType::i32, {n});
        tktest::call_op(run, "random_uniform", {&state, &y}, {}, {-2147483648.0, 2147483648.0});
        bool same = true;
        for (int64_t i = 0; i < n; ++i) same = same && uint32_t(y.i()[i]) == word(kKey, counter, i) - 0x80000000u;
        CHECK(same);
        CHECK(counter_of(state) == counter + uint64_t(blocks(n)));
        CHECK(uint32_t(state.i()[0]) == kKey[0] && uint32_t(state.i()[1]) == kKey[1]);
      }
    }
  }
}

TEST(a_call_goes_on_where_the_last_one_stopped) {
  const Run run = tktest::runs().back();
  Tensor once = make_state(1, 2, 7), twice = make_state(1, 2, 7), all(tk::DType::f32, {24}), a(tk::DType::f32, {16}),
         b(tk::DType::f32, {8});
  tktest::call_op(run, "random_normal", {&once, &all}, {}, {0, 1});
  tktest::call_op(run, "random_normal", {&twice, &a}, {}, {0, 1});
  tktest::call_op(run, "random_normal", {&twice, &b}, {}, {0, 1});
  CHECK(std::memcmp(all.f(), a.f(), 16 * 4) == 0 && std::memcmp(all.f() + 16, b.f(), 8 * 4) == 0);
  CHECK(counter_of(once) == counter_of(twice));
}

TEST(uniform_matches_the_formula) {
  for (const Run& run : tktest::runs()) {
    const double ranges[][2] = {{0, 1}, {-3, 5}, {1e30, 2e30}, {-3.4e38, 3.4e38}};
    for (const auto& range : ranges) {
      const int64_t n = 70001;
      Tensor state = make_state(kKey[0], kKey[1], 5), y(tk::DType::f32, {n});
      tktest::call_op(run, "random_uniform", {&state, &y}, {}, {range[0], range[1]});
      const float min = float(range[0]), max = float(range[1]);
      bool same = true, inside = true;
      for (int64_t i = 0; i < n; ++i) {
        const float u = float(word(kKey, 5, i) >> 8) / 16777216.0f;
        const float left = min * (1.0f - u), right = max * u, value = left + right;
        same = same && y.f()[i] == std::min(value, std::nextafter(max, min));
        inside = inside && y.f()[i] >= min && y.f()[i] < max;
      }
      CHECK(same);
      CHECK(inside);
    }
    // The only float in the range, although rounding gives the excluded end for half of the words.
    Tensor state = make_state(1, 1, 0), y(tk::DType::f32, {1000});
    tktest::call_op(run, "random_uniform", {&state, &y}, {}, {1.0, double(std::nextafter(1.0f, 2.0f))});
    CHECK(std::all_of(y.f(), y.f() + 1000, [](float v) { return v == 1.0f; }));
    tktest::call_op(run, "random_uniform", {&state, &y}, {}, {2.5, 2.5});
    CHECK(std::all_of(y.f(), y.f() + 1000, [](float v) { return v == 2.5f; }));
  }
}

TEST(uniform_is_uniform) {
  const Run run = tktest::runs().back();
  const int64_t n = 1 << 20;
  Tensor state = make_state(42, 0, 0), y(tk::DType::f32, {n});
  tktest::call_op(run, "random_uniform", {&state, &y}, {}, {0, 1});
  const std::vector<double> v = values(y);
  CHECK(kolmogorov(v, [](double x) { return x; }) < kKolmogorovBound);
  for (size_t lag : {1, 2, 3, 4, 256}) CHECK(std::fabs(correlation(v, lag)) < 3.3 / std::sqrt(double(n)));
}

TEST(uniform_integers) {
  for (const Run& run : tktest::runs()) {
    const int64_t n = 200000;
    Tensor state = make_state(7, 8, 0), y(tk::DType::i32, {n});
    tktest::call_op(run, "random_uniform", {&state, &y}, {}, {-4, 6});
    double counts[10] = {};
    bool inside = true;
    for (int64_t i = 0; i < n; ++i) {
      const int bin = y.i()[i] + 4;
      inside = inside && bin >= 0 && bin < 10;
      if (inside) ++counts[bin];
    }
    CHECK(inside);
    double chi2 = 0;
    for (double count : counts) chi2 += (count - n / 10.0) * (count - n / 10.0) / (n / 10.0);
    CHECK(chi2 < 27.88);  // 0.999 quantile of chi-square with 9 degrees of freedom
    tktest::call_op(run, "random_uniform", {&state, &y}, {}, {3, 4});
    CHECK(std::all_of(y.i(), y.i() + n, [](int32_t v) { return v == 3; }));
  }
}

TEST(log_is_within_two_ulps) {
  int64_t worst = 0;
  for (uint32_t bits = tk::philox::to_bits(0x1p-31f); bits <= tk::philox::to_bits(1.0f); bits += 37) {
    const float x = tk::philox::from_bits(bits);
    worst = std::max(worst, ulps(tk::philox::log_positive(x), std::log(double(x))));
  }
  CHECK(worst <= 2);
  CHECK(tk::philox::log_positive(1.0f) == 0.0f);
}

TEST(normal_pairs_match_double_precision) {
  double worst = 0;
  bool at_borders = true;
  for (uint32_t i = 0; i < 2000000; ++i) {
    // Steps through both words with odd strides, so that all quadrants and exponents come up.
    const uint32_t u = i < 64 ? (1u << (i % 32)) - 1 : i * 2654435761u, t = i < 64 ? i << 26 : i * 40503u * 77u + i;
    float first, second;
    tk::philox::normal_pair(u, t, &first, &second);
    const double radius = std::sqrt(-2 * std::log(double(float((u >> 1) | 1u)) * 0x1p-31));
    const double angle = 2 * 3.14159265358979323846 * double(t) * 0x1p-32;
    worst = std::max({worst, std::fabs(first - radius * std::cos(angle)), std::fabs(second - radius * std::sin(angle))});
    at_borders = at_borders && std::fabs(first) < 6.57f && std::fabs(second) < 6.57f;
  }
  // |z| reaches 6.56, where a unit in the last place is 4.8e-7: about two such units from log, root, series and product.
  CHECK(worst < 1.2e-6);
  CHECK(at_borders);
}

TEST(normal_matches_the_formula) {
  for (const Run& run : tktest::runs()) {
    for (int64_t n : kSizes) {
      const uint64_t counter = 0xFFFFFFF0;
      Tensor state = make_state(kKey[0], kKey[1], counter), y(tk::DType::f32, {n});
      tktest::call_op(run, "random_normal", {&state, &y}, {}, {0.25, 3.0});
      bool same = true;
      for (int64_t i = 0; i < n; ++i) {
        float pair[2];
        const int64_t even = i / 2 * 2;
        tk::philox::normal_pair(word(kKey, counter, even), word(kKey, counter, even + 1), &pair[0], &pair[1]);
        const float scaled = 3.0f * pair[i % 2];
        same = same && y.f()[i] == 0.25f + scaled;
      }
      CHECK(same);
      CHECK(counter_of(state) == counter + uint64_t(blocks(n)));
    }
  }
}

TEST(normal_is_normal) {
  const Run run = tktest::runs().back();
  const int64_t n = 1 << 20;
  Tensor state = make_state(2024, 1, 0), y(tk::DType::f32, {n});
  tktest::call_op(run, "random_normal", {&state, &y}, {}, {0, 1});
  const std::vector<double> v = values(y);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (double x : v) {
    m1 += x / double(n);
    m2 += x * x / double(n);
    m3 += x * x * x / double(n);
    m4 += x * x * x * x / double(n);
  }
  // Variances of the raw moments of a standard normal: 1, 2, 15, 96, each over n; 3.3 deviations is once in a thousand.
  const double unit = 3.3 / std::sqrt(double(n));
  CHECK(std::fabs(m1) < unit);
  CHECK(std::fabs(m2 - 1) < unit * std::sqrt(2.0));
  CHECK(std::fabs(m3) < unit * std::sqrt(15.0));
  CHECK(std::fabs(m4 - 3) < unit * std::sqrt(96.0));
  CHECK(kolmogorov(v, [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }) < kKolmogorovBound);
  for (size_t lag : {1, 2, 3, 4}) CHECK(std::fabs(correlation(v, lag)) < unit);
}

TEST(dropout_keeps_and_scales) {
  for (const Run& run : tktest::runs()) {
    for (double rate : {0.0, 0.1, 0.5, 0.9}) {
      const int64_t n = 100003;
      Tensor x = Tensor::random({n}, 3), state = make_state(kKey[0], kKey[1], 11), y(tk::DType::f32, {n}),
             saved(tk::DType::i32, {4});
      tktest::call_op(run, "dropout", {&x, &state, &y, &saved}, {}, {rate});
      int64_t kept = 0;
      bool same = true;
      for (int64_t i = 0; i < n; ++i) {
        const bool keep = double(word(kKey, 11, i) >> 8) >= rate * 16777216.0;
        kept += keep;
        same = same && y.f()[i] == (keep ? x.f()[i] * float(1 / (1 - rate)) : 0.0f);
      }
      CHECK(same);
      CHECK(std::fabs(double(kept) - double(n) * (1 - rate)) <= 3.3 * std::sqrt(double(n) * rate * (1 - rate)));
      if (rate == 0) CHECK(std::memcmp(x.data(), y.data(), size_t(y.bytes())) == 0);
      CHECK(counter_of(saved) == 11 && counter_of(state) == 11 + uint64_t(blocks(n)));

      Tensor dy = Tensor::random({n}, 4), dx(tk::DType::f32, {n});
      tktest::call_op(run, "dropout_grad", {&dy, &saved, &dx}, {}, {rate});
      bool gradient = true;
      for (int64_t i = 0; i < n; ++i) {
        const bool keep = double(word(kKey, 11, i) >> 8) >= rate * 16777216.0;
        gradient = gradient && dx.f()[i] == (keep ? dy.f()[i] * float(1 / (1 - rate)) : 0.0f);
      }
      CHECK(gradient);
      CHECK(counter_of(saved) == 11);

      // In place: the same bits.
      Tensor again = make_state(kKey[0], kKey[1], 11);
      tktest::call_op(run, "dropout", {&x, &again, &x, &saved}, {}, {rate});
      CHECK(std::memcmp(x.data(), y.data(), size_t(y.bytes())) == 0);
    }
  }
}
TEST(reserve_saves_the_state_and_moves_on) {
  for (const Run& run : tktest::runs()) {
    for (uint64_t counter : kCounters) {
      for (int64_t blocks : {int64_t(0), int64_t(3), int64_t(5) << 32}) {
        Tensor state = make_state(kKey[0], kKey[1], counter), saved(tk::DType::i32, {4});
        tktest::call_op(run, "random_reserve", {&state, &saved}, {blocks}, {});
        CHECK(counter_of(saved) == counter && counter_of(state) == counter + uint64_t(blocks));
        CHECK(uint32_t(saved.i()[0]) == kKey[0] && uint32_t(saved.i()[1]) == kKey[1]);
        CHECK(uint32_t(state.i()[0]) == kKey[0] && uint32_t(state.i()[1]) == kKey[1]);
      }
    }
  }
}

TEST(dropout_drops_infinity_and_nan) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({8}, {INFINITY, -INFINITY, NAN, NAN, INFINITY, -INFINITY, NAN, INFINITY});
    Tensor state = make_state(kKey[0], kKey[1], 0), y(tk::DType::f32, {8}), saved(tk::DType::i32, {4});
    tktest::call_op(run, "dropout", {&x, &state, &y, &saved}, {}, {0.5});
    int dropped = 0;
    for (int64_t i = 0; i < 8; ++i) {
      const bool keep = word(kKey, 0, i) >> 31 != 0;
      dropped += !keep;
      CHECK(keep ? !std::isfinite(y.f()[i]) : y.f()[i] == 0.0f);
    }
    CHECK(dropped > 0 && dropped < 8);
  }
}
TEST(multinomial_matches_the_definition) {
  constexpr uint32_t key[2] = {0x89ABCDEF, 0x3FE12345};
  for (int64_t rows : {0, 1, 3, 40}) {
    for (int64_t events : {1, 2, 7, 1000}) {
      Tensor p = Tensor::random({rows, events}, uint32_t(events));
      for (int64_t row = 0; row < rows; ++row) {
        double sum = 0;
        for (int64_t e = 0; e < events; ++e) sum += std::fabs(p.f()[row * events + e]);
        for (int64_t e = 0; e < events; ++e) p.f()[row * events + e] = float(std::fabs(p.f()[row * events + e]) / sum);
      }
      for (int64_t count : {0, 1, 5, 3001}) {
        for (const Run& run : tktest::runs()) {
          Tensor y(tk::DType::i32, {rows, count});
          tktest::call_op(run, "multinomial", {&p, &y}, {int64_t(int32_t(key[0])), key[1]});
          int64_t wrong = 0;
          for (int64_t i = 0; i < y.size(); ++i) {
            const double u = double(word(key, 0, i)) / 4294967296.0;
            double sum = 0;
            int64_t event = 0;
            for (; event < events - 1; ++event) {
              sum += double(p.f()[i / count * events + event]);
              if (u < sum) break;
            }
            wrong += y.i()[i] != event;
          }
          CHECK(wrong == 0);
        }
      }
    }
  }
}
TEST(multinomial_has_the_probabilities) {
  const std::vector<float> probabilities = {0.1f, 0.0f, 0.25f, 0.6f, 0.05f};
  constexpr int64_t kCount = 100000;
  Tensor p = Tensor::f32({1, 5}, probabilities), y(tk::DType::i32, {1, kCount});
  tktest::call_op(tktest::runs().back(), "multinomial", {&p, &y}, {7, 8});
  std::vector<double> seen(5, 0.0);
  for (int64_t i = 0; i < kCount; ++i) ++seen[size_t(y.i()[i])];
  double chi_square = 0;
  for (size_t e : {0, 2, 3, 4}) {
    const double expected = double(probabilities[e]) * double(kCount);
    chi_square += (seen[e] - expected) * (seen[e] - expected) / expected;
  }
  CHECK(seen[1] == 0);
  CHECK(chi_square < 16.27);  // the 0.999 quantile with 3 degrees of freedom
}
TEST(multinomial_takes_the_last_event_when_none_is_reached) {
  // NaN, negative and missing probability: only events whose sum passes u are drawn.
  Tensor p = Tensor::f32({3, 3}, {NAN, 1, 1, 0, -5, 1, 0, 0, 0});
  for (const Run& run : tktest::runs()) {
    Tensor y(tk::DType::i32, {3, 4});
    tktest::call_op(run, "multinomial", {&p, &y}, {1, 2});
    for (int64_t i = 0; i < y.size(); ++i) CHECK(y.i()[i] == 2);
  }
}
TEST(wrong_parameters_are_refused) {
  const Run run = tktest::runs().back();
  Tensor state = make_state(1, 2, 3), f(tk::DType::f32, {8}), i(tk::DType::i32, {8}), x = Tensor::random({8}, 1),
         saved(tk::DType::i32, {4});
  CHECK_THROWS(tktest::call_op(run, "random_uniform", {&state, &f}, {}, {1, 0}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "random_uniform", {&state, &f}, {}, {0, INFINITY}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "random_uniform", {&state, &i}, {}, {3, 3}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "dropout", {&x, &state, &f, &saved}, {}, {1.0}), "E_INTERNAL");
  CHECK(counter_of(state) == 3);
}

}  // namespace tktest::random_test
