#include "ops/recurrent/sequence_cuda.cuh"
// context.h first.
#include "ops/recurrent/recurrent.h"

TK_BEGIN_CUDA
namespace {

constexpr int64_t kGruGates = 3;

struct Gru {
  Sequence s;
  bool reset_after;

  // Columns of R in the first product of a step.
  int64_t first_columns() const { return reset_after ? s.width() : 2 * s.hidden; }
  int64_t bias_size() const { return reset_after ? 2 * s.width() : s.width(); }
};

Gru read_gru(const OpCall& call) {
  return {{call[0], call[1], call[2], call[5], kGruGates, TK_INT(call, gru, reverse) != 0, TK_INT(call, gru, hold) != 0},
          TK_INT(call, gru, reset_after) != 0};
}
Gru read_gru_grad(const OpCall& call) {
  return {
      {call[2], call[3], call[4], call[5], kGruGates, TK_INT(call, gru_grad, reverse) != 0, TK_INT(call, gru_grad, hold) != 0},
      TK_INT(call, gru_grad, reset_after) != 0};
}

struct GruGradParts {
  float *dgates, *dstate_gates, *dreset;
  double* sums;
  void* scratch;
  GruGradParts(const Gru& gru, Carver& carver)
      : dgates(carver.take<float>(gru.s.rows() * gru.s.width())),
        dstate_gates(carver.take<float>(gru.reset_after ? gru.s.rows() * gru.s.width() : 0)),
        dreset(carver.take<float>(gru.reset_after ? 0 : gru.s.state_size())),
        sums(carver.take<double>(column_parts(1, gru.s.rows(), gru.s.width(), 1))),
        scratch(carver.take<char>(SequenceProducts{gru.s}.gradient_workspace())) {}
};

}  // namespace

int64_t gru_cuda_workspace(const OpCall& call) {
  const Gru gru = read_gru(call);
  return aligned_bytes(gru.s.batch * gru.s.width() * int64_t(sizeof(float))) + SequenceProducts{gru.s}.forward_workspace();
}

void gru_cuda(const OpCall& call, CudaContext& context) {
  const Gru gru = read_gru(call);
  const Sequence& s = gru.s;
  const SequenceProducts products{s};
  s.check_optional(call[3], gru.bias_size());
  s.check_optional(call[6], s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.state_size());
  TK_CHECK_EQ(call[8].size, s.rows() * s.width());
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[10].size, s.rows() * s.hidden);
  const float *recurrent = call[2].f32(), *bias = call[3].size == 0 ? nullptr : call[3].f32();
  const float* state_bias = bias == nullptr || !gru.reset_after ? nullptr : bias + s.width();
  float* y = call[6].size == 0 ? nullptr : call[6].f32();
  float *h_last = call[7].f32(), *gates = call[8].f32(), *h_before = call[9].f32(), *candidate = call[10].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  float* state = carver.take<float>(s.batch * s.width());
  void* scratch = carver.take<char>(0);
  begin_state(context, s, call[4], h_before, h_last);
  gemm(context, products.input(call[0].f32(), call[1].f32(), gates), scratch);
  const int64_t hidden = s.hidden, width = s.width(), columns = gru.first_columns();
  const bool hold = s.hold, reset_after = gru.reset_after;
  for (int64_t n = 0; n < s.steps; ++n) {
    const int64_t t = s.step(n);
    gemm(context, products.state(h_before, t, recurrent, 0, columns, state), scratch);
    const StateTarget h_after = state_after(s, n, h_before, h_last);
    if (!reset_after) {
      for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
        float *cell = gates + p.row * width, *reset = candidate + p.row * hidden + p.j;
        float value[2] = {};
        for (int gate = 0; gate < 2 && p.counts; ++gate) {
          const int64_t at = gate * hidden + p.j;
          value[gate] = sigmoid_of(cell[at] + state[p.b * columns + at] + or_zero(bias, at));
        }
        cell[p.j] = value[0];
        cell[hidden + p.j] = value[1];
        *reset = p.counts ? value[1] * h_before[p.row * hidden + p.j] : 0.0f;
      });
      gemm(context, products.state(candidate, t, recurrent, 2 * hidden, hidden, state), scratch);
    }
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      float *cell = gates + p.row * width, *extra = candidate + p.row * hidden + p.j;
      const float h = h_before[p.row * hidden + p.j];
      const int64_t third = 2 * hidden + p.j;
      float z = 0, r = 0, g = 0, next = h;
      if (p.counts && reset_after) {
        const float* through = state + p.b * width;
        z = sigmoid_of(cell[p.j] + through[p.j] + or_zero(bias, p.j) + or_zero(state_bias, p.j));
        r = sigmoid_of(cell[hidden + p.j] + through[hidden + p.j] + or_zero(bias, hidden + p.j) +
                       or_zero(state_bias, hidden + p.j));
        const float q = through[third] + or_zero(state_bias, third);
        *extra = q;
        g = tanh_of(cell[third] + or_zero(bias, third) + r * q);
      } else if (p.counts) {
        z = cell[p.j], r = cell[hidden + p.j];
        g = tanh_of(cell[third] + or_zero(bias, third) + state[p.b * hidden + p.j]);
      } else if (reset_after) {
        *extra = 0.0f;
      }
      if (p.counts) next = fmaf(z, h - g, g);
      cell[p.j] = z;
      cell[hidden + p.j] = r;
      cell[third] = g;
      *h_after.at(p.b, p.j) = next;
      if (y != nullptr) y[p.row * hidden + p.j] = p.counts || hold ? next : 0.0f;
    });
  }
}

