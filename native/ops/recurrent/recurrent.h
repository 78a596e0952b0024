// Recurrent layers over a whole sequence in one direction, and backward through time, one op each. f32; mask u8.
//
//   x [B,T,I], h0 [B,H], y [B,T,H], h_last [B,H]; s is the number of gates: 4 (lstm), 3 (gru), 1 (rnn)
//   kernel [I,sH], recurrent [H,sH], bias [sH] (gru with reset_after: [2,sH]) or none
//   mask [B,T] or none: a step with 0 leaves the state as it is. y of such a step is 0, or with hold = 1 the state h.
//   reverse = 1: steps run from T - 1 down to 0; y[b,t] is still the output of step t
//   y may be none (only the last state is wanted); dy is none then
//   for the gradient: gates [B,T,sH] after their functions, h_before [B,T,H] the state each step began with
//
//   lstm  c0, c_last [B,H], c_before [B,T,H]; gates in the order i, f, c, o (Keras):
//           i, f, o = sigmoid(x W + h R + b), g = tanh(...);   c = f c + i g;   h = o tanh(c)
//   gru   gates in the order z, r, h (Keras); h = z h + (1 - z) g with
//           reset_after = 1: g = tanh(x W + b0 + r (h R + b1)); candidate [B,T,H] = h R + b1 of the third gate (cuDNN, PyTorch)
//           reset_after = 0: g = tanh(x W + (r h) R + b);       candidate [B,T,H] = r h
//   rnn   h = f(x W + h R + b), f by `kind` as in ops/common/activation_math.h: 1 relu or 3 tanh
//   *_grad  gradients of all inputs but the mask; dy, dh_last, dc_last may be none (zero); every output but dh0 and dc0 may be
//           none. A masked step passes the gradient of the state on; with hold = 1 it adds its dy.
//   T = 0: the last state is the first one. B = 0: nothing happens.
//
// The products x W of all steps are one matrix product, as are the gradients of x, kernel and recurrent; within the loop there
// is one product per step ([B,H] by [H,sH]; two for gru with reset_after = 0), whose matrix is packed once for all steps. Sums
// are those of ops/common/gemm.h and do not depend on the threads. NaN and infinities propagate. Outputs alias no input.
//
// Sources: Hochreiter, Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al. 2014, arXiv:1406.1078; Elman
// 1990; gradient: Werbos 1990, backpropagation through time.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// Workspaces: of the products, one step of products and the packed recurrent kernel; for gradients those of the gates of all
// steps.
int64_t lstm_workspace(const OpCall& call, int num_threads);
void lstm_cpu(const OpCall& call, CpuContext& context);
int64_t lstm_grad_workspace(const OpCall& call, int num_threads);
void lstm_grad_cpu(const OpCall& call, CpuContext& context);

int64_t gru_workspace(const OpCall& call, int num_threads);
void gru_cpu(const OpCall& call, CpuContext& context);
int64_t gru_grad_workspace(const OpCall& call, int num_threads);
void gru_grad_cpu(const OpCall& call, CpuContext& context);

int64_t rnn_workspace(const OpCall& call, int num_threads);
void rnn_cpu(const OpCall& call, CpuContext& context);
int64_t rnn_grad_workspace(const OpCall& call, int num_threads);
void rnn_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
