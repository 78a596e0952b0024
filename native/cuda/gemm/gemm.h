// Matrix products on the GPU, for every op that needs one: y = epilogue(a b), batched, any strides, any size. Which kernel
// runs is a pure function of the problem (gemm_choice.h), so results do not depend on the machine or on chance.
#pragma once
#include "cuda/context.h"

namespace tk::cuda {

// Element (i, j) of matrix number z stands at data[z * batch + i * row + j * col]. For the fast kernels one of row and col
// is 1.
struct GemmOperand {
  const void* data = nullptr;
  int64_t row = 0, col = 0, batch = 0;
};

// What happens to a sum before it is stored, in this order. Pointers may be null; what they point to has one type.
struct GemmEpilogue {
  const void* bias = nullptr;      // [n], added
  const void* residual = nullptr;  // laid out as y, added
  void* saved = nullptr;           // laid out as y: gets the value so far
  int activation = 0;              // by number, ops/common/activation_math.h
  // Laid out as y; the value is multiplied with the derivative of `activation` at it instead of going through the function:
  // the gradient of a fused layer.
  const void* gradient_at = nullptr;
  DType type = DType::f32;  // f32, f16 or bf16
};

// How f32 operands are multiplied. accurate: as good as f32 arithmetic. tf32: rounded to 11 bits first, sums in f32.
enum class GemmPrecision : uint8_t { accurate, tf32 };

struct Gemm {
  int64_t m = 0, n = 0, k = 0, batch = 1;
  DType type = DType::f32;  // of a and b: f32, f16 or bf16
  DType y_type = DType::f32;
  GemmPrecision precision = GemmPrecision::accurate;
  GemmOperand a, b;
  void* y = nullptr;
  int64_t y_row = 0, y_batch = 0;  // columns of y are neighbours
  GemmEpilogue epilogue;
  int forced_kernel = -1;  // a GemmKernel, for tests and measurements; -1 to choose
  int forced_splits = 1;   // of K, with a forced kernel that can
};

// Bytes of scratch memory, 0 for most problems.
int64_t gemm_workspace(const Gemm& problem);
// Name of the kernel that runs it.
const char* gemm_kernel(const CudaContext& context, const Gemm& problem);
void gemm(const CudaContext& context, const Gemm& problem, void* workspace);

}  // namespace tk::cuda
