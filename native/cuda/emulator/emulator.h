// Compile CUDA C++ kernels with a plain host compiler and run them on the CPU.
//
// Include this (through cuda/launch.cuh) instead of the device half of the CUDA headers.  The toolkit's own
// host-usable headers still supply the types: cuda_runtime.h, vector types, cuda_fp16.h, cuda_bf16.h.
// This file declares what only exists on the device: threadIdx, __syncthreads, shuffles, atomics, ...
//
// Model: every CUDA thread of a block is a fiber on one OS thread; blocks are spread over OS threads.
// A fiber gives up the CPU only at a barrier, a warp collective or an asynchronous wait.
#pragma once
#if defined(__CUDACC__)
#error "emulator.h is for the host compiler only; include cuda/launch.cuh"
#endif
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// __shared__: one copy per OS thread.  A block never leaves its OS thread, so that is one copy per
// running block.  "thread_local" alone at block scope implies static.  TK_EMULATOR_SHARED_STATIC (used with
// -fsanitize=address, which puts red zones around statics but not around TLS) needs one worker thread.
#undef __shared__
#ifdef TK_EMULATOR_SHARED_STATIC
#define __shared__ static
#else
#define __shared__ thread_local
#endif

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __cluster_dims__
#define __cluster_dims__(...)

#define TK_EMULATOR_SITE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()
#define TK_EMULATOR_ARGS file_, line_

// Built-in variables.  Real variables, not macros: cudaLaunchConfig_t has members of the same names.
extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;
static constexpr int warpSize = 32;

