#include "ops/common/multi_tensor_cuda.cuh"
// context.h first.
#include "ops/optim/optim.h"
#include "ops/optim/update_rules.h"

// One launch updates all members; where a rule counts its steps, a launch of one thread before it makes the step's factors.
TK_BEGIN_CUDA
namespace {

__device__ inline float moved(float from, float to, float weight) { return fmaf(weight, to - from, from); }
// p shrunk by `loss` of itself, without the bias that rounding 1 - loss would bring.
__device__ inline float shrunk(float p, float loss) { return loss == 0 ? p : fmaf(-loss, p, p); }
__device__ inline float complement(float x) { return float(1 - double(x)); }

// Factors that depend on the count of steps, in device memory.
struct StepScalars {
  float first, second, inverse_root;
};

template <bool kCentered, bool kMomentum>
struct RmspropUpdate {
  static constexpr int kGroups = 5;
  static constexpr unsigned kReads = 7 | (kCentered ? 8 : 0) | (kMomentum ? 16 : 0), kWrites = kReads & ~2u;
  const float* hyper;
  float rate = 0, alpha = 0, rest = 0, epsilon = 0, decay = 0, momentum = 0;
  __device__ void prepare() {
    rate = hyper[0], alpha = hyper[1], rest = complement(hyper[1]), epsilon = hyper[2], decay = hyper[3], momentum = hyper[4];
  }
  __device__ void operator()(float (&value)[5]) const {
    const float p = value[0], g = penalised(value[1], p, decay), square = fmaf(rest * g, g, alpha * value[2]);
    value[2] = square;
    float variance = square;
    if (kCentered) {
      value[3] = moved(value[3], g, rest);
      variance = square - value[3] * value[3];
    }
    float step = g / (sqrtf(variance) + epsilon);
    if (kMomentum) {
      step = fmaf(momentum, value[4], step);
      value[4] = step;
    }
    value[0] = fmaf(-rate, step, p);
  }
};

struct AdagradUpdate {
  static constexpr int kGroups = 3;
  static constexpr unsigned kReads = 7, kWrites = 5;
  const float* hyper;
  const StepScalars* scalars;
  float minus_rate = 0, epsilon = 0, decay = 0;
  __device__ void prepare() { minus_rate = scalars->first, epsilon = hyper[2], decay = hyper[3]; }
  __device__ void operator()(float (&value)[3]) const {
    const float p = value[0], g = penalised(value[1], p, decay), sum = fmaf(g, g, value[2]);
    value[2] = sum;
    value[0] = p + minus_rate * g / (sqrtf(sum) + epsilon);
  }
};

struct AdadeltaUpdate {
  static constexpr int kGroups = 4;
  static constexpr unsigned kReads = 15, kWrites = 13;
  const float* hyper;
  float rate = 0, rho = 0, rest = 0, epsilon = 0, decay = 0;
  __device__ void prepare() {
    rate = hyper[0], rho = hyper[1], rest = complement(hyper[1]), epsilon = hyper[2], decay = hyper[3];
  }
  __device__ void operator()(float (&value)[4]) const {
    const float p = value[0], g = penalised(value[1], p, decay), update = value[3];
    const float square = fmaf(rest * g, g, rho * value[2]);
    const float delta = sqrtf(update + epsilon) / sqrtf(square + epsilon) * g;
    value[2] = square;
    value[3] = fmaf(rest * delta, delta, rho * update);
    value[0] = fmaf(-rate, delta, p);
  }
};

struct AdamaxUpdate {
  static constexpr int kGroups = 4;
  static constexpr unsigned kReads = 15, kWrites = 13;
  const float* hyper;
  const StepScalars* scalars;
  float one_minus_beta1 = 0, beta2 = 0, minus_rate = 0, epsilon = 0, decay = 0;
  __device__ void prepare() {
    one_minus_beta1 = complement(hyper[1]), beta2 = hyper[2], epsilon = hyper[3], decay = hyper[4];
    minus_rate = scalars->first;
  }
  __device__ void operator()(float (&value)[4]) const {
    const float p = value[0], g = penalised(value[1], p, decay), m = moved(value[2], g, one_minus_beta1);
    // The second one where either is NaN: a NaN gradient reaches u.
    const float kept = beta2 * value[3], fresh = fabsf(g) + epsilon, u = kept > fresh ? kept : fresh;
    value[2] = m;
    value[3] = u;
    value[0] = p + minus_rate * m / u;
  }
};

struct NadamUpdate {
  static constexpr int kGroups = 4;
  static constexpr unsigned kReads = 15, kWrites = 13;
  const float* hyper;
  const StepScalars* scalars;
  bool decoupled;
  float one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0, epsilon = 0, loss = 0, decay = 0;
  StepScalars f = {};
  __device__ void prepare() {
    one_minus_beta1 = complement(hyper[1]), beta2 = hyper[2], one_minus_beta2 = complement(hyper[2]), epsilon = hyper[3];
    loss = decoupled ? float(double(hyper[0]) * double(hyper[4])) : 0.0f;
    decay = decoupled ? 0.0f : hyper[4];
    f = *scalars;
  }
  __device__ void operator()(float (&value)[4]) const {
    const float p = value[0], g = penalised(value[1], p, decay), m = moved(value[2], g, one_minus_beta1);
    const float v = fmaf(one_minus_beta2 * g, g, beta2 * value[3]);
    value[2] = m;
    value[3] = v;
    value[0] = shrunk(p, loss) + fmaf(f.first, g, f.second * m) / fmaf(sqrtf(v), f.inverse_root, epsilon);
  }
};

struct LionUpdate {
  static constexpr int kGroups = 3;
  static constexpr unsigned kReads = 7, kWrites = 5;
  const float* hyper;
  float rate = 0, one_minus_beta1 = 0, one_minus_beta2 = 0, loss = 0;
  __device__ void prepare() {
    rate = hyper[0], one_minus_beta1 = complement(hyper[1]), one_minus_beta2 = complement(hyper[2]);
    loss = float(double(hyper[0]) * double(hyper[3]));
  }
  __device__ void operator()(float (&value)[3]) const {
    const float g = value[1], m = value[2], direction = moved(m, g, one_minus_beta1);
    // The sign of 0 is 0; that of NaN is NaN, so that a broken gradient shows.
    const float step = direction == 0 ? 0.0f : copysignf(rate, direction);
    value[2] = moved(m, g, one_minus_beta2);
    value[0] = shrunk(value[0], loss) - (direction != direction ? direction : step);
  }
};

// Both passes of LAMB: the first updates the moments and sums squares of the parameter and of its direction.
struct LambFactors {
  const float* hyper;
  const StepScalars* scalars;
  float one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0, epsilon = 0, decay = 0;
  StepScalars f = {};
  __device__ void prepare(int64_t, int64_t, double*) {
    one_minus_beta1 = complement(hyper[1]), beta2 = hyper[2], one_minus_beta2 = complement(hyper[2]), epsilon = hyper[3];
    decay = hyper[4];
    f = *scalars;
  }
  __device__ float direction(float p, float m, float v) const {
    const float r = m * f.first / fmaf(sqrtf(v), f.inverse_root, epsilon);
    return decay != 0 ? fmaf(decay, p, r) : r;
  }
};
struct LambFold : LambFactors {
  static constexpr int kGroups = 4, kSums = 2;
  static constexpr unsigned kWrites = 12;
  __device__ void operator()(float (&value)[4], double* sums) const {
    const float p = value[0], g = value[1];
    value[2] = moved(value[2], g, one_minus_beta1);
    value[3] = fmaf(one_minus_beta2 * g, g, beta2 * value[3]);
    const float r = direction(p, value[2], value[3]);
    sums[0] += double(p) * double(p);
    sums[1] += double(r) * double(r);
  }
};
// The second moves the member by the ratio of its norms, from the sums of all its chunks.
struct LambMove : LambFactors {
  static constexpr int kGroups = 4, kSums = 0;
  static constexpr unsigned kWrites = 1;
  const double* chunk_sums;
  float minus_rate = 0;
  __device__ void prepare(int64_t first, int64_t end, double* shared) {
    LambFactors::prepare(first, end, shared);
    double param = 0, all = 0;
    for (int64_t c = first + threadIdx.x; c < end; c += blockDim.x) param += chunk_sums[2 * c], all += chunk_sums[2 * c + 1];
    param = block_reduce(param, shared, [](double a, double b) { return a + b; });
    all = block_reduce(all, shared, [](double a, double b) { return a + b; });
    const double ratio = param == 0 || all == 0 ? 1 : sqrt(param / all);
    minus_rate = float(-double(hyper[0]) * ratio);
  }
  __device__ void operator()(float (&value)[4], double*) const {
    value[0] = fmaf(minus_rate, direction(value[0], value[2], value[3]), value[0]);
  }
};

struct MoveUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 3, kWrites = 1;
  const float* hyper;
  float weight = 0;
  __device__ void prepare() { weight = *hyper; }
  __device__ void operator()(float (&value)[2]) const {
    value[0] = weight == 1 ? value[1] : weight == 0 ? value[0] : moved(value[0], value[1], weight);
  }
};

