// What the recurrent layers share: the order of the steps, masks, and the matrix products over all steps.
#pragma once

#include "ops/common/column_sums.h"
#include "ops/common/gemm.h"

TK_BEGIN_LEVEL

struct Sequence {
  int64_t batch, steps, inputs, hidden, gates;  // gates: s of the header
  const uint8_t* mask;                          // null: every step counts
  bool reverse, hold;

  TK_INLINE int64_t width() const { return gates * hidden; }
  TK_INLINE int64_t rows() const { return batch * steps; }
  // The step that is done as number n, and whether another follows.
  TK_INLINE int64_t step(int64_t n) const { return reverse ? steps - 1 - n : n; }
  TK_INLINE bool counts(int64_t b, int64_t t) const { return mask == nullptr || mask[b * steps + t] != 0; }
  // Row of batch b and step t in arrays [B,T,...].
  TK_INLINE int64_t row(int64_t b, int64_t t) const { return b * steps + t; }
  // Batch rows that make one unit of parallel work.
  TK_INLINE int64_t grain() const { return 1 + 2048 / (width() + 1); }
};

inline Sequence read_sequence(const Operand& x, const Operand& kernel, const Operand& recurrent, const Operand& mask,
                              int64_t gates, bool reverse, bool hold) {
  TK_CHECK(x.rank == 3 && kernel.rank == 2 && recurrent.rank == 2);
  Sequence s = {x.dims[0], x.dims[1], x.dims[2], recurrent.dims[0], gates, mask.size == 0 ? nullptr : mask.u8(), reverse, hold};
  TK_CHECK_EQ(kernel.dims[0], s.inputs);
  TK_CHECK_EQ(kernel.dims[1], s.width());
  TK_CHECK_EQ(recurrent.dims[1], s.width());
  if (mask.size != 0) TK_CHECK_EQ(mask.size, s.rows());
  return s;
}

TK_INLINE GemmArgs product(int64_t m, int64_t n, int64_t k, const StridedMatrix& a, const StridedMatrix& b, float* c) {
  GemmArgs args;
  args.m = m;
  args.n = n;
  args.k = k;
  args.a = a;
  args.b = b;
  args.c = c;
  return args;
}

// p + count, for arrays that may be absent while a workspace is measured.
TK_INLINE const float* at_offset(const float* p, int64_t count) { return p == nullptr ? nullptr : p + count; }

// x W of all steps.
TK_INLINE GemmArgs input_product(const Sequence& s, const float* x, const float* kernel, float* gates) {
  return product(s.rows(), s.width(), s.inputs, {x, s.inputs, 1}, {kernel, s.width(), 1}, gates);
}
// The largest workspace of some products, in floats.
TK_INLINE int64_t most_floats(int64_t floats, const GemmArgs& args, int num_threads) {
  return max64(floats, round_up(ceil_div(gemm_workspace(args, num_threads), int64_t(sizeof(float))), 16));
}

// Gradients that are one product over all steps, each into an operand that may be none:
//   dx = dg W^T, dkernel = x^T dg, drecurrent = h_before^T dg, dbias = column sums of dg
struct SequenceGradients {
  const Sequence& s;
  const float *x, *kernel, *h_before;
  const Operand &dx, &dkernel, &drecurrent;

  GemmArgs for_x(const float* dg) const {
    return product(s.rows(), s.inputs, s.width(), {dg, s.width(), 1}, {kernel, 1, s.width()}, dx.f32());
  }
  GemmArgs for_kernel(const float* dg) const {
    return product(s.inputs, s.width(), s.rows(), {x, 1, s.inputs}, {dg, s.width(), 1}, dkernel.f32());
  }
  // Columns [first, first + count) of the recurrent kernel's gradient, from states h.
  GemmArgs for_recurrent(const float* h, const float* dg, int64_t first, int64_t count, float* out) const {
    return product(s.hidden, count, s.rows(), {h, 1, s.hidden}, {at_offset(dg, first), s.width(), 1}, out);
  }
  // The largest workspace of them, in floats.
  int64_t most_floats_of_all(int num_threads) const {
    int64_t floats = most_floats(0, for_x(nullptr), num_threads);
    floats = most_floats(floats, for_kernel(nullptr), num_threads);
    return most_floats(floats, for_recurrent(h_before, nullptr, 0, s.width(), nullptr), num_threads);
  }
  void check() const {
    TK_CHECK(dx.size == 0 || dx.size == s.rows() * s.inputs);
    TK_CHECK(dkernel.size == 0 || dkernel.size == s.inputs * s.width());
    TK_CHECK(drecurrent.size == 0 || drecurrent.size == s.hidden * s.width());
  }
};