namespace tk::emulator {

// ---------------------------------------------------------------- configuration
// Set from TENSORKILN_EMULATOR, words of the form name=value: "seed=2 threads=2".
struct Config {
  unsigned seed = 0;            // seed: 0 ascending thread order, 1 descending (blocks too), above 1 random order
  int threads = 1;              // threads: OS threads that run blocks
  int devices = 1;              // devices: how many GPUs there are, 1 to 4
  bool poison = true;           // poison: fresh device and shared memory holds 0xFF (NaN) bytes
  bool poison_static = false;   // poison_static: static __shared__ too; the module must then have no other thread_local data
  bool protect = false;         // protect: device memory is PROT_NONE while no kernel or copy runs
  bool lazy_streams = false;    // lazy: stream work runs only at a synchronisation, streams randomly interleaved
  bool check_fences = true;     // fences: heuristic checks of the proxy fences
  bool abort_on_error = false;  // abort: abort() at the first kernel error
  bool quiet = false;           // quiet: kernel errors are kept and not printed
};
Config& config();
const char* last_error();  // text of the latest kernel error
void reset_errors();       // forget the sticky error (a GPU would need a new process)
struct Stats {
  uint64_t switches, launches, blocks;
};
Stats& stats();

// ---------------------------------------------------------------- one CUDA thread, as kernels' ops see it
struct Fiber;
struct AsyncCopy {
  void* dst;
  const void* src;
  unsigned bytes, src_bytes;
};
struct WgmmaOp {
  float* d;
  int n;
  uint64_t desc_a, desc_b;
  int scale_d;
  int type;  // an MmaType
  bool trans_a, trans_b;
  // A in registers: where they are, null for A in shared memory, and what they held at the issue.
  const uint32_t* registers_a = nullptr;
  uint32_t issued_a[4] = {};
};
struct WgmmaAcc {
  float* d;
  int n;
  float saved[128];
};
struct Thread {
  uint3 tid, block, dim;
  unsigned linear, lane, warp;  // linear and lane in its block, warp among those of the cluster
  unsigned cta;                 // its block's number in the cluster
  Fiber* fiber;
  const char *what, *file;  // what it waits for, for the deadlock report
  int line;
  unsigned bar_site;
  std::function<bool()>* poll;
  // asynchronous work this thread has issued: one list, groupEnd[] marks the committed groups
  std::vector<AsyncCopy> copies;
  std::vector<unsigned> copy_groups;
  std::vector<WgmmaOp> wgmma;
  std::vector<unsigned> wgmma_groups;
  std::vector<WgmmaAcc*> wgmma_acc;
  bool wgmma_fenced = false;
  unsigned wgmma_run = 0;       // how many of wgmma the current wait executes
  unsigned bulk_stores = 0;     // bulk copies to global memory under way
  bool proxy_fenced = false;    // fence.proxy.async since the last barrier
  bool barrier_fenced = false;  // every thread at the last barrier had run it
  bool init_pending = false;    // mbarrier.init without a fence yet
};
extern __thread Thread* cur;

// Called by the wait operations.  in/out are addresses on the caller's own stack; the last lane to
// arrive runs combine() for all of them and so needs no copies.
typedef void (*Combine)(const void* const* in, void* const* out, uint32_t mask);
void warp_rendezvous(uint32_t mask, const void* in, void* out, Combine f, const char* what, const char* file, int line);
void warpgroup_rendezvous(const void* in, void (*f)(const void* const* in), const char* what, const char* file, int line);
int barrier(int id, int count, int pred, const char* what, const char* file, int line);  // returns number of preds set
void barrier_arrive(int id, int count, const char* file, int line);
void wait_until(std::function<bool()> ready, const char* what, const char* file, int line);
void grid_sync(const char* file, int line);  // cooperative launches only
void yield_now();
void yield_random();                           // a random-mode scheduling point
void enqueue_async(std::function<void()> op);  // block-level asynchronous engine (bulk copies)
[[noreturn]] void fail(const char* fmt, ...) __attribute__((format(printf, 1, 2)));
void* dynamic_smem();
size_t dynamic_smem_bytes();
bool random_mode();
uint32_t random_u32();

// 32-bit shared-memory addresses, as __cvta_generic_to_shared gives them on the device.
uint32_t smem_addr(const void* p);
// Bounds-checked. cta: the block of the cluster that a plain address belongs to, -1 for the calling thread's.
void* smem_ptr(uint32_t addr, size_t bytes, const char* what, int cta = -1);

// Clusters: up to 8 blocks, neighbours along x, that run together and reach each other's dynamic shared memory. Static shared
// variables are one for all blocks here, so a kernel with clusters must have none.
constexpr unsigned kMostCluster = 8;
void cluster_barrier(const char* file, int line);
unsigned cluster_rank();
unsigned cluster_size();
void* cluster_map(const void* own, unsigned rank);      // the same place in another block's memory
void set_cluster(const void* kernel, unsigned blocks);  // what __cluster_dims__ says under nvcc

template <class T>
inline T poison_value() {
  T t;
  memset(&t, 0xFF, sizeof t);
  return t;
}

// ---------------------------------------------------------------- launch
struct LaunchInfo {
  dim3 grid, block;
  size_t smem;
  const void* func;
  bool cooperative;
  unsigned cluster = 1;
};
cudaError_t launch_closure(const LaunchInfo& li, cudaStream_t s, std::function<void()> per_thread);
bool check_pointer_arg(const void* p);
void bad_pointer_arg(int index, const void* p);

template <class T>
inline void check_arg(int i, const T& v) {
  if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>)
    if (v && !check_pointer_arg((const void*)v)) bad_pointer_arg(i, (const void*)v);
}
template <class... P, class... A>
cudaError_t launch_any(bool cooperative, void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s, A&&... a) {
  static_assert(sizeof...(P) == sizeof...(A), "wrong number of kernel arguments");
  std::tuple<std::decay_t<P>...> args(std::forward<A>(a)...);
  std::apply(
      [](auto&... v) {
        int i = 0;
        (check_arg(i++, v), ...);
      },
      args);
  LaunchInfo li{grid, block, smem, (const void*)k, cooperative, 1};
  return launch_closure(li, s, [k, args = std::move(args)]() mutable { std::apply([&](auto&... v) { k(v...); }, args); });
}
template <class... P, class... A>
cudaError_t launch(void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s, A&&... a) {
  return launch_any(false, k, grid, block, smem, s, std::forward<A>(a)...);
}
template <class... P, class... A>  // all blocks at once, one OS thread each, so keep the grid small
cudaError_t launch_cooperative(void (*k)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t s, A&&... a) {
  return launch_any(true, k, grid, block, smem, s, std::forward<A>(a)...);
}

