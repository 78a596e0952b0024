#include "cuda/context.h"
// context.h first.
#include "ops/matmul/matmul.h"

// fp32 on the plain cores: every transpose, any size, batches with broadcasting. Products are added in the order of k with
// fused multiply-add, in blocks of kBlockK whose sums are then added, so that the error does not grow with all of K. Both
// kernels add in the same order.
TK_BEGIN_CUDA
namespace {

constexpr int kTile = 64;      // rows and columns of y per block
constexpr int kTileK = 16;     // depth of one step
constexpr int kPerThread = 4;  // rows and columns of y per thread, 16 threads each way
constexpr int64_t kBlockK = 256;

// a(i, k) = a[i * row + k * col]; b likewise.
struct Product {
  const float* a;
  const float* b;
  float* y;
  int64_t m, n, k;
  int64_t a_row, a_col, b_row, b_col;
  int64_t a_batch, b_batch;
};

// Block (column tile, row tile, batch); thread (tx, ty) owns rows ty + 16 i and columns tx + 16 j of the tile, so that a warp
// reads neighbouring words of shared memory. Neighbouring threads load along the axis that is contiguous in memory.
__global__ void __launch_bounds__(256) gemm_tile_kernel(Product p) {
  __shared__ float a_tile[kTileK][kTile + 1];
  __shared__ float b_tile[kTileK][kTile + 1];
  const int thread = int(threadIdx.x), tx = thread % 16, ty = thread / 16;
  const int64_t row0 = int64_t(blockIdx.y) * kTile, col0 = int64_t(blockIdx.x) * kTile;
  const float* a = p.a + int64_t(blockIdx.z) * p.a_batch;
  const float* b = p.b + int64_t(blockIdx.z) * p.b_batch;
  float total[kPerThread][kPerThread] = {}, sum[kPerThread][kPerThread] = {};
  for (int64_t k0 = 0; k0 < p.k; k0 += kTileK) {
    for (int i = thread; i < kTile * kTileK; i += 256) {
      const int row = p.a_col == 1 ? i / kTileK : i % kTile, depth = p.a_col == 1 ? i % kTileK : i / kTile;
      const bool inside = row0 + row < p.m && k0 + depth < p.k;
      a_tile[depth][row] = inside ? a[(row0 + row) * p.a_row + (k0 + depth) * p.a_col] : 0.0f;
      const int col = p.b_col == 1 ? i % kTile : i / kTileK, deep = p.b_col == 1 ? i / kTile : i % kTileK;
      const bool within = col0 + col < p.n && k0 + deep < p.k;
      b_tile[deep][col] = within ? b[(k0 + deep) * p.b_row + (col0 + col) * p.b_col] : 0.0f;
    }
    __syncthreads();
    const int depths = p.k - k0 < kTileK ? int(p.k - k0) : kTileK;
    for (int depth = 0; depth < depths; ++depth) {
      float a_part[kPerThread], b_part[kPerThread];
      for (int i = 0; i < kPerThread; ++i) a_part[i] = a_tile[depth][ty + 16 * i];
      for (int j = 0; j < kPerThread; ++j) b_part[j] = b_tile[depth][tx + 16 * j];
      for (int i = 0; i < kPerThread; ++i) {
        for (int j = 0; j < kPerThread; ++j) sum[i][j] = fmaf(a_part[i], b_part[j], sum[i][j]);
      }
    }
    if ((k0 + kTileK) % kBlockK == 0 || k0 + kTileK >= p.k) {
      for (int i = 0; i < kPerThread; ++i) {
        for (int j = 0; j < kPerThread; ++j) {
          total[i][j] = k0 < kBlockK ? sum[i][j] : total[i][j] + sum[i][j];
          sum[i][j] = 0.0f;
        }
      }
    }
    __syncthreads();
  }
  float* y = p.y + int64_t(blockIdx.z) * p.m * p.n;
  for (int i = 0; i < kPerThread; ++i) {
    const int64_t row = row0 + ty + 16 * i;
    for (int j = 0; j < kPerThread; ++j) {
      const int64_t col = col0 + tx + 16 * j;
      if (row < p.m && col < p.n) y[row * p.n + col] = total[i][j];
    }
  }
}

// A thread per element of y: small products, for which a tile would be mostly empty.
void small_products(const CudaContext& context, const Product& p, int64_t batch) {
  const int64_t per_matrix = p.m * p.n;
  for_each(
      context, batch * per_matrix,
      [=] __device__(int64_t i) {
        const int64_t matrix = i / per_matrix, row = i % per_matrix / p.n, col = i % p.n;
        const float* a = p.a + matrix * p.a_batch + row * p.a_row;
        const float* b = p.b + matrix * p.b_batch + col * p.b_col;
        float total = 0;
        for (int64_t k0 = 0; k0 < p.k; k0 += kBlockK) {
          const int64_t end = k0 + kBlockK < p.k ? k0 + kBlockK : p.k;
          float sum = 0;
          for (int64_t k = k0; k < end; ++k) sum = fmaf(a[k * p.a_col], b[k * p.b_row], sum);
          total = k0 == 0 ? sum : total + sum;
        }
        p.y[i] = total;
      },
      1);
}

}  // namespace

