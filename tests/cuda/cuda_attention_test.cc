// Attention on the tensor cores, f16 and bf16, and with dropout in f32 too: forward and gradients beside plain loops in double, for head sizes from 16 to
// 256, ragged lengths, every kind of mask and grouped heads. Runs in the emulator.
#include "cuda/attention_choice.h"
#include "op_session.h"
#include "ops/common/philox.h"

using tk::DType;
using tk::Operand;

namespace {

enum class MaskKind { none, additive, seen };

struct Case {
  int64_t batch = 1, queries = 70, keys = 70, heads = 1, key_heads = 1, size = 64, value_size = 64;
  MaskKind mask = MaskKind::none;
  bool causal = false;
  int64_t shift = 0;
  DType type = DType::bf16;
  double rate = 0;  // of dropout among the weights; 0: none
};

const std::vector<int32_t> kState = {77, 5, -8, 3};

struct Reference {
  std::vector<double> y, log_sum, dq, dk, dv;
};

struct Problem {
  Case c;
  std::vector<float> q, k, v, dy, mask;  // mask [1, heads, queries, keys]: what is added; -infinity or 0 for `seen`
  float scale;
  explicit Problem(const Case& given) : c(given), scale(float(1 / std::sqrt(double(c.size)))) {
    q = normal_values(c.batch * c.queries * c.heads * c.size, 1, c.type);
    k = normal_values(c.batch * c.keys * c.key_heads * c.size, 2, c.type);
    v = normal_values(c.batch * c.keys * c.key_heads * c.value_size, 3, c.type);
    dy = normal_values(c.batch * c.queries * c.heads * c.value_size, 4, c.type);
    if (c.mask == MaskKind::none) return;
    mask = normal_values(c.heads * c.queries * c.keys, 5);
    for (size_t i = 0; i < mask.size(); ++i) {
      const int64_t query = int64_t(i) / c.keys % c.queries;
      // One query sees nothing.
      if (mask[i] < -0.5f || query == 3) {
        mask[i] = -INFINITY;
      } else if (c.mask == MaskKind::seen) {
        mask[i] = 0;
      }
    }
  }
  size_t at(int64_t places, int64_t heads, int64_t size, int64_t b, int64_t place, int64_t h) const {
    return size_t(((b * places + place) * heads + h) * size);
  }
  double score(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (c.causal && j > i + c.shift) return -INFINITY;
    const float *x = q.data() + at(c.queries, c.heads, c.size, b, i, h),
                *w = k.data() + at(c.keys, c.key_heads, c.size, b, j, h / (c.heads / c.key_heads));
    double sum = 0;
    for (int64_t d = 0; d < c.size; ++d) sum += double(x[d]) * double(w[d]);
    return sum * double(scale) + (mask.empty() ? 0.0 : double(mask[size_t((h * c.queries + i) * c.keys + j)]));
  }
  // What dropout multiplies a weight by.
  double factor(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (c.rate == 0) return 1;
    const uint64_t start = uint64_t(uint32_t(kState[3])) << 32 | uint32_t(kState[2]);
    const uint64_t counter = start + uint64_t(((b * c.heads + h) * c.queries + i) * ((c.keys + 3) / 4) + j / 4);
    const uint32_t counters[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0};
    const uint32_t key[2] = {uint32_t(kState[0]), uint32_t(kState[1])};
    uint32_t words[4];
    tk::philox::block(counters, key, words);
    return double(words[j % 4] >> 8) >= c.rate * 0x1p24 ? 1 / (1 - c.rate) : 0;
  }
  Reference reference() const {
    Reference r;
    r.y.assign(dy.size(), 0), r.dq.assign(q.size(), 0), r.dk.assign(k.size(), 0), r.dv.assign(v.size(), 0);
    r.log_sum.assign(size_t(c.batch * c.heads * c.queries), -INFINITY);
    for (int64_t b = 0; b < c.batch; ++b) {
      for (int64_t h = 0; h < c.heads; ++h) {
        const int64_t kh = h / (c.heads / c.key_heads);
        for (int64_t i = 0; i < c.queries; ++i) {
          std::vector<double> p(size_t(c.keys)), dp(size_t(c.keys));
          double largest = -INFINITY, total = 0, delta = 0;
          for (int64_t j = 0; j < c.keys; ++j) largest = std::max(largest, p[size_t(j)] = score(b, h, i, j));
          if (largest == -INFINITY) continue;
          for (double& value : p) total += value = std::exp(value - largest);
          r.log_sum[size_t((b * c.heads + h) * c.queries + i)] = largest + std::log(total);
          const size_t row = at(c.queries, c.heads, c.value_size, b, i, h);
          for (int64_t j = 0; j < c.keys; ++j) {
            p[size_t(j)] /= total;
            const double kept = factor(b, h, i, j);
            const size_t from = at(c.keys, c.key_heads, c.value_size, b, j, kh);
            for (int64_t d = 0; d < c.value_size; ++d) {
              r.y[row + size_t(d)] += kept * p[size_t(j)] * double(v[from + size_t(d)]);
              r.dv[from + size_t(d)] += kept * p[size_t(j)] * double(dy[row + size_t(d)]);
              dp[size_t(j)] += kept * double(dy[row + size_t(d)]) * double(v[from + size_t(d)]);
            }
            delta += p[size_t(j)] * dp[size_t(j)];
          }
          for (int64_t j = 0; j < c.keys; ++j) {
            const double ds = p[size_t(j)] * (dp[size_t(j)] - delta) * double(scale);
            const size_t to = at(c.queries, c.heads, c.size, b, i, h), with = at(c.keys, c.key_heads, c.size, b, j, kh);
            for (int64_t d = 0; d < c.size; ++d) {
              r.dq[to + size_t(d)] += ds * double(k[with + size_t(d)]);
              r.dk[with + size_t(d)] += ds * double(q[to + size_t(d)]);
            }
          }
        }
      }
    }
    return r;
  }
};

void check(const Case& c) {
  const Problem p(c);
  const Reference r = p.reference();
  OpSession session;
  const std::vector<int64_t> query_dims = {c.batch, c.queries, c.heads, c.size}, key_dims = {c.batch, c.keys, c.key_heads, c.size},
                             value_dims = {c.batch, c.keys, c.key_heads, c.value_size},
                             result_dims = {c.batch, c.queries, c.heads, c.value_size};
  const Operand q = session.operand(query_dims, c.type, p.q), k = session.operand(key_dims, c.type, p.k),
                v = session.operand(value_dims, c.type, p.v), dy = session.operand(result_dims, c.type, p.dy);
  Operand mask = session.operand({0}, DType::f32);
  if (c.mask == MaskKind::additive) mask = session.operand({1, c.heads, c.queries, c.keys}, DType::f32, p.mask);
  if (c.mask == MaskKind::seen) {
    std::vector<float> seen = p.mask;
    for (float& value : seen) value = value == 0 ? 1.0f : 0.0f;
    mask = session.operand({1, c.heads, c.queries, c.keys}, DType::u8, seen);
  }
  const Operand random = c.rate > 0 ? session.words(kState) : session.operand({0}, DType::i32);
  const Operand y = session.operand(result_dims, c.type), log_sum = session.operand({c.batch, c.heads, c.queries}, DType::f32);
  session.run(k_attention, {q, k, v, mask, random, y, log_sum}, {c.causal, c.shift}, {double(p.scale), c.rate});
  // Weights and results are rounded to 8 or 11 bits, at half a unit each; the errors of many weights partly cancel. In f32 sums
  // of some hundred products are off by a few roundings.
  const double unit = c.type == DType::f32 ? 1e-6 : c.type == DType::bf16 ? 1.0 / 256 : 1.0 / 2048;
  CHECK(norm_error(session.read(y), r.y) < unit);
  const std::vector<float> logs = session.read(log_sum);
  for (size_t i = 0; i < logs.size(); ++i) {
    CHECK(r.log_sum[i] == -INFINITY ? logs[i] == -INFINITY : std::fabs(double(logs[i]) - r.log_sum[i]) < 1e-5 * (1 + std::fabs(r.log_sum[i])));
  }
  const Operand dq = session.operand(query_dims, c.type), dk = session.operand(key_dims, c.type),
                dv = session.operand(value_dims, c.type);
  session.run(k_attention_grad, {dy, q, k, v, mask, random, y, log_sum, dq, dk, dv}, {c.causal, c.shift}, {double(p.scale), c.rate});
  CHECK(norm_error(session.read(dq), r.dq) < 2 * unit);
  CHECK(norm_error(session.read(dk), r.dk) < 2 * unit);
  CHECK(norm_error(session.read(dv), r.dv) < unit);
}

}  // namespace