// Graph nodes name a kernel by its address only; what its parameters are, the driver knows from the code and the emulator from
// here. Copies the parameters and gives what one thread does.
using BindKernel = std::function<std::function<void()>(void** parameters)>;
void register_kernel(const void* kernel, BindKernel bind);
template <class... P>
void register_kernel(void (*k)(P...)) {
  register_kernel((const void*)k, [k](void** parameters) -> std::function<void()> {
    return [&]<size_t... I>(std::index_sequence<I...>)->std::function<void()> {
      static_assert((std::is_trivially_copyable_v<std::decay_t<P>> && ...), "the parameters of a kernel are copied as bytes");
      std::tuple<std::decay_t<P>...> args(*static_cast<const std::decay_t<P>*>(parameters[I])...);
      return [k, args]() mutable { std::apply([&](auto&... v) { k(v...); }, args); };
    }
    (std::index_sequence_for<P...>());
  });
}

// ---------------------------------------------------------------- warp collectives
enum { SHFL_IDX, SHFL_UP, SHFL_DOWN, SHFL_XOR };
template <class T>
struct ShflIn {
  T v;
  int src;
};
template <class T>
T shfl(uint32_t mask, T v, int mode, int arg, int width, const char* file, int line) {
  int lane = cur->lane, lo = lane & ~(width - 1), hi = lo + width - 1, src;
  switch (mode) {
    case SHFL_IDX: src = lo | (arg & (width - 1)); break;
    case SHFL_UP: src = lane - arg < lo ? lane : lane - arg; break;
    case SHFL_DOWN: src = lane + arg > hi ? lane : lane + arg; break;
    default: src = (lane ^ arg) > hi ? lane : lane ^ arg; break;
  }
  ShflIn<T> in{v, src};
  T out = poison_value<T>();  // what a lane outside the mask would give: undefined on the device
  warp_rendezvous(
      mask, &in, &out,
      [](const void* const* in, void* const* out, uint32_t m) {
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) {
            auto* mine = (const ShflIn<T>*)in[l];
            if (m >> mine->src & 1) *(T*)out[l] = ((const ShflIn<T>*)in[mine->src])->v;
          }
      },
      "__shfl_sync", file, line);
  return out;
}
// All-to-all reduction of one value per lane; R(acc, v) folds in lane order.
template <class T, class O, class R>
O warp_reduce(uint32_t mask, T v, R, const char* what, const char* file, int line) {
  O out{};
  warp_rendezvous(
      mask, &v, &out,
      [](const void* const* in, void* const* out, uint32_t m) {
        O acc{};
        bool first = true;
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) {
            R()(acc, *(const T*)in[l], l, first);
            first = false;
          }
        for (int l = 0; l < 32; l++)
          if (m >> l & 1) *(O*)out[l] = acc;
      },
      what, file, line);
  return out;
}
struct RBallot {
  void operator()(unsigned& a, int v, int l, bool) { a |= unsigned(v != 0) << l; }
};
struct RAdd {
  template <class T>
  void operator()(T& a, T v, int, bool) {
    a += v;
  }
};
struct RMin {
  template <class T>
  void operator()(T& a, T v, int, bool f) {
    a = f ? v : std::min(a, v);
  }
};
struct RMax {
  template <class T>
  void operator()(T& a, T v, int, bool f) {
    a = f ? v : std::max(a, v);
  }
};
}  // namespace tk::emulator

