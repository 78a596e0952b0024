#include "ops/recurrent/recurrent.h"
#include "ops/recurrent/steps.h"

TK_BEGIN_LEVEL
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
  return {read_sequence(call[0], call[1], call[2], call[5], kGruGates, TK_INT(call, gru, reverse) != 0,
                        TK_INT(call, gru, hold) != 0),
          TK_INT(call, gru, reset_after) != 0};
}

// What a step multiplies by: h by R or by its first two thirds, and without reset_after r h by the last third.
struct GruMatrices {
  StepMatrix first, candidate;
};
GruMatrices gru_matrices(const OpCall& call, const Gru& gru) {
  const Sequence& s = gru.s;
  const float* recurrent = call[2].f32();
  return {state_matrix(s, recurrent, 0, gru.first_columns()), state_matrix(s, recurrent, 2 * s.hidden, s.hidden)};
}
int64_t candidate_floats(const Gru& gru, const GruMatrices& matrices) {
  return gru.reset_after ? 0 : packed_floats(gru.s, matrices.candidate);
}
void pack_matrices(const Gru& gru, GruMatrices& matrices, float* first, float* candidate, CpuContext& context) {
  pack_step_matrix(gru.s, matrices.first, first, context);
  if (!gru.reset_after) pack_step_matrix(gru.s, matrices.candidate, candidate, context);
}
int64_t matrices_scratch_floats(int64_t floats, const Gru& gru, const GruMatrices& matrices, int num_threads) {
  floats = step_scratch_floats(floats, gru.s, matrices.first, num_threads);
  return gru.reset_after ? floats : step_scratch_floats(floats, gru.s, matrices.candidate, num_threads);
}

// Workspace, in floats from its start.
struct GruLayout {
  int64_t first, candidate, scratch;
};
GruLayout gru_layout(const Gru& gru, const GruMatrices& matrices) {
  GruLayout at;
  at.first = round_up(gru.s.batch * gru.s.width(), 16);
  at.candidate = at.first + packed_floats(gru.s, matrices.first);
  at.scratch = at.candidate + candidate_floats(gru, matrices);
  return at;
}

// gates holds x W and gets z and r; state holds h R. Without reset_after the candidate r h is made for the second product.
void update_and_reset(const Sequence& s, float* gates, const float* state, const float* bias, const float* state_bias,
                      const float* h, float* reset_state) {
  for_vectors(2 * s.hidden, [&](int64_t j, auto n) {
    const VecF sum =
        load_row(gates + j, n, 0.0f) + load_row(state + j, n, 0.0f) + load_or_zero(bias, j, n) + load_or_zero(state_bias, j, n);
    store_row(gates + j, vsigmoid(sum), n);
  });
  if (reset_state == nullptr) return;
  for_vectors(s.hidden, [&](int64_t j, auto n) {
    store_row(reset_state + j, load_row(gates + s.hidden + j, n, 0.0f) * load_row(h + j, n, 0.0f), n);
  });
}

// gates holds z, r and the third part of x W, which becomes g = tanh(it + bias + state_part).
template <class StatePart>
TK_INLINE void new_state(const Sequence& s, float* gates, const float* bias, const float* h, float* h_after,
                         const StatePart& state_part) {
  const int64_t third = 2 * s.hidden;
  for_vectors(s.hidden, [&](int64_t j, auto n) {
    const VecF z = load_row(gates + j, n, 0.0f), r = load_row(gates + s.hidden + j, n, 0.0f);
    const VecF g = vtanh(load_row(gates + third + j, n, 0.0f) + load_or_zero(bias, third + j, n) + state_part(r, j, n));
    store_row(gates + third + j, g, n);
    store_row(h_after + j, fmadd(z, load_row(h + j, n, 0.0f) - g, g), n);
  });
}

Gru read_gru_grad(const OpCall& call) {
  return {read_sequence(call[2], call[3], call[4], call[5], kGruGates, TK_INT(call, gru_grad, reverse) != 0,
                        TK_INT(call, gru_grad, hold) != 0),
          TK_INT(call, gru_grad, reset_after) != 0};
}

SequenceGradients gru_gradients(const OpCall& call, const Sequence& s) {
  return {s, call[2].f32(), call[3].f32(), call[7].f32(), call[9], call[10], call[11]};
}