TEST(attention_of_every_head_size) {
  for (const int64_t size : {16, 32, 48, 64, 96, 128, 160, 256}) {
    check({.queries = 65, .keys = 67, .size = size, .value_size = size, .type = size % 32 == 0 ? DType::bf16 : DType::f16});
  }
  // Rows that no 16-byte copy can read, and values of another size than keys.
  check({.queries = 20, .keys = 90, .size = 20, .value_size = 20});
  check({.queries = 66, .keys = 30, .size = 24, .value_size = 72, .type = DType::f16});
  check({.queries = 66, .keys = 30, .size = 130, .value_size = 7, .type = DType::f16});
}

TEST(attention_with_masks) {
  for (const DType type : {DType::bf16, DType::f16}) {
    check({.queries = 130, .keys = 130, .size = 32, .value_size = 32, .causal = true, .type = type});
    check({.queries = 40, .keys = 140, .size = 32, .value_size = 32, .causal = true, .shift = 100, .type = type});
    // The first queries see nothing.
    check({.queries = 140, .keys = 70, .size = 32, .value_size = 32, .causal = true, .shift = -70, .type = type});
    check({.queries = 66, .keys = 129, .heads = 2, .key_heads = 2, .size = 32, .value_size = 32, .mask = MaskKind::additive, .type = type});
    check({.queries = 66, .keys = 65, .heads = 2, .key_heads = 1, .size = 32, .value_size = 32, .mask = MaskKind::seen, .causal = true, .type = type});
  }
}