// ================================================================ device built-ins
inline void __syncthreads(TK_EMULATOR_SITE) { tk::emulator::barrier(0, 0, 0, "__syncthreads", TK_EMULATOR_ARGS); }
inline int __syncthreads_count(int p, TK_EMULATOR_SITE) {
  return tk::emulator::barrier(0, 0, p != 0, "__syncthreads_count", TK_EMULATOR_ARGS);
}
inline int __syncthreads_or(int p, TK_EMULATOR_SITE) {
  return tk::emulator::barrier(0, 0, p != 0, "__syncthreads_or", TK_EMULATOR_ARGS) != 0;
}
inline int __syncthreads_and(int p, TK_EMULATOR_SITE) {
  return tk::emulator::barrier(0, 0, p == 0, "__syncthreads_and", TK_EMULATOR_ARGS) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, TK_EMULATOR_SITE) {
  tk::emulator::warp_rendezvous(
      mask, nullptr, nullptr, [](const void* const*, void* const*, uint32_t) {}, "__syncwarp", TK_EMULATOR_ARGS);
}
template <class T>
T __shfl_sync(unsigned m, T v, int src, int w = 32, TK_EMULATOR_SITE) {
  return tk::emulator::shfl(m, v, tk::emulator::SHFL_IDX, src, w, TK_EMULATOR_ARGS);
}
template <class T>
T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32, TK_EMULATOR_SITE) {
  return tk::emulator::shfl(m, v, tk::emulator::SHFL_UP, int(d), w, TK_EMULATOR_ARGS);
}
template <class T>
T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32, TK_EMULATOR_SITE) {
  return tk::emulator::shfl(m, v, tk::emulator::SHFL_DOWN, int(d), w, TK_EMULATOR_ARGS);
}
template <class T>
T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, TK_EMULATOR_SITE) {
  return tk::emulator::shfl(m, v, tk::emulator::SHFL_XOR, x, w, TK_EMULATOR_ARGS);
}
inline unsigned __ballot_sync(unsigned m, int p, TK_EMULATOR_SITE) {
  return tk::emulator::warp_reduce<int, unsigned>(m, p, tk::emulator::RBallot(), "__ballot_sync", TK_EMULATOR_ARGS);
}
inline int __any_sync(unsigned m, int p, TK_EMULATOR_SITE) { return __ballot_sync(m, p, TK_EMULATOR_ARGS) != 0; }
inline int __all_sync(unsigned m, int p, TK_EMULATOR_SITE) { return __ballot_sync(m, !p, TK_EMULATOR_ARGS) == 0; }
#define TK_EMULATOR_REDUX(T)                                                                                   \
  inline T __reduce_add_sync(unsigned m, T v, TK_EMULATOR_SITE) {                                              \
    return tk::emulator::warp_reduce<T, T>(m, v, tk::emulator::RAdd(), "__reduce_add_sync", TK_EMULATOR_ARGS); \
  }                                                                                                            \
  inline T __reduce_min_sync(unsigned m, T v, TK_EMULATOR_SITE) {                                              \
    return tk::emulator::warp_reduce<T, T>(m, v, tk::emulator::RMin(), "__reduce_min_sync", TK_EMULATOR_ARGS); \
  }                                                                                                            \
  inline T __reduce_max_sync(unsigned m, T v, TK_EMULATOR_SITE) {                                              \
    return tk::emulator::warp_reduce<T, T>(m, v, tk::emulator::RMax(), "__reduce_max_sync", TK_EMULATOR_ARGS); \
  }
TK_EMULATOR_REDUX(int)
TK_EMULATOR_REDUX(unsigned)

// Fences: one OS thread runs the block, so only other blocks can notice.
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __threadfence(); }
inline void __nanosleep(unsigned) { tk::emulator::yield_now(); }
[[noreturn]] inline void __trap() { tk::emulator::fail("__trap()"); }

