// The tensor-core kernels for products of matrices, compiled apart from those that need no tensor cores.
#pragma once
#include "cuda/gemm/gemm_choice.h"

namespace tk::cuda {

struct TileOutput;

void run_tiles(const CudaContext& context, const Gemm& problem, const TileOutput& out, GemmKernel kernel);
void run_hopper(const CudaContext& context, const Gemm& problem, const TileOutput& out, GemmKernel kernel);

}  // namespace tk::cuda
