// Sums over the rows of a matrix, in an order that depends on its shape alone: chunks of rows are summed apart, in double, then
// the chunks in rising order.
#pragma once
#include "cuda/context.h"

namespace tk::cuda {

constexpr int kColumnTile = 32;  // columns of a block
constexpr int kRowLanes = 8;     // rows a block works on at once

struct ColumnChunks {
  int64_t rows, length;
  int64_t count() const { return rows == 0 ? 0 : (rows + length - 1) / length; }
};
inline ColumnChunks cut_columns(int64_t rows) {
  constexpr int64_t kLeast = 64, kMostChunks = 128;
  const int64_t shared = (rows + kMostChunks - 1) / kMostChunks;
  return {rows, shared > kLeast ? shared : kLeast};
}
// Doubles of workspace for column sums of `images` matrices.
inline int64_t column_parts(int64_t images, int64_t rows, int64_t cols, int sums) {
  return images * cut_columns(rows).count() * cols * sums;
}

// Block (column tile, chunk, image). body(image, row, column, sums) adds the element's share.
template <int kSums, class Body>
__global__ void __launch_bounds__(kColumnTile* kRowLanes)
    column_parts_kernel(int64_t rows, int64_t cols, int64_t length, double* parts, Body body) {
  __shared__ double shared[kSums][kRowLanes][kColumnTile + 1];
  const int lane = int(threadIdx.x) % kColumnTile, first = int(threadIdx.x) / kColumnTile;
  const int64_t col = int64_t(blockIdx.x) * kColumnTile + lane, image = blockIdx.z;
  const int64_t begin = int64_t(blockIdx.y) * length, end = begin + length < rows ? begin + length : rows;
  double sums[kSums] = {};
  if (col < cols) {
    for (int64_t row = begin + first; row < end; row += kRowLanes) body(image, row, col, sums);
  }
  for (int s = 0; s < kSums; ++s) shared[s][first][lane] = sums[s];
  __syncthreads();
  if (first != 0 || col >= cols) return;
  for (int s = 0; s < kSums; ++s) {
    double total = shared[s][0][lane];
    for (int i = 1; i < kRowLanes; ++i) total += shared[s][i][lane];
    parts[((image * gridDim.y + blockIdx.y) * kSums + s) * cols + col] = total;
  }
}

// parts[image][chunk][sum][column], as many chunks as cut_columns says.
template <int kSums, class Body>
void sum_column_parts(const CudaContext& context, int64_t images, int64_t rows, int64_t cols, double* parts, const Body& body) {
  const ColumnChunks chunks = cut_columns(rows);
  if (chunks.count() == 0 || cols == 0 || images == 0) return;
  constexpr int64_t kMostImages = 65535;  // of a grid's z
  for (int64_t first = 0; first < images; first += kMostImages) {
    const int64_t count = images - first < kMostImages ? images - first : kMostImages;
    auto shifted = [=] __device__(int64_t image, int64_t row, int64_t col, double(&sums)[kSums]) {
      body(first + image, row, col, sums);
    };
    context.launch(column_parts_kernel<kSums, decltype(shifted)>,
                   dim3(unsigned((cols + kColumnTile - 1) / kColumnTile), unsigned(chunks.count()), unsigned(count)),
                   dim3(kColumnTile * kRowLanes), 0, rows, cols, chunks.length, parts + first * chunks.count() * kSums * cols,
                   shifted);
  }
}

// finish(sum, column, total) for every column of one matrix whose parts are known.
template <int kSums, class Finish>
void combine_column_parts(const CudaContext& context, int64_t rows, int64_t cols, const double* parts, const Finish& finish) {
  const int64_t chunks = cut_columns(rows).count();
  for_each(
      context, cols * kSums,
      [=] __device__(int64_t i) {
        const int64_t s = i / cols, col = i % cols;
        double total = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) total += parts[(chunk * kSums + s) * cols + col];
        finish(int(s), col, total);
      },
      1);
}

// out[j] = sum over the rows of x [rows, cols]; workspace: column_parts(1, rows, cols, 1) doubles.
template <class T>
void column_sums(const CudaContext& context, const T* x, int64_t rows, int64_t cols, float* out, double* workspace) {
  sum_column_parts<1>(context, 1, rows, cols, workspace, [=] __device__(int64_t, int64_t row, int64_t col, double(&sums)[1]) {
    sums[0] += double(float(x[row * cols + col]));
  });
  combine_column_parts<1>(context, rows, cols, workspace,
                          [=] __device__(int, int64_t col, double total) { out[col] = float(total); });
}

}  // namespace tk::cuda
