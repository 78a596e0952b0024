#include "ops/recurrent/recurrent.h"
#include "ops/recurrent/steps.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kLstmGates = 4;

Sequence read_lstm(const OpCall& call) {
  return read_sequence(call[0], call[1], call[2], call[6], kLstmGates, TK_INT(call, lstm, reverse) != 0,
                       TK_INT(call, lstm, hold) != 0);
}

// Workspace, in floats from its start.
struct LstmLayout {
  int64_t packed, scratch;
};
LstmLayout lstm_layout(const Sequence& s, const StepMatrix& matrix) {
  const int64_t packed = round_up(s.batch * s.width(), 16);
  return {packed, packed + packed_floats(s, matrix)};
}

StepMatrix lstm_matrix(const OpCall& call, const Sequence& s) { return state_matrix(s, call[2].f32(), 0, s.width()); }

// The functions of one step for one row of the batch, one after the other, so that each is a short loop whose turns need
// nothing from each other. gates holds x W and gets i, f, g, o.
void lstm_cell(const Sequence& s, float* gates, const float* state, const float* bias, const float* c_before, float* h_after,
               float* c_after) {
  const int64_t hidden = s.hidden;
  const auto sum = [&](int64_t at, auto n) {
    return load_row(gates + at, n, 0.0f) + load_row(state + at, n, 0.0f) + load_or_zero(bias, at, n);
  };
  for_vectors(2 * hidden, [&](int64_t j, auto n) { store_row(gates + j, vsigmoid(sum(j, n)), n); });
  for_vectors(hidden, [&](int64_t j, auto n) { store_row(gates + 2 * hidden + j, vtanh(sum(2 * hidden + j, n)), n); });
  for_vectors(hidden, [&](int64_t j, auto n) { store_row(gates + 3 * hidden + j, vsigmoid(sum(3 * hidden + j, n)), n); });
  for_vectors(hidden, [&](int64_t j, auto n) {
    const VecF i = load_row(gates + j, n, 0.0f), f = load_row(gates + hidden + j, n, 0.0f);
    const VecF g = load_row(gates + 2 * hidden + j, n, 0.0f), o = load_row(gates + 3 * hidden + j, n, 0.0f);
    const VecF c = fmadd(f, load_row(c_before + j, n, 0.0f), i * g);
    store_row(c_after + j, c, n);
    store_row(h_after + j, o * vtanh(c), n);
  });
}

// dh and dc: gradients of the state after the step; they become the parts of those before it that do not go through R.
void lstm_cell_grad(const Sequence& s, const float* gates, const float* c_before, const float* dy, float* dh, float* dc,
                    float* dgates) {
  const int64_t hidden = s.hidden;
  const VecF one = set1(1.0f);
  for_vectors(s.hidden, [&](int64_t j, auto n) {
    const VecF i = load_row(gates + j, n, 0.0f), f = load_row(gates + hidden + j, n, 0.0f);
    const VecF g = load_row(gates + 2 * hidden + j, n, 0.0f), o = load_row(gates + 3 * hidden + j, n, 0.0f);
    const VecF before = load_row(c_before + j, n, 0.0f), t = vtanh(fmadd(f, before, i * g));
    const VecF dstate = state_gradient_at(dh, dy, j, n);
    const VecF dcell = fmadd(dstate * o, one - t * t, load_row(dc + j, n, 0.0f));
    store_row(dgates + j, dcell * g * i * (one - i), n);
    store_row(dgates + hidden + j, dcell * before * f * (one - f), n);
    store_row(dgates + 2 * hidden + j, dcell * i * (one - g * g), n);
    store_row(dgates + 3 * hidden + j, dstate * t * o * (one - o), n);
    store_row(dc + j, dcell * f, n);
    store_row(dh + j, zero(), n);
  });
}

Sequence read_lstm_grad(const OpCall& call) {
  return read_sequence(call[3], call[4], call[5], call[6], kLstmGates, TK_INT(call, lstm_grad, reverse) != 0,
                       TK_INT(call, lstm_grad, hold) != 0);
}

SequenceGradients lstm_gradients(const OpCall& call, const Sequence& s) {
  return {s, call[3].f32(), call[4].f32(), call[8].f32(), call[10], call[11], call[12]};
}

StepMatrix lstm_grad_matrix(const OpCall& call, const Sequence& s) {
  return state_gradient_matrix(s, call[5].f32(), 0, s.width());
}

// Workspace of the gradient, which begins with the gradients of the gates.
struct LstmGradLayout {
  int64_t packed, through, sums, scratch;
};
LstmGradLayout lstm_grad_layout(const Sequence& s, const StepMatrix& matrix) {
  LstmGradLayout at;
  at.packed = round_up(s.rows() * s.width(), 16);
  at.through = at.packed + packed_floats(s, matrix);
  at.sums = at.through + round_up(s.batch * s.hidden, 16);
  at.scratch = at.sums + round_up(column_sums_floats(s.rows(), s.width()), 16);
  return at;
}

}  // namespace

int64_t lstm_workspace(const OpCall& call, int num_threads) {
  const Sequence s = read_lstm(call);
  const StepMatrix matrix = lstm_matrix(call, s);
  const int64_t floats = most_floats(0, input_product(s, call[0].f32(), call[1].f32(), call[10].f32()), num_threads);
  return (lstm_layout(s, matrix).scratch + step_scratch_floats(floats, s, matrix, num_threads)) * int64_t(sizeof(float));
}

