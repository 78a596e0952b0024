// What the recurrent layers share on the GPU: the order of the steps, masks, and the matrix products.
#pragma once
#include "cuda/column_sums.cuh"
#include "cuda/gemm/gemm.h"
// context.h first.
#include "ops/common/vector_math.h"

namespace tk::cuda {

__device__ inline float sigmoid_of(float x) { return vsigmoid(VecF{x}).v; }
__device__ inline float tanh_of(float x) { return vtanh(VecF{x}).v; }
__device__ inline float or_zero(const float* p, int64_t i) { return p == nullptr ? 0.0f : p[i]; }

struct Sequence {
  int64_t batch, steps, inputs, hidden, gates;
  const uint8_t* mask;  // null: every step counts
  bool reverse, hold;

  Sequence(const Operand& x, const Operand& kernel, const Operand& recurrent, const Operand& mask_operand, int64_t gates,
           bool reverse, bool hold)
      : batch(x.dims[0]),
        steps(x.dims[1]),
        inputs(x.dims[2]),
        hidden(recurrent.dims[0]),
        gates(gates),
        mask(mask_operand.size == 0 ? nullptr : mask_operand.u8()),
        reverse(reverse),
        hold(hold) {
    TK_CHECK(x.rank == 3 && kernel.rank == 2 && recurrent.rank == 2);
    TK_CHECK_EQ(kernel.dims[0], inputs);
    TK_CHECK_EQ(kernel.dims[1], width());
    TK_CHECK_EQ(recurrent.dims[1], width());
    if (mask_operand.size != 0) TK_CHECK_EQ(mask_operand.size, rows());
  }
  int64_t width() const { return gates * hidden; }
  int64_t rows() const { return batch * steps; }
  int64_t state_size() const { return batch * hidden; }
  int64_t step(int64_t n) const { return reverse ? steps - 1 - n : n; }
  void check_optional(const Operand& operand, int64_t size) const { TK_CHECK(operand.size == 0 || operand.size == size); }
};

// One hidden unit of one sequence at one step, as the kernels of a step see it.
struct StepPlace {
  int64_t b, j, row;  // row: of arrays [B,T,...]
  bool counts;
};
template <class Body>
void for_each_unit(const CudaContext& context, const Sequence& s, int64_t t, const Body& body) {
  const int64_t hidden = s.hidden, steps = s.steps;
  const uint8_t* mask = s.mask;
  for_each(
      context, s.state_size(),
      [=] __device__(int64_t i) {
        StepPlace place;
        place.b = i / hidden, place.j = i % hidden, place.row = place.b * steps + t;
        place.counts = mask == nullptr || mask[place.row] != 0;
        body(place);
      },
      1);
}

// Where step number n leaves the states: element (b, j) at to[b * stride + j].
struct StateTarget {
  float* to;
  int64_t stride;
  __device__ float* at(int64_t b, int64_t j) const { return to + b * stride + j; }
};
inline StateTarget state_after(const Sequence& s, int64_t n, float* before, float* last) {
  if (n + 1 == s.steps) return {last, s.hidden};
  return {before + s.step(n + 1) * s.hidden, s.steps * s.hidden};
}
// Copies the first state to where the first step looks for it, or, without steps, to the last state.
inline void begin_state(const CudaContext& context, const Sequence& s, const Operand& first, float* before, float* last) {
  TK_CHECK_EQ(first.size, s.state_size());
  const StateTarget target =
      s.steps == 0 ? StateTarget{last, s.hidden} : StateTarget{before + s.step(0) * s.hidden, s.steps * s.hidden};
  const float* from = first.f32();
  const int64_t hidden = s.hidden;
  for_each(context, s.state_size(), [=] __device__(int64_t i) { *target.at(i / hidden, i % hidden) = from[i]; });
}
// A state that may be none, as its values or as zeros.
inline void load_state(const CudaContext& context, const Operand& from, float* to, int64_t size) {
  if (size == 0) return;
  if (from.size == 0) return context.zero(to, size_t(size) * sizeof(float));
  TK_CHECK_EQ(from.size, size);
  context.copy(to, from.data, size_t(size) * sizeof(float));
}

inline Gemm product(int64_t m, int64_t n, int64_t k, const GemmOperand& a, const GemmOperand& b, float* y, int64_t y_row) {
  Gemm p;
  p.m = m, p.n = n, p.k = k, p.a = a, p.b = b, p.y = y, p.y_row = y_row;
  return p;
}

// The products of a layer; pointers may be null while a workspace is measured.
struct SequenceProducts {
  const Sequence& s;