// The transposed ones, for what goes back through them.
GruMatrices gru_grad_matrices(const OpCall& call, const Gru& gru) {
  const Sequence& s = gru.s;
  const float* recurrent = call[4].f32();
  return {state_gradient_matrix(s, recurrent, 0, gru.first_columns()),
          state_gradient_matrix(s, recurrent, 2 * s.hidden, s.hidden)};
}

int64_t gru_grad_gemm_floats(const OpCall& call, const Gru& gru, int num_threads) {
  const Sequence& s = gru.s;
  const SequenceGradients all = gru_gradients(call, s);
  const float* dg = nullptr;
  int64_t floats = all.most_floats_of_all(num_threads);
  if (gru.reset_after) return floats;
  floats = most_floats(floats, all.for_recurrent(dg, dg, 0, 2 * s.hidden, nullptr), num_threads);
  return most_floats(floats, all.for_recurrent(dg, dg, 2 * s.hidden, s.hidden, nullptr), num_threads);
}

// Workspace of the gradient, which begins with the gradients of the gates.
struct GruGradLayout {
  int64_t state_gates, first, candidate, through, columns, sums, scratch;
};
GruGradLayout gru_grad_layout(const Gru& gru, const GruMatrices& matrices) {
  const Sequence& s = gru.s;
  const int64_t gates = round_up(s.rows() * s.width(), 16);
  GruGradLayout at;
  at.state_gates = gates;
  at.first = at.state_gates + (gru.reset_after ? gates : 0);
  at.candidate = at.first + packed_floats(s, matrices.first);
  at.through = at.candidate + candidate_floats(gru, matrices);
  at.columns = at.through + round_up(s.batch * s.hidden, 16);
  at.sums = at.columns + (gru.reset_after ? 0 : round_up(s.hidden * s.width(), 16));
  at.scratch = at.sums + round_up(column_sums_floats(s.rows(), s.width()), 16);
  return at;
}

// Gradients of a step's gates before their functions, but for r without reset_after; dh becomes the part z dh of the state
// before.
void gru_cell_grad(const Gru& gru, const float* gates, const float* h, const float* candidate, const float* dy, float* dh,
                   float* dgates, float* dstate_gates) {
  const Sequence& s = gru.s;
  const int64_t hidden = s.hidden;
  const VecF one = set1(1.0f);
  for_vectors(s.hidden, [&](int64_t j, auto n) {
    const VecF z = load_row(gates + j, n, 0.0f), r = load_row(gates + hidden + j, n, 0.0f);
    const VecF g = load_row(gates + 2 * hidden + j, n, 0.0f), d = state_gradient_at(dh, dy, j, n);
    const VecF dz = d * (load_row(h + j, n, 0.0f) - g) * z * (one - z), dg = d * (one - z) * (one - g * g);
    store_row(dgates + j, dz, n);
    store_row(dgates + 2 * hidden + j, dg, n);
    store_row(dh + j, d * z, n);
    if (!gru.reset_after) return;
    const VecF dr = dg * load_row(candidate + j, n, 0.0f) * r * (one - r);
    store_row(dgates + hidden + j, dr, n);
    store_row(dstate_gates + j, dz, n);
    store_row(dstate_gates + hidden + j, dr, n);
    store_row(dstate_gates + 2 * hidden + j, dg * r, n);
  });
}

// Without reset_after: from the gradient of r h to that of r, and r's share of the state's.
void reset_grad(const Sequence& s, const float* gates, const float* h, const float* dreset_state, float* dh, float* dgates) {
  const VecF one = set1(1.0f);
  for_vectors(s.hidden, [&](int64_t j, auto n) {
    const VecF r = load_row(gates + s.hidden + j, n, 0.0f), d = load_row(dreset_state + j, n, 0.0f);
    store_row(dgates + s.hidden + j, d * load_row(h + j, n, 0.0f) * r * (one - r), n);
    store_row(dh + j, fmadd(d, r, load_row(dh + j, n, 0.0f)), n);
  });
}

// Columns [first, first + count) of drecurrent from a product that stands dense.
void place_columns(const Sequence& s, const float* dense, int64_t first, int64_t count, float* drecurrent) {
  for (int64_t i = 0; i < s.hidden; ++i) {
    std::memcpy(drecurrent + i * s.width() + first, dense + i * count, size_t(count) * sizeof(float));
  }
}

}  // namespace

