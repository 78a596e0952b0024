// Built with -fsanitize=thread: every CUDA thread is a fiber known to the race detector, and only the
// emulated barriers order them, so one run finds a race whatever the schedule.
#include <string>
#include "cuda/launch.cuh"
#include "device_test.h"
__global__ void ok_sync(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}
__global__ void no_sync(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = threadIdx.x;
  y[threadIdx.x] = s[63 - threadIdx.x];
}
__global__ void no_second_sync(float* y) {  // write after read: the first loop's reads race with the second loop's writes
  __shared__ float s[64];
  float v = 0;
  for (int i = 0; i < 2; i++) {
    s[threadIdx.x] = threadIdx.x + i;
    __syncthreads();
    v += s[63 - threadIdx.x];
  }
  y[threadIdx.x] = v;
}
__global__ void warp_ok(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = threadIdx.x;
  __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 1];
}
__global__ void warp_bad(float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = threadIdx.x;
  __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 32];
}
__global__ void global_bad(float* y) { y[threadIdx.x / 2] += 1; }
__global__ void global_atomic(float* y) { atomicAdd(y + threadIdx.x / 2, 1.f); }
__global__ void blocks_bad(float* y) {
  if (threadIdx.x == 0) y[0] += 1;
}
__global__ void blocks_ok(float* y) {
  if (threadIdx.x == 0) atomicAdd(y, 1.f);
}
int main(int argc, char** argv) {
  Dev<float> y(64);
  std::string m = argc > 1 ? argv[1] : "ok";
  auto run = [&](const char* n, auto k) {
    if (m == n)
      OK(tk::cuda::launch_kernel(k, std::string(n) == "blocks_bad" || (void*)k == (void*)blocks_ok ? 4 : 1, 64, 0, nullptr,
                                 y.p));
  };
  run("ok", ok_sync);
  run("ok", warp_ok);
  run("ok", global_atomic);
  run("no_sync", no_sync);
  run("no_second_sync", no_second_sync);
  run("warp_bad", warp_bad);
  run("global_bad", global_bad);
  run("ok", blocks_ok);
  run("blocks_bad", blocks_bad);
  return g_fail;
}
