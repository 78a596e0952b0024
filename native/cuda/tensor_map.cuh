// Tensor maps: what the tensor memory accelerator must know of an array in device memory.
#pragma once
#include <cuda.h>

#include "cuda/context.h"

namespace tk::cuda {

using TensorMapEncoder = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                                      const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                                      CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// The driver's function, asked for at run time: the library links no driver.
inline TensorMapEncoder tensor_map_encoder() {
  static const TensorMapEncoder encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result;
    check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result),
               "cudaGetDriverEntryPointByVersion");
    if (found == nullptr) throw CudaFailure{cudaErrorNotSupported, "cuTensorMapEncodeTiled"};
    return reinterpret_cast<TensorMapEncoder>(found);
  }();
  return encode;
}

// A map of f16, bf16 or f32 with the 128-byte swizzle; what lies outside reads as 0. dims, and box, from the innermost on;
// strides of all dims but that one, in bytes, multiples of 16 as the address is.
template <int kRank>
CUtensorMap swizzled_tensor_map(const void* data, DType type, const cuuint64_t (&dims)[kRank],
                                const cuuint64_t (&strides)[kRank - 1], const cuuint32_t (&box)[kRank]) {
  CUtensorMap map;
  cuuint32_t steps[kRank];
  for (cuuint32_t& step : steps) step = 1;
  // TFLOAT32 is f32 that the copy engine rounds; wgmma itself would cut it off.
  const CUtensorMapDataType map_type = type == DType::f16    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                       : type == DType::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                             : CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  const CUresult status = tensor_map_encoder()(&map, map_type, kRank, const_cast<void*>(data), dims, strides, box, steps,
                                               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                               CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw CudaFailure{cudaErrorInvalidValue, "cuTensorMapEncodeTiled"};
  return map;
}

}  // namespace tk::cuda
