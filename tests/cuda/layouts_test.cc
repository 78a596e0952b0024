// The layouts that the emulator takes from the PTX manual, checked against what the instructions do: which element each
// register of a fragment holds, where the 128-byte swizzle puts a byte, how wgmma reads its descriptors and registers. Compiled by nvcc this
// runs on a GPU and tells whether the emulator may be believed; compiled by g++ it runs in the emulator.
//
// All values are small whole numbers, so products and sums are exact and comparison is by equality.
#include <cuda.h>

#include <string>

#include "cuda/ptx.cuh"
#include "device_test.h"
#undef CHECK
#undef OK
#include "test.h"

namespace {

void ok(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

template <class T>
struct Buffer {
  T* data = nullptr;
  size_t count;
  explicit Buffer(const std::vector<T>& values) : count(values.size()) {
    ok(cudaMalloc(reinterpret_cast<void**>(&data), count * sizeof(T)));
    ok(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice));
  }
  explicit Buffer(size_t n) : Buffer(std::vector<T>(n)) {}
  ~Buffer() { cudaFree(data); }
  Buffer(const Buffer&) = delete;
  std::vector<T> get() const {
    std::vector<T> values(count);
    ok(cudaDeviceSynchronize());
    ok(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
};

// Whole numbers from -4 to 4 without a pattern that a wrong layout would repeat.
float small_number(int i) { return float((i * 7919 + i / 13 * 31) % 9 - 4); }

std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, int m, int n, int k) {
  std::vector<float> c(size_t(m) * n);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      for (int d = 0; d < k; ++d) c[i * n + j] += a[i * k + d] * b[d * n + j];
    }
  }
  return c;
}

std::vector<float> numbers(int count, int seed) {
  std::vector<float> values(count);
  for (int i = 0; i < count; ++i) values[i] = small_number(i + seed);
  return values;
}

__device__ inline unsigned pack(__nv_bfloat16 low, __nv_bfloat16 high) {
  return unsigned(__bfloat16_as_ushort(low)) | unsigned(__bfloat16_as_ushort(high)) << 16;
}
__device__ inline unsigned pack(__half low, __half high) {
  return unsigned(__half_as_ushort(low)) | unsigned(__half_as_ushort(high)) << 16;
}

// mma m16n8k16: g = lane / 4, t = lane % 4; A (g,2t) (g+8,2t) (g,2t+8) (g+8,2t+8), B (2t,g) (2t+8,g), C (g,2t) (g+8,2t).
template <class T>
__global__ void mma_k16_kernel(const T* a, const T* b, float* c) {
  const int lane = int(threadIdx.x), g = lane / 4, t = lane % 4;
  const auto pair_a = [&](int row, int col) { return pack(a[row * 16 + col], a[row * 16 + col + 1]); };
  const auto pair_b = [&](int row) { return pack(b[row * 8 + g], b[(row + 1) * 8 + g]); };
  const unsigned fa[4] = {pair_a(g, 2 * t), pair_a(g + 8, 2 * t), pair_a(g, 2 * t + 8), pair_a(g + 8, 2 * t + 8)};
  const unsigned fb[2] = {pair_b(2 * t), pair_b(2 * t + 8)};
  float d[4] = {0, 0, 0, 0};
  if constexpr (std::is_same_v<T, __half>) {
    ptx::mma_f16(d, fa, fb);
  } else {
    ptx::mma_bf16(d, fa, fb);
  }
  c[g * 8 + 2 * t] = d[0], c[g * 8 + 2 * t + 1] = d[1];
  c[(g + 8) * 8 + 2 * t] = d[2], c[(g + 8) * 8 + 2 * t + 1] = d[3];
}

// tf32 m16n8k8: A (g,t) (g+8,t) (g,t+4) (g+8,t+4), B (t,g) (t+4,g).
__global__ void mma_tf32_kernel(const float* a, const float* b, float* c) {
  const int lane = int(threadIdx.x), g = lane / 4, t = lane % 4;
  const unsigned fa[4] = {__float_as_uint(a[g * 8 + t]), __float_as_uint(a[(g + 8) * 8 + t]), __float_as_uint(a[g * 8 + t + 4]),
                          __float_as_uint(a[(g + 8) * 8 + t + 4])};
  const unsigned fb[2] = {__float_as_uint(b[t * 8 + g]), __float_as_uint(b[(t + 4) * 8 + g])};
  float d[4] = {0, 0, 0, 0};
  ptx::mma_tf32(d, fa, fb);
  c[g * 8 + 2 * t] = d[0], c[g * 8 + 2 * t + 1] = d[1];
  c[(g + 8) * 8 + 2 * t] = d[2], c[(g + 8) * 8 + 2 * t + 1] = d[3];
}

