// Attention and its gradient against the whole matrix of scores in double.
#include "ops/common/philox.h"
#include "reference.h"

namespace tktest::attention_test {
using tk::DType;

namespace {

struct Problem {
  int64_t batch, queries, keys, heads, key_heads, size, value_size;
  bool causal = false;
  int64_t shift = 0;
  std::vector<int64_t> mask = {};  // shape, empty for none
  bool boolean = false;
  double rate = 0;  // of dropout among the weights; 0: none
};

// A counter that carries into its upper word within a call.
const std::vector<int32_t> kState = {77, 5, -8, 3};

struct Inputs {
  Tensor q, k, v, mask, dy, random;
};

Inputs inputs_of(const Problem& p) {
  Tensor mask(DType::f32, {0});
  if (!p.mask.empty() && p.boolean) {
    mask = Tensor(DType::u8, p.mask);
    for (int64_t i = 0; i < mask.size(); ++i) mask.b()[i] = uint8_t(i * 7 % 5 != 1 ? 3 : 0);
    // The first query sees nothing where the mask tells queries apart.
    if (p.mask[2] > 1)
      for (int64_t j = 0; j < p.mask[3]; ++j) mask.b()[j] = 0;
  } else if (!p.mask.empty()) {
    mask = Tensor::random(p.mask, 4);
    for (int64_t i = 0; i < mask.size(); i += 6) mask.f()[i] = -INFINITY;
    if (p.mask[2] > 1)
      for (int64_t j = 0; j < p.mask[3]; ++j) mask.f()[j] = -INFINITY;
  }
  return {Tensor::random({p.batch, p.queries, p.heads, p.size}, 1),
          Tensor::random({p.batch, p.keys, p.key_heads, p.size}, 2),
          Tensor::random({p.batch, p.keys, p.key_heads, p.value_size}, 3),
          mask,
          Tensor::random({p.batch, p.queries, p.heads, p.value_size}, 5),
          p.rate > 0 ? Tensor::i32({4}, kState) : Tensor(DType::i32, {0})};
}

double mask_at(const Problem& p, Tensor& mask, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (p.causal && j > i + p.shift) return -INFINITY;
  if (p.mask.empty()) return 0;
  const int64_t place[4] = {b, h, i, j};
  int64_t at = 0;
  for (size_t d = 0; d < 4; ++d) at = at * p.mask[d] + (p.mask[d] == 1 ? 0 : place[d]);
  if (p.boolean) return mask.b()[at] != 0 ? 0.0 : double(-INFINITY);
  return double(mask.f()[at]);
}

// What dropout multiplies a weight by: word j of row (b, h, i), rows of whole blocks of four.
double factor_at(const Problem& p, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (p.rate == 0) return 1;
  const uint64_t start = uint64_t(uint32_t(kState[3])) << 32 | uint32_t(kState[2]);
  const uint64_t counter = start + uint64_t(((b * p.heads + h) * p.queries + i) * ((p.keys + 3) / 4) + j / 4);
  const uint32_t counters[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0};
  const uint32_t key[2] = {uint32_t(kState[0]), uint32_t(kState[1])};
  uint32_t words[4];
  tk::philox::block(counters, key, words);
  return double(words[j % 4] >> 8) >= p.rate * 0x1p24 ? 1 / (1 - p.rate) : 0;
}

// y, log_sum, dq, dk, dv by plain loops.
struct Outputs {
  Doubles y, log_sum, dq, dk, dv;
};
Outputs reference(const Problem& p, Inputs& in, double scale) {
  Outputs o;
  o.y.assign(size_t(in.dy.size()), 0.0);
  o.log_sum.assign(size_t(p.batch * p.heads * p.queries), double(-INFINITY));
  o.dq.assign(size_t(in.q.size()), 0.0);
  o.dk.assign(size_t(in.k.size()), 0.0);
  o.dv.assign(size_t(in.v.size()), 0.0);
  for (int64_t b = 0; b < p.batch; ++b) {
    for (int64_t h = 0; h < p.heads; ++h) {
      const int64_t kh = h / (p.heads / p.key_heads);
      for (int64_t i = 0; i < p.queries; ++i) {
        const size_t q = size_t(((b * p.queries + i) * p.heads + h) * p.size);
        const size_t y = size_t(((b * p.queries + i) * p.heads + h) * p.value_size);
        const auto key = [&](int64_t j) { return size_t((b * p.keys + j) * p.key_heads + kh); };
        Doubles share(size_t(p.keys)), dshare(size_t(p.keys), 0.0);
        double largest = -INFINITY, sum = 0, mean = 0;
        for (int64_t j = 0; j < p.keys; ++j) {
          double score = 0;
          for (int64_t d = 0; d < p.size; ++d)
            score += double(in.q.f()[q + size_t(d)]) * double(in.k.f()[key(j) * size_t(p.size) + size_t(d)]);
          share[size_t(j)] = score * scale + mask_at(p, in.mask, b, h, i, j);
          largest = std::max(largest, share[size_t(j)]);
        }
        if (std::isinf(largest)) continue;
        for (double& s : share) sum += s = std::exp(s - largest);
        o.log_sum[size_t((b * p.heads + h) * p.queries + i)] = largest + std::log(sum);
        for (int64_t j = 0; j < p.keys; ++j) {
          share[size_t(j)] /= sum;
          const double factor = factor_at(p, b, h, i, j);
          for (int64_t d = 0; d < p.value_size; ++d) {
            const size_t at = key(j) * size_t(p.value_size) + size_t(d);
            const double g = double(in.dy.f()[y + size_t(d)]);
            o.y[y + size_t(d)] += factor * share[size_t(j)] * double(in.v.f()[at]);
            o.dv[at] += factor * share[size_t(j)] * g;
            dshare[size_t(j)] += factor * g * double(in.v.f()[at]);
          }
          mean += share[size_t(j)] * dshare[size_t(j)];
        }
        for (int64_t j = 0; j < p.keys; ++j) {
          const double ds = share[size_t(j)] * (dshare[size_t(j)] - mean) * scale;
          for (int64_t d = 0; d < p.size; ++d) {
            const size_t at = key(j) * size_t(p.size) + size_t(d);
            o.dq[q + size_t(d)] += ds * double(in.k.f()[at]);
            o.dk[at] += ds * double(in.q.f()[q + size_t(d)]);
          }
        }
      }
    }
  }
  return o;
}

// Scores of size 10 are right to 1e-6, so the shares are, and sums of shares are no worse.
constexpr double kForward = 5e-6, kGradient = 1e-5;

void check(const Problem& p) {
  Inputs in = inputs_of(p);
  const double scale = 1 / std::sqrt(double(p.size));
  const Outputs want = reference(p, in, scale);
  const std::vector<int64_t> ints = {p.causal, p.shift};
  for (tk::Level level : tk::usable_levels()) {
    const auto out = outputs_of(level, "attention", {&in.q, &in.k, &in.v, &in.mask, &in.random},
                                {in.dy.shape(), {p.batch, p.heads, p.queries}}, ints, {scale, p.rate});
    check_close("y", out[0], want.y, kForward);
    Tensor y = out[0], log_sum = out[1];
    for (int64_t i = 0; i < log_sum.size(); ++i) {
      const double e = want.log_sum[size_t(i)];
      CHECK(std::isinf(e) ? log_sum.f()[i] == -INFINITY : std::fabs(double(log_sum.f()[i]) - e) < 1e-5);
    }
    const auto grads = outputs_of(level, "attention_grad", {&in.dy, &in.q, &in.k, &in.v, &in.mask, &in.random, &y, &log_sum},
                                  {in.q.shape(), in.k.shape(), in.v.shape()}, ints, {scale, p.rate});
    check_close("dq", grads[0], want.dq, kGradient);
    check_close("dk", grads[1], want.dk, kGradient);
    check_close("dv", grads[2], want.dv, kGradient);
  }
}

}  // namespace

TEST(attention_sizes) {
  for (int64_t size : {16, 20, 64, 256}) check({1, 5, 7, 2, 2, size, size});
  for (int64_t places : {1, 47, 48, 49, 95, 96, 97, 200}) check({1, places, places, 1, 1, 16, 16});
  check({2, 50, 130, 3, 3, 24, 24});
  check({2, 3, 2, 2, 2, 1, 3});
  check({1, 130, 3, 2, 2, 17, 9});
}

TEST(attention_masks) {
  for (bool boolean : {true, false}) {
    check({2, 6, 9, 4, 4, 16, 16, false, 0, {2, 4, 6, 9}, boolean});
    check({2, 6, 9, 4, 4, 16, 16, false, 0, {2, 1, 1, 9}, boolean});
    check({2, 60, 110, 2, 2, 16, 16, false, 0, {1, 1, 60, 110}, boolean});
    check({2, 6, 9, 4, 4, 16, 16, false, 0, {1, 4, 6, 1}, boolean});
    check({2, 60, 110, 2, 2, 16, 16, true, 50, {2, 1, 1, 110}, boolean});
  }
}

TEST(attention_causal) {
  check({2, 100, 100, 2, 2, 16, 16, true, 0});
  check({1, 7, 150, 2, 2, 16, 16, true, 143});
  check({1, 150, 7, 2, 2, 16, 16, true, -143});  // the first queries see nothing
  check({1, 100, 100, 1, 1, 16, 16, true, -30});
  check({1, 5, 5, 1, 1, 16, 16, true, -9});
  check({1, 5, 200, 1, 1, 16, 16, true, 0});    // no query sees the later blocks of keys
  check({2, 200, 200, 4, 2, 16, 16, true, 0});  // blocks of keys that the first of their queries see in part
}

TEST(attention_groups_of_heads) {
  check({2, 50, 60, 4, 2, 16, 16});
  check({1, 50, 60, 6, 1, 16, 16, true, 10});
}

TEST(attention_with_dropout) {
  for (double rate : {0.1, 0.5}) {
    for (int64_t keys : {1, 3, 95, 97, 200}) {
      Problem p = {2, 5, keys, 2, 2, 16, 16};
      p.rate = rate;
      check(p);
    }
    // Heads enough for one pass of the gradient on one thread and on two, and too few; both make the same masks.
    Problem many = {3, 50, 100, 4, 4, 8, 8};
    many.rate = rate;
    check(many);
    Problem masked = {2, 60, 110, 2, 2, 16, 16, true, 50, {2, 1, 1, 110}, true};
    masked.rate = rate;
    check(masked);
    Problem grouped = {1, 50, 60, 6, 1, 16, 24, true, 10};
    grouped.rate = rate;
    check(grouped);
  }
}

TEST(attention_that_drops_nothing_has_the_bits_of_none) {
  Inputs in = inputs_of({2, 50, 110, 4, 2, 16, 24});
  Tensor state = Tensor::i32({4}, kState);
  for (tk::Level level : tk::usable_levels()) {
    std::vector<Tensor> results[2];
    for (int with : {0, 1}) {
      Tensor& random = with ? state : in.random;
      auto out = outputs_of(level, "attention", {&in.q, &in.k, &in.v, &in.mask, &random}, {in.dy.shape(), {2, 4, 50}}, {0, 0},
                            {0.25, 0.0});
      auto grads = outputs_of(level, "attention_grad", {&in.dy, &in.q, &in.k, &in.v, &in.mask, &random, &out[0], &out[1]},
                              {in.q.shape(), in.k.shape(), in.v.shape()}, {0, 0}, {0.25, 0.0});
      for (Tensor& t : out) results[with].push_back(std::move(t));
      for (Tensor& t : grads) results[with].push_back(std::move(t));
    }
    for (size_t i = 0; i < results[0].size(); ++i) {
      CHECK(std::memcmp(results[0][i].data(), results[1][i].data(), size_t(results[0][i].bytes())) == 0);
    }
  }
}

TEST(attention_of_nothing) {
  check({1, 3, 0, 2, 2, 16, 16});
  check({1, 0, 3, 2, 2, 16, 16});
  check({0, 3, 3, 2, 2, 16, 16});
}

TEST(attention_of_large_scores_stays_finite) {
  for (const Run& run : runs()) {
    Tensor q = Tensor::f32({1, 1, 1, 1}, {1}), k = Tensor::f32({1, 3, 1, 1}, {1e30f, 1e30f, -1e30f}), none(DType::f32, {0});
    Tensor v = Tensor::f32({1, 3, 1, 1}, {2, 4, 8}), y(DType::f32, {1, 1, 1, 1}), log_sum(DType::f32, {1, 1, 1});
    call_op(run, "attention", {&q, &k, &v, &none, &none, &y, &log_sum}, {0, 0}, {1.0, 0.0});
    CHECK(y.f()[0] == 3);
    k.f()[1] = NAN;
    call_op(run, "attention", {&q, &k, &v, &none, &none, &y, &log_sum}, {0, 0}, {1.0, 0.0});
    CHECK(std::isnan(y.f()[0]));
  }
}

}  // namespace tktest::attention_test