TEST(attention_of_grouped_heads_and_batches) {
  check({.batch = 2, .queries = 66, .keys = 40, .heads = 4, .key_heads = 2, .size = 16, .value_size = 16});
  check({.batch = 2, .queries = 3, .keys = 70, .heads = 3, .key_heads = 1, .size = 64, .value_size = 64, .causal = true, .shift = 67});
}

// By the kernel for Hopper, which long sequences of aligned heads go to.
TEST(attention_on_wgmma) {
  check({.queries = 128, .keys = 128, .size = 64, .value_size = 64});
  // Tiles that end early, three of them, so that both stages are used again; heads padded in the second line.
  check({.queries = 200, .keys = 300, .size = 96, .value_size = 80, .type = DType::f16});
  check({.queries = 130, .keys = 400, .size = 128, .value_size = 128});
  // Values shorter than a line beside keys of two.
  check({.queries = 129, .keys = 129, .size = 104, .value_size = 40});
  check({.batch = 2, .queries = 140, .keys = 270, .heads = 4, .key_heads = 2, .size = 40, .value_size = 40, .type = DType::f16});
}

TEST(attention_on_wgmma_with_masks) {
  check({.queries = 300, .keys = 300, .size = 64, .value_size = 64, .causal = true});
  check({.queries = 130, .keys = 300, .size = 48, .value_size = 48, .causal = true, .shift = 170, .type = DType::f16});
  // The first block of queries sees nothing, of the second the first rows.
  check({.queries = 300, .keys = 160, .size = 64, .value_size = 64, .causal = true, .shift = -140, .type = DType::f16});
  check({.queries = 140, .keys = 257, .heads = 2, .key_heads = 1, .size = 64, .value_size = 64, .mask = MaskKind::additive});
  check({.queries = 140, .keys = 257, .size = 128, .value_size = 128, .mask = MaskKind::seen, .causal = true, .shift = 117, .type = DType::f16});
}

TEST(choice_of_the_attention_kernel) {
  using tk::cuda::AttentionKernel, tk::cuda::choose_attention;
  CHECK(choose_attention({128, 128, 64, true, true}) == AttentionKernel::hopper);
  CHECK(choose_attention({4096, 4096, 128, true, true}) == AttentionKernel::hopper);
  CHECK(choose_attention({127, 128, 64, true, true}) == AttentionKernel::tiles);
  CHECK(choose_attention({128, 127, 64, true, true}) == AttentionKernel::tiles);
  CHECK(choose_attention({128, 128, 32, true, true}) == AttentionKernel::tiles);
  CHECK(choose_attention({128, 128, 136, true, true}) == AttentionKernel::tiles);
  CHECK(choose_attention({128, 128, 64, false, true}) == AttentionKernel::tiles);
  CHECK(choose_attention({128, 128, 64, true, false}) == AttentionKernel::tiles);
}

TEST(attention_with_dropout) {
  check({.queries = 70, .keys = 67, .size = 20, .value_size = 36, .type = DType::f32, .rate = 0.5});
  check({.batch = 2, .queries = 35, .keys = 70, .heads = 4, .key_heads = 2, .size = 16, .value_size = 16, .causal = true, .shift = 35, .type = DType::f32, .rate = 0.25});
  check({.queries = 40, .keys = 65, .heads = 2, .key_heads = 2, .size = 32, .value_size = 32, .mask = MaskKind::seen, .type = DType::f32, .rate = 0.1});
}