struct AccumulateUpdate {
  static constexpr int kGroups = 2;
  static constexpr unsigned kReads = 3, kWrites = 1;
  const float* factors;
  float keep = 0, weight = 0;
  __device__ void prepare() { keep = factors[0], weight = factors[1]; }
  __device__ void operator()(float (&value)[2]) const {
    const float source = value[1] * weight;
    value[0] = keep == 0 ? source : fmaf(keep, value[0], source);
  }
};

template <bool kCentered>
void run_rmsprop(const OpCall& call, const CudaContext& context, bool has_momentum, const float* active) {
  if (has_momentum) {
    update_members(call, context, 1, RmspropUpdate<kCentered, true>{call[0].f32()}, active);
  } else {
    update_members(call, context, 1, RmspropUpdate<kCentered, false>{call[0].f32()}, active);
  }
}

}  // namespace

void rmsprop_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 5);
  const bool has_momentum = TK_INT(call, rmsprop, has_momentum) != 0;
  if (TK_INT(call, rmsprop, centered) != 0) {
    run_rmsprop<true>(call, context, has_momentum, active);
  } else {
    run_rmsprop<false>(call, context, has_momentum, active);
  }
}

int64_t adagrad_cuda_workspace(const OpCall&) { return sizeof(StepScalars); }

