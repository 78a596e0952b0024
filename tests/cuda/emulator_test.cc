// The emulator itself: primitives, the runtime surface, and that it catches bugs.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <string>
#include <thread>
#include "cuda/ptx.cuh"
#include "device_test.h"
namespace cg = cooperative_groups;

// ---------------------------------------------------------------- primitives
__global__ void k_warp(int* out) {
  int t = threadIdx.x, lane = t % 32;
  unsigned b = __ballot_sync(~0u, lane % 3 == 0);
  int up = __shfl_up_sync(~0u, t, 2, 8), down = __shfl_down_sync(~0u, t, 3, 16), x = __shfl_xor_sync(~0u, t, 5),
      i = __shfl_sync(~0u, t, 7);
  int add = __reduce_add_sync(~0u, lane), half = 0;
  if (lane < 16)
    half = __reduce_max_sync(0x0000ffffu, t);
  else
    half = __reduce_max_sync(0xffff0000u, t);
  auto tile = cg::tiled_partition<8>(cg::this_thread_block());
  int r = cg::reduce(tile, 1, cg::plus<int>());
  int any = __syncthreads_or(t == 40), cnt = __syncthreads_count(t & 1);
  int* o = out + t * 10;
  o[0] = int(b);
  o[1] = up;
  o[2] = down;
  o[3] = x;
  o[4] = i;
  o[5] = add;
  o[6] = half;
  o[7] = r;
  o[8] = any;
  o[9] = cnt;
}
__global__ void k_atomic(int* a, float* f, unsigned* m) {
  atomicAdd(a, 1);
  atomicAdd(f, 0.5f);
  atomicMax(m, blockIdx.x * blockDim.x + threadIdx.x);
}
__global__ void k_atomic_half(__half* h, __half2* h2, __nv_bfloat16* b) {
  atomicAdd(h, __float2half(0.5f));
  atomicAdd(h2, __floats2half2_rn(1, 2));
  atomicAdd(b, __float2bfloat16(1.f));
}
__global__ void k_spin(int* out) {  // waits in a loop; __nanosleep lets the others run
  __shared__ volatile int turn;
  if (threadIdx.x == 0) turn = 0;
  __syncthreads();
  while (turn != int(threadIdx.x)) __nanosleep(20);
  turn = turn + 1;
  __syncthreads();
  if (threadIdx.x == 5) *out = turn;
}
__global__ void k_named(int* out) {  // two warps hand a value over through named barriers
  __shared__ int box;
  if (threadIdx.x < 32) {
    if (threadIdx.x == 0) box = 42;
    ptx::bar_arrive(3, 64);
  } else {
    ptx::bar_sync(3, 64);
    if (threadIdx.x == 32) *out = box;
  }
}
__global__ void k_early(float* y, int n) {  // threads that leave early do not hold up __syncthreads
  if (int(threadIdx.x) >= n) return;
  __shared__ float s[64];
  s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[(threadIdx.x + 1) % n];
}
__global__ void k_coop(int* a, int* ok) {
  auto g = cg::this_grid();
  __shared__ int mine;
  if (threadIdx.x == 0) {
    mine = int(blockIdx.x) + 1;
    atomicAdd(a, mine);
  }
  g.sync();
  if (*a == int(gridDim.x * (gridDim.x + 1) / 2) && mine == int(blockIdx.x) + 1) atomicAdd(ok, 1);
}
__global__ void k_mul(float* x, float f, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= f;
}
__global__ void k_add(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

// Every block of a cluster writes into the next one's shared memory through the barrier there, and meets the others.
constexpr int kRing = 4;
__global__ void __cluster_dims__(kRing, 1, 1) k_cluster(int* out) {
  DYNAMIC_SMEM(uint64_t, memory);
  const int rank = ptx::cluster_rank();
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(memory, 1);
    ptx::fence_barrier_init();
  }
  ptx::cluster_sync();
  if (threadIdx.x == 0) ptx::mbarrier_arrive_cluster(memory, (rank + 1) % kRing);
  ptx::mbarrier_wait(memory, 0);
  if (threadIdx.x == 5) out[blockIdx.x] = rank;
  ptx::cluster_sync();
}
// One block fetches, all get it.
__global__ void __cluster_dims__(2, 1, 1) k_multicast(const __grid_constant__ CUtensorMap map, float* out) {
  DYNAMIC_SMEM(float, memory);
  uint64_t* full = reinterpret_cast<uint64_t*>(memory + 256);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(full, 1);
    ptx::fence_barrier_init();
    ptx::fence_proxy_async();
  }
  ptx::cluster_sync();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(full, 256 * 4);
    if (ptx::cluster_rank() == 1) ptx::tma_load_3d_multicast(memory, &map, 0, 0, 0, full, 3);
  }
  ptx::mbarrier_wait(full, 0);
  for (int i = int(threadIdx.x); i < 256; i += 32) out[blockIdx.x * 256 + i] = memory[i];
  ptx::cluster_sync();
}

