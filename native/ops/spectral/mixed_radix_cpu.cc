#include "ops/spectral/mixed_radix.h"

TK_BEGIN_LEVEL
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kRadixes[] = {4, 2, 3, 5, 7, 11, kLargestRadix};
constexpr int64_t kStageUnit = 8 * 1024;  // elements per unit of parallel work: some 20 us

// R numbers in, their transform out. Roots of unity of the radix: cosine[k], sine[k] of 2 pi k / R.
template <int R>
struct Butterfly {
  double cosine[R], sine[R];

  TK_INLINE Butterfly() {
    for (int k = 0; k < R; ++k) {
      cosine[k] = ::cos(2 * kPi * k / R);
      sine[k] = ::sin(2 * kPi * k / R);
    }
  }
  // Odd R: inputs j and R - j meet conjugate roots, so their sum and difference serve outputs k and R - k at once.
  TK_INLINE void operator()(const double* x, const double* y, double* u, double* v) const {
    if constexpr (R == 2) {
      u[0] = x[0] + x[1], v[0] = y[0] + y[1];
      u[1] = x[0] - x[1], v[1] = y[0] - y[1];
    } else if constexpr (R == 4) {
      const double a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
      const double e = y[0] + y[2], f = y[0] - y[2], g = y[1] + y[3], h = y[1] - y[3];
      u[0] = a + c, v[0] = e + g;
      u[1] = b + h, v[1] = f - d;
      u[2] = a - c, v[2] = e - g;
      u[3] = b - h, v[3] = f + d;
    } else {
      constexpr int kHalf = (R - 1) / 2;
      double sum_x[kHalf], sum_y[kHalf], difference_x[kHalf], difference_y[kHalf];
      u[0] = x[0], v[0] = y[0];
      for (int j = 0; j < kHalf; ++j) {
        sum_x[j] = x[j + 1] + x[R - 1 - j], difference_x[j] = x[j + 1] - x[R - 1 - j];
        sum_y[j] = y[j + 1] + y[R - 1 - j], difference_y[j] = y[j + 1] - y[R - 1 - j];
        u[0] += sum_x[j], v[0] += sum_y[j];
      }
      for (int k = 1; k <= kHalf; ++k) {
        double even_x = x[0], even_y = y[0], odd_x = 0, odd_y = 0;
        for (int j = 0; j < kHalf; ++j) {
          const int at = (j + 1) * k % R;
          even_x += sum_x[j] * cosine[at], even_y += sum_y[j] * cosine[at];
          odd_x += difference_y[j] * sine[at], odd_y += difference_x[j] * sine[at];
        }
        u[k] = even_x + odd_x, v[k] = even_y - odd_y;
        u[R - k] = even_x - odd_x, v[R - k] = even_y + odd_y;
      }
    }
  }
};

// One stage of the self-sorting transform: `done` is the product of the radices before it, `left` that of those after it.
// Butterfly (p, q) takes from[q + done * (p + left * j)] and gives to[q + done * (R * p + k)], turned by root p * k * done.
template <int R>
struct Stage {
  Planes from, to, roots;
  int64_t done, left;
  Butterfly<R> butterfly;

  void operator()(int64_t begin, int64_t end) const {
    const double* __restrict x = from.real, * __restrict y = from.imag;
    double* __restrict u = to.real, * __restrict v = to.imag;
    for (int64_t i = begin; i < end;) {
      const int64_t p = i / done, q0 = i % done, q1 = done - q0 < end - i ? done : q0 + end - i;
      i += q1 - q0;
      double c[R], s[R];
      for (int k = 0; k < R; ++k) c[k] = roots.real[p * k * done], s[k] = roots.imag[p * k * done];
      const int64_t in = done * p, out = done * R * p, stride = done * left;
      for (int64_t q = q0; q < q1; ++q) {
        double a[R], b[R], e[R], f[R];
        for (int j = 0; j < R; ++j) a[j] = x[q + in + stride * j], b[j] = y[q + in + stride * j];
        butterfly(a, b, e, f);
        u[q + out] = e[0], v[q + out] = f[0];
        for (int k = 1; k < R; ++k) {
          u[q + out + done * k] = e[k] * c[k] - f[k] * s[k];
          v[q + out + done * k] = e[k] * s[k] + f[k] * c[k];
        }
      }
    }
  }
};

template <int R>
void run_stage(const Planes& from, const Planes& to, const Planes& roots, int64_t done, int64_t left, CpuContext* context) {
  const Stage<R> stage = {from, to, roots, done, left, {}};
  if (context == nullptr) return stage(0, done * left);
  context->parallel_for(done * left, kStageUnit / R, [&](int64_t begin, int64_t end, int) { stage(begin, end); });
}

}  // namespace

bool split_into_stages(int64_t n, Stages* stages) {
  stages->n = n;
  stages->count = 0;
  for (int radix : kRadixes) {
    for (; n % radix == 0; n /= radix) stages->radix[stages->count++] = radix;
  }
  return n == 1;
}

int64_t next_smooth(int64_t n) {
  Stages stages;
  while (!split_into_stages(n, &stages)) ++n;
  return n;
}

RootTables fill_root_tables(int64_t n, double* memory) {
  RootTables t;
  t.n = n, t.block = root_block(n);
  const int64_t high = n / t.block + 1;
  t.low = {memory, memory + t.block};
  t.high = {memory + 2 * t.block, memory + 2 * t.block + high};
  for (int64_t k = 0; k < t.block; ++k) {
    t.low.real[k] = ::cos(2 * kPi * double(k) / double(n));
    t.low.imag[k] = -::sin(2 * kPi * double(k) / double(n));
  }
  for (int64_t k = 0; k < high; ++k) {
    t.high.real[k] = ::cos(2 * kPi * double(k * t.block) / double(n));
    t.high.imag[k] = -::sin(2 * kPi * double(k * t.block) / double(n));
  }
  return t;
}

void transform(const Stages& stages, const Planes& roots, Planes* a, Planes* b, CpuContext* context) {
  int64_t done = 1;
  for (int i = 0; i < stages.count; ++i) {
    const int64_t left = stages.n / done / stages.radix[i];
    switch (stages.radix[i]) {
      case 2: run_stage<2>(*a, *b, roots, done, left, context); break;
      case 3: run_stage<3>(*a, *b, roots, done, left, context); break;
      case 4: run_stage<4>(*a, *b, roots, done, left, context); break;
      case 5: run_stage<5>(*a, *b, roots, done, left, context); break;
      case 7: run_stage<7>(*a, *b, roots, done, left, context); break;
      case 11: run_stage<11>(*a, *b, roots, done, left, context); break;
      default: run_stage<kLargestRadix>(*a, *b, roots, done, left, context); break;
    }
    done *= stages.radix[i];
    const Planes swap = *a;
    *a = *b;
    *b = swap;
  }
}

TK_END_LEVEL
