// f32 products on the plain cores: every transpose, any size. Products are added in the order of k with fused multiply-add, in
// blocks of kSumBlock whose sums are then added, so that the error does not grow with all of K. All kernels of this file add in
// the same order.
#pragma once
#include "cuda/gemm/tile_kernel.cuh"

namespace tk::cuda {

constexpr int64_t kSumBlock = 256;

// Block (column tile, row tile, split and batch) of 256 threads; a thread owns kPer x kPer sums: rows ty + 16 i and columns tx
// + 16 j of the tile, so that a warp reads neighbouring words of shared memory. Neighbouring threads load along the axis that
// is contiguous.
template <int kPer>
__global__ void __launch_bounds__(256) simt_tile_kernel(const Gemm p, const TileOutput out) {
  constexpr int kTile = 16 * kPer, kDepth = 16;
  __shared__ float a_tile[kDepth][kTile + 1];
  __shared__ float b_tile[kDepth][kTile + 1];
  const int thread = int(threadIdx.x), tx = thread % 16, ty = thread / 16;
  const int64_t row0 = int64_t(blockIdx.y) * kTile, col0 = int64_t(blockIdx.x) * kTile;
  const int64_t split = int64_t(blockIdx.z) / p.batch, batch = int64_t(blockIdx.z) % p.batch;
  const int64_t begin = split * out.k_per_split, end = begin + out.k_per_split < p.k ? begin + out.k_per_split : p.k;
  const float* a = static_cast<const float*>(p.a.data) + batch * p.a.batch;
  const float* b = static_cast<const float*>(p.b.data) + batch * p.b.batch;
  float total[kPer][kPer] = {}, sum[kPer][kPer] = {};
  for (int64_t k0 = begin; k0 < end; k0 += kDepth) {
    for (int i = thread; i < kTile * kDepth; i += 256) {
      const int row = p.a.col == 1 ? i / kDepth : i % kTile, depth = p.a.col == 1 ? i % kDepth : i / kTile;
      const bool inside = row0 + row < p.m && k0 + depth < end;
      a_tile[depth][row] = inside ? a[(row0 + row) * p.a.row + (k0 + depth) * p.a.col] : 0.0f;
      const int col = p.b.col == 1 ? i % kTile : i / kDepth, deep = p.b.col == 1 ? i / kTile : i % kDepth;
      const bool within = col0 + col < p.n && k0 + deep < end;
      b_tile[deep][col] = within ? b[(k0 + deep) * p.b.row + (col0 + col) * p.b.col] : 0.0f;
    }
    __syncthreads();
    const int depths = end - k0 < kDepth ? int(end - k0) : kDepth;
    for (int depth = 0; depth < depths; ++depth) {
      float a_part[kPer], b_part[kPer];
      for (int i = 0; i < kPer; ++i) a_part[i] = a_tile[depth][ty + 16 * i];
      for (int j = 0; j < kPer; ++j) b_part[j] = b_tile[depth][tx + 16 * j];
      for (int i = 0; i < kPer; ++i) {
        for (int j = 0; j < kPer; ++j) sum[i][j] = fmaf(a_part[i], b_part[j], sum[i][j]);
      }
    }
    if ((k0 - begin + kDepth) % kSumBlock == 0 || k0 + kDepth >= end) {
      for (int i = 0; i < kPer; ++i) {
        for (int j = 0; j < kPer; ++j) {
          total[i][j] = k0 - begin < kSumBlock ? sum[i][j] : total[i][j] + sum[i][j];
          sum[i][j] = 0.0f;
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kPer; ++i) {
    const int64_t row = row0 + ty + 16 * i;
    for (int j = 0; j < kPer; ++j) {
      const int64_t col = col0 + tx + 16 * j, at = batch * p.y_batch + row * p.y_row + col;
      if (row >= p.m || col >= p.n) continue;
      if (out.splits > 1) {
        out.partial[((split * p.batch + batch) * p.m + row) * p.n + col] = total[i][j];
      } else {
        store_as(p.y_type, p.y, at, finish_sum(p.epilogue, total[i][j], col, at));
      }
    }
  }
}

// A thread per element of y: small products, for which a tile would be mostly empty.
template <class T>
void simt_elements(const CudaContext& context, const Gemm& p) {
  const int64_t per_matrix = p.m * p.n;
  for_each(
      context, p.batch * per_matrix,
      [=] __device__(int64_t i) {
        const int64_t matrix = i / per_matrix, row = i % per_matrix / p.n, col = i % p.n;
        const T* a = static_cast<const T*>(p.a.data) + matrix * p.a.batch + row * p.a.row;
        const T* b = static_cast<const T*>(p.b.data) + matrix * p.b.batch + col * p.b.col;
        float total = 0;
        for (int64_t k0 = 0; k0 < p.k; k0 += kSumBlock) {
          const int64_t end = k0 + kSumBlock < p.k ? k0 + kSumBlock : p.k;
          float sum = 0;
          for (int64_t k = k0; k < end; ++k) sum = fmaf(float(a[k * p.a.col]), float(b[k * p.b.row]), sum);
          total = k0 == 0 ? sum : total + sum;
        }
        const int64_t at = matrix * p.y_batch + row * p.y_row + col;
        store_as(p.y_type, p.y, at, finish_sum(p.epilogue, total, col, at));
      },
      1);
}

}  // namespace tk::cuda