// ---------------------------------------------------------------- bugs
// The other block may be gone.
__global__ void b_cluster_exit(float*) {
  DYNAMIC_SMEM(uint64_t, memory);
  // One thread alone is left: each time it sleeps another one starts, in any order of threads.
  if (ptx::cluster_rank() == 0 || threadIdx.x != 31) return;
  for (int i = 0; i < 5000; ++i) __nanosleep(1);
  ptx::mbarrier_arrive_cluster(memory, 0);
}
__global__ void b_missing_sync(float* y) {
  __shared__ float s[128];
  s[threadIdx.x] = threadIdx.x; /* no __syncthreads */
  y[threadIdx.x] = s[127 - threadIdx.x];
}
__global__ void b_divergent(float* y) {
  if (threadIdx.x < 32)
    __syncthreads();
  else {
    y[0] = 1;
    __syncthreads();
  }
}
__global__ void b_exited_lane(float* y, int n) {
  if (int(threadIdx.x) >= n) return;
  y[threadIdx.x] = __shfl_down_sync(~0u, 1.f, 1);
}
__global__ void b_mixed(float* y) {
  if (threadIdx.x % 2)
    y[threadIdx.x] = __shfl_sync(~0u, 1.f, 0);
  else
    __syncwarp();
}
__global__ void b_barrier_count(float*) {
  if (threadIdx.x < 32) ptx::bar_sync(1, 64);
}
__global__ void b_uninit(float* y) {
  DYNAMIC_SMEM(float, s);
  if (threadIdx.x != 3) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[(threadIdx.x + 1) % 32];
}
__global__ void b_no_wait(float* y, const float* x) {
  DYNAMIC_SMEM(float, s);
  ptx::cp_async16(s + threadIdx.x * 4, x + threadIdx.x * 4);
  ptx::cp_async_commit();
  y[threadIdx.x] = s[threadIdx.x * 4];
  ptx::cp_async_wait<0>();
}
__global__ void b_mbar(float*) {
  DYNAMIC_SMEM(uint64_t, b);
  if (threadIdx.x == 0) ptx::mbarrier_init(b, 2);
  __syncthreads();
  if (threadIdx.x == 0) ptx::mbarrier_arrive(b);
  ptx::mbarrier_wait(b, 0);
}
__global__ void b_mbar_uninit(float*) {
  DYNAMIC_SMEM(uint64_t, b);
  ptx::mbarrier_wait(b, 0);
}
__global__ void b_smem_range(float*, const float* x) {
  DYNAMIC_SMEM(float, s);
  ptx::cp_async16(s + 64, x);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
}
__global__ void b_ldsm_align(float* y) {
  DYNAMIC_SMEM(char, s);
  unsigned r[4];
  ptx::ldmatrix_x4(r, s + 8);
  y[0] = float(r[0]);
}
__global__ void b_write_past(float* y) { y[threadIdx.x] = 1; }
__global__ void b_smem_past(float* y) {
  DYNAMIC_SMEM(float, s);
  s[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}

static bool failed_with(cudaError_t e, const char* text) {
  if (e == cudaSuccess) e = cudaDeviceSynchronize();
  bool hit = e == cudaErrorLaunchFailure && std::string(tk::emulator::last_error()).find(text) != std::string::npos;
  if (!hit) printf("  expected \"%s\", got %d \"%s\"\n", text, int(e), tk::emulator::last_error());
  tk::emulator::reset_errors();
  cudaGetLastError();
  return hit;
}

int main() {
  tk::emulator::config().quiet = true;
  auto saved = tk::emulator::config();
  // primitives, in several thread orders
  for (unsigned seed = 0; seed < 20; seed++) {
    tk::emulator::config().seed = seed;
    Dev<int> o(64 * 10);
    OK(tk::cuda::launch_kernel(k_warp, 1, 64, 0, nullptr, o.p));
    auto v = o.get();
    unsigned ball = 0;
    for (int l = 0; l < 32; l++) ball |= unsigned(l % 3 == 0) << l;
    bool good = true;
    for (int t = 0; t < 64; t++) {
      int l = t % 32, *r = &v[t * 10];
      good &= unsigned(r[0]) == ball && r[1] == (l % 8 < 2 ? t : t - 2) && r[2] == (l % 16 > 12 ? t : t + 3) &&
              r[3] == (t ^ 5) && r[4] == t - l + 7;
      good &= r[5] == 496 && r[6] == (l < 16 ? t - l + 15 : t - l + 31) && r[7] == 8 && r[8] == 1 && r[9] == 32;
    }
    CHECK(good);
    Dev<int> a(1);
    Dev<float> f(1);
    Dev<unsigned> m(1);
    OK(cudaMemset(a, 0, 4));
    OK(cudaMemset(f, 0, 4));
    OK(cudaMemset(m, 0, 4));
    tk::emulator::config().threads = 2;
    OK(tk::cuda::launch_kernel(k_atomic, 50, 100, 0, nullptr, a.p, f.p, m.p));
    tk::emulator::config().threads = 1;
    CHECK(a.get()[0] == 5000 && f.get()[0] == 2500 && m.get()[0] == 4999);
    Dev<__half> ah(1);
    Dev<__half2> ah2(1);
    Dev<__nv_bfloat16> ab(1);
    OK(cudaMemset(ah, 0, 2));
    OK(cudaMemset(ah2, 0, 4));
    OK(cudaMemset(ab, 0, 2));
    OK(tk::cuda::launch_kernel(k_atomic_half, 2, 64, 0, nullptr, ah.p, ah2.p, ab.p));
    CHECK(val(ah.get()[0]) == 64 && __high2float(ah2.get()[0]) == 256 && val(ab.get()[0]) == 128);
    OK(tk::cuda::launch_kernel(k_spin, 1, 64, 0, nullptr, a.p));
    CHECK(a.get()[0] == 64);
    OK(tk::cuda::launch_kernel(k_named, 1, 64, 0, nullptr, a.p));
    CHECK(a.get()[0] == 42);
    Dev<float> y(64);
    OK(tk::cuda::launch_kernel(k_early, 1, 64, 0, nullptr, y.p, 50));
    CHECK(y.get()[49] == 1);
#ifndef TK_EMULATOR_SHARED_STATIC
    Dev<int> c(1), ok(1);
    OK(cudaMemset(c, 0, 4));
    OK(cudaMemset(ok, 0, 4));
    OK(tk::cuda::launch_cooperative(k_coop, 6, 64, 0, nullptr, c.p, ok.p));
    CHECK(ok.get()[0] == 6 * 64);
#endif
  }
  tk::emulator::config() = saved;

  // clusters, in every order
  for (unsigned seed = 0; seed < 4; seed++) {
    tk::emulator::config().seed = seed;
    Dev<int> ranks(8);
    tk::cuda::declare_cluster(k_cluster, kRing);
    OK(tk::cuda::launch_kernel(k_cluster, 8, 32, 64, nullptr, ranks.p));
    CHECK(ranks.get() == (std::vector<int>{0, 1, 2, 3, 0, 1, 2, 3}));
    CHECK(tk::cuda::launch_kernel(k_cluster, 6, 32, 64, nullptr, ranks.p) == cudaErrorInvalidClusterSize);
    cudaGetLastError();
    // TFLOAT32 elements are rounded on their way in, to the nearest and halves to even.
    std::vector<float> values = randv(256);
    values[0] = 1.0f + 0x1p-11f, values[1] = 1.0f + 0x1.8p-10f, values[2] = INFINITY;
    Dev<float> x(values), y(512);
    CUtensorMap map;
    const cuuint64_t dims[3] = {32, 8, 1}, strides[2] = {128, 1024};
    const cuuint32_t box[3] = {32, 8, 1}, steps[3] = {1, 1, 1};
    CHECK(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32, 3, x.p, dims, strides, box, steps,
                                 CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                 CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS);
    tk::cuda::declare_cluster(k_multicast, 2);
    OK(tk::cuda::launch_kernel(k_multicast, 2, 32, 2048, nullptr, map, y.p));
    const std::vector<float> got = y.get();
    CHECK(got[0] == 1.0f && got[1] == 1.0f + 0x1p-9f && got[2] == INFINITY);
    for (int i = 0; i < 256; i++) {
      CHECK(got[size_t(i)] == got[size_t(256 + i)]);
      if (i != 2) CHECK(std::fabs(got[size_t(i)] - values[size_t(i)]) <= std::fabs(values[size_t(i)]) * 0x1p-11f);
    }
  }
  tk::emulator::config() = saved;

  // bugs that change results: seen in ascending, descending or random order
  {
    int wrong = 0;
    Dev<float> y(128);
    for (unsigned seed = 0; seed < 6; seed++) {
      tk::emulator::config().seed = seed;
      tk::emulator::config().poison_static = true;
      OK(tk::cuda::launch_kernel(b_missing_sync, 1, 128, 0, nullptr, y.p));
      auto v = y.get();
      bool w = false;
      for (int i = 0; i < 128; i++) w |= v[i] != 127 - i;
      wrong += w;
    }
    printf("missing __syncthreads: wrong result in %d of 6 thread orders\n", wrong);
    CHECK(wrong > 0);
    tk::emulator::config() = saved;
    Dev<float> x(randv(128));
    OK(tk::cuda::launch_kernel(b_uninit, 1, 32, 128, nullptr, y.p));
    CHECK(std::isnan(y.get()[2]));
    OK(tk::cuda::launch_kernel(b_no_wait, 1, 32, 512, nullptr, y.p, x.p));
    CHECK(std::isnan(y.get()[0]));
    Dev<float> fresh(4);
    CHECK(std::isnan(fresh.get()[0]));
  }
  // bugs that the emulator reports
  Dev<float> y(128);
  CHECK(failed_with(tk::cuda::launch_kernel(b_divergent, 1, 64, 0, nullptr, y.p), "divergent __syncthreads"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_exited_lane, 1, 32, 0, nullptr, y.p, 20),
                    "mask 0xffffffff names lanes that have exited"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_mixed, 1, 32, 0, nullptr, y.p), "diverged warp"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_barrier_count, 1, 64, 0, nullptr, y.p), "deadlock"));
  printf("a deadlock report: %s\n", tk::emulator::last_error());
  CHECK(failed_with(tk::cuda::launch_kernel(b_mbar, 1, 32, 64, nullptr, y.p), "deadlock"));
  tk::cuda::declare_cluster(b_cluster_exit, 2);
  CHECK(failed_with(tk::cuda::launch_kernel(b_cluster_exit, 2, 32, 64, nullptr, y.p), "after the block has ended"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_mbar_uninit, 1, 32, 64, nullptr, y.p), "not initialised"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_smem_range, 1, 32, 256, nullptr, y.p, y.p), "outside the 256 bytes"));
  CHECK(failed_with(tk::cuda::launch_kernel(b_ldsm_align, 1, 32, 1024, nullptr, y.p), "not 16-byte aligned"));
