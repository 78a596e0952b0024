#include "cuda/cuda_table.h"

#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

namespace {

thread_local char g_error[256] = "";

// Keeps call, code and text of a failure and clears CUDA's own record, so that the next call starts clean.
bool failed(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return false;
  std::snprintf(g_error, sizeof g_error, "%s: %s (%s, code %d)", call, cudaGetErrorString(status), cudaGetErrorName(status),
                int(status));
  cudaGetLastError();
  return true;
}

int32_t runtime_version() {
  int version = 0;
  return failed(cudaRuntimeGetVersion(&version), "cudaRuntimeGetVersion") ? 0 : version;
}

int32_t driver_version() {
  int version = 0;
  return failed(cudaDriverGetVersion(&version), "cudaDriverGetVersion") ? 0 : version;
}

int32_t device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice) {
    cudaGetLastError();
    return 0;
  }
  return failed(status, "cudaGetDeviceCount") ? -1 : count;
}

int32_t describe_device(int32_t index, TkCudaDevice* device) {
  cudaDeviceProp properties;
  if (failed(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties")) return -1;
  std::snprintf(device->name, sizeof device->name, "%s", properties.name);
  device->compute_major = properties.major;
  device->compute_minor = properties.minor;
  device->multiprocessors = properties.multiProcessorCount;
  device->memory_bytes = properties.totalGlobalMem;
  return 0;
}

const char* last_error() { return g_error; }

const TkCudaTable kTable = {
    TK_CUDA_TABLE_VERSION, runtime_version, driver_version, device_count, describe_device, last_error, TK_CUDA_ARCHITECTURES,
};

}  // namespace

const TkCudaTable* tensorkiln_cuda_table(uint32_t version) { return version == TK_CUDA_TABLE_VERSION ? &kTable : nullptr; }
