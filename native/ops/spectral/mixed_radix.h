// The transform of one row whose length has small prime factors only, in double, on split planes.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// A plane of real and one of imaginary parts.
struct Planes {
  double* real;
  double* imag;
};

constexpr int kMaxStages = 64;
constexpr int kLargestRadix = 13;

struct Stages {
  int64_t n;
  int count;
  int radix[kMaxStages];
};

// False when n has a prime factor above kLargestRadix.
bool split_into_stages(int64_t n, Stages* stages);
// The smallest length >= n that has no such factor.
int64_t next_smooth(int64_t n);

// Roots of unity exp(-2 pi i k / n) from two short tables: k = high * block + low.
struct RootTables {
  int64_t n, block;
  Planes low, high;  // [block] and [n / block + 1]
};
TK_INLINE int64_t root_block(int64_t n) {
  int64_t block = 1;
  while (block * block < n) block *= 2;
  return block;
}
// Doubles that fill_root_tables takes.
TK_INLINE int64_t root_table_doubles(int64_t n) { return 2 * root_block(n) + 2 * (n / root_block(n) + 1); }
RootTables fill_root_tables(int64_t n, double* memory);
TK_INLINE void root_of(const RootTables& t, int64_t k, double* real, double* imag) {
  const int64_t h = k / t.block, l = k % t.block;
  *real = t.high.real[h] * t.low.real[l] - t.high.imag[h] * t.low.imag[l];
  *imag = t.high.real[h] * t.low.imag[l] + t.high.imag[h] * t.low.real[l];
}

// Transforms a; result in *a, b is scratch (the two may be exchanged). roots: all n of them. A context shares each stage out
// over its threads; without one the calling thread does all. The values are the same: butterflies are independent.
void transform(const Stages& stages, const Planes& roots, Planes* a, Planes* b, CpuContext* context);

TK_END_LEVEL
