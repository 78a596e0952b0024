#include "cuda/context.h"
// context.h first.
#include <cfloat>

#include "ops/common/philox.h"
#include "ops/random/random.h"

TK_BEGIN_CUDA
namespace {

// The state as the device holds it; every kernel of a call reads it before the last one advances it.
struct PhiloxStream {
  const int32_t* state;

  __device__ void words(int64_t block, uint32_t* out) const {
    const uint64_t counter = (uint64_t(uint32_t(state[3])) << 32 | uint32_t(state[2])) + uint64_t(block);
    const uint32_t counters[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0};
    const uint32_t key[2] = {uint32_t(state[0]), uint32_t(state[1])};
    philox::block(counters, key, out);
  }
};

void advance(const CudaContext& context, const Operand& state_operand, uint64_t blocks) {
  int32_t* state = state_operand.i32();
  for_each(context, 1, [=] __device__(int64_t) {
    const uint64_t counter = (uint64_t(uint32_t(state[3])) << 32 | uint32_t(state[2])) + blocks;
    state[2] = int32_t(uint32_t(counter));
    state[3] = int32_t(uint32_t(counter >> 32));
  });
}

// body(i, words) for each block of four elements from i on.
template <class Body>
void for_each_block(const CudaContext& context, const Operand& state, int64_t n, const Body& body) {
  TK_CHECK_EQ(state.size, 4);
  const PhiloxStream stream = {state.i32()};
  for_each(
      context, philox::blocks_for(n),
      [=] __device__(int64_t block) {
        uint32_t words[philox::kLanes];
        stream.words(block, words);
        body(block * philox::kLanes, words);
      },
      1);
}

__device__ inline int lanes_at(int64_t i, int64_t n) { return n - i < philox::kLanes ? int(n - i) : philox::kLanes; }

// Bodies of for_each_block: the four elements from i on.
struct UniformBody {
  float* y;
  int64_t n;
  float min, max, limit;
  __device__ void operator()(int64_t i, const uint32_t* words) const {
    for (int lane = 0; lane < lanes_at(i, n); ++lane) {
      const float u = philox::uniform(words[lane]);
      const float value = min * (1.0f - u) + max * u;
      y[i + lane] = value < limit ? value : limit;
    }
  }
};
struct UniformIntBody {
  int32_t* y;
  int64_t n;
  uint32_t min;
  uint64_t range;
  __device__ void operator()(int64_t i, const uint32_t* words) const {
    for (int lane = 0; lane < lanes_at(i, n); ++lane) y[i + lane] = philox::uniform_int(words[lane], min, range);
  }
};
struct NormalBody {
  float* y;
  int64_t n;
  float mean, stddev;
  __device__ void operator()(int64_t i, const uint32_t* words) const {
    float z[philox::kLanes];
    philox::normal_pair(words[0], words[1], &z[0], &z[1]);
    philox::normal_pair(words[2], words[3], &z[2], &z[3]);
    for (int lane = 0; lane < lanes_at(i, n); ++lane) y[i + lane] = mean + stddev * z[lane];
  }
};
struct DropoutBody {
  const float* x;
  float* y;
  int64_t n;
  int32_t threshold;
  float scale;
  __device__ void operator()(int64_t i, const uint32_t* words) const {
    for (int lane = 0; lane < lanes_at(i, n); ++lane) {
      const float scaled = x[i + lane] * scale;
      y[i + lane] = philox::bits24(words[lane]) >= threshold ? scaled : 0.0f;
    }
  }
};

void run_dropout(const CudaContext& context, const Operand& state, const Operand& x, const Operand& y, double rate) {
  TK_CHECK_EQ(x.size, y.size);
  TK_CHECK(rate >= 0 && rate < 1);
  for_each_block(context, state, y.size,
                 DropoutBody{x.f32(), y.f32(), y.size, philox::dropout_threshold(rate), float(1 / (1 - rate))});
}

}  // namespace

