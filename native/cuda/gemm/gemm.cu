#include "cuda/gemm/gemm.h"

#include "cuda/gemm/gemm_choice.h"
#include "cuda/gemm/gemm_tiles.h"
#include "cuda/gemm/simt.cuh"
#include "cuda/gemm/skinny.cuh"

namespace tk::cuda {
namespace {

int64_t element_bytes(const Gemm& p) { return dtype_bytes(p.type); }

bool is_usual(const GemmOperand& x) { return x.row == 1 || x.col == 1; }
bool is_aligned(const GemmOperand& x, int64_t bytes) {
  const int64_t pitch = x.col == 1 ? x.row : x.col;
  return reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && pitch * bytes % 16 == 0 && x.batch * bytes % 16 == 0;
}

// Alignment counts only where the size of the workspace does not depend on it: that is asked for before operands have
// addresses.
GemmShape shape_of(const Gemm& p, bool has_wgmma) {
  const int64_t bytes = element_bytes(p);
  return {p.m,
          p.n,
          p.k,
          p.batch,
          p.type != DType::f32,
          is_usual(p.a) && is_usual(p.b),
          is_aligned(p.a, bytes) && is_aligned(p.b, bytes),
          has_wgmma,
          p.type == DType::f32 && p.precision == GemmPrecision::tf32 && p.a.col == 1 && p.b.row == 1};
}

GemmChoice choice_of(const Gemm& p, bool has_wgmma) {
  if (p.forced_kernel >= 0) return {GemmKernel(p.forced_kernel), p.forced_splits};
  return choose_gemm(shape_of(p, has_wgmma));
}

TileOutput output_of(const Gemm& p, int splits, void* workspace) {
  TileOutput out;
  out.m = p.m, out.n = p.n, out.k = p.k, out.batch = p.batch;
  // Whole steps of the kernels, so that parts begin aligned.
  constexpr int64_t kStep = 64;
  out.k_per_split = (p.k + splits - 1) / splits;
  out.k_per_split = (out.k_per_split + kStep - 1) / kStep * kStep;
  // Rounding up may have left nothing for the last.
  out.splits = splits == 1 ? 1 : int((p.k + out.k_per_split - 1) / out.k_per_split);
  out.partial = static_cast<float*>(workspace);
  out.y = p.y, out.y_type = p.y_type, out.y_row = p.y_row, out.y_batch = p.y_batch;
  out.epilogue = p.epilogue;
  return out;
}

void run_simt(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  constexpr int kTile = 64;
  context.launch(simt_tile_kernel<4>,
                 dim3(unsigned((p.n + kTile - 1) / kTile), unsigned((p.m + kTile - 1) / kTile), unsigned(p.batch * out.splits)),
                 dim3(256), 0, p, out);
  if (out.splits > 1) add_splits(context, out);
}

// One launch's worth of a batch.
void run_gemm(const CudaContext& context, const Gemm& p, void* workspace) {
  const GemmChoice choice = choice_of(p, context.settings().has_wgmma);
  const TileOutput out = output_of(p, choice.splits, workspace);
  switch (choice.kernel) {
    case GemmKernel::elements:
      if (p.type == DType::f32) return simt_elements<float>(context, p);
      if (p.type == DType::bf16) return simt_elements<__nv_bfloat16>(context, p);
      return simt_elements<__half>(context, p);
    case GemmKernel::simt: return run_simt(context, p, out);
    case GemmKernel::skinny:
      if (p.type == DType::f32) return run_skinny<float>(context, p, out);
      if (p.type == DType::bf16) return run_skinny<__nv_bfloat16>(context, p, out);
      return run_skinny<__half>(context, p, out);
    default: return run_tiles(context, p, out, choice.kernel);
  }
}

}  // namespace

int64_t gemm_workspace(const Gemm& p) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  // The most of what may be chosen once addresses, device and settings are known.
  int splits = 1;
  for (const bool has_wgmma : {false, true}) {
    for (const GemmPrecision precision : {GemmPrecision::accurate, GemmPrecision::tf32}) {
      Gemm variant = p;
      variant.precision = precision;
      const int wanted = choice_of(variant, has_wgmma).splits;
      if (wanted > splits) splits = wanted;
    }
  }
  return splits > 1 ? splits * p.batch * p.m * p.n * int64_t(sizeof(float)) : 0;
}

const char* gemm_kernel(const CudaContext& context, const Gemm& p) {
  Gemm as_run = p;
  if (context.settings().tf32) as_run.precision = GemmPrecision::tf32;
  return name_of(choice_of(as_run, context.settings().has_wgmma).kernel);
}

void gemm(const CudaContext& context, const Gemm& p, void* workspace) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  constexpr int64_t kMostBatches = 32768;  // of a grid's z
  const int64_t bytes = element_bytes(p), y_bytes = dtype_bytes(p.y_type);
  for (int64_t first = 0; first < p.batch; first += kMostBatches) {
    Gemm part = p;
    if (context.settings().tf32) part.precision = GemmPrecision::tf32;
    part.batch = p.batch - first < kMostBatches ? p.batch - first : kMostBatches;
    part.a.data = static_cast<const char*>(p.a.data) + first * p.a.batch * bytes;
    part.b.data = static_cast<const char*>(p.b.data) + first * p.b.batch * bytes;
    part.y = static_cast<char*>(p.y) + first * p.y_batch * y_bytes;
    GemmEpilogue& e = part.epilogue;
    const int64_t moved = first * p.y_batch * dtype_bytes(e.type);
    if (e.residual != nullptr) e.residual = static_cast<const char*>(e.residual) + moved;
    if (e.saved != nullptr) e.saved = static_cast<char*>(e.saved) + moved;
    if (e.gradient_at != nullptr) e.gradient_at = static_cast<const char*>(e.gradient_at) + moved;
    run_gemm(context, part, workspace);
  }
}

}  // namespace tk::cuda