void adagrad_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 4);
  TK_CHECK_EQ(call[1].size, 1);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  StepScalars* scalars = static_cast<StepScalars*>(call.workspace);
  for_each(context, 1, [=] __device__(int64_t) {
    if (!is_active(active)) return;
    const int32_t t = ++*step;
    scalars->first = float(-double(hyper[0]) / (1 + (t - 1) * double(hyper[1])));
  });
  update_members(call, context, 2, AdagradUpdate{hyper, scalars}, active);
}

void adadelta_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 4);
  update_members(call, context, 1, AdadeltaUpdate{call[0].f32()}, active);
}

int64_t adamax_cuda_workspace(const OpCall&) { return sizeof(StepScalars); }

void adamax_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 5);
  TK_CHECK_EQ(call[1].size, 1);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  StepScalars* scalars = static_cast<StepScalars*>(call.workspace);
  for_each(context, 1, [=] __device__(int64_t) {
    if (!is_active(active)) return;
    const int32_t t = ++*step;
    scalars->first = float(-double(hyper[0]) / (1 - whole_power(hyper[1], t)));
  });
  update_members(call, context, 2, AdamaxUpdate{hyper, scalars}, active);
}

int64_t nadam_cuda_workspace(const OpCall&) { return sizeof(StepScalars); }

void nadam_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 6);
  TK_CHECK_EQ(call[1].size, 1);
  TK_CHECK_EQ(call[2].size, 1);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  float* product_so_far = call[2].f32();
  StepScalars* scalars = static_cast<StepScalars*>(call.workspace);
  for_each(context, 1, [=] __device__(int64_t) {
    if (!is_active(active)) return;
    const int32_t t = ++*step;
    const double rate = hyper[0], beta1 = hyper[1];
    const double mu = beta1 * (1 - 0.5 * pow(0.96, t * double(hyper[5])));
    const double next_mu = beta1 * (1 - 0.5 * pow(0.96, (t + 1.0) * double(hyper[5])));
    const double product = double(*product_so_far) * mu;
    *product_so_far = float(product);
    scalars->first = float(-rate * (1 - mu) / (1 - product));
    scalars->second = float(-rate * next_mu / (1 - product * next_mu));
    scalars->inverse_root = float(1 / sqrt(1 - whole_power(hyper[2], t)));
  });
  update_members(call, context, 3, NadamUpdate{hyper, scalars, TK_INT(call, nadam, decoupled) != 0}, active);
}

void lion_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 4);
  update_members(call, context, 1, LionUpdate{call[0].f32()}, active);
}

// The sums of each chunk, then the scalars.
int64_t lamb_cuda_workspace(const OpCall& call) {
  return 2 * count_sum_chunks(call, 2) * int64_t(sizeof(double)) + int64_t(sizeof(StepScalars));
}

void lamb_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 5);
  TK_CHECK_EQ(call[1].size, 1);
  check_members(call, 2, 4, 15);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  double* sums = static_cast<double*>(call.workspace);
  StepScalars* scalars = reinterpret_cast<StepScalars*>(sums + 2 * count_sum_chunks(call, 2));
  for_each(context, 1, [=] __device__(int64_t) {
    if (!is_active(active)) return;
    const int32_t t = ++*step;
    scalars->first = float(1 / (1 - whole_power(hyper[1], t)));
    scalars->inverse_root = float(1 / sqrt(1 - whole_power(hyper[2], t)));
  });
  LambFold fold;
  fold.hyper = hyper, fold.scalars = scalars;
  fold_members(call, context, 2, sums, fold, active);
  LambMove move;
  move.hyper = hyper, move.scalars = scalars, move.chunk_sums = sums;
  fold_members(call, context, 2, static_cast<double*>(nullptr), move, active);
}

void accumulate_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 2);
  update_members(call, context, 1, AccumulateUpdate{call[0].f32()});
}

void move_towards_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  update_members(call, context, 1, MoveUpdate{call[0].f32()});
}

TK_END_CUDA
