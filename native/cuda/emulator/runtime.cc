// The part of the CUDA runtime that a tensor engine's host code calls, with the real signatures
// (declared by cuda_runtime_api.h; the types opaque there are defined here).  Link this instead of cudart.
//
// Streams: by default every operation runs at the call (that is a legal schedule).  With
// config().lazy_streams the work is queued and runs at a synchronisation, the runnable streams taking
// random turns, so that a missing event or a host buffer freed too early shows.
//
// Devices: each has its memory, errors and limits of kernels; a stream, an event and a node of a graph belong to the device
// that was current on the thread that made them.  A launch on a stream of another device, or with an argument that points into
// another device's memory, fails; what a kernel reaches through a structure is seen with config().protect only.
#include <sys/mman.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include "cuda/emulator/emulator.h"
#include "cuda/emulator/internal.h"

struct CUevent_st {
  uint64_t recorded = 0, done = 0;
  double time = 0;
  CUgraph_st* capture = nullptr;
  int device = 0;
};
namespace {
struct Op {
  std::function<cudaError_t()> fn;
  int device = 0;       // on which it runs
  bool copies = false;  // reaches the memory of every device
  CUevent_st* wait = nullptr;
  uint64_t version = 0;
};
}  // namespace
struct CUgraphNode_st {
  size_t index;  // among the operations of its graph
};
struct CUgraph_st {
  std::vector<Op> ops;
  std::deque<CUgraphNode_st> nodes;  // of a graph made node by node
};
struct CUgraphExec_st {
  std::vector<Op> ops;
};
struct CUstream_st {
  std::deque<Op> q;
  CUgraph_st* capture = nullptr;
  bool origin = false, non_blocking = false;
  int device = 0;
};

