// Memory, streams and launches of the emulated CUDA runtime.
#include "cuda/emulator/runtime.h"

#include <sys/mman.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace tk::emulator {
Runtime& R() {
  static Runtime* r = new Runtime;
  return *r;
}

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
static void check_tail(uintptr_t p, const Alloc& a) {
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
const Alloc* find(const void* p, size_t* left) {
  Runtime& r = R();
  auto it = r.allocs.upper_bound(uintptr_t(p));
  if (it == r.allocs.begin()) return nullptr;
  --it;
  size_t off = uintptr_t(p) - it->first;
  if (off > it->second.size) return nullptr;
  if (left) *left = it->second.size - off;
  return &it->second;
}
namespace {
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
}  // namespace

cudaError_t drain(int device, const std::function<bool()>& done) {
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
cudaError_t drain_all(bool blocking_only) {
  if (!blocking_only)
    for (auto& a : R().allocs) check_tail(a.first, a.second);
  return drain(t_device, [=] {
    for (auto* s : R().streams)
      if (!(blocking_only && s->non_blocking) && !s->q.empty()) return false;
    return true;
  });
}
cudaError_t submit(cudaStream_t s, Op op) {
  if (is_default(s)) s = nullptr;
  op.device = device_of(s);
  return enqueue(s, std::move(op));
}
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
cudaError_t capture_check() {
  for (auto* t : R().streams)
    if (t->capture) return err(cudaErrorStreamCaptureUnsupported);
  return cudaSuccess;
}

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
cudaError_t check_launch(LaunchInfo& li) {
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
void count_launch(int device) {
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
cudaError_t copy_now(void* d, const void* s, size_t n, const char* what, bool d_dev, bool s_dev) {
  size_t left;
  if ((d_dev && n && (!find(d, &left) || left < n)) || (s_dev && n && (!find(s, &left) || left < n))) {
    fprintf(stderr, "CUDA emulator: %s of %zu bytes leaves its allocation\n", what, n);
    return cudaErrorInvalidValue;
  }
  memcpy(d, s, n);
  return cudaSuccess;
}
// A kernel error is sticky on a GPU: the context is lost.  Tests need to go on.
void reset_errors() {
  LOCK;
  R().last = cudaSuccess;
  for (Device& d : R().devices) d.sticky = cudaSuccess;
}
}  // namespace tk::emulator
