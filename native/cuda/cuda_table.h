// The C table through which the engine and the CUDA library talk. Plain C types only: the library is opened at run time, and
// the two halves may come from different compilers. A change of layout raises kCudaTableVersion.
#pragma once
#include <stdint.h>

#define TK_CUDA_TABLE_VERSION 1u

#if defined(_WIN32)
#define TK_CUDA_EXPORT __declspec(dllexport)
#else
#define TK_CUDA_EXPORT __attribute__((visibility("default")))
#endif

extern "C" {

struct TkCudaDevice {
  char name[128];
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  uint64_t memory_bytes;
};

struct TkCudaTable {
  uint32_t version;
  // Versions as CUDA counts them: 1000 * major + 10 * minor. driver_version is 0 when no driver is installed.
  int32_t (*runtime_version)();
  int32_t (*driver_version)();
  // Number of devices; negative when CUDA reports an error, whose text last_error then returns.
  int32_t (*device_count)();
  // Fills `device`; 0 on success, otherwise last_error returns the text.
  int32_t (*describe_device)(int32_t index, TkCudaDevice* device);
  // Text of the calling thread's last error; never null, valid until its next call.
  const char* (*last_error)();
  // Compute capabilities the kernels were compiled for, e.g. "90a".
  const char* architectures;
};

// The library's one entry point; null when it does not know `version`.
TK_CUDA_EXPORT const TkCudaTable* tensorkiln_cuda_table(uint32_t version);
}