namespace tk::emulator {
namespace {
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
Runtime& R() {
  static Runtime* r = new Runtime;
  return *r;
}
Device& current() { return R().devices[t_device]; }
bool is_default(cudaStream_t s) { return !s || s == cudaStreamLegacy || s == cudaStreamPerThread; }
int device_of(cudaStream_t s) { return is_default(s) ? t_device : s->device; }
cudaError_t err(cudaError_t e) {
  if (e) R().last = e;
  return e;
}
#define LOCK std::lock_guard<std::recursive_mutex> lock_(R().m)

// The driver rounds allocations up, so small overruns stay silent on a GPU; here the size is exact.
void* dev_alloc(size_t n) {
  Device& r = current();
  void* p = nullptr;
  if (config().protect) {
    if (!r.arena)
      r.arena = r.arena_top = (char*)mmap(nullptr, r.ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t bytes = (n + 8191) & ~size_t(4095);  // an unused page stays behind each allocation
    p = r.arena_top;
    r.arena_top += bytes;
    mprotect(p, bytes, PROT_READ | PROT_WRITE);
    if (config().poison) memset(p, 0xFF, n);
    if (!r.open) mprotect(p, bytes, PROT_NONE);
  } else {
    if (posix_memalign(&p, 256, n + TAIL)) return nullptr;
    if (config().poison) memset(p, 0xFF, n);
    set_tail(p, n);
  }
  R().allocs[uintptr_t(p)] = Alloc{n, 'd', t_device};
  r.total += n;
  return p;
}
// Checked at synchronisation (all allocations) and at free.
void check_tail(uintptr_t p, const Alloc& a) {
  if (a.kind != 'd' || config().protect || tail_ok((void*)p, a.size)) return;
  char b[120];
  snprintf(b, sizeof b, "something wrote past the end of the device allocation of %zu bytes at %p", a.size, (void*)p);
  report(b);
  R().devices[a.device].sticky = cudaErrorLaunchFailure;
  set_tail((void*)p, a.size);
}
void dev_free(void* p) {
  Runtime& r = R();
  auto it = r.allocs.find(uintptr_t(p));
  check_tail(it->first, it->second);
  if (it->second.kind == 'd') r.devices[it->second.device].total -= it->second.size;
  if (config().protect && it->second.kind == 'd')
    madvise(p, (it->second.size + 4095) & ~size_t(4095), MADV_DONTNEED);  // address never reused
  else
    free(p);
  r.allocs.erase(it);
}
const Alloc* find(const void* p, size_t* left = nullptr) {
  Runtime& r = R();
  auto it = r.allocs.upper_bound(uintptr_t(p));
  if (it == r.allocs.begin()) return nullptr;
  --it;
  size_t off = uintptr_t(p) - it->first;
  if (off > it->second.size) return nullptr;
  if (left) *left = it->second.size - off;
  return &it->second;
}
struct DeviceSection {  // the memory of the operation's device is accessible inside
  int first, end;
  explicit DeviceSection(const Op& op) : first(op.copies ? 0 : op.device), end(op.copies ? kMostDevices : op.device + 1) {
    for (int i = first; i < end; i++) {
      Device& d = R().devices[i];
      if (d.open++ == 0 && d.arena) mprotect(d.arena, d.arena_top - d.arena, PROT_READ | PROT_WRITE);
    }
  }
  ~DeviceSection() {
    for (int i = first; i < end; i++) {
      Device& d = R().devices[i];
      if (--d.open == 0 && d.arena) mprotect(d.arena, d.arena_top - d.arena, PROT_NONE);
    }
  }
};

// ---------------------------------------------------------------- streams
bool runnable(CUstream_st* s) {
  return !s->q.empty() && (!s->q.front().wait || s->q.front().wait->done >= s->q.front().version);
}
cudaError_t run_op(Op& op) {
  if (!op.fn) return cudaSuccess;
  DeviceSection d(op);
  cudaError_t e = op.fn();
  if (e) R().devices[op.device].sticky = e;
  return e;
}
template <class Done>
cudaError_t drain(int device, Done done) {
  Runtime& r = R();
  while (!done()) {
    std::vector<CUstream_st*> c;
    for (auto* s : r.streams)
      if (runnable(s)) c.push_back(s);
    if (c.empty()) {
      fprintf(stderr, "CUDA emulator: streams wait for an event that is never recorded\n");
      return cudaErrorLaunchTimeout;
    }
    CUstream_st* s = c[r.rng() % c.size()];
    Op op = std::move(s->q.front());
    s->q.pop_front();
    run_op(op);
  }
  return r.devices[device].sticky;
}
cudaError_t drain_all(bool blocking_only = false) {
  if (!blocking_only)
    for (auto& a : R().allocs) check_tail(a.first, a.second);
  return drain(t_device, [=] {
    for (auto* s : R().streams)
      if (!(blocking_only && s->non_blocking) && !s->q.empty()) return false;
    return true;
  });
}
cudaError_t enqueue(cudaStream_t s, Op op);
cudaError_t submit(cudaStream_t s, Op op) {
  if (is_default(s)) s = nullptr;
  op.device = device_of(s);
  return enqueue(s, std::move(op));
}
// On the device of the operation, be the stream another's: a node of a graph runs where it was made.
cudaError_t enqueue(cudaStream_t s, Op op) {
  Runtime& r = R();
  if (const auto lost = r.devices[op.device].sticky) return err(lost);
  if (s && s->capture) {
    s->capture->ops.push_back(std::move(op));
    return cudaSuccess;
  }
  if (!s) {
    for (auto* t : r.streams)
      if (t->capture && !t->non_blocking) return err(cudaErrorStreamCaptureImplicit);
    drain_all(true);
    return err(run_op(op));
  }
  if (!config().lazy_streams) return err(run_op(op));
  s->q.push_back(std::move(op));
  return cudaSuccess;
}
cudaError_t capture_check() {  // calls that synchronise are not allowed while a stream captures
  for (auto* t : R().streams)
    if (t->capture) return err(cudaErrorStreamCaptureUnsupported);
  return cudaSuccess;
}
}  // namespace

bool check_pointer_arg(const void* p) {
  LOCK;
  const Alloc* a = find(p);
  return a && (a->kind != 'd' || a->device == t_device);
}
void bad_pointer_arg(int i, const void* p) {
  LOCK;
  const Alloc* a = find(p);
  char text[120];
  if (a) {
    snprintf(text, sizeof text, "kernel argument %d: %p belongs to device %d, the launch to device %d", i, p, a->device,
             t_device);
  } else {
    snprintf(text, sizeof text, "kernel argument %d: %p is not device or pinned memory", i, p);
  }
  report(text);
  current().sticky = cudaErrorIllegalAddress;
}
void set_cluster(const void* kernel, unsigned blocks) {
  LOCK;
  R().clusters[kernel] = blocks;
}
static cudaError_t check_launch(LaunchInfo& li) {
  auto cluster = R().clusters.find(li.func);
  li.cluster = cluster == R().clusters.end() ? 1 : cluster->second;
  if (li.cluster > kMostCluster || li.grid.x % li.cluster) return cudaErrorInvalidClusterSize;
  auto& g = li.grid;
  auto& b = li.block;
  uint64_t n = uint64_t(b.x) * b.y * b.z;
  if (!n || n > 1024 || b.z > 64 || !g.x || !g.y || !g.z || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
    return cudaErrorInvalidConfiguration;
  auto& limits = current().dyn_smem_limit;
  auto it = limits.find(li.func);
  return li.smem > size_t(it == limits.end() ? 48 << 10 : it->second) ? cudaErrorInvalidValue : cudaSuccess;
}
static void count_launch(int device) {
  static unsigned launches = 0;
  config();  // reads the environment
  if (g_lose_at != 0 && ++launches == g_lose_at) {
    R().devices[device].sticky = cudaErrorLaunchFailure;
    report("the device was lost, as TENSORKILN_EMULATOR asks");
  }
}
void register_kernel(const void* kernel, BindKernel bind) {
  LOCK;
  R().kernels.try_emplace(kernel, std::move(bind));
}
cudaError_t launch_closure(const LaunchInfo& given, cudaStream_t s, std::function<void()> per_thread) {
  LOCK;
  LaunchInfo li = given;
  if (device_of(s) != t_device) return err(cudaErrorInvalidResourceHandle);
  if (auto e = check_launch(li)) return err(e);
  count_launch(t_device);
  return submit(s, Op{[li, f = std::move(per_thread)] { return run_grid(li, f); }});
}
static cudaError_t copy_now(void* d, const void* s, size_t n, const char* what, bool d_dev, bool s_dev) {
  size_t left;
  if ((d_dev && n && (!find(d, &left) || left < n)) || (s_dev && n && (!find(s, &left) || left < n))) {
    fprintf(stderr, "CUDA emulator: %s of %zu bytes leaves its allocation\n", what, n);
    return cudaErrorInvalidValue;
  }
  memcpy(d, s, n);
  return cudaSuccess;
}
}  // namespace tk::emulator
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

// ---------------------------------------------------------------- graphs
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  LOCK;
  if (!s || s->capture) return err(cudaErrorStreamCaptureUnsupported);
  s->capture = new CUgraph_st;
  s->origin = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  LOCK;
  if (!s->capture || !s->origin) return err(cudaErrorIllegalState);
  *g = s->capture;
  s->origin = false;
  for (auto* t : R().streams)
    if (t->capture == *g) t->capture = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* st) {
  *st = s && s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphCreate(cudaGraph_t* g, unsigned) {
  *g = new CUgraph_st;
  return cudaSuccess;
}
// Nodes run in the order in which they were added; a graph whose dependencies allow more is run in this legal one.
static cudaError_t add_node(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count, Op op) {
  for (size_t i = 0; i < count; i++)
    if (before[i]->index >= g->ops.size() || &g->nodes[before[i]->index] != before[i]) return err(cudaErrorInvalidValue);
  g->nodes.push_back({g->ops.size()});
  g->ops.push_back(std::move(op));
  *node = &g->nodes.back();
  return cudaSuccess;
}
static cudaError_t kernel_op(const cudaKernelNodeParams* p, Op* op) {
  auto found = R().kernels.find(p->func);
  if (found == R().kernels.end()) return cudaErrorInvalidDeviceFunction;
  LaunchInfo li{p->gridDim, p->blockDim, p->sharedMemBytes, p->func, false, 1};
  if (auto e = check_launch(li)) return e;
  *op = Op{[li, device = t_device, f = found->second(p->kernelParams)] {
             count_launch(device);
             const auto lost = R().devices[device].sticky;
             return lost ? lost : run_grid(li, f);
           },
           t_device};
  return cudaSuccess;
}
static Op copy_op(void* d, const void* s, size_t n) {
  return Op{[=] { return copy_now(d, s, n, "a copy of a graph", true, true); }, t_device, true};
}
static Op fill_op(const cudaMemsetParams& p) {
  return Op{[p] {
              size_t left;
              if (p.height != 1 || p.elementSize != 1 || !find(p.dst, &left) || left < p.width) return cudaErrorInvalidValue;
              memset(p.dst, int(p.value), p.width);
              return cudaSuccess;
            },
            t_device};
}
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count,
                                   const cudaKernelNodeParams* p) {
  LOCK;
  Op op;
  if (auto e = kernel_op(p, &op)) return err(e);
  return add_node(node, g, before, count, std::move(op));
}
cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count, void* d,
                                     const void* s, size_t n, cudaMemcpyKind k) {
  LOCK;
  if (k != cudaMemcpyDeviceToDevice) return err(cudaErrorNotSupported);
  return add_node(node, g, before, count, copy_op(d, s, n));
}
cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count,
                                   const cudaMemsetParams* p) {
  LOCK;
  return add_node(node, g, before, count, fill_op(*p));
}
// New parameters hold for launches to come: those under way keep their own copies.
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node, const cudaKernelNodeParams* p) {
  LOCK;
  Op op;
  if (auto failed = kernel_op(p, &op)) return err(failed);
  e->ops[node->index] = std::move(op);
  return cudaSuccess;
}
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t e, cudaGraphNode_t node, void* d, const void* s, size_t n,
                                               cudaMemcpyKind k) {
  LOCK;
  if (k != cudaMemcpyDeviceToDevice) return err(cudaErrorNotSupported);
  e->ops[node->index] = copy_op(d, s, n);
  return cudaSuccess;
}
cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node, const cudaMemsetParams* p) {
  LOCK;
  e->ops[node->index] = fill_op(*p);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  *e = new CUgraphExec_st{g->ops};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  LOCK;
  for (auto& op : e->ops)
    if (auto r = enqueue(s, op)) return r;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  delete g;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
  delete e;
  return cudaSuccess;
}
}
// A kernel error is sticky on a GPU: the context is lost.  Tests need to go on.
namespace tk::emulator {
void reset_errors() {
  LOCK;
  R().last = cudaSuccess;
  for (Device& d : R().devices) d.sticky = cudaSuccess;
}
}  // namespace tk::emulator