void random_uniform_cuda(const OpCall& call, CudaContext& context) {
  const Operand &state = call[0], &y = call[1];
  const double min = TK_FLOAT(call, random_uniform, min), max = TK_FLOAT(call, random_uniform, max);
  if (y.dtype == DType::i32) {
    TK_CHECK(min >= -0x1p31 && min < max && max <= 0x1p31);
    const int64_t first = int64_t(min);
    for_each_block(context, state, y.size, UniformIntBody{y.i32(), y.size, uint32_t(first), uint64_t(int64_t(max) - first)});
  } else {
    const float low = float(min), high = float(max);
    TK_CHECK(low <= high && low >= -FLT_MAX && high <= FLT_MAX);
    // Rounding may carry the formula up to max, which is excluded: the largest float below it takes its place.
    const float limit = low < high ? ::nextafterf(high, low) : low;
    for_each_block(context, state, y.size, UniformBody{y.f32(), y.size, low, high, limit});
  }
  advance(context, state, uint64_t(philox::blocks_for(y.size)));
}

void random_normal_cuda(const OpCall& call, CudaContext& context) {
  const Operand &state = call[0], &y = call[1];
  const float mean = float(TK_FLOAT(call, random_normal, mean)), stddev = float(TK_FLOAT(call, random_normal, stddev));
  for_each_block(context, state, y.size, NormalBody{y.f32(), y.size, mean, stddev});
  advance(context, state, uint64_t(philox::blocks_for(y.size)));
}

void dropout_cuda(const OpCall& call, CudaContext& context) {
  const Operand &x = call[0], &state = call[1], &y = call[2], &saved_state = call[3];
  TK_CHECK_EQ(saved_state.size, 4);
  context.copy(saved_state.data, state.data, 4 * sizeof(int32_t));
  run_dropout(context, state, x, y, TK_FLOAT(call, dropout, rate));
  advance(context, state, uint64_t(philox::blocks_for(y.size)));
}

void random_reserve_cuda(const OpCall& call, CudaContext& context) {
  const Operand &state = call[0], &saved_state = call[1];
  const int64_t blocks = TK_INT(call, random_reserve, blocks);
  TK_CHECK(blocks >= 0);
  TK_CHECK(state.size == 4 && saved_state.size == 4);
  context.copy(saved_state.data, state.data, 4 * sizeof(int32_t));
  advance(context, state, uint64_t(blocks));
}

void dropout_grad_cuda(const OpCall& call, CudaContext& context) {
  run_dropout(context, call[1], call[0], call[2], TK_FLOAT(call, dropout_grad, rate));
}

int64_t multinomial_cuda_workspace(const OpCall& call) { return call[0].size * int64_t(sizeof(double)); }

void multinomial_cuda(const OpCall& call, CudaContext& context) {
  const int64_t batch = call[0].dims[0], events = call[0].dims[1], samples = call[1].dims[1];
  TK_CHECK(events >= 1);
  const float* probabilities = call[0].f32();
  int32_t* y = call[1].i32();
  double* cumulative = static_cast<double*>(call.workspace);
  const uint32_t low = uint32_t(TK_INT(call, multinomial, seed_low)), high = uint32_t(TK_INT(call, multinomial, seed_high));
  for_each(
      context, batch,
      [=] __device__(int64_t row) {
        // The largest sum so far rises, as the search needs, and passes u where the sum itself first does.
        double sum = 0, largest = 0;
        for (int64_t i = row * events; i < (row + 1) * events; ++i) {
          sum += double(probabilities[i]);
          if (sum > largest) largest = sum;
          cumulative[i] = largest;
        }
      },
      1);
  for_each(context, batch * samples, [=] __device__(int64_t i) {
    const uint32_t counters[4] = {uint32_t(i / 4), uint32_t(uint64_t(i / 4) >> 32), 0, 0}, key[2] = {low, high};
    uint32_t words[4];
    philox::block(counters, key, words);
    const double u = double(words[i % 4]) * 0x1p-32;
    const double* row = cumulative + i / samples * events;
    int64_t first = 0, last = events - 1;  // the answer lies in [first, last]
    while (first < last) {
      const int64_t middle = (first + last) / 2;
      if (row[middle] > u) {
        last = middle;
      } else {
        first = middle + 1;
      }
    }
    y[i] = int32_t(first);
  });
}

TK_END_CUDA
