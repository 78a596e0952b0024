#include "ops/recurrent/sequence_cuda.cuh"
// context.h first.
#include "ops/recurrent/recurrent.h"

TK_BEGIN_CUDA
namespace {

constexpr int64_t kLstmGates = 4;

Sequence read_lstm(const OpCall& call) {
  return {call[0], call[1], call[2], call[6], kLstmGates, TK_INT(call, lstm, reverse) != 0, TK_INT(call, lstm, hold) != 0};
}
Sequence read_lstm_grad(const OpCall& call) {
  return {call[3],
          call[4],
          call[5],
          call[6],
          kLstmGates,
          TK_INT(call, lstm_grad, reverse) != 0,
          TK_INT(call, lstm_grad, hold) != 0};
}

struct LstmGradParts {
  float* dgates;
  double* sums;
  void* scratch;
  LstmGradParts(const Sequence& s, Carver& carver)
      : dgates(carver.take<float>(s.rows() * s.width())),
        sums(carver.take<double>(column_parts(1, s.rows(), s.width(), 1))),
        scratch(carver.take<char>(SequenceProducts{s}.gradient_workspace())) {}
};

}  // namespace

int64_t lstm_cuda_workspace(const OpCall& call) {
  const Sequence s = read_lstm(call);
  return aligned_bytes(s.batch * s.width() * int64_t(sizeof(float))) + SequenceProducts{s}.forward_workspace();
}

void lstm_cuda(const OpCall& call, CudaContext& context) {
  const Sequence s = read_lstm(call);
  const SequenceProducts products{s};
  s.check_optional(call[3], s.width());
  s.check_optional(call[7], s.rows() * s.hidden);
  TK_CHECK_EQ(call[8].size, s.state_size());
  TK_CHECK_EQ(call[9].size, s.state_size());
  TK_CHECK_EQ(call[10].size, s.rows() * s.width());
  TK_CHECK_EQ(call[11].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[12].size, s.rows() * s.hidden);
  const float* bias = call[3].size == 0 ? nullptr : call[3].f32();
  float* y = call[7].size == 0 ? nullptr : call[7].f32();
  float *h_last = call[8].f32(), *c_last = call[9].f32(), *gates = call[10].f32();
  float *h_before = call[11].f32(), *c_before = call[12].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  float* state = carver.take<float>(s.batch * s.width());
  void* scratch = carver.take<char>(0);
  begin_state(context, s, call[4], h_before, h_last);
  begin_state(context, s, call[5], c_before, c_last);
  gemm(context, products.input(call[0].f32(), call[1].f32(), gates), scratch);
  const int64_t hidden = s.hidden, width = s.width();
  const bool hold = s.hold;
  for (int64_t n = 0; n < s.steps; ++n) {
    const int64_t t = s.step(n);
    gemm(context, products.state(h_before, t, call[2].f32(), 0, width, state), scratch);
    const StateTarget h_after = state_after(s, n, h_before, h_last), c_after = state_after(s, n, c_before, c_last);
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      float* cell = gates + p.row * width;
      const float h = h_before[p.row * hidden + p.j], c = c_before[p.row * hidden + p.j];
      float h_next = h, c_next = c, value[kLstmGates] = {};
      if (p.counts) {
        for (int gate = 0; gate < kLstmGates; ++gate) {
          const int64_t at = gate * hidden + p.j;
          const float sum = cell[at] + state[p.b * width + at] + or_zero(bias, at);
          value[gate] = gate == 2 ? tanh_of(sum) : sigmoid_of(sum);
        }
        c_next = fmaf(value[1], c, value[0] * value[2]);
        h_next = value[3] * tanh_of(c_next);
      }
      for (int gate = 0; gate < kLstmGates; ++gate) cell[gate * hidden + p.j] = value[gate];
      *h_after.at(p.b, p.j) = h_next;
      *c_after.at(p.b, p.j) = c_next;
      if (y != nullptr) y[p.row * hidden + p.j] = p.counts || hold ? h_next : 0.0f;
    });
  }
}

int64_t lstm_grad_cuda_workspace(const OpCall& call) {
  Carver carver{nullptr};
  LstmGradParts(read_lstm_grad(call), carver);
  return carver.used;
}

void lstm_grad_cuda(const OpCall& call, CudaContext& context) {
  const Sequence s = read_lstm_grad(call);
  const SequenceProducts products{s};
  const Operand &dx = call[10], &dkernel = call[11], &drecurrent = call[12], &dbias = call[13];
  s.check_optional(call[0], s.rows() * s.hidden);
  s.check_optional(dx, s.rows() * s.inputs);
  s.check_optional(dkernel, s.inputs * s.width());
  s.check_optional(drecurrent, s.hidden * s.width());
  s.check_optional(dbias, s.width());
  TK_CHECK_EQ(call[7].size, s.rows() * s.width());
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[14].size, s.state_size());
  TK_CHECK_EQ(call[15].size, s.state_size());
  const float* dy = call[0].size == 0 ? nullptr : call[0].f32();
  const float *recurrent = call[5].f32(), *gates = call[7].f32(), *c_before = call[9].f32();
  float *dh = call[14].f32(), *dc = call[15].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  const LstmGradParts parts(s, carver);
  float* dgates = parts.dgates;
  load_state(context, call[1], dh, s.state_size());
  load_state(context, call[2], dc, s.state_size());
  const int64_t hidden = s.hidden, width = s.width();
  const bool hold = s.hold;
  for (int64_t n = s.steps - 1; n >= 0; --n) {
    const int64_t t = s.step(n);
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      const float* cell = gates + p.row * width;
      float *dcell = dgates + p.row * width, *dh_at = dh + p.b * hidden + p.j, *dc_at = dc + p.b * hidden + p.j;
      const float dstate = *dh_at + or_zero(dy, p.row * hidden + p.j);
      float d[kLstmGates] = {};
      if (p.counts) {
        const float i = cell[p.j], f = cell[hidden + p.j], g = cell[2 * hidden + p.j], o = cell[3 * hidden + p.j];
        const float before = c_before[p.row * hidden + p.j], c_tanh = tanh_of(fmaf(f, before, i * g));
        const float dsum = fmaf(dstate * o, 1.0f - c_tanh * c_tanh, *dc_at);
        d[0] = dsum * g * i * (1.0f - i);
        d[1] = dsum * before * f * (1.0f - f);
        d[2] = dsum * i * (1.0f - g * g);
        d[3] = dstate * c_tanh * o * (1.0f - o);
        *dc_at = dsum * f;
        *dh_at = 0.0f;
      } else if (hold) {
        *dh_at = dstate;
      }
      for (int gate = 0; gate < kLstmGates; ++gate) dcell[gate * hidden + p.j] = d[gate];
    });
    gemm(context, products.state_gradient(dgates, t, recurrent, 0, width, dh, true), parts.scratch);
  }
  if (dx.size != 0) gemm(context, products.for_x(dgates, call[4].f32(), dx.f32()), parts.scratch);
  if (dkernel.size != 0) gemm(context, products.for_kernel(call[3].f32(), dgates, dkernel.f32()), parts.scratch);
  if (drecurrent.size != 0) {
    gemm(context, products.for_recurrent(call[8].f32(), dgates, 0, width, drecurrent.f32()), parts.scratch);
  }
  if (dbias.size != 0) column_sums(context, dgates, s.rows(), width, dbias.f32(), parts.sums);
}

TK_END_CUDA