#ifndef __SANITIZE_ADDRESS__
  CHECK(
      failed_with(tk::cuda::launch_kernel(b_write_past, 1, 33, 0, nullptr, y.p + 96), "past the end of the device allocation"));
  CHECK(
      failed_with(tk::cuda::launch_kernel(b_smem_past, 1, 32, 128, nullptr, y.p), "past the end of its dynamic shared memory"));
#endif
  // launch errors
  CHECK(tk::cuda::launch_kernel(b_divergent, 1, 2048, 0, nullptr, y.p) == cudaErrorInvalidConfiguration);
  CHECK(tk::cuda::launch_kernel(b_uninit, 1, 32, 60000, nullptr, y.p) == cudaErrorInvalidValue);
  cudaGetLastError();
  float host[4] = {};
  CHECK(tk::cuda::launch_kernel(k_mul, 1, 32, 0, nullptr, host, 2.f, 4) == cudaErrorIllegalAddress);
  tk::emulator::reset_errors();
  cudaGetLastError();
  CHECK(cudaMemcpy(y.p + 100, y.p, 128 * 4, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
  tk::emulator::reset_errors();
  cudaGetLastError();

  // streams: with an event the result is right in every interleaving, without it it is wrong in some
  tk::emulator::config().lazy_streams = true;
  for (bool withEvent : {true, false}) {
    int wrong = 0;
    for (int rep = 0; rep < 30; rep++) {
      cudaStream_t s1, s2;
      cudaEvent_t e;
      OK(cudaStreamCreateWithFlags(&s1, cudaStreamNonBlocking));
      OK(cudaStreamCreateWithFlags(&s2, cudaStreamNonBlocking));
      OK(cudaEventCreate(&e));
      Dev<float> a(std::vector<float>(100, 1.f)), b(std::vector<float>(100, 2.f)), c(100);
      OK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, s1, a.p, 3.f, 100));
      if (withEvent) {
        OK(cudaEventRecord(e, s1));
        OK(cudaStreamWaitEvent(s2, e, 0));
      }
      OK(tk::cuda::launch_kernel(k_add, 1, 128, 0, s2, a.p, b.p, c.p, 100));
      OK(cudaStreamSynchronize(s2));
      OK(cudaStreamSynchronize(s1));
      wrong += c.get()[0] != 5;
      OK(cudaEventDestroy(e));
      OK(cudaStreamDestroy(s1));
      OK(cudaStreamDestroy(s2));
    }
    printf("two streams %s event: wrong in %d of 30 runs\n", withEvent ? "with" : "without", wrong);
    CHECK(withEvent ? wrong == 0 : wrong > 0);
  }
  tk::emulator::config() = saved;
  // graph: capture with a fork and a join, replay
  {
    cudaStream_t s, t;
    cudaEvent_t fork, join;
    OK(cudaStreamCreate(&s));
    OK(cudaStreamCreate(&t));
    OK(cudaEventCreate(&fork));
    OK(cudaEventCreate(&join));
    Dev<float> a(std::vector<float>(100, 1.f)), b(std::vector<float>(100, 1.f)), c(100);
    cudaGraph_t g;
    cudaGraphExec_t x;
    OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    OK(cudaEventRecord(fork, s));
    OK(cudaStreamWaitEvent(t, fork, 0));
    OK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, s, a.p, 2.f, 100));
    OK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, t, b.p, 3.f, 100));
    OK(cudaEventRecord(join, t));
    OK(cudaStreamWaitEvent(s, join, 0));
    OK(tk::cuda::launch_kernel(k_add, 1, 128, 0, s, a.p, b.p, c.p, 100));
    CHECK(cudaStreamSynchronize(s) == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    OK(cudaStreamEndCapture(s, &g));
    OK(cudaGraphInstantiate(&x, g, 0));
    CHECK(a.get()[0] == 1);
    for (int i = 0; i < 3; i++) OK(cudaGraphLaunch(x, s));
    OK(cudaStreamSynchronize(s));
    CHECK(c.get()[0] == 8 + 27);
    OK(cudaGraphExecDestroy(x));
    OK(cudaGraphDestroy(g));
    OK(cudaEventDestroy(fork));
    OK(cudaEventDestroy(join));
    OK(cudaStreamDestroy(s));
    OK(cudaStreamDestroy(t));
  }
  // devices: memory, errors, streams and events of each
  {
    tk::emulator::config().devices = 2;
    int count = 0, device = 9;
    OK(cudaGetDeviceCount(&count));
    CHECK(count == 2);
    CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice && cudaSetDevice(-1) == cudaErrorInvalidDevice);
    Dev<float> a(std::vector<float>(100, 1.f));
    cudaStream_t s;
    cudaEvent_t e;
    OK(cudaStreamCreate(&s));
    OK(cudaEventCreate(&e));
    size_t before, free0, free1, total;
    OK(cudaMemGetInfo(&before, &total));
    OK(cudaSetDevice(1));
    OK(cudaGetDevice(&device));
    CHECK(device == 1);
    std::thread([] {
      int own = 9;
      OK(cudaGetDevice(&own));
      CHECK(own == 0);  // of each thread
    }).join();
    Dev<float> b(std::vector<float>(100, 2.f));
    OK(cudaMemGetInfo(&free1, &total));
    CHECK(total - free1 == 400);
    OK(cudaSetDevice(0));
    OK(cudaMemGetInfo(&free0, &total));
    CHECK(free0 == before);
    OK(cudaSetDevice(1));
    cudaPointerAttributes attributes;
    OK(cudaPointerGetAttributes(&attributes, a.p));
    CHECK(attributes.device == 0);
    // A stream, or an event, of another device.
    CHECK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, s, b.p, 2.f, 100) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventRecord(e, nullptr) == cudaErrorInvalidResourceHandle);
    cudaGetLastError();
    // Copies reach both.
    OK(cudaMemcpy(b.p, a.p, 400, cudaMemcpyDeviceToDevice));
    CHECK(b.get()[99] == 1);
    // A kernel does not, and only its own device is lost.
    CHECK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, nullptr, a.p, 2.f, 100) == cudaErrorIllegalAddress);
    CHECK(std::string(tk::emulator::last_error()).find("belongs to device 0, the launch to device 1") != std::string::npos);
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
    OK(cudaSetDevice(0));
    OK(cudaDeviceSynchronize());
    OK(tk::cuda::launch_kernel(k_mul, 1, 128, 0, s, a.p, 2.f, 100));
    OK(cudaStreamSynchronize(s));
    CHECK(a.get()[0] == 2);
    OK(cudaEventDestroy(e));
    OK(cudaStreamDestroy(s));
    tk::emulator::reset_errors();
    tk::emulator::config().devices = 1;
  }
  printf("native: %d passed, %d failed (%d checks)\n", g_fail == 0, g_fail != 0, g_checks);
  return g_fail != 0;
}