// A state that may be none, as its values or as zeros.
TK_INLINE void load_state(const Operand& from, float* to, int64_t size) {
  if (from.size == 0) {
    for (int64_t i = 0; i < size; ++i) to[i] = 0.0f;
  } else {
    TK_CHECK_EQ(from.size, size);
    std::memcpy(to, from.data, size_t(size) * sizeof(float));
  }
}

// Copies the first state to where the first step looks for it, or, without steps, to the last state.
inline void begin_states(const Sequence& s, const Operand& first, float* before, float* last) {
  TK_CHECK_EQ(first.size, s.batch * s.hidden);
  for (int64_t b = 0; b < s.batch; ++b) {
    float* to = s.steps == 0 ? last + b * s.hidden : before + s.row(b, s.step(0)) * s.hidden;
    std::memcpy(to, first.f32() + b * s.hidden, size_t(s.hidden) * sizeof(float));
  }
}
// Where step number n leaves the state of batch b: with the next step, or as the last state.
TK_INLINE float* after(const Sequence& s, int64_t n, int64_t b, float* before, float* last) {
  return n + 1 == s.steps ? last + b * s.hidden : before + s.row(b, s.step(n + 1)) * s.hidden;
}
TK_INLINE void copy_state(const Sequence& s, const float* from, float* to) {
  std::memcpy(to, from, size_t(s.hidden) * sizeof(float));
}
TK_INLINE void clear(float* to, int64_t count) { std::memset(to, 0, size_t(count) * sizeof(float)); }

// The output of a step whose state is h.
TK_INLINE void write_output(const Sequence& s, bool counts, const float* h, float* y) {
  if (counts || s.hold) {
    copy_state(s, h, y);
  } else {
    clear(y, s.hidden);
  }
}

// A count of lanes that the compiler knows to be all of a vector.
struct AllLanes {
  TK_INLINE constexpr operator int() const { return kVecWidth; }
};
// Calls body(j, n) for j < count in vectors of n lanes; n is AllLanes but for the last.
template <class Body>
TK_INLINE void for_vectors(int64_t count, const Body& body) {
  int64_t j = 0;
  for (; j + kVecWidth <= count; j += kVecWidth) body(j, AllLanes());
  if (j < count) body(j, int(count - j));
}
TK_INLINE VecF load_or_zero(const float* p, int64_t j, int n) { return p == nullptr ? zero() : load_row(p + j, n, 0.0f); }

// How the gradient of a step's state begins: what came from the step after it, and the step's own output.
TK_INLINE VecF state_gradient_at(const float* dh, const float* dy, int64_t j, int n) {
  return load_row(dh + j, n, 0.0f) + load_or_zero(dy, j, n);
}
// dh += dy, of a masked step whose output is the state.
TK_INLINE void add_output_gradient(const Sequence& s, const float* dy, float* dh) {
  for_vectors(s.hidden, [&](int64_t j, auto n) { store_row(dh + j, state_gradient_at(dh, dy, j, n), n); });
}
// Row b of dh [B,H] += what came through the recurrent kernel.
TK_INLINE void add_through(const Sequence& s, const float* through, int64_t b, float* dh) {
  add_output_gradient(s, through + b * s.hidden, dh + b * s.hidden);
}

TK_END_LEVEL