void lstm_cpu(const OpCall& call, CpuContext& context) {
  const Sequence s = read_lstm(call);
  const Operand &bias = call[3], &y = call[7];
  float *h_last = call[8].f32(), *c_last = call[9].f32(), *gates = call[10].f32();
  float *h_before = call[11].f32(), *c_before = call[12].f32();
  if (bias.size != 0) TK_CHECK_EQ(bias.size, s.width());
  TK_CHECK(y.size == 0 || y.size == s.rows() * s.hidden);
  TK_CHECK_EQ(call[8].size, s.batch * s.hidden);
  TK_CHECK_EQ(call[9].size, s.batch * s.hidden);
  TK_CHECK_EQ(call[10].size, s.rows() * s.width());
  TK_CHECK_EQ(call[11].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[12].size, s.rows() * s.hidden);
  StepMatrix matrix = lstm_matrix(call, s);
  const LstmLayout at = lstm_layout(s, matrix);
  float *state = static_cast<float*>(call.workspace), *scratch = state + at.scratch;
  const float* added = bias.size == 0 ? nullptr : bias.f32();
  begin_states(s, call[4], h_before, h_last);
  begin_states(s, call[5], c_before, c_last);
  gemm(input_product(s, call[0].f32(), call[1].f32(), gates), scratch, context);
  pack_step_matrix(s, matrix, state + at.packed, context);
  run_steps(s, scratch, context, [&](const auto& run) {
    for (int64_t n = 0; n < s.steps; ++n) {
      const int64_t t = s.step(n);
      run.multiply(matrix, h_before + t * s.hidden, s.steps * s.hidden, state);
      run.rows([&](int64_t b) {
        const int64_t row = s.row(b, t);
        const float *h = h_before + row * s.hidden, *c = c_before + row * s.hidden;
        float *h_after = after(s, n, b, h_before, h_last), *c_after = after(s, n, b, c_before, c_last);
        const bool counts = s.counts(b, t);
        if (n + 1 < s.steps) fetch_floats(gates + s.row(b, s.step(n + 1)) * s.width(), s.width());
        if (counts) {
          lstm_cell(s, gates + row * s.width(), state + b * s.width(), added, c, h_after, c_after);
        } else {
          clear(gates + row * s.width(), s.width());
          copy_state(s, h, h_after);
          copy_state(s, c, c_after);
        }
        if (y.size != 0) write_output(s, counts, h_after, y.f32() + row * s.hidden);
      });
    }
  });
}

int64_t lstm_grad_workspace(const OpCall& call, int num_threads) {
  const Sequence s = read_lstm_grad(call);
  const StepMatrix matrix = lstm_grad_matrix(call, s);
  const SequenceGradients all = lstm_gradients(call, s);
  return (lstm_grad_layout(s, matrix).scratch +
          step_scratch_floats(all.most_floats_of_all(num_threads), s, matrix, num_threads)) *
         int64_t(sizeof(float));
}

void lstm_grad_cpu(const OpCall& call, CpuContext& context) {
  const Sequence s = read_lstm_grad(call);
  const SequenceGradients all = lstm_gradients(call, s);
  const Operand &dy = call[0], &dbias = call[13];
  const float *gates = call[7].f32(), *c_before = call[9].f32();
  float *dh = call[14].f32(), *dc = call[15].f32();
  all.check();
  TK_CHECK(dy.size == 0 || dy.size == s.rows() * s.hidden);
  TK_CHECK(dbias.size == 0 || dbias.size == s.width());
  TK_CHECK_EQ(call[7].size, s.rows() * s.width());
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[14].size, s.batch * s.hidden);
  TK_CHECK_EQ(call[15].size, s.batch * s.hidden);
  StepMatrix matrix = lstm_grad_matrix(call, s);
  const LstmGradLayout at = lstm_grad_layout(s, matrix);
  float* dgates = static_cast<float*>(call.workspace);
  float *through = dgates + at.through, *scratch = dgates + at.scratch;
  load_state(call[1], dh, s.batch * s.hidden);
  load_state(call[2], dc, s.batch * s.hidden);
  pack_step_matrix(s, matrix, dgates + at.packed, context);
  run_steps(s, scratch, context, [&](const auto& run) {
    for (int64_t n = s.steps - 1; n >= 0; --n) {
      const int64_t t = s.step(n);
      run.rows([&](int64_t b) {
        const int64_t row = s.row(b, t);
        const float* dy_row = dy.size == 0 ? nullptr : dy.f32() + row * s.hidden;
        float* dh_row = dh + b * s.hidden;
        if (n > 0) {
          const int64_t next = s.row(b, s.step(n - 1));
          fetch_floats(gates + next * s.width(), s.width());
          fetch_floats(c_before + next * s.hidden, s.hidden);
        }
        if (s.counts(b, t)) {
          lstm_cell_grad(s, gates + row * s.width(), c_before + row * s.hidden, dy_row, dh_row, dc + b * s.hidden,
                         dgates + row * s.width());
        } else {
          clear(dgates + row * s.width(), s.width());
          if (s.hold) add_output_gradient(s, dy_row, dh_row);
        }
      });
      run.multiply(matrix, dgates + t * s.width(), s.steps * s.width(), through);
      run.rows([&](int64_t b) { add_through(s, through, b, dh); });
    }
  });
  if (all.dx.size != 0) gemm(all.for_x(dgates), scratch, context);
  if (all.dkernel.size != 0) gemm(all.for_kernel(dgates), scratch, context);
  if (all.drecurrent.size != 0) {
    gemm(all.for_recurrent(all.h_before, dgates, 0, s.width(), all.drecurrent.f32()), scratch, context);
  }
  if (dbias.size != 0) column_sums(dgates, s.rows(), s.width(), dbias.f32(), dgates + at.sums, context);
}

TK_END_LEVEL
