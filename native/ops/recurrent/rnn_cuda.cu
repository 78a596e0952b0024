#include "cuda/gemm/epilogue.cuh"
#include "ops/recurrent/sequence_cuda.cuh"
// context.h first.
#include "ops/recurrent/recurrent.h"

TK_BEGIN_CUDA
namespace {

// Either function's derivative is taken from its result, which is the new state.
int rnn_kind(int64_t kind) {
  TK_CHECK(activation::saves_result(kind));
  return int(kind);
}
Sequence read_rnn(const OpCall& call) {
  return {call[0], call[1], call[2], call[5], 1, TK_INT(call, rnn, reverse) != 0, TK_INT(call, rnn, hold) != 0};
}
Sequence read_rnn_grad(const OpCall& call) {
  return {call[2], call[3], call[4], call[5], 1, TK_INT(call, rnn_grad, reverse) != 0, TK_INT(call, rnn_grad, hold) != 0};
}

struct RnnGradParts {
  float* dgates;
  double* sums;
  void* scratch;
  RnnGradParts(const Sequence& s, Carver& carver)
      : dgates(carver.take<float>(s.rows() * s.hidden)),
        sums(carver.take<double>(column_parts(1, s.rows(), s.hidden, 1))),
        scratch(carver.take<char>(SequenceProducts{s}.gradient_workspace())) {}
};

}  // namespace

int64_t rnn_cuda_workspace(const OpCall& call) {
  const Sequence s = read_rnn(call);
  return aligned_bytes(s.state_size() * int64_t(sizeof(float))) + SequenceProducts{s}.forward_workspace();
}

void rnn_cuda(const OpCall& call, CudaContext& context) {
  const Sequence s = read_rnn(call);
  const SequenceProducts products{s};
  const int kind = rnn_kind(TK_INT(call, rnn, kind));
  s.check_optional(call[3], s.hidden);
  s.check_optional(call[6], s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.state_size());
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  const float* bias = call[3].size == 0 ? nullptr : call[3].f32();
  float* y = call[6].size == 0 ? nullptr : call[6].f32();
  float *h_last = call[7].f32(), *gates = call[8].f32(), *h_before = call[9].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  float* state = carver.take<float>(s.state_size());
  void* scratch = carver.take<char>(0);
  begin_state(context, s, call[4], h_before, h_last);
  gemm(context, products.input(call[0].f32(), call[1].f32(), gates), scratch);
  const int64_t hidden = s.hidden;
  const bool hold = s.hold;
  for (int64_t n = 0; n < s.steps; ++n) {
    const int64_t t = s.step(n);
    gemm(context, products.state(h_before, t, call[2].f32(), 0, hidden, state), scratch);
    const StateTarget h_after = state_after(s, n, h_before, h_last);
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      const int64_t at = p.row * hidden + p.j;
      const float sum = gates[at] + state[p.b * hidden + p.j] + or_zero(bias, p.j);
      const float next = p.counts ? apply_activation(kind, sum) : h_before[at];
      gates[at] = p.counts ? next : 0.0f;
      *h_after.at(p.b, p.j) = next;
      if (y != nullptr) y[at] = p.counts || hold ? next : 0.0f;
    });
  }
}

int64_t rnn_grad_cuda_workspace(const OpCall& call) {
  Carver carver{nullptr};
  RnnGradParts(read_rnn_grad(call), carver);
  return carver.used;
}

void rnn_grad_cuda(const OpCall& call, CudaContext& context) {
  const Sequence s = read_rnn_grad(call);
  const SequenceProducts products{s};
  const int kind = rnn_kind(TK_INT(call, rnn_grad, kind));
  const Operand &dx = call[8], &dkernel = call[9], &drecurrent = call[10], &dbias = call[11];
  s.check_optional(call[0], s.rows() * s.hidden);
  s.check_optional(dx, s.rows() * s.inputs);
  s.check_optional(dkernel, s.inputs * s.hidden);
  s.check_optional(drecurrent, s.hidden * s.hidden);
  s.check_optional(dbias, s.hidden);
  TK_CHECK_EQ(call[6].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[12].size, s.state_size());
  const float* dy = call[0].size == 0 ? nullptr : call[0].f32();
  const float *recurrent = call[4].f32(), *gates = call[6].f32();
  float* dh = call[12].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  const RnnGradParts parts(s, carver);
  float* dgates = parts.dgates;
  load_state(context, call[1], dh, s.state_size());
  const int64_t hidden = s.hidden;
  const bool hold = s.hold;
  for (int64_t n = s.steps - 1; n >= 0; --n) {
    const int64_t t = s.step(n);
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      const int64_t at = p.row * hidden + p.j;
      float* dh_at = dh + p.b * hidden + p.j;
      const float d = *dh_at + or_zero(dy, at);
      dgates[at] = p.counts ? d * activation_slope(kind, gates[at]) : 0.0f;
      if (p.counts) {
        *dh_at = 0.0f;
      } else if (hold) {
        *dh_at = d;
      }
    });
    gemm(context, products.state_gradient(dgates, t, recurrent, 0, hidden, dh, true), parts.scratch);
  }
  if (dx.size != 0) gemm(context, products.for_x(dgates, call[3].f32(), dx.f32()), parts.scratch);
  if (dkernel.size != 0) gemm(context, products.for_kernel(call[2].f32(), dgates, dkernel.f32()), parts.scratch);
  if (drecurrent.size != 0) {
    gemm(context, products.for_recurrent(call[7].f32(), dgates, 0, hidden, drecurrent.f32()), parts.scratch);
  }
  if (dbias.size != 0) column_sums(context, dgates, s.rows(), hidden, dbias.f32(), parts.sums);
}

TK_END_CUDA
