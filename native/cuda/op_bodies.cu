#include "cuda/op_bodies.h"

namespace tk::cuda {

// Weak: the linker leaves the address of a body that no source defines at null, so no list of present bodies is kept by hand.
#define TK_OP(name, ...)                                                            \
  __attribute__((weak)) void name##_cuda(const OpCall& call, CudaContext& context); \
  __attribute__((weak)) int64_t name##_cuda_workspace(const OpCall& call);          \
  __attribute__((weak)) bool name##_cuda_takes_half(const OpCall& call);
#include "ops/ops.def"

const CudaOp kCudaOps[] = {
#define TK_OP(name, ...) {&name##_cuda, &name##_cuda_workspace, &name##_cuda_takes_half},
#include "ops/ops.def"
};
const uint32_t kNumCudaOps = sizeof kCudaOps / sizeof kCudaOps[0];

}  // namespace tk::cuda
