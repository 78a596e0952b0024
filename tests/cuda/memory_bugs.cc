// Built with -fsanitize=address,undefined.  Each mode has one memory bug; the process must die of it.
#include <string>
#include "cuda/launch.cuh"
#include "device_test.h"
__global__ void g_over(float* y, int n) {
  int i = threadIdx.x;
  __syncthreads();
  if (i <= n) y[i] = 1;
}
__global__ void s_over(float* y) {
  __shared__ float s[32];
  float* p = s;
  p[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = p[threadIdx.x];
}
__global__ void s_index(float* y, int k) {
  __shared__ float s[4][33];
  s[threadIdx.x % 4][threadIdx.x + k] = 1;
  __syncthreads();
  y[threadIdx.x] = s[0][threadIdx.x];
}
__global__ void d_over(float* y) {
  DYNAMIC_SMEM(float, s);
  s[threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void misaligned(float* y) { *reinterpret_cast<float4*>(y + 1) = make_float4(0, 0, 0, 0); }
__global__ void local_over(float* y, int k) {
  float a[4] = {};
  for (int i = 0; i < k; i++) a[i] = 1;
  __syncthreads();
  y[threadIdx.x] = a[threadIdx.x % 4];
}
__global__ void fine(float* y) {
  float a[64];
  for (int i = 0; i < 64; i++) {
    a[i] = i;
    __syncwarp();
  }
  __syncthreads();
  y[threadIdx.x] = a[threadIdx.x];
}
struct Reached {
  float* y;
};
__global__ void reach(Reached to) { to.y[threadIdx.x] = 1; }
int main(int, char** argv) {
  std::string m = argv[1];
  tk::emulator::config().protect = m == "host" || m == "device";
  tk::emulator::config().devices = 2;
  Dev<float> y(32);
  if (m == "host") return y.p[3] == 0;  // the host reads device memory
  if (m == "device") OK(cudaSetDevice(1));  // and reaches into the memory of the other one
  if (m == "device") OK(tk::cuda::launch_kernel(reach, 1, 32, 0, nullptr, Reached{y.p}));
  for (int rep = 0; rep < 3; rep++) {
    OK(tk::cuda::launch_kernel(fine, 4, 32, 0, nullptr, y.p));
    if (m == "global") OK(tk::cuda::launch_kernel(g_over, 1, 64, 0, nullptr, y.p, 32));
    if (m == "free") {
      float* p;
      OK(cudaMalloc((void**)&p, 128));
      OK(cudaFree(p));
      OK(tk::cuda::launch_kernel(g_over, 1, 32, 0, nullptr, p, 31));
    }
    if (m == "shared") OK(tk::cuda::launch_kernel(s_over, 1, 32, 0, nullptr, y.p));
    if (m == "index") OK(tk::cuda::launch_kernel(s_index, 1, 32, 0, nullptr, y.p, 2));
    if (m == "dynamic") OK(tk::cuda::launch_kernel(d_over, 1, 32, 128, nullptr, y.p));
    if (m == "aligned") OK(tk::cuda::launch_kernel(misaligned, 1, 1, 0, nullptr, y.p));
    if (m == "local") OK(tk::cuda::launch_kernel(local_over, 1, 32, 0, nullptr, y.p, 5));
  }
  return g_fail;
}
