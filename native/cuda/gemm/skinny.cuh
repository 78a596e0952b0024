// Products with at most 8 rows or columns: as fast as the large operand can be read. K is cut into parts whose sums are added
// in order by the kernel for split products.
#pragma once
#include "cuda/gemm/tile_kernel.cuh"

namespace tk::cuda {

// y(s, l) for s < small <= 8 and the long side l: sum over k of few(s, k) long(l, k).
template <class T>
struct SkinnyProblem {
  const T *few, *many;
  int64_t few_row, few_k, few_batch;     // strides of the small operand
  int64_t many_row, many_k, many_batch;  // of the large one
  int64_t length;                        // of the long side
  int small;
  bool transposed;  // the long side are the rows of y
};

// Block (32 places of the long side, split, batch) of 8 warps. Along K: a warp takes a place at a time, its lanes neighbours in
// k; across: a warp takes every eighth k, its lanes neighbouring places.
template <class T, bool kAlongK>
__global__ void __launch_bounds__(256) skinny_kernel(const TileOutput out, const SkinnyProblem<T> p) {
  __shared__ float shared[8][8][33];
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int64_t place0 = int64_t(blockIdx.x) * 32, batch = blockIdx.z;
  const int64_t begin = int64_t(blockIdx.y) * out.k_per_split;
  const int64_t end = begin + out.k_per_split < out.k ? begin + out.k_per_split : out.k;
  const T *few = p.few + batch * p.few_batch, *many = p.many + batch * p.many_batch;
  if constexpr (kAlongK) {
    for (int place = warp; place < 32; place += 8) {
      float sums[8] = {};
      if (place0 + place < p.length) {
        const T* line = many + (place0 + place) * p.many_row;
        for (int64_t k = begin + lane; k < end; k += 32) {
          const float value = to_float(line[k]);
#pragma unroll
          for (int s = 0; s < 8; ++s) {
            if (s < p.small) sums[s] = fmaf(to_float(few[s * p.few_row + k * p.few_k]), value, sums[s]);
          }
        }
      }
#pragma unroll
      for (int s = 0; s < 8; ++s) {
        for (int distance = 16; distance > 0; distance /= 2) sums[s] += __shfl_xor_sync(0xffffffffu, sums[s], distance);
        if (lane == 0) shared[0][s][place] = sums[s];
      }
    }
  } else {
    float sums[8] = {};
    if (place0 + lane < p.length) {
      for (int64_t k = begin + warp; k < end; k += 8) {
        const float value = to_float(many[k * p.many_k + place0 + lane]);
#pragma unroll
        for (int s = 0; s < 8; ++s) {
          if (s < p.small) sums[s] = fmaf(to_float(few[s * p.few_row + k * p.few_k]), value, sums[s]);
        }
      }
    }
    for (int s = 0; s < 8; ++s) shared[warp][s][lane] = sums[s];
  }
  __syncthreads();
  // Warp s finishes row s of the small side.
  if (warp >= p.small || place0 + lane >= p.length) return;
  float value = shared[0][warp][lane];
  if constexpr (!kAlongK) {
    for (int w = 1; w < 8; ++w) value += shared[w][warp][lane];
  }
  const int64_t row = p.transposed ? place0 + lane : warp, col = p.transposed ? warp : place0 + lane;
  if (out.splits > 1) {
    out.partial[((int64_t(blockIdx.y) * out.batch + batch) * out.m + row) * out.n + col] = value;
  } else {
    const int64_t at = batch * out.y_batch + row * out.y_row + col;
    store_as(out.y_type, out.y, at, finish_sum(out.epilogue, value, col, at));
  }
}

template <class T>
void run_skinny(const CudaContext& context, const Gemm& g, const TileOutput& out) {
  SkinnyProblem<T> p;
  p.transposed = g.n < g.m;
  const GemmOperand few = p.transposed ? GemmOperand{g.b.data, g.b.col, g.b.row, g.b.batch} : g.a;
  const GemmOperand many = p.transposed ? g.a : GemmOperand{g.b.data, g.b.col, g.b.row, g.b.batch};
  p.few = static_cast<const T*>(few.data), p.few_row = few.row, p.few_k = few.col, p.few_batch = few.batch;
  p.many = static_cast<const T*>(many.data), p.many_row = many.row, p.many_k = many.col, p.many_batch = many.batch;
  p.length = p.transposed ? g.m : g.n;
  p.small = int(p.transposed ? g.n : g.m);
  const dim3 grid(unsigned((p.length + 31) / 32), unsigned(out.splits), unsigned(g.batch));
  if (many.col == 1) {
    context.launch(skinny_kernel<T, true>, grid, dim3(256), 0, out, p);
  } else {
    context.launch(skinny_kernel<T, false>, grid, dim3(256), 0, out, p);
  }
  if (out.splits > 1) add_splits(context, out);
}

}  // namespace tk::cuda
