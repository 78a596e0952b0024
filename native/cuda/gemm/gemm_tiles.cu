#include "cuda/gemm/gemm_tiles.h"

#include "cuda/gemm/tile_kernel.cuh"

namespace tk::cuda {
namespace {

template <class Storage>
MatrixLoad<Storage> load_of(const GemmOperand& x, bool along_k, int64_t extent, int64_t k) {
  const bool lines_along_k = along_k;
  const int64_t pitch = x.col == 1 ? x.row : x.col;
  const bool vector = reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && pitch * int64_t(sizeof(Storage)) % 16 == 0 &&
                      x.batch * int64_t(sizeof(Storage)) % 16 == 0;
  return {static_cast<const Storage*>(x.data), pitch, x.batch, lines_along_k ? extent : k, lines_along_k ? k : extent, vector};
}

template <Multiply kMultiply, bool kLarge, bool kAlongA, bool kAlongB>
void launch_layout(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  using Config = std::conditional_t<kLarge, TileConfig<128, 128, 2, 4, kMultiply, kAlongA, kAlongB>,
                                    TileConfig<64, 64, 2, 2, kMultiply, kAlongA, kAlongB>>;
  using Storage = typename Config::Storage;
  launch_tiles<Config>(context, out, load_of<Storage>(p.a, kAlongA, p.m, p.k),
                       load_of<Storage>({p.b.data, p.b.col, p.b.row, p.b.batch}, kAlongB, p.n, p.k));
}

template <Multiply kMultiply, bool kLarge>
void launch_multiply(const CudaContext& context, const Gemm& p, const TileOutput& out) {
  const bool along_a = p.a.col == 1, along_b = p.b.row == 1 && p.b.col != 1;
  if (along_a && along_b) return launch_layout<kMultiply, kLarge, true, true>(context, p, out);
  if (along_a) return launch_layout<kMultiply, kLarge, true, false>(context, p, out);
  if (along_b) return launch_layout<kMultiply, kLarge, false, true>(context, p, out);
  return launch_layout<kMultiply, kLarge, false, false>(context, p, out);
}

template <Multiply kMultiply>
void launch_size(const CudaContext& context, const Gemm& p, const TileOutput& out, bool large) {
  return large ? launch_multiply<kMultiply, true>(context, p, out) : launch_multiply<kMultiply, false>(context, p, out);
}

}  // namespace

void run_tiles(const CudaContext& context, const Gemm& p, const TileOutput& out, GemmKernel kernel) {
  if (kernel == GemmKernel::hopper_128 || kernel == GemmKernel::hopper_256) return run_hopper(context, p, out, kernel);
  const bool large = kernel == GemmKernel::tiles_128;
  if (p.type == DType::bf16) return launch_size<Multiply::bf16>(context, p, out, large);
  if (p.type == DType::f16) return launch_size<Multiply::f16>(context, p, out, large);
  if (p.precision == GemmPrecision::tf32) return launch_size<Multiply::tf32>(context, p, out, large);
  launch_size<Multiply::accurate>(context, p, out, large);
}

}  // namespace tk::cuda
