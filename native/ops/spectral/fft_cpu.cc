#include "ops/common/elementwise.h"
#include "ops/spectral/mixed_radix.h"
#include "ops/spectral/spectral.h"

TK_BEGIN_LEVEL
namespace {

// Lengths with a large prime factor: jk = (j^2 + k^2 - (k-j)^2) / 2 turns the sum into a convolution with the chirp
// exp(pi i j^2 / n), which is done by transforms of a length m >= 2n - 1 without such factors.
struct Plan {
  int64_t rows, n;
  bool chirps;
  Stages stages;  // of length n, or m

  int64_t m() const { return stages.n; }
  int64_t roots_of() const { return chirps ? 2 * n : n; }
  // Doubles of the parts of the workspace.
  int64_t table_doubles() const {
    const int64_t own = root_table_doubles(m()), other = root_table_doubles(roots_of());
    return own > other ? own : other;
  }
  int64_t shared_doubles() const { return table_doubles() + 2 * m() + (chirps ? 2 * n + 2 * m() : 0); }
  int64_t row_doubles() const { return 4 * m(); }
};

Plan make_plan(const OpCall& call) {
  TK_CHECK(call[0].rank == 2);
  for (int i = 1; i < 4; ++i) TK_CHECK_EQ(call[i].size, call[0].size);
  Plan plan;
  plan.rows = call[0].dims[0], plan.n = call[0].dims[1];
  plan.stages.n = 0;
  plan.chirps = call[0].size > 0 && !split_into_stages(plan.n, &plan.stages);
  if (plan.chirps) split_into_stages(next_smooth(2 * plan.n - 1), &plan.stages);
  return plan;
}

// What all rows share: roots of unity for the transform; the chirp and the transform of its conjugate.
struct Shared {
  Planes roots, chirp, kernel;
};

void fill_roots(const RootTables& tables, const Planes& roots, CpuContext& context) {
  context.parallel_for(tables.n, kMathGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t k = begin; k < end; ++k) root_of(tables, k, &roots.real[k], &roots.imag[k]);
  });
}

Planes take(double** memory, int64_t count) {
  const Planes planes = {*memory, *memory + count};
  *memory += 2 * count;
  return planes;
}

// scratch: two rows, free until the first row is transformed.
Shared prepare(const Plan& plan, double* memory, double* scratch, CpuContext& context) {
  double* tables = memory;
  memory += plan.table_doubles();
  Shared s;
  s.roots = take(&memory, plan.m());
  fill_roots(fill_root_tables(plan.m(), tables), s.roots, context);
  if (!plan.chirps) return s;
  s.chirp = take(&memory, plan.n);
  s.kernel = take(&memory, plan.m());
  const RootTables fine = fill_root_tables(2 * plan.n, tables);
  context.parallel_for(plan.n, kMathGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t k = begin; k < end; ++k) root_of(fine, k * k % (2 * plan.n), &s.chirp.real[k], &s.chirp.imag[k]);
  });
  Planes a = take(&scratch, plan.m()), b = take(&scratch, plan.m());
  std::memset(a.real, 0, size_t(2 * plan.m()) * sizeof(double));
  for (int64_t k = 0; k < plan.n; ++k) {
    const int64_t mirrored = k == 0 ? 0 : plan.m() - k;
    a.real[k] = a.real[mirrored] = s.chirp.real[k];
    a.imag[k] = a.imag[mirrored] = -s.chirp.imag[k];
  }
  transform(plan.stages, s.roots, &a, &b, &context);
  std::memcpy(s.kernel.real, a.real, size_t(plan.m()) * sizeof(double));
  std::memcpy(s.kernel.imag, a.imag, size_t(plan.m()) * sizeof(double));
  return s;
}

struct Row {
  const float *real, *imag;
  float *real_y, *imag_y;
};