TEST(attention_with_dropout_in_16_bits) {
  for (const DType type : {DType::bf16, DType::f16}) {
    check({.queries = 70, .keys = 67, .size = 20, .value_size = 36, .type = type, .rate = 0.5});
    check({.batch = 2, .queries = 35, .keys = 70, .heads = 4, .key_heads = 2, .size = 16, .value_size = 16, .causal = true, .shift = 35, .type = type, .rate = 0.25});
    check({.queries = 130, .keys = 66, .heads = 2, .key_heads = 2, .size = 96, .value_size = 96, .mask = MaskKind::seen, .type = type, .rate = 0.1});
  }
  check({.queries = 66, .keys = 70, .size = 160, .value_size = 160, .rate = 0.5});
  // Forward on wgmma.
  check({.queries = 200, .keys = 301, .heads = 2, .key_heads = 2, .size = 64, .value_size = 64, .rate = 0.5});
  check({.batch = 2, .queries = 140, .keys = 270, .size = 96, .value_size = 96, .causal = true, .shift = 130, .type = DType::f16, .rate = 0.2});
}

TEST(attention_without_keys_is_zero) {
  OpSession session;
  const Operand q = session.operand({1, 5, 1, 16}, DType::bf16, normal_values(80, 1)), none = session.operand({1, 0, 1, 16}, DType::bf16);
  const Operand mask = session.operand({0}, DType::f32), y = session.operand({1, 5, 1, 16}, DType::bf16),
                log_sum = session.operand({1, 1, 5}, DType::f32);
  session.run(k_attention, {q, none, none, mask, mask, y, log_sum}, {0, 0}, {0.25, 0});
  for (const float value : session.read(y)) CHECK(value == 0);
  for (const float value : session.read(log_sum)) CHECK(value == -INFINITY);
}

TEST(attention_gives_the_same_bits_again) {
  const Problem p({.queries = 130, .keys = 200, .size = 64, .value_size = 64});
  OpSession session;
  const Operand q = session.operand({1, 130, 1, 64}, DType::bf16, p.q), k = session.operand({1, 200, 1, 64}, DType::bf16, p.k),
                v = session.operand({1, 200, 1, 64}, DType::bf16, p.v), dy = session.operand({1, 130, 1, 64}, DType::bf16, p.dy);
  std::vector<float> first;
  for (int round = 0; round < 2; ++round) {
    const Operand y = session.operand({1, 130, 1, 64}, DType::bf16), log_sum = session.operand({1, 1, 130}, DType::f32),
                  dq = session.operand({1, 130, 1, 64}, DType::bf16), dk = session.operand({1, 200, 1, 64}, DType::bf16),
                  dv = session.operand({1, 200, 1, 64}, DType::bf16), mask = session.operand({0}, DType::f32);
    session.run(k_attention, {q, k, v, mask, mask, y, log_sum}, {0, 0}, {0.125, 0});
    session.run(k_attention_grad, {dy, q, k, v, mask, mask, y, log_sum, dq, dk, dv}, {0, 0}, {0.125, 0});
    std::vector<float> all;
    for (const Operand* x : {&y, &log_sum, &dq, &dk, &dv}) {
      const std::vector<float> values = session.read(*x);
      all.insert(all.end(), values.begin(), values.end());
    }
    if (round == 0) first = all;
    CHECK(std::memcmp(all.data(), first.data(), all.size() * sizeof(float)) == 0);
  }
}

TEST(longer_heads_are_left_to_f32) {
  Operand q, v;
  q.dtype = v.dtype = DType::bf16, q.rank = v.rank = 4;
  for (Operand* x : {&q, &v}) x->dims[0] = x->dims[1] = x->dims[2] = 1, x->dims[3] = 64, x->size = 64;
  Operand log_sum = v;
  log_sum.dtype = DType::f32;
  Operand operands[] = {q, q, v, {}, {}, v, log_sum};
  tk::OpCall call;
  call.op = k_attention, call.operands = operands, call.num_operands = 7;
  CHECK(table().takes_half(&call) == 1);
  operands[4].dtype = DType::i32, operands[4].rank = 1, operands[4].dims[0] = operands[4].size = 4;
  CHECK(table().takes_half(&call) == 1);
  operands[4] = {};
  operands[0].dims[3] = operands[0].size = 264;
  CHECK(table().takes_half(&call) == 0);
}

TEST_MAIN
