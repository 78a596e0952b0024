#include "ops/random/random.h"

#include <cfloat>

#include "ops/random/philox_chunk.h"

TK_BEGIN_LEVEL
namespace {

// The inner loops stand apart from the lambdas that call them: a value captured by reference might change with every store to
// the output for all the compiler knows, and then it does not vectorise.
TK_INLINE void uniform_chunk(const uint32_t* __restrict words, float* __restrict y, int64_t count, float min, float max,
                             float limit) {
  for (int64_t i = 0; i < count; ++i) {
    const float u = philox::uniform(words[i]);
    const float value = min * (1.0f - u) + max * u;
    y[i] = value < limit ? value : limit;
  }
}

TK_INLINE void uniform_int_chunk(const uint32_t* __restrict words, int32_t* __restrict y, int64_t count, uint32_t min,
                                 uint64_t range) {
  for (int64_t i = 0; i < count; ++i) y[i] = philox::uniform_int(words[i], min, range);
}

TK_INLINE void normal_chunk(const uint32_t* __restrict words, float* __restrict y, int64_t count, float mean, float stddev) {
  float z[kChunkWords];
  for (int i = 0; i < kChunkWords; i += 2) philox::normal_pair(words[i], words[i + 1], &z[i], &z[i + 1]);
  for (int64_t i = 0; i < count; ++i) y[i] = mean + stddev * z[i];
}

TK_INLINE void dropout_chunk(const uint32_t* __restrict words, const float* x, float* y, int64_t count, int32_t threshold,
                             float scale) {
  float kept[kChunkWords];  // x may be y
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = x[i] * scale;
    kept[i] = philox::bits24(words[i]) >= threshold ? scaled : 0.0f;
  }
  std::memcpy(y, kept, size_t(count) * sizeof(float));
}

void uniform_f32(const PhiloxState& philox, const Operand& y, float min, float max, CpuContext& context) {
  TK_CHECK(min <= max && min >= -FLT_MAX && max <= FLT_MAX);
  // Rounding may carry the formula up to max, which is excluded: the largest float below it takes its place.
  const float limit = min < max ? ::nextafterf(max, min) : min;
  for_each_chunk(philox, y.size, context, [&](const uint32_t* words, int64_t begin, int64_t count) {
    uniform_chunk(words, y.f32() + begin, count, min, max, limit);
  });
}

void uniform_i32(const PhiloxState& philox, const Operand& y, double min, double max, CpuContext& context) {
  TK_CHECK(min >= -0x1p31 && min < max && max <= 0x1p31);
  const int64_t first = int64_t(min), range = int64_t(max) - first;
  TK_CHECK(range > 0);
  for_each_chunk(philox, y.size, context, [&](const uint32_t* words, int64_t begin, int64_t count) {
    uniform_int_chunk(words, y.i32() + begin, count, uint32_t(first), uint64_t(range));
  });
}

void dropout_f32(const PhiloxState& philox, const Operand& x, const Operand& y, double rate, CpuContext& context) {
  TK_CHECK_EQ(x.size, y.size);
  TK_CHECK(rate >= 0 && rate < 1);
  const int32_t threshold = philox::dropout_threshold(rate);
  const float scale = float(1 / (1 - rate));
  for_each_chunk(philox, y.size, context, [&](const uint32_t* words, int64_t begin, int64_t count) {
    dropout_chunk(words, x.f32() + begin, y.f32() + begin, count, threshold, scale);
  });
}

}  // namespace

void random_uniform_cpu(const OpCall& call, CpuContext& context) {
  const Operand &state = call[0], &y = call[1];
  const double min = TK_FLOAT(call, random_uniform, min), max = TK_FLOAT(call, random_uniform, max);
  const PhiloxState philox = read_philox(state);
  if (y.dtype == DType::i32) {
    uniform_i32(philox, y, min, max, context);
  } else {
    uniform_f32(philox, y, float(min), float(max), context);
  }
  advance_philox(state, philox, philox::blocks_for(y.size));
}

void random_normal_cpu(const OpCall& call, CpuContext& context) {
  const Operand &state = call[0], &y = call[1];
  const float mean = float(TK_FLOAT(call, random_normal, mean)), stddev = float(TK_FLOAT(call, random_normal, stddev));
  const PhiloxState philox = read_philox(state);
  for_each_chunk(philox, y.size, context, [&](const uint32_t* words, int64_t begin, int64_t count) {
    normal_chunk(words, y.f32() + begin, count, mean, stddev);
  });
  advance_philox(state, philox, philox::blocks_for(y.size));
}

void dropout_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &state = call[1], &y = call[2], &saved_state = call[3];
  TK_CHECK_EQ(saved_state.size, 4);
  const PhiloxState philox = read_philox(state);
  std::memcpy(saved_state.data, state.data, 4 * sizeof(int32_t));
  dropout_f32(philox, x, y, TK_FLOAT(call, dropout, rate), context);
  advance_philox(state, philox, philox::blocks_for(y.size));
}

void random_reserve_cpu(const OpCall& call, CpuContext&) {
  const Operand &state = call[0], &saved_state = call[1];
  const int64_t blocks = TK_INT(call, random_reserve, blocks);
  TK_CHECK(blocks >= 0);
  TK_CHECK_EQ(saved_state.size, 4);
  const PhiloxState philox = read_philox(state);
  std::memcpy(saved_state.data, state.data, 4 * sizeof(int32_t));
  advance_philox(state, philox, blocks);
}

void dropout_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &saved_state = call[1], &dx = call[2];
  dropout_f32(read_philox(saved_state), dy, dx, TK_FLOAT(call, dropout_grad, rate), context);
}

TK_END_LEVEL
