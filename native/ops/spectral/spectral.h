// Complex tensors as two f32 planes, one of real and one of imaginary parts.
//   fft: rows [rows, n] -> rows; y[k] = sum over j of x[j] exp(-2 pi i j k / n); inverse: +2 pi i, and divided by n
//     any n; outputs must not overlap inputs; computed in double, rounded once; NaN and infinities spread over their row
//     workspace: roots of unity, and per thread two rows in double
//   complex_abs: y = sqrt(real^2 + imag^2), computed in double: neither overflow nor underflow on the way; infinite when one
//     part is, as hypot; y may alias either input; any shape
// Source: lengths with small factors by the self-sorting mixed-radix transform (Stockham 1966; Van Loan 1992, Computational
// Frameworks for the FFT, section 1.7); others as a convolution (Bluestein 1970, IEEE Trans. Audio Electroacoust. 18, p. 451).
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t fft_workspace(const OpCall& call, int num_threads);
void fft_cpu(const OpCall& call, CpuContext& context);
void complex_abs_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
