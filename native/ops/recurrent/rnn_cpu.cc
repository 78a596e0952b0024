#include "ops/common/activation_math.h"
#include "ops/recurrent/recurrent.h"
#include "ops/recurrent/steps.h"

TK_BEGIN_LEVEL
namespace {

// Either function's derivative is taken from its result, which is the new state.
TK_INLINE void check_rnn_kind(int64_t kind) { TK_CHECK(activation::saves_result(kind)); }

Sequence read_rnn(const OpCall& call) {
  check_rnn_kind(TK_INT(call, rnn, kind));
  return read_sequence(call[0], call[1], call[2], call[5], 1, TK_INT(call, rnn, reverse) != 0, TK_INT(call, rnn, hold) != 0);
}

StepMatrix rnn_matrix(const OpCall& call, const Sequence& s) { return state_matrix(s, call[2].f32(), 0, s.hidden); }

// Workspace, in floats from its start.
struct RnnLayout {
  int64_t packed, scratch;
};
RnnLayout rnn_layout(const Sequence& s, const StepMatrix& matrix) {
  const int64_t packed = round_up(s.batch * s.hidden, 16);
  return {packed, packed + packed_floats(s, matrix)};
}

Sequence read_rnn_grad(const OpCall& call) {
  check_rnn_kind(TK_INT(call, rnn_grad, kind));
  return read_sequence(call[2], call[3], call[4], call[5], 1, TK_INT(call, rnn_grad, reverse) != 0,
                       TK_INT(call, rnn_grad, hold) != 0);
}

SequenceGradients rnn_gradients(const OpCall& call, const Sequence& s) {
  return {s, call[2].f32(), call[3].f32(), call[7].f32(), call[8], call[9], call[10]};
}

StepMatrix rnn_grad_matrix(const OpCall& call, const Sequence& s) {
  return state_gradient_matrix(s, call[4].f32(), 0, s.hidden);
}

// Workspace of the gradient, which begins with the gradients before the function.
struct RnnGradLayout {
  int64_t packed, through, sums, scratch;
};
RnnGradLayout rnn_grad_layout(const Sequence& s, const StepMatrix& matrix) {
  RnnGradLayout at;
  at.packed = round_up(s.rows() * s.hidden, 16);
  at.through = at.packed + packed_floats(s, matrix);
  at.sums = at.through + round_up(s.batch * s.hidden, 16);
  at.scratch = at.sums + round_up(column_sums_floats(s.rows(), s.hidden), 16);
  return at;
}

}  // namespace

int64_t rnn_workspace(const OpCall& call, int num_threads) {
  const Sequence s = read_rnn(call);
  const StepMatrix matrix = rnn_matrix(call, s);
  const int64_t floats = most_floats(0, input_product(s, call[0].f32(), call[1].f32(), nullptr), num_threads);
  return (rnn_layout(s, matrix).scratch + step_scratch_floats(floats, s, matrix, num_threads)) * int64_t(sizeof(float));
}

void rnn_cpu(const OpCall& call, CpuContext& context) {
  const Sequence s = read_rnn(call);
  const Operand &bias = call[3], &y = call[6];
  float *h_last = call[7].f32(), *gates = call[8].f32(), *h_before = call[9].f32();
  if (bias.size != 0) TK_CHECK_EQ(bias.size, s.hidden);
  TK_CHECK(y.size == 0 || y.size == s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.batch * s.hidden);
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  StepMatrix matrix = rnn_matrix(call, s);
  const RnnLayout at = rnn_layout(s, matrix);
  float *state = static_cast<float*>(call.workspace), *scratch = state + at.scratch;
  const float* added = bias.size == 0 ? nullptr : bias.f32();
  begin_states(s, call[4], h_before, h_last);
  gemm(input_product(s, call[0].f32(), call[1].f32(), gates), scratch, context);
  pack_step_matrix(s, matrix, state + at.packed, context);
  activation::with(TK_INT(call, rnn, kind), [&](auto function) {
    run_steps(s, scratch, context, [&](const auto& run) {
      for (int64_t n = 0; n < s.steps; ++n) {
        const int64_t t = s.step(n);
        run.multiply(matrix, h_before + t * s.hidden, s.steps * s.hidden, state);
        run.rows([&](int64_t b) {
          const int64_t row = s.row(b, t);
          const float *h = h_before + row * s.hidden, *through = state + b * s.hidden;
          float *cell = gates + row * s.hidden, *h_after = after(s, n, b, h_before, h_last);
          const bool counts = s.counts(b, t);
          if (counts) {
            for_vectors(s.hidden, [&](int64_t j, auto k) {
              const VecF sum = load_row(cell + j, k, 0.0f) + load_row(through + j, k, 0.0f) + load_or_zero(added, j, k);
              const VecF result = function.f(sum);
              store_row(cell + j, result, k);
              store_row(h_after + j, result, k);
            });
          } else {
            clear(cell, s.hidden);
            copy_state(s, h, h_after);
          }
          if (y.size != 0) write_output(s, counts, h_after, y.f32() + row * s.hidden);
        });
      }
    });
  });
}