// ldmatrix x4 of four 8x8 matrices one below the other, plain and transposed.
__global__ void ldmatrix_kernel(const uint16_t* x, unsigned* plain, unsigned* transposed) {
  __shared__ __align__(16) uint16_t tile[32][8];
  const int lane = int(threadIdx.x);
  for (int j = 0; j < 8; ++j) tile[lane][j] = x[lane * 8 + j];
  __syncwarp();
  unsigned r[4];
  ptx::ldmatrix_x4(r, tile[lane]);
  for (int i = 0; i < 4; ++i) plain[lane * 4 + i] = r[i];
  ptx::ldmatrix_x4_trans(r, tile[lane]);
  for (int i = 0; i < 4; ++i) transposed[lane * 4 + i] = r[i];
}

constexpr int kRows = 64, kCols = 128, kDepth = 64;  // wgmma m64n128, four steps of k16
constexpr int kBytesA = kRows * kDepth * 2, kBytesB = kCols * kDepth * 2;

#if !defined(__CUDACC__) || !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TK_HOPPER 1
#endif

// The raw bytes that TMA leaves in shared memory for a box of 64 bf16 x 64 rows.
__global__ void tma_kernel(const __grid_constant__ CUtensorMap map, uint16_t* out) {
#if TK_HOPPER
  DYNAMIC_SMEM(char, memory);
  uint64_t* full = reinterpret_cast<uint64_t*>(memory + kBytesA);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(full, 1);
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
    ptx::mbarrier_arrive_expect_tx(full, kBytesA);
    ptx::tma_load_2d(memory, &map, 0, 0, full);
  }
  __syncthreads();
  ptx::mbarrier_wait(full, 0);
  const uint16_t* words = reinterpret_cast<const uint16_t*>(memory);
  for (int i = int(threadIdx.x); i < kBytesA / 2; i += int(blockDim.x)) out[i] = words[i];
#endif
}

// One warpgroup: C[64,128] = A[64,64] B with A K-major and B either [n][k] (K-major) or [k][n] (two boxes of 64 columns).
template <bool kMajorN>
__global__ void __launch_bounds__(128)
    wgmma_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b, float* c) {
#if TK_HOPPER
  DYNAMIC_SMEM(char, memory);
  char *a = memory, *b = memory + kBytesA;
  uint64_t* full = reinterpret_cast<uint64_t*>(b + kBytesB);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(full, 1);
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
    ptx::mbarrier_arrive_expect_tx(full, kBytesA + kBytesB);
    ptx::tma_load_2d(a, &map_a, 0, 0, full);
    ptx::tma_load_2d(b, &map_b, 0, 0, full);
    if (kMajorN) ptx::tma_load_2d(b + kBytesB / 2, &map_b, 64, 0, full);
  }
  __syncthreads();
  ptx::mbarrier_wait(full, 0);
  float acc[64];
  for (int i = 0; i < 64; ++i) acc[i] = 0;
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kDepth / 16; ++step) {
    const uint64_t da = ptx::desc_sw128(a + step * 32, 16, 1024);
    if (kMajorN) {
      ptx::wgmma_n128<false, 0, 1>(acc, da, ptx::desc_sw128(b + step * 16 * 128, kBytesB / 2, 1024), 1);
    } else {
      ptx::wgmma_n128<false, 0, 0>(acc, da, ptx::desc_sw128(b + step * 32, 16, 1024), 1);
    }
  }
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  for (int i = 0; i < 64; ++i) {
    const int row = 16 * warp + lane / 4 + 8 * (i / 2 % 2), col = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
    c[row * kCols + col] = acc[i];
  }
#endif
}