int64_t gru_workspace(const OpCall& call, int num_threads) {
  const Gru gru = read_gru(call);
  const GruMatrices matrices = gru_matrices(call, gru);
  const int64_t floats = most_floats(0, input_product(gru.s, call[0].f32(), call[1].f32(), nullptr), num_threads);
  return (gru_layout(gru, matrices).scratch + matrices_scratch_floats(floats, gru, matrices, num_threads)) *
         int64_t(sizeof(float));
}

void gru_cpu(const OpCall& call, CpuContext& context) {
  const Gru gru = read_gru(call);
  const Sequence& s = gru.s;
  const Operand &bias_in = call[3], &y = call[6];
  float *h_last = call[7].f32(), *gates = call[8].f32(), *h_before = call[9].f32(), *candidate = call[10].f32();
  TK_CHECK(bias_in.size == 0 || bias_in.size == gru.bias_size());
  TK_CHECK(y.size == 0 || y.size == s.rows() * s.hidden);
  TK_CHECK_EQ(call[7].size, s.batch * s.hidden);
  TK_CHECK_EQ(call[8].size, s.rows() * s.width());
  TK_CHECK_EQ(call[9].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[10].size, s.rows() * s.hidden);
  GruMatrices matrices = gru_matrices(call, gru);
  const GruLayout at = gru_layout(gru, matrices);
  // Results of the two products; threads that are at different ones must not meet.
  float *state = static_cast<float*>(call.workspace), *third_state = state + s.batch * gru.first_columns();
  float* scratch = state + at.scratch;
  const float* bias = bias_in.size == 0 ? nullptr : bias_in.f32();
  const float* state_bias = bias == nullptr || !gru.reset_after ? nullptr : bias + s.width();
  begin_states(s, call[4], h_before, h_last);
  gemm(input_product(s, call[0].f32(), call[1].f32(), gates), scratch, context);
  pack_matrices(gru, matrices, state + at.first, state + at.candidate, context);
  run_steps(s, scratch, context, [&](const auto& run) {
    for (int64_t n = 0; n < s.steps; ++n) {
      const int64_t t = s.step(n);
      const auto row_of = [&](float* data, int64_t b, int64_t width) { return data + s.row(b, t) * width; };
      run.multiply(matrices.first, h_before + t * s.hidden, s.steps * s.hidden, state);
      run.rows([&](int64_t b) {
        const float* h = row_of(h_before, b, s.hidden);
        float *cell = row_of(gates, b, s.width()), *extra = row_of(candidate, b, s.hidden);
        if (!s.counts(b, t)) {
          clear(cell, s.width());
          clear(extra, s.hidden);
        } else {
          update_and_reset(s, cell, state + b * gru.first_columns(), bias, state_bias, h, gru.reset_after ? nullptr : extra);
        }
      });
      if (!gru.reset_after) run.multiply(matrices.candidate, candidate + t * s.hidden, s.steps * s.hidden, third_state);
      run.rows([&](int64_t b) {
        const float* h = row_of(h_before, b, s.hidden);
        float *cell = row_of(gates, b, s.width()), *extra = row_of(candidate, b, s.hidden);
        float* h_after = after(s, n, b, h_before, h_last);
        const bool counts = s.counts(b, t);
        if (!counts) {
          copy_state(s, h, h_after);
        } else if (gru.reset_after) {
          const float* third = state + b * s.width() + 2 * s.hidden;
          new_state(s, cell, bias, h, h_after, [&](VecF r, int64_t j, int k) {
            const VecF q = load_row(third + j, k, 0.0f) + load_or_zero(state_bias, 2 * s.hidden + j, k);
            store_row(extra + j, q, k);
            return r * q;
          });
        } else {
          const float* third = third_state + b * s.hidden;
          new_state(s, cell, bias, h, h_after, [&](VecF, int64_t j, int k) { return load_row(third + j, k, 0.0f); });
        }
        if (y.size != 0) write_output(s, counts, h_after, row_of(y.f32(), b, s.hidden));
      });
    }
  });
}

int64_t gru_grad_workspace(const OpCall& call, int num_threads) {
  const Gru gru = read_gru_grad(call);
  const GruMatrices matrices = gru_grad_matrices(call, gru);
  const int64_t floats = gru_grad_gemm_floats(call, gru, num_threads);
  return (gru_grad_layout(gru, matrices).scratch + matrices_scratch_floats(floats, gru, matrices, num_threads)) *
         int64_t(sizeof(float));
}

