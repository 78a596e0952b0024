// What a host thread holds of the block, or cluster of blocks, that it runs: the block's threads, where they wait, and their
// fibers. Shared between scheduler.cc, collectives.cc, shared_memory.cc and grid.cc.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <vector>
#include "cuda/emulator/emulator.h"
#include "cuda/emulator/fiber.h"
#include "cuda/emulator/internal.h"

#ifdef TK_EMULATOR_TSAN
extern "C" {
void __tsan_acquire(void* addr);
void __tsan_release(void* addr);
}
#define HB_RELEASE(p) __tsan_release((void*)(p))
#define HB_ACQUIRE(p) __tsan_acquire((void*)(p))
#else
#define HB_RELEASE(p) ((void)(p))
#define HB_ACQUIRE(p) ((void)(p))
#endif

namespace tk::emulator {
// sync[]: addresses for the race detector; consecutive phases use different ones, else a thread that has
// already reached the next barrier would seem ordered before one still leaving this one.
struct Rendezvous {  // lanes of one warp that gather under one mask
  uint32_t mask, arrived, phase;
  const char *what, *file;
  int line;
  const void* in[32];
  void* out[32];
  Thread* th[32];
};
struct Warp {
  uint32_t alive, phase;
  char sync[2];
  std::vector<Rendezvous> pending;
};
struct Group {
  unsigned arrived, phase;
  char sync[2];
  const void* in[128];
  Thread* th[128];
};  // one warpgroup
struct Barrier {
  int arrived, expected, preds, last_preds;  // expected -1: all threads of the block that have not exited
  bool fenced;                               // every arriver has run fence.proxy.async
  unsigned phase;
  char sync[2];
  std::vector<Thread*> waiting;
  const char* file;
  int line;
};

struct Worker {
  Fiber main;
  Fiber* fiber = nullptr;  // running
  std::deque<Fiber> fibers;
  std::vector<Fiber*> free_fibers;
  std::vector<Thread> threads;
  std::vector<unsigned> order;  // start order
  std::vector<Thread*> ready, pollers;
  unsigned n = 0, started = 0, alive = 0;
  std::vector<Warp> warps;
  std::vector<Group> groups;
  // Of each block of the cluster: __syncthreads and the named barriers. Where there is no cluster, of the one block.
  Barrier bars[kMostCluster][16];
  Barrier cluster_bar;
  unsigned ctas = 1, per_cta = 0;  // blocks that run together, threads of one
  unsigned cta_alive[kMostCluster] = {};
  size_t cta_stride = 0;  // from one block's dynamic shared memory to the next
  std::deque<std::function<void()>> async;
  char *smem = nullptr, *smem_alloc = nullptr;
  size_t smem_bytes = 0, smem_all = 0;
  const void* static_anchor = nullptr;
  std::function<void()>* kernel = nullptr;
  bool failed = false, running = false, init_unfenced = false;
  uint32_t rng = 1;
  uint64_t switches = 0;
  char report[1500];
  ~Worker() {
    for (auto& f : fibers) unmap_stack(f);
    free(smem_alloc);
  }
};
extern __thread Worker* W;  // no owner that destroys it at the thread's end: see fill_tls

uint32_t random_u32();
void add_fiber();
Fiber* get_fiber();
// The fiber goes on, the running one is left where it is.
void switch_to(Fiber* to);
// The running fiber has nothing to do (its thread waits, or it has none): runs another one.
void reschedule();
// The running thread waits, until something makes it ready again.
void block_here(const char* what, const char* file, int line);
// Everyone has arrived: the waiting threads are ready.
void release_barrier(Barrier& b);
// What every fiber runs.
void fiber_main();
}  // namespace tk::emulator