int64_t rnn_grad_workspace(const OpCall& call, int num_threads) {
  const Sequence s = read_rnn_grad(call);
  const StepMatrix matrix = rnn_grad_matrix(call, s);
  const SequenceGradients all = rnn_gradients(call, s);
  return (rnn_grad_layout(s, matrix).scratch +
          step_scratch_floats(all.most_floats_of_all(num_threads), s, matrix, num_threads)) *
         int64_t(sizeof(float));
}

void rnn_grad_cpu(const OpCall& call, CpuContext& context) {
  const Sequence s = read_rnn_grad(call);
  const SequenceGradients all = rnn_gradients(call, s);
  const Operand &dy = call[0], &dbias = call[11];
  const float* gates = call[6].f32();
  float* dh = call[12].f32();
  all.check();
  TK_CHECK(dy.size == 0 || dy.size == s.rows() * s.hidden);
  TK_CHECK(dbias.size == 0 || dbias.size == s.hidden);
  TK_CHECK_EQ(call[6].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[12].size, s.batch * s.hidden);
  StepMatrix matrix = rnn_grad_matrix(call, s);
  const RnnGradLayout at = rnn_grad_layout(s, matrix);
  float* dgates = static_cast<float*>(call.workspace);
  float *through = dgates + at.through, *scratch = dgates + at.scratch;
  load_state(call[1], dh, s.batch * s.hidden);
  pack_step_matrix(s, matrix, dgates + at.packed, context);
  activation::with(TK_INT(call, rnn_grad, kind), [&](auto function) {
    run_steps(s, scratch, context, [&](const auto& run) {
      for (int64_t n = s.steps - 1; n >= 0; --n) {
        const int64_t t = s.step(n);
        run.rows([&](int64_t b) {
          const int64_t row = s.row(b, t);
          const float *dy_row = dy.size == 0 ? nullptr : dy.f32() + row * s.hidden, *cell = gates + row * s.hidden;
          float *dh_row = dh + b * s.hidden, *dgate = dgates + row * s.hidden;
          if (s.counts(b, t)) {
            for_vectors(s.hidden, [&](int64_t j, auto k) {
              const VecF d = state_gradient_at(dh_row, dy_row, j, k);
              store_row(dgate + j, d * function.derivative(load_row(cell + j, k, 0.0f)), k);
              store_row(dh_row + j, zero(), k);
            });
          } else {
            clear(dgate, s.hidden);
            if (s.hold) add_output_gradient(s, dy_row, dh_row);
          }
        });
        run.multiply(matrix, dgates + t * s.hidden, s.steps * s.hidden, through);
        run.rows([&](int64_t b) { add_through(s, through, b, dh); });
      }
    });
  });
  if (all.dx.size != 0) gemm(all.for_x(dgates), scratch, context);
  if (all.dkernel.size != 0) gemm(all.for_kernel(dgates), scratch, context);
  if (all.drecurrent.size != 0) {
    gemm(all.for_recurrent(all.h_before, dgates, 0, s.hidden, all.drecurrent.f32()), scratch, context);
  }
  if (dbias.size != 0) column_sums(dgates, s.rows(), s.hidden, dbias.f32(), dgates + at.sums, context);
}

TK_END_LEVEL