void plain_row(const Plan& plan, const Shared& s, const Row& row, double scale, double* memory, CpuContext* context) {
  Planes a = take(&memory, plan.m()), b = take(&memory, plan.m());
  for (int64_t k = 0; k < plan.n; ++k) a.real[k] = row.real[k], a.imag[k] = row.imag[k];
  transform(plan.stages, s.roots, &a, &b, context);
  for (int64_t k = 0; k < plan.n; ++k) {
    row.real_y[k] = float(a.real[k] * scale);
    row.imag_y[k] = float(a.imag[k] * scale);
  }
}

void chirp_row(const Plan& plan, const Shared& s, const Row& row, double scale, double* memory, CpuContext* context) {
  Planes a = take(&memory, plan.m()), b = take(&memory, plan.m());
  for (int64_t k = 0; k < plan.n; ++k) {
    a.real[k] = row.real[k] * s.chirp.real[k] - row.imag[k] * s.chirp.imag[k];
    a.imag[k] = row.real[k] * s.chirp.imag[k] + row.imag[k] * s.chirp.real[k];
  }
  const size_t rest = size_t(plan.m() - plan.n) * sizeof(double);
  std::memset(a.real + plan.n, 0, rest);
  std::memset(a.imag + plan.n, 0, rest);
  transform(plan.stages, s.roots, &a, &b, context);
  for (int64_t k = 0; k < plan.m(); ++k) {
    const double real = a.real[k] * s.kernel.real[k] - a.imag[k] * s.kernel.imag[k];
    a.imag[k] = a.real[k] * s.kernel.imag[k] + a.imag[k] * s.kernel.real[k];
    a.real[k] = real;
  }
  // The inverse transform is the transform with the planes exchanged, before and after.
  a = {a.imag, a.real};
  transform(plan.stages, s.roots, &a, &b, context);
  a = {a.imag, a.real};
  const double factor = scale / double(plan.m());
  for (int64_t k = 0; k < plan.n; ++k) {
    row.real_y[k] = float((a.real[k] * s.chirp.real[k] - a.imag[k] * s.chirp.imag[k]) * factor);
    row.imag_y[k] = float((a.real[k] * s.chirp.imag[k] + a.imag[k] * s.chirp.real[k]) * factor);
  }
}

}  // namespace

int64_t fft_workspace(const OpCall& call, int num_threads) {
  const Plan plan = make_plan(call);
  if (plan.m() == 0) return 0;
  return (plan.shared_doubles() + num_threads * plan.row_doubles()) * int64_t(sizeof(double));
}

void fft_cpu(const OpCall& call, CpuContext& context) {
  const Plan plan = make_plan(call);
  if (plan.m() == 0) return;
  double* shared_memory = static_cast<double*>(call.workspace);
  double* row_memory = shared_memory + plan.shared_doubles();
  const Shared shared = prepare(plan, shared_memory, row_memory, context);
  const bool inverse = TK_INT(call, fft, inverse) != 0;
  const double scale = inverse ? 1.0 / double(plan.n) : 1.0;
  const int from = inverse ? 1 : 0;
  const auto run = [&](int64_t i, double* memory, CpuContext* threads) {
    const int64_t at = i * plan.n;
    const Row row = {call[from].f32() + at, call[1 - from].f32() + at, call[2 + from].f32() + at, call[3 - from].f32() + at};
    if (plan.chirps)
      chirp_row(plan, shared, row, scale, memory, threads);
    else
      plain_row(plan, shared, row, scale, memory, threads);
  };
  // Few rows share their stages out, many rows themselves.
  if (plan.rows < context.num_threads()) {
    for (int64_t i = 0; i < plan.rows; ++i) run(i, row_memory, &context);
    return;
  }
  const int64_t grain = plan.m() >= kMathGrain / 4 ? 1 : kMathGrain / 4 / plan.m();
  context.parallel_for(plan.rows, grain, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) run(i, row_memory + thread * plan.row_doubles(), nullptr);
  });
}

TK_END_LEVEL