  // x W of all steps.
  Gemm input(const float* x, const float* kernel, float* gates) const {
    return product(s.rows(), s.width(), s.inputs, {x, s.inputs, 1}, {kernel, s.width(), 1}, gates, s.width());
  }
  // h R of step t for columns [first, first + count) of R.
  Gemm state(const float* h, int64_t t, const float* recurrent, int64_t first, int64_t count, float* out) const {
    return product(s.batch, count, s.hidden, {h == nullptr ? nullptr : h + t * s.hidden, s.steps * s.hidden, 1},
                   {recurrent == nullptr ? nullptr : recurrent + first, s.width(), 1}, out, count);
  }
  // dh += dg R^T for the same columns.
  Gemm state_gradient(const float* dgates, int64_t t, const float* recurrent, int64_t first, int64_t count, float* dh,
                      bool accumulate) const {
    Gemm p = product(s.batch, s.hidden, count,
                     {dgates == nullptr ? nullptr : dgates + t * s.width() + first, s.steps * s.width(), 1},
                     {recurrent == nullptr ? nullptr : recurrent + first, 1, s.width()}, dh, s.hidden);
    if (accumulate) p.epilogue.residual = dh;
    return p;
  }
  Gemm for_x(const float* dgates, const float* kernel, float* dx) const {
    return product(s.rows(), s.inputs, s.width(), {dgates, s.width(), 1}, {kernel, 1, s.width()}, dx, s.inputs);
  }
  Gemm for_kernel(const float* x, const float* dgates, float* dkernel) const {
    return product(s.inputs, s.width(), s.rows(), {x, 1, s.inputs}, {dgates, s.width(), 1}, dkernel, s.width());
  }
  // Columns [first, first + count) of the recurrent kernel's gradient, from states h.
  Gemm for_recurrent(const float* h, const float* dgates, int64_t first, int64_t count, float* drecurrent) const {
    return product(s.hidden, count, s.rows(), {h, 1, s.hidden}, {dgates == nullptr ? nullptr : dgates + first, s.width(), 1},
                   drecurrent == nullptr ? nullptr : drecurrent + first, s.width());
  }

  // Bytes that any product of a layer may need.
  int64_t forward_workspace() const {
    int64_t bytes = gemm_workspace(input(nullptr, nullptr, nullptr));
    for (int64_t count = 1; count <= s.gates; ++count) {
      const int64_t one = gemm_workspace(state(nullptr, 0, nullptr, 0, count * s.hidden, nullptr));
      bytes = one > bytes ? one : bytes;
    }
    return bytes;
  }
  int64_t gradient_workspace() const {
    int64_t bytes = gemm_workspace(for_x(nullptr, nullptr, nullptr));
    const auto include = [&](const Gemm& p) {
      const int64_t one = gemm_workspace(p);
      bytes = one > bytes ? one : bytes;
    };
    include(for_kernel(nullptr, nullptr, nullptr));
    for (int64_t count = 1; count <= s.gates; ++count) {
      include(for_recurrent(nullptr, nullptr, 0, count * s.hidden, nullptr));
      include(state_gradient(nullptr, 0, nullptr, 0, count * s.hidden, nullptr, true));
      include(state_gradient(nullptr, 0, nullptr, 0, count * s.hidden, nullptr, false));
    }
    return bytes;
  }
};

inline int64_t aligned_bytes(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// Hands out parts of a workspace; with base null it only counts.
struct Carver {
  char* base;
  int64_t used = 0;
  template <class T>
  T* take(int64_t count) {
    char* at = base == nullptr ? nullptr : base + used;
    used += aligned_bytes(count * int64_t(sizeof(T)));
    return reinterpret_cast<T*>(at);
  }
};

}  // namespace tk::cuda