void matmul_cuda(const OpCall& call, CudaContext& context) {
  const Operand &a = call[0], &b = call[1], &y = call[2];
  TK_CHECK(a.rank == 3 && b.rank == 3 && y.rank == 3);
  const bool transpose_a = TK_INT(call, matmul, transpose_a) != 0, transpose_b = TK_INT(call, matmul, transpose_b) != 0;
  Product p;
  const int64_t batch = y.dims[0];
  p.m = y.dims[1], p.n = y.dims[2], p.k = transpose_a ? a.dims[1] : a.dims[2];
  TK_CHECK_EQ(transpose_a ? a.dims[2] : a.dims[1], p.m);
  TK_CHECK_EQ(transpose_b ? b.dims[1] : b.dims[2], p.n);
  TK_CHECK_EQ(transpose_b ? b.dims[2] : b.dims[1], p.k);
  TK_CHECK((a.dims[0] == batch || a.dims[0] == 1) && (b.dims[0] == batch || b.dims[0] == 1));
  if (y.size == 0) return;
  if (p.k == 0) {
    check_cuda(cudaMemsetAsync(y.data, 0, size_t(y.bytes()), context.stream()), "cudaMemsetAsync");
    return;
  }
  p.a = a.f32(), p.b = b.f32(), p.y = y.f32();
  p.a_row = transpose_a ? 1 : p.k, p.a_col = transpose_a ? p.m : 1;
  p.b_row = transpose_b ? 1 : p.n, p.b_col = transpose_b ? p.k : 1;
  p.a_batch = a.dims[0] == 1 ? 0 : p.m * p.k, p.b_batch = b.dims[0] == 1 ? 0 : p.k * p.n;
  if (p.m * p.n <= 32 * 32 || p.m < 8 || p.n < 8) return small_products(context, p, batch);
  constexpr int64_t kMostPerLaunch = 65535;  // of the grid's y and z
  const int64_t row_tiles = (p.m + kTile - 1) / kTile, col_tiles = (p.n + kTile - 1) / kTile;
  if (row_tiles > kMostPerLaunch || col_tiles > INT32_MAX) return small_products(context, p, batch);
  for (int64_t first = 0; first < batch; first += kMostPerLaunch) {
    Product part = p;
    part.a += first * p.a_batch, part.b += first * p.b_batch, part.y += first * p.m * p.n;
    const int64_t count = batch - first < kMostPerLaunch ? batch - first : kMostPerLaunch;
    context.launch(gemm_tile_kernel, dim3(unsigned(col_tiles), unsigned(row_tiles), unsigned(count)), dim3(256), 0, part);
  }
}

TK_END_CUDA