int64_t gru_grad_cuda_workspace(const OpCall& call) {
  Carver carver{nullptr};
  GruGradParts(read_gru_grad(call), carver);
  return carver.used;
}

void gru_grad_cuda(const OpCall& call, CudaContext& context) {
  const Gru gru = read_gru_grad(call);
  const Sequence& s = gru.s;
  const SequenceProducts products{s};
  const Operand &dx = call[9], &dkernel = call[10], &drecurrent = call[11], &dbias = call[12];
  s.check_optional(call[0], s.rows() * s.hidden);
  s.check_optional(dx, s.rows() * s.inputs);
  s.check_optional(dkernel, s.inputs * s.width());
  s.check_optional(drecurrent, s.hidden * s.width());
  s.check_optional(dbias, gru.bias_size());
  TK_CHECK_EQ(call[6].size, s.rows() * s.width());
  TK_CHECK_EQ(call[7].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[13].size, s.state_size());
  const float* dy = call[0].size == 0 ? nullptr : call[0].f32();
  const float *recurrent = call[4].f32(), *gates = call[6].f32(), *h_before = call[7].f32(), *candidate = call[8].f32();
  float* dh = call[13].f32();
  Carver carver{static_cast<char*>(call.workspace)};
  const GruGradParts parts(gru, carver);
  float *dgates = parts.dgates, *dstate_gates = parts.dstate_gates, *dreset = parts.dreset;
  const bool hold = s.hold, reset_after = gru.reset_after;
  const float* dproduct = reset_after ? dstate_gates : dgates;  // what goes through R
  const int64_t hidden = s.hidden, width = s.width();
  load_state(context, call[1], dh, s.state_size());
  for (int64_t n = s.steps - 1; n >= 0; --n) {
    const int64_t t = s.step(n);
    // Gradients of the gates before their functions, but for r without reset_after; dh becomes the part of the state before
    // that does not go through R.
    for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
      const float* cell = gates + p.row * width;
      const int64_t at = p.row * hidden + p.j, first = p.row * width + p.j;
      float* dh_at = dh + p.b * hidden + p.j;
      const float d = *dh_at + or_zero(dy, at);
      float dz = 0, dr = 0, dg = 0, dq = 0;
      if (p.counts) {
        const float z = cell[p.j], r = cell[hidden + p.j], g = cell[2 * hidden + p.j];
        dz = d * (h_before[at] - g) * z * (1.0f - z);
        dg = d * (1.0f - z) * (1.0f - g * g);
        if (reset_after) dr = dg * candidate[at] * r * (1.0f - r), dq = dg * r;
        *dh_at = d * z;
      } else if (hold) {
        *dh_at = d;
      }
      dgates[first] = dz;
      dgates[first + hidden] = dr;
      dgates[first + 2 * hidden] = dg;
      if (reset_after) dstate_gates[first] = dz, dstate_gates[first + hidden] = dr, dstate_gates[first + 2 * hidden] = dq;
    });
    if (!reset_after) {
      gemm(context, products.state_gradient(dgates, t, recurrent, 2 * hidden, hidden, dreset, false), parts.scratch);
      for_each_unit(context, s, t, [=] __device__(const StepPlace& p) {
        if (!p.counts) return;
        const float r = gates[p.row * width + hidden + p.j], d = dreset[p.b * hidden + p.j];
        float* dh_at = dh + p.b * hidden + p.j;
        dgates[p.row * width + hidden + p.j] = d * h_before[p.row * hidden + p.j] * r * (1.0f - r);
        *dh_at = fmaf(d, r, *dh_at);
      });
    }
    gemm(context, products.state_gradient(dproduct, t, recurrent, 0, gru.first_columns(), dh, true), parts.scratch);
  }
  if (dx.size != 0) gemm(context, products.for_x(dgates, call[3].f32(), dx.f32()), parts.scratch);
  if (dkernel.size != 0) gemm(context, products.for_kernel(call[2].f32(), dgates, dkernel.f32()), parts.scratch);
  if (drecurrent.size != 0) {
    gemm(context, products.for_recurrent(h_before, dproduct, 0, gru.first_columns(), drecurrent.f32()), parts.scratch);
    if (!reset_after) {
      gemm(context, products.for_recurrent(candidate, dgates, 2 * hidden, hidden, drecurrent.f32()), parts.scratch);
    }
  }
  if (dbias.size == 0) return;
  column_sums(context, dgates, s.rows(), width, dbias.f32(), parts.sums);
  if (reset_after) column_sums(context, dstate_gates, s.rows(), width, dbias.f32() + width, parts.sums);
}

TK_END_CUDA