void gru_grad_cpu(const OpCall& call, CpuContext& context) {
  const Gru gru = read_gru_grad(call);
  const Sequence& s = gru.s;
  const SequenceGradients all = gru_gradients(call, s);
  const Operand &dy = call[0], &dbias = call[12];
  const float *gates = call[6].f32(), *h_before = call[7].f32(), *candidate = call[8].f32();
  float* dh = call[13].f32();
  all.check();
  TK_CHECK(dy.size == 0 || dy.size == s.rows() * s.hidden);
  TK_CHECK(dbias.size == 0 || dbias.size == gru.bias_size());
  TK_CHECK_EQ(call[6].size, s.rows() * s.width());
  TK_CHECK_EQ(call[7].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[8].size, s.rows() * s.hidden);
  TK_CHECK_EQ(call[13].size, s.batch * s.hidden);
  GruMatrices matrices = gru_grad_matrices(call, gru);
  const GruGradLayout at = gru_grad_layout(gru, matrices);
  float* dgates = static_cast<float*>(call.workspace);
  float *dstate_gates = gru.reset_after ? dgates + at.state_gates : nullptr, *through = dgates + at.through;
  float* scratch = dgates + at.scratch;
  const float* dproduct = gru.reset_after ? dstate_gates : dgates;  // what goes through R
  load_state(call[1], dh, s.batch * s.hidden);
  pack_matrices(gru, matrices, dgates + at.first, dgates + at.candidate, context);
  run_steps(s, scratch, context, [&](const auto& run) {
    for (int64_t n = s.steps - 1; n >= 0; --n) {
      const int64_t t = s.step(n), stride = s.steps * s.width();
      run.rows([&](int64_t b) {
        const int64_t row = s.row(b, t);
        const float* dy_row = dy.size == 0 ? nullptr : dy.f32() + row * s.hidden;
        float *dh_row = dh + b * s.hidden, *dstate_row = gru.reset_after ? dstate_gates + row * s.width() : nullptr;
        if (s.counts(b, t)) {
          gru_cell_grad(gru, gates + row * s.width(), h_before + row * s.hidden, candidate + row * s.hidden, dy_row, dh_row,
                        dgates + row * s.width(), dstate_row);
        } else {
          clear(dgates + row * s.width(), s.width());
          if (dstate_row != nullptr) clear(dstate_row, s.width());
          if (s.hold) add_output_gradient(s, dy_row, dh_row);
        }
      });
      if (!gru.reset_after) {
        run.multiply(matrices.candidate, dgates + t * s.width() + 2 * s.hidden, stride, through);
        run.rows([&](int64_t b) {
          const int64_t row = s.row(b, t);
          if (s.counts(b, t)) {
            reset_grad(s, gates + row * s.width(), h_before + row * s.hidden, through + b * s.hidden, dh + b * s.hidden,
                       dgates + row * s.width());
          }
        });
      }
      run.multiply(matrices.first, dproduct + t * s.width(), stride, through);
      run.rows([&](int64_t b) { add_through(s, through, b, dh); });
    }
  });
  if (all.dx.size != 0) gemm(all.for_x(dgates), scratch, context);
  if (all.dkernel.size != 0) gemm(all.for_kernel(dgates), scratch, context);
  if (all.drecurrent.size != 0 && gru.reset_after) {
    gemm(all.for_recurrent(h_before, dproduct, 0, s.width(), all.drecurrent.f32()), scratch, context);
  } else if (all.drecurrent.size != 0) {
    float* columns = dgates + at.columns;
    gemm(all.for_recurrent(h_before, dgates, 0, 2 * s.hidden, columns), scratch, context);
    place_columns(s, columns, 0, 2 * s.hidden, all.drecurrent.f32());
    gemm(all.for_recurrent(candidate, dgates, 2 * s.hidden, s.hidden, columns), scratch, context);
    place_columns(s, columns, 2 * s.hidden, s.hidden, all.drecurrent.f32());
  }
  if (dbias.size == 0) return;
  float* sums = dgates + at.sums;
  column_sums(dgates, s.rows(), s.width(), dbias.f32(), sums, context);
  if (gru.reset_after) column_sums(dstate_gates, s.rows(), s.width(), dbias.f32() + s.width(), sums, context);
}

TK_END_LEVEL