// ---------------------------------------------------------------- atomics (real ones: blocks may run in parallel)
namespace tk::emulator {
template <class T, class F>
T atomic_rmw(T* p, F f) {
  yield_random();
  using U = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
  U old = __atomic_load_n((U*)p, __ATOMIC_RELAXED), nw;
  T o;
  do {
    memcpy((void*)&o, &old, sizeof o);
    T n = f(o);
    memcpy(&nw, &n, sizeof n);
  } while (!__atomic_compare_exchange_n((U*)p, &old, nw, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return o;
}
}  // namespace tk::emulator
template <class T>
T atomicAdd(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return T(o + v); });
}
template <class T>
T atomicSub(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return T(o - v); });
}
template <class T>
T atomicMax(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o > v ? o : v; });
}
template <class T>
T atomicMin(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o < v ? o : v; });
}
template <class T>
T atomicExch(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T) { return v; });
}
template <class T>
T atomicAnd(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o & v; });
}
template <class T>
T atomicOr(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o | v; });
}
template <class T>
T atomicXor(T* p, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o ^ v; });
}
template <class T>
T atomicCAS(T* p, std::common_type_t<T> c, std::common_type_t<T> v) {
  return tk::emulator::atomic_rmw(p, [=](T o) { return o == c ? v : o; });
}
inline unsigned atomicInc(unsigned* p, unsigned lim) {
  return tk::emulator::atomic_rmw(p, [=](unsigned o) { return o >= lim ? 0u : o + 1; });
}

// ---------------------------------------------------------------- loads, bits, maths
template <class T>
inline T __ldg(const T* p) {
  return *p;
}
template <class T>
inline T __ldcs(const T* p) {
  return *p;
}
template <class T>
inline T __ldcg(const T* p) {
  return *p;
}
template <class T>
inline void __stcs(T* p, T v) {
  *p = v;
}
template <class T>
inline void __stcg(T* p, T v) {
  *p = v;
}
template <class D, class S>
inline D emulator_bits(S s) {
  D d;
  static_assert(sizeof d == sizeof s);
  memcpy(&d, &s, sizeof d);
  return d;
}
inline int __float_as_int(float f) { return emulator_bits<int>(f); }
inline unsigned __float_as_uint(float f) { return emulator_bits<unsigned>(f); }
inline float __int_as_float(int i) { return emulator_bits<float>(i); }
inline float __uint_as_float(unsigned i) { return emulator_bits<float>(i); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (v >> i & 1) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
inline float __saturatef(float a) { return a < 0 ? 0 : a > 1 ? 1 : a; }
// The pieces of cuda_fp16.h / cuda_bf16.h that have no host path (CUDA 13.0): fma and the maths functions.
#define TK_EMULATOR_HALF(T, TO, FROM)                                        \
  inline T __hfma(T a, T b, T c) { return FROM(fmaf(TO(a), TO(b), TO(c))); } \
  inline T hexp(T a) { return FROM(expf(TO(a))); }                           \
  inline T hlog(T a) { return FROM(logf(TO(a))); }                           \
  inline T hsqrt(T a) { return FROM(sqrtf(TO(a))); }                         \
  inline T hrsqrt(T a) { return FROM(1.0f / sqrtf(TO(a))); }                 \
  inline T htanh(T a) { return FROM(tanhf(TO(a))); }                         \
  inline T hrcp(T a) { return FROM(1.0f / TO(a)); }
TK_EMULATOR_HALF(__half, __half2float, __float2half_rn)
TK_EMULATOR_HALF(__nv_bfloat16, __bfloat162float, __float2bfloat16_rn)
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) { return __half2(__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)); }
inline __nv_bfloat162 __hfma2(__nv_bfloat162 a, __nv_bfloat162 b, __nv_bfloat162 c) {
  return __nv_bfloat162(__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y));
}