// The same with A from registers and kN columns of B, which lies [k][n]: registers 0 and 1 hold rows l/4 and l/4 + 8 of the warp's
// 16, columns 2 (l%4) and the next; 2 and 3 the columns 8 further on.
template <int kN>
__global__ void __launch_bounds__(128)
    wgmma_registers_kernel(const uint16_t* a, const __grid_constant__ CUtensorMap map_b, float* c) {
#if TK_HOPPER
  DYNAMIC_SMEM(char, b);
  constexpr int kBytes = kN * kDepth * 2, kBox = 64 * kDepth * 2;
  uint64_t* full = reinterpret_cast<uint64_t*>(b + kBytes);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(full, 1);
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
    ptx::mbarrier_arrive_expect_tx(full, kBytes);
    for (int box = 0; box < kN / 64; ++box) ptx::tma_load_2d(b + box * kBox, &map_b, box * 64, 0, full);
  }
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  unsigned rows[kDepth / 16][4];
  float acc[kN / 2];
#pragma unroll
  for (int step = 0; step < kDepth / 16; ++step) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = 16 * warp + lane / 4 + j % 2 * 8, col = step * 16 + j / 2 * 8 + lane % 4 * 2;
      rows[step][j] = unsigned(a[row * kDepth + col]) | unsigned(a[row * kDepth + col + 1]) << 16;
    }
  }
#pragma unroll
  for (int i = 0; i < kN / 2; ++i) acc[i] = 0;
  __syncthreads();
  ptx::mbarrier_wait(full, 0);
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kDepth / 16; ++step) {
    ptx::wgmma_registers<false, 1>(acc, rows[step], ptx::desc_sw128(b + step * 16 * 128, kBox, 1024), 1);
  }
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  for (int i = 0; i < kN / 2; ++i) {
    const int row = 16 * warp + lane / 4 + 8 * (i / 2 % 2), col = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
    c[row * kN + col] = acc[i];
  }
#endif
}

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                            const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                            CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

CUtensorMap make_map(void* data, int inner, int outer, int box_inner, int box_outer) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result;
  ok(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result));
  CUtensorMap map;
  const cuuint64_t dims[2] = {cuuint64_t(inner), cuuint64_t(outer)}, strides[1] = {cuuint64_t(inner) * 2};
  const cuuint32_t box[2] = {cuuint32_t(box_inner), cuuint32_t(box_outer)}, steps[2] = {1, 1};
  const CUresult status = reinterpret_cast<Encode>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, data, dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw std::runtime_error("cuTensorMapEncodeTiled failed");
  return map;
}

