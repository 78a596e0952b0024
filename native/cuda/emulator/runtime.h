// State of the emulated CUDA runtime, shared between runtime.cc, runtime_api.cc and graphs.cc.
#pragma once
#include <cuda_runtime_api.h>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include "cuda/emulator/emulator.h"
#include "cuda/emulator/internal.h"

namespace tk::emulator {
struct Op {
  std::function<cudaError_t()> fn;
  int device = 0;       // on which it runs
  bool copies = false;  // reaches the memory of every device
  CUevent_st* wait = nullptr;
  uint64_t version = 0;
};
}  // namespace tk::emulator

struct CUevent_st {
  uint64_t recorded = 0, done = 0;
  double time = 0;
  CUgraph_st* capture = nullptr;
  int device = 0;
};
struct CUgraphNode_st {
  size_t index;  // among the operations of its graph
};
struct CUgraph_st {
  std::vector<tk::emulator::Op> ops;
  std::deque<CUgraphNode_st> nodes;  // of a graph made node by node
};
struct CUgraphExec_st {
  std::vector<tk::emulator::Op> ops;
};
struct CUstream_st {
  std::deque<tk::emulator::Op> q;
  CUgraph_st* capture = nullptr;
  bool origin = false, non_blocking = false;
  int device = 0;
};

namespace tk::emulator {
struct Alloc {
  size_t size;
  char kind;
  int device;
};  // 'd'evice, 'p'inned host, 'm'anaged
// What each device has of its own.
struct Device {
  std::map<const void*, int> dyn_smem_limit;
  cudaError_t sticky = cudaSuccess;
  // TK_EMULATOR_PROTECT: all memory of a device sits in one arena that is accessible only while work of that device runs
  char *arena = nullptr, *arena_top = nullptr;
  int open = 0;
  static constexpr size_t ARENA = 64ull << 30;
  size_t total = 0;
};
struct Runtime {
  std::recursive_mutex m;
  std::map<uintptr_t, Alloc> allocs;
  std::set<CUstream_st*> streams;
  CUstream_st legacy;
  std::map<const void*, BindKernel> kernels;
  std::map<const void*, unsigned> clusters;
  cudaError_t last = cudaSuccess;
  std::mt19937 rng{config().seed};
  Device devices[kMostDevices];
};

Runtime& R();
#define LOCK std::lock_guard<std::recursive_mutex> lock_(R().m)
inline Device& current() { return R().devices[t_device]; }
inline bool is_default(cudaStream_t s) { return !s || s == cudaStreamLegacy || s == cudaStreamPerThread; }
inline int device_of(cudaStream_t s) { return is_default(s) ? t_device : s->device; }
// Keeps an error for cudaGetLastError.
inline cudaError_t err(cudaError_t e) {
  if (e) R().last = e;
  return e;
}

// Memory of the current device; null where there is no more.
void* dev_alloc(size_t n);
void dev_free(void* p);
// The allocation that holds `p`, and how many bytes are left from there.
const Alloc* find(const void* p, size_t* left = nullptr);

// Runs every stream, or those that the default stream waits for, to its end.
cudaError_t drain_all(bool blocking_only = false);
// Runs streams, in turns, until `done`; the device's error, if it has one.
cudaError_t drain(int device, const std::function<bool()>& done);
// On the device of the stream.
cudaError_t submit(cudaStream_t s, Op op);
// On the device of the operation, be the stream another's: a node of a graph runs where it was made.
cudaError_t enqueue(cudaStream_t s, Op op);
// Calls that synchronise are not allowed while a stream captures.
cudaError_t capture_check();

cudaError_t check_launch(LaunchInfo& li);
void count_launch(int device);
cudaError_t copy_now(void* d, const void* s, size_t n, const char* what, bool d_dev, bool s_dev);
}  // namespace tk::emulator
