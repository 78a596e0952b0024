#include "cuda/context.h"
// context.h first.
#include "ops/optim/optim.h"

// Many tensors in one launch: their addresses travel as a kernel parameter, kTensors at a time. Block (x, y) works on tensor y.
TK_BEGIN_CUDA
namespace {

constexpr int kTensors = 48;
constexpr int kGroups = 4;

struct TensorBatch {
  float* data[kGroups][kTensors];
  int64_t size[kTensors];
};

// `active` is the value behind the hyper-parameters (optim.h), null where there is none.
template <class Update>
__global__ void __launch_bounds__(kThreads) update_kernel(TensorBatch batch, Update update, const float* active) {
  if (active != nullptr && *active == 0) return;
  const int tensor = int(blockIdx.y);
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < batch.size[tensor]; i += step) {
    update(batch, tensor, i);
  }
}

// Address of the value behind `count` hyper-parameters; null where there is none.
const float* active_value(const OpCall& call, int64_t count) {
  if (call[0].size == count + 1) return call[0].f32() + count;
  TK_CHECK_EQ(call[0].size, count);
  return nullptr;
}

// Runs update(batch, tensor, element) over the members of the groups that begin at operand `first`.
template <class Update>
void update_groups(const OpCall& call, const CudaContext& context, int first, int groups, const Update& update,
                   const float* active) {
  TK_CHECK_EQ(call.num_operands, first + groups * call.star_count);
  for (int begin = 0; begin < call.star_count; begin += kTensors) {
    TensorBatch batch;
    const int count = call.star_count - begin < kTensors ? call.star_count - begin : kTensors;
    int64_t largest = 0;
    for (int i = 0; i < count; ++i) {
      batch.size[i] = call[first + begin + i].size;
      largest = batch.size[i] > largest ? batch.size[i] : largest;
      for (int group = 0; group < groups; ++group) {
        const Operand& member = call[first + group * call.star_count + begin + i];
        TK_CHECK_EQ(member.size, batch.size[i]);
        batch.data[group][i] = member.f32();
      }
    }
    if (largest == 0) continue;
    const int threads = largest >= kThreads ? kThreads : int((largest + 31) / 32 * 32);
    const int64_t wanted = (largest + threads * 4 - 1) / (threads * 4), resident = int64_t(context.multiprocessors()) * 16;
    context.launch(update_kernel<Update>, dim3(unsigned(wanted < resident ? wanted : resident), unsigned(count)),
                   dim3(unsigned(threads)), 0, batch, update, active);
  }
}

// base^exponent by repeated squaring: the same bits on every device, unlike a library's pow.
__device__ inline double whole_power(double base, int32_t exponent) {
  double result = 1;
  for (uint32_t rest = uint32_t(exponent); rest != 0; rest >>= 1) {
    if (rest & 1) result *= base;
    base *= base;
  }
  return result;
}

// What one step of Adam needs beside the hyper-parameters; computed once, in device memory.
struct AdamScalars {
  float one_minus_beta1, beta2, one_minus_beta2, epsilon;
  float step_size, inverse_root, gradient_decay, parameter_factor;
  int32_t decays;
};

struct AdamUpdate {
  const AdamScalars* scalars;
  __device__ void operator()(const TensorBatch& batch, int tensor, int64_t i) const {
    const AdamScalars f = *scalars;
    float p = batch.data[0][tensor][i], g = batch.data[1][tensor][i];
    float m = batch.data[2][tensor][i], v = batch.data[3][tensor][i];
    if (f.decays) {
      g = fmaf(f.gradient_decay, p, g);
      p = p * f.parameter_factor;
    }
    m = fmaf(f.one_minus_beta1, g - m, m);
    v = fmaf(f.one_minus_beta2 * g, g, f.beta2 * v);
    const float denominator = fmaf(sqrtf(v), f.inverse_root, f.epsilon);
    batch.data[2][tensor][i] = m;
    batch.data[3][tensor][i] = v;
    batch.data[0][tensor][i] = p - f.step_size * m / denominator;
  }
};

struct SgdUpdate {
  const float* hyper;
  __device__ void operator()(const TensorBatch& batch, int tensor, int64_t i) const {
    const float p = batch.data[0][tensor][i];
    float g = batch.data[1][tensor][i];
    if (hyper[2] != 0) g = fmaf(hyper[2], p, g);
    batch.data[0][tensor][i] = fmaf(-hyper[0], g, p);
  }
};

struct MomentumUpdate {
  const float* hyper;
  bool nesterov;
  __device__ void operator()(const TensorBatch& batch, int tensor, int64_t i) const {
    const float p = batch.data[0][tensor][i], momentum = hyper[1];
    float g = batch.data[1][tensor][i];
    if (hyper[2] != 0) g = fmaf(hyper[2], p, g);
    const float v = fmaf(momentum, batch.data[2][tensor][i], g);
    batch.data[2][tensor][i] = v;
    batch.data[0][tensor][i] = fmaf(-hyper[0], nesterov ? fmaf(momentum, v, g) : v, p);
  }
};

}  // namespace

int64_t adam_cuda_workspace(const OpCall&) { return sizeof(AdamScalars); }

void adam_cuda(const OpCall& call, CudaContext& context) {
  const float* active = active_value(call, 5);
  TK_CHECK_EQ(call[1].size, 1);
  const float* hyper = call[0].f32();
  int32_t* step = call[1].i32();
  const bool decoupled = TK_INT(call, adam, decoupled) != 0;
  AdamScalars* scalars = static_cast<AdamScalars*>(call.workspace);
  for_each(context, 1, [=] __device__(int64_t) {
    if (active != nullptr && *active == 0) return;
    const int32_t t = ++*step;
    const double rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], decay = hyper[4];
    scalars->one_minus_beta1 = float(1 - beta1);
    scalars->beta2 = hyper[2];
    scalars->one_minus_beta2 = float(1 - beta2);
    scalars->epsilon = hyper[3];
    scalars->step_size = float(rate / (1 - whole_power(beta1, t)));
    scalars->inverse_root = float(1 / sqrt(1 - whole_power(beta2, t)));
    scalars->gradient_decay = decoupled ? 0.0f : hyper[4];
    scalars->parameter_factor = decoupled ? float(1 - rate * decay) : 1.0f;
    scalars->decays = hyper[4] != 0;
  });
  update_groups(call, context, 2, 4, AdamUpdate{scalars}, active);
}

void sgd_cuda(const OpCall& call, CudaContext& context) {
  update_groups(call, context, 1, 2, SgdUpdate{call[0].f32()}, active_value(call, 3));
}

void sgd_momentum_cuda(const OpCall& call, CudaContext& context) {
  update_groups(call, context, 1, 3, MomentumUpdate{call[0].f32(), TK_INT(call, sgd_momentum, nesterov) != 0},
                active_value(call, 3));
}

TK_END_CUDA
