// Kernels that work row by row: a row is read from memory once and kept in registers while it is reduced and rewritten.
#pragma once
#include "cuda/block_reduce.cuh"

namespace tk::cuda {

// kWidth threads share one row of `cols` elements, kPer of which each of them keeps; kPer = 0 reads again instead (rows too
// long for registers). Element i belongs to thread i % kWidth.
template <int kWidth, int kPer, class Load>
struct RowValues {
  int64_t cols;
  int lane;
  double* shared;  // one value per warp
  Load load;
  float value[kPer > 0 ? kPer : 1] = {};

  __device__ RowValues(int64_t cols, double* shared, const Load& load)
      : cols(cols), lane(int(threadIdx.x) % kWidth), shared(shared), load(load) {
    if constexpr (kPer > 0) {
#pragma unroll
      for (int j = 0; j < kPer; ++j) {
        const int64_t i = int64_t(j) * kWidth + lane;
        if (i < cols) value[j] = load(i);
      }
    }
  }
  // body(i, value of i) for this thread's elements.
  template <class Body>
  __device__ void each(const Body& body) const {
    if constexpr (kPer > 0) {
#pragma unroll
      for (int j = 0; j < kPer; ++j) {
        const int64_t i = int64_t(j) * kWidth + lane;
        if (i < cols) body(i, value[j]);
      }
    } else {
      for (int64_t i = lane; i < cols; i += kWidth) body(i, load(i));
    }
  }
  // body(i, value of i, other's value of i).
  template <class Other, class Body>
  __device__ void zip(const Other& other, const Body& body) const {
    if constexpr (kPer > 0) {
#pragma unroll
      for (int j = 0; j < kPer; ++j) {
        const int64_t i = int64_t(j) * kWidth + lane;
        if (i < cols) body(i, value[j], other.value[j]);
      }
    } else {
      for (int64_t i = lane; i < cols; i += kWidth) body(i, load(i), other.load(i));
    }
  }
  template <class T, class Combine>
  __device__ T fold(T mine, const Combine& combine) const {
    if constexpr (kWidth == kWarp) {
      for (int distance = kWarp / 2; distance > 0; distance /= 2) {
        mine = combine(mine, __shfl_xor_sync(0xffffffffu, mine, distance));
      }
      return mine;
    } else {
      return block_reduce(mine, reinterpret_cast<T*>(shared), combine);
    }
  }
  // Sum of body(i, value) over the row, in double.
  template <class Body>
  __device__ double sum(const Body& body) const {
    double mine = 0;
    each([&](int64_t i, float v) { mine += double(body(i, v)); });
    return fold(mine, [](double a, double b) { return a + b; });
  }
};

constexpr int kRowBlock = 256;  // threads of a block of row kernels
constexpr int kShortPer = 4, kLongPer = 32;

// Work::row<kWidth, kPer>(work, row, shared) for every row.
template <int kWidth, int kPer, class Work>
__global__ void __launch_bounds__(kRowBlock) rows_kernel(int64_t rows, Work work) {
  __shared__ double shared[kRowBlock / kWarp];
  const int per_block = int(blockDim.x) / kWidth;
  for (int64_t row = int64_t(blockIdx.x) * per_block + threadIdx.x / kWidth; row < rows;
       row += int64_t(gridDim.x) * per_block) {
    work.template row<kWidth, kPer>(row, shared);
  }
}

template <int kWidth, int kPer, class Work>
void launch_rows(const CudaContext& context, int64_t rows, const Work& work) {
  const int64_t most = kRowBlock / kWidth, per_block = rows < most ? rows : most;
  const int64_t wanted = (rows + per_block - 1) / per_block, blocks = wanted < INT32_MAX ? wanted : INT32_MAX;
  context.launch(rows_kernel<kWidth, kPer, Work>, dim3(unsigned(blocks)), dim3(unsigned(per_block * kWidth)), 0, rows, work);
}

// A warp per row while that fits registers, a block beyond.
template <class Work>
void for_each_row(const CudaContext& context, int64_t rows, int64_t cols, const Work& work) {
  if (rows == 0) return;
  if (cols <= kWarp * kShortPer) return launch_rows<kWarp, kShortPer>(context, rows, work);
  if (cols <= kWarp * kLongPer) return launch_rows<kWarp, kLongPer>(context, rows, work);
  if (cols <= kRowBlock * kLongPer) return launch_rows<kRowBlock, kLongPer>(context, rows, work);
  launch_rows<kRowBlock, 0>(context, rows, work);
}

}  // namespace tk::cuda