// Whether the device runs code of sm_90a: wgmma and TMA exist there only.
bool is_hopper() {
  int major = 0, minor = 0;
  ok(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  ok(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
  if (major == 9 && minor == 0) return true;
  std::printf("skipped: wgmma and TMA need compute capability 9.0, this device has %d.%d\n", major, minor);
  return false;
}

template <class T>
std::vector<T> to_type(const std::vector<float>& values) {
  std::vector<T> result;
  for (float value : values) result.push_back(conv<T>(value));
  return result;
}

template <class T>
void check_mma_k16() {
  const std::vector<float> a = numbers(16 * 16, 1), b = numbers(16 * 8, 500);
  Buffer<T> da(to_type<T>(a)), db(to_type<T>(b));
  Buffer<float> dc(16 * 8);
  ok(tk::cuda::launch_kernel(mma_k16_kernel<T>, dim3(1), dim3(32), 0, nullptr, da.data, db.data, dc.data));
  CHECK(dc.get() == product(a, b, 16, 8, 16));
}

template <bool kMajorN>
void check_wgmma() {
  const std::vector<float> a = numbers(kRows * kDepth, 3), b = numbers(kDepth * kCols, 77);
  std::vector<float> stored = b;
  if (!kMajorN) {
    for (int k = 0; k < kDepth; ++k) {
      for (int n = 0; n < kCols; ++n) stored[n * kDepth + k] = b[k * kCols + n];
    }
  }
  Buffer<__nv_bfloat16> da(to_type<__nv_bfloat16>(a)), db(to_type<__nv_bfloat16>(stored));
  Buffer<float> dc(kRows * kCols);
  const CUtensorMap map_a = make_map(da.data, kDepth, kRows, kDepth, kRows);
  const CUtensorMap map_b =
      kMajorN ? make_map(db.data, kCols, kDepth, 64, kDepth) : make_map(db.data, kDepth, kCols, kDepth, kCols);
  const size_t bytes = kBytesA + kBytesB + 8;
  ok(tk::cuda::allow_shared(wgmma_kernel<kMajorN>, bytes));
  ok(tk::cuda::launch_kernel(wgmma_kernel<kMajorN>, dim3(1), dim3(128), bytes, nullptr, map_a, map_b, dc.data));
  CHECK(dc.get() == product(a, b, kRows, kCols, kDepth));
}

template <int kN>
void check_wgmma_registers() {
  const std::vector<float> a = numbers(kRows * kDepth, 3), b = numbers(kDepth * kN, 77);
  std::vector<uint16_t> bits;
  for (const __nv_bfloat16 value : to_type<__nv_bfloat16>(a)) bits.push_back(__bfloat16_as_ushort(value));
  Buffer<uint16_t> da(bits);
  Buffer<__nv_bfloat16> db(to_type<__nv_bfloat16>(b));
  Buffer<float> dc(kRows * kN);
  const CUtensorMap map_b = make_map(db.data, kN, kDepth, 64, kDepth);
  const size_t bytes = kN * kDepth * 2 + 8;
  ok(tk::cuda::allow_shared(wgmma_registers_kernel<kN>, bytes));
  ok(tk::cuda::launch_kernel(wgmma_registers_kernel<kN>, dim3(1), dim3(128), bytes, nullptr, da.data, map_b, dc.data));
  CHECK(dc.get() == product(a, b, kRows, kN, kDepth));
}

}  // namespace

TEST(fragments_of_bf16_mma) { check_mma_k16<__nv_bfloat16>(); }
TEST(fragments_of_f16_mma) { check_mma_k16<__half>(); }

TEST(fragments_of_tf32_mma) {
  const std::vector<float> a = numbers(16 * 8, 1), b = numbers(8 * 8, 500);
  Buffer<float> da(a), db(b), dc(16 * 8);
  ok(tk::cuda::launch_kernel(mma_tf32_kernel, dim3(1), dim3(32), 0, nullptr, da.data, db.data, dc.data));
  CHECK(dc.get() == product(a, b, 16, 8, 8));
}

TEST(rows_and_columns_of_ldmatrix) {
  std::vector<uint16_t> x(32 * 8);
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint16_t(i);
  Buffer<uint16_t> dx(x);
  Buffer<unsigned> plain(32 * 4), transposed(32 * 4);
  ok(tk::cuda::launch_kernel(ldmatrix_kernel, dim3(1), dim3(32), 0, nullptr, dx.data, plain.data, transposed.data));
  const std::vector<unsigned> rows = plain.get(), columns = transposed.get();
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const auto at = [&](int row, int col) { return unsigned(x[(i * 8 + row) * 8 + col]); };
      const int g = lane / 4, t = lane % 4;
      CHECK(rows[lane * 4 + i] == (at(g, 2 * t) | at(g, 2 * t + 1) << 16));
      CHECK(columns[lane * 4 + i] == (at(2 * t, g) | at(2 * t + 1, g) << 16));
    }
  }
}

TEST(swizzle_of_tma_128_bytes) {
  if (!is_hopper()) return;
  std::vector<uint16_t> x(kRows * kDepth);
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint16_t(i);
  Buffer<uint16_t> dx(x), out(x.size());
  const CUtensorMap map = make_map(dx.data, kDepth, kRows, kDepth, kRows);
  ok(tk::cuda::launch_kernel(tma_kernel, dim3(1), dim3(128), kBytesA + 8, nullptr, map, out.data));
  const std::vector<uint16_t> raw = out.get();
  for (int row = 0; row < kRows; ++row) {
    for (int col = 0; col < kDepth; ++col) {
      const int byte = col * 2, place = row * 128 + ((byte >> 4 ^ (row & 7)) << 4) + byte % 16;
      CHECK(raw[place / 2] == x[row * kDepth + col]);
    }
  }
}

TEST(wgmma_with_k_major_b) {
  if (is_hopper()) check_wgmma<false>();
}
TEST(wgmma_with_n_major_b) {
  if (is_hopper()) check_wgmma<true>();
}

TEST(wgmma_with_a_in_registers) {
  if (!is_hopper()) return;
  check_wgmma_registers<64>();
  check_wgmma_registers<128>();
}

TEST_MAIN
