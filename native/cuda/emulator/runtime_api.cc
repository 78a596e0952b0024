// The part of the CUDA runtime that a tensor engine's host code calls, with the real signatures
// (declared by cuda_runtime_api.h; the types opaque there are defined here).  Link this instead of cudart.
// Graphs are in graphs.cc.
//
// Streams: by default every operation runs at the call (that is a legal schedule).  With
// config().lazy_streams the work is queued and runs at a synchronisation, the runnable streams taking
// random turns, so that a missing event or a host buffer freed too early shows.
//
// Devices: each has its memory, errors and limits of kernels; a stream, an event and a node of a graph belong to the device
// that was current on the thread that made them.  A launch on a stream of another device, or with an argument that points into
// another device's memory, fails; what a kernel reaches through a structure is seen with config().protect only.
#include "cuda/emulator/runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

using namespace tk::emulator;

extern "C" {
// ---------------------------------------------------------------- errors, device
cudaError_t cudaGetLastError() {
  LOCK;
  auto e = R().last;
  R().last = current().sticky;
  return e;
}
cudaError_t cudaPeekAtLastError() { return R().last; }
const char* cudaGetErrorName(cudaError_t e) {
  return e == cudaSuccess ? "cudaSuccess" : e == cudaErrorLaunchFailure ? "cudaErrorLaunchFailure" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorLaunchFailure ? last_error() : cudaGetErrorName(e); }
cudaError_t cudaGetDeviceCount(int* n) {
  *n = config().devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* d) {
  *d = t_device;
  return cudaSuccess;
}
static bool is_device(int d) { return d >= 0 && d < config().devices; }
cudaError_t cudaSetDevice(int d) {
  if (!is_device(d)) return err(cudaErrorInvalidDevice);
  t_device = d;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* v) {
  *v = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* v) {
  *v = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  if (!is_device(d)) return err(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  strcpy(p->name, "CUDA emulator");
  p->major = 9;
  p->minor = 0;
  p->multiProcessorCount = 4;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = 2048;
  p->sharedMemPerBlock = 48 << 10;
  p->sharedMemPerBlockOptin = 232448;
  p->sharedMemPerMultiprocessor = 233472;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->totalGlobalMem = 8ull << 30;
  p->l2CacheSize = 50 << 20;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int d) {
  if (!is_device(d)) return err(cudaErrorInvalidDevice);
  switch (a) {
    case cudaDevAttrMultiProcessorCount: *v = 4; break;
    case cudaDevAttrComputeCapabilityMajor: *v = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *v = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *v = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *v = 48 << 10; break;
    case cudaDevAttrMaxThreadsPerBlock: *v = 1024; break;
    case cudaDevAttrMemoryPoolsSupported: *v = 1; break;
    default: *v = 0; return err(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  LOCK;
  if (auto e = capture_check()) return e;
  return err(drain_all());
}
cudaError_t cudaFuncSetAttribute(const void* f, cudaFuncAttribute a, int v) {
  LOCK;
  if (a == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (v > 232448) return err(cudaErrorInvalidValue);
    current().dyn_smem_limit[f] = v;
  }
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void*, int threads, size_t) {
  *n = std::max(1, std::min(32, 2048 / threads));
  return cudaSuccess;
}

// ---------------------------------------------------------------- memory
cudaError_t cudaMalloc(void** p, size_t n) {
  LOCK;
  if (!n) {
    *p = nullptr;
    return cudaSuccess;
  }
  *p = dev_alloc(n);
  return *p ? cudaSuccess : err(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* p) {
  LOCK;
  if (!p) return cudaSuccess;
  if (auto e = capture_check()) return e;
  auto it = R().allocs.find(uintptr_t(p));
  if (it == R().allocs.end()) return err(cudaErrorInvalidValue);
  drain_all();
  dev_free(p);
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return cudaMalloc(p, n); }
cudaError_t cudaFreeAsync(void* p, cudaStream_t s) {
  LOCK;
  if (!p) return cudaSuccess;
  if (!R().allocs.count(uintptr_t(p))) return err(cudaErrorInvalidValue);
  return submit(s, Op{[p] {
                  dev_free(p);
                  return cudaSuccess;
                }});
}
cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) {
  LOCK;
  if (posix_memalign(p, 4096, n ? n : 1)) return err(cudaErrorMemoryAllocation);
  R().allocs[uintptr_t(*p)] = Alloc{n, 'p', t_device};
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t n) { return cudaHostAlloc(p, n, 0); }
cudaError_t cudaFreeHost(void* p) {
  LOCK;
  if (!p) return cudaSuccess;
  if (!R().allocs.count(uintptr_t(p))) return err(cudaErrorInvalidValue);
  drain_all();
  dev_free(p);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* f, size_t* t) {
  LOCK;
  *t = 8ull << 30;
  *f = *t - std::min(*t, current().total);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  LOCK;
  memset(a, 0, sizeof *a);
  const Alloc* al = find(p);
  a->type = !al ? cudaMemoryTypeUnregistered : al->kind == 'p' ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  a->device = al ? al->device : t_device;
  a->devicePointer = al ? (void*)p : nullptr;
  a->hostPointer = al && al->kind != 'p' ? nullptr : (void*)p;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind k, cudaStream_t st) {
  LOCK;
  bool dd = k == cudaMemcpyHostToDevice || k == cudaMemcpyDeviceToDevice,
       sd = k == cudaMemcpyDeviceToHost || k == cudaMemcpyDeviceToDevice;
  if (!sd && n && !find(s)) {  // pageable source: the driver stages it before the call returns
    auto tmp = std::make_shared<std::vector<char>>((const char*)s, (const char*)s + n);
    return submit(st, Op{[=] { return copy_now(d, tmp->data(), n, "cudaMemcpyAsync", dd, sd); }, 0, true});
  }
  return submit(st, Op{[=] { return copy_now(d, s, n, "cudaMemcpyAsync", dd, sd); }, 0, true});
}
cudaError_t cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind k) {
  LOCK;
  if (auto e = capture_check()) return e;
  return cudaMemcpyAsync(d, s, n, k, nullptr);
}
cudaError_t cudaMemsetAsync(void* d, int v, size_t n, cudaStream_t st) {
  LOCK;
  return submit(st, Op{[=] {
                  size_t left;
                  if (!find(d, &left) || left < n) return cudaErrorInvalidValue;
                  memset(d, v, n);
                  return cudaSuccess;
                }});
}
cudaError_t cudaMemset(void* d, int v, size_t n) { return cudaMemsetAsync(d, v, n, nullptr); }
cudaError_t cudaMemcpyToSymbol(const void* sym, const void* s, size_t n, size_t off, cudaMemcpyKind) {
  LOCK;
  drain_all(true);
  memcpy((char*)sym + off, s, n);
  return cudaSuccess;
}

// ---------------------------------------------------------------- streams and events
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned f) {
  LOCK;
  *s = new CUstream_st;
  (*s)->device = t_device;
  (*s)->non_blocking = f & cudaStreamNonBlocking;
  R().streams.insert(*s);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithFlags(s, 0); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned f, int) { return cudaStreamCreateWithFlags(s, f); }
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  LOCK;
  if (!s) return cudaDeviceSynchronize();
  if (s->capture) return err(cudaErrorStreamCaptureUnsupported);
  return err(drain(s->device, [=] { return s->q.empty(); }));
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
  LOCK;
  return s && !s->q.empty() ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  LOCK;
  drain(s->device, [=] { return s->q.empty(); });
  R().streams.erase(s);
  delete s;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new CUevent_st;
  (*e)->device = t_device;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* e) { return cudaEventCreateWithFlags(e, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  LOCK;
  drain(e->device, [=] { return e->capture || e->done >= e->recorded; });
  delete e;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  LOCK;
  if (device_of(s) != e->device) return err(cudaErrorInvalidResourceHandle);
  e->capture = s ? s->capture : nullptr;
  if (e->capture) return cudaSuccess;  // a graph's operations are recorded, and replayed, in one legal order
  uint64_t v = ++e->recorded;
  return submit(s, Op{[=] {
                  e->done = std::max(e->done, v);
                  e->time =
                      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
                  return cudaSuccess;
                }});
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  LOCK;
  if (e->capture) {
    if (s) s->capture = e->capture;
    return cudaSuccess;
  }  // fork: s joins the capture
  if (e->recorded == 0) return cudaSuccess;
  return submit(s, Op{nullptr, 0, false, e, e->recorded});
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  LOCK;
  uint64_t v = e->recorded;
  return err(drain(e->device, [=] { return e->done >= v; }));
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
  LOCK;
  return e->done >= e->recorded ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
  if (a->device != b->device) return err(cudaErrorInvalidResourceHandle);
  *ms = float(b->time - a->time);
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void* d) {
  LOCK;
  return submit(s, Op{[=] {
                  f(d);
                  return cudaSuccess;
                }});
}
}
