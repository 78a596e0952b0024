// The CUDA bodies by op number, made from ops.def. An op without one is null: calling it is an error that names it.
#pragma once
#include "cuda/context.h"

namespace tk::cuda {

struct CudaOp {
  void (*body)(const OpCall&, CudaContext&);
  int64_t (*workspace)(const OpCall&);  // null when the op needs none
  // Whether the body takes operands of these shapes and dtypes, some of 16 bits, beyond what ops.def lists; null when it takes
  // none. The operands have no addresses yet.
  bool (*takes_half)(const OpCall&);
};

extern const CudaOp kCudaOps[];
extern const uint32_t kNumCudaOps;

}  // namespace tk::cuda
