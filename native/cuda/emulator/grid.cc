// Runs the blocks of a launch: each on one host thread, several at a time where config().threads says so.
#include <link.h>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#include "cuda/emulator/worker.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace tk::emulator {
__thread int t_device = 0;

// Cooperative launches: every block has its own OS thread.  grid_sync() first gathers the block, then
// one of its threads meets the other blocks.  A failed block leaves the meeting for good.
struct GridBarrier {
  std::mutex m;
  std::condition_variable cv;
  unsigned n, arrived = 0;
  uint64_t phase = 0;
  void meet() {
    std::unique_lock<std::mutex> l(m);
    uint64_t p = phase;
    if (++arrived >= n) {
      arrived = 0;
      phase++;
      cv.notify_all();
      return;
    }
    cv.wait(l, [&] { return phase != p; });
  }
  void leave() {
    std::lock_guard<std::mutex> l(m);
    n--;
    if (arrived && arrived >= n) {
      arrived = 0;
      phase++;
      cv.notify_all();
    }
  }
};
static __thread GridBarrier* t_grid;

// Every fiber runs this loop: take the next unstarted thread and call the kernel.  A kernel that never
// waits therefore runs all threads of the block in one fiber, as a plain loop.  When a thread waits,
// its fiber is parked and another fiber continues the loop.
void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  for (;;) {
    NoRace nr;
    Worker& w = *W;
    Fiber* self = w.fiber;
    HB_ACQUIRE(&w.started);
    while (w.started < w.n) {
      Thread* t = &w.threads[w.order.empty() ? w.started : w.order[w.started]];
      w.started++;
      t->fiber = self;
      cur = t;
      threadIdx = t->tid;
      blockIdx = t->block;
#ifdef TK_EMULATOR_TSAN
      nr.~NoRace();
      (*w.kernel)();
      new (&nr) NoRace;
#else
      (*w.kernel)();
#endif
      t->what = "exited";
      t->line = 0;
      if (!t->copies.empty()) fail("thread exits with cp.async copies not waited for");
      if (!t->wgmma.empty()) fail("thread exits with wgmma operations not waited for");
      w.alive--;
      w.cta_alive[t->cta]--;
      w.warps[t->warp].alive &= ~(1u << t->lane);
      for (auto& p : w.warps[t->warp].pending)
        if (p.mask >> t->lane & 1)
          fail("%s at %s:%d: mask 0x%08x names lanes that have exited", p.what, p.file, p.line, p.mask);
      Barrier& b = w.bars[t->cta][0];
      if (b.arrived && b.expected < 0 && b.arrived == int(w.cta_alive[t->cta])) release_barrier(b);
      Barrier& all = w.cluster_bar;
      if (all.arrived && all.arrived == int(w.alive)) release_barrier(all);
#ifdef TK_EMULATOR_TSAN
      HB_RELEASE(&w.alive);
      break;  // one fiber per thread, so that the race detector tells them apart
#endif
      if (random_mode() && !w.ready.empty()) break;
    }
    w.free_fibers.push_back(self);
    reschedule();
  }
}

// Fills the calling thread's TLS block of the module (executable or .so) that holds the kernel: that is
// where its static __shared__ variables are.  So such a module must have no other thread_local state
// (the emulator's own is kept).
#ifndef TK_EMULATOR_SHARED_STATIC
static int fill_tls(dl_phdr_info* info, size_t, void* func) {
  bool mine = false;
  size_t tls = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    auto& p = info->dlpi_phdr[i];
    uintptr_t lo = info->dlpi_addr + p.p_vaddr;
    if (p.p_type == PT_LOAD && uintptr_t(func) >= lo && uintptr_t(func) < lo + p.p_memsz) mine = true;
    if (p.p_type == PT_TLS) tls = p.p_memsz;
  }
  if (mine && tls && info->dlpi_tls_data) {
    auto a = threadIdx, b = blockIdx, c = blockDim, d = gridDim;
    auto e = cur;
    auto w = W;
    auto f = t_grid;
    auto device = t_device;
    asm volatile(""
                 :
                 : "r"(&W), "r"(&cur), "r"(&threadIdx), "r"(&t_grid), "r"(&t_device)
                 : "memory");  // they alias the block being filled
    memset(info->dlpi_tls_data, 0xFF, tls);
    asm volatile("" : : : "memory");
    threadIdx = a;
    blockIdx = b;
    blockDim = c;
    gridDim = d;
    cur = e;
    W = w;
    t_grid = f;
    t_device = device;
  }
  return mine;
}
#endif

static Worker& worker() {
  if (!W) {  // kept until the process ends; no thread_local owner, see fill_tls
    W = new Worker;
    adopt_stack(W->main);
    W->fiber = &W->main;
  }
  return *W;
}
// Runs block number `index`, or, for a kernel with clusters, the blocks of cluster number `index`, as one set of fibers.
static bool run_block(const LaunchInfo& li, uint64_t index, std::function<void()>& kernel) {
  Worker& w = worker();
  dim3 g = li.grid, b = li.block;
  blockDim = uint3{b.x, b.y, b.z};
  gridDim = uint3{g.x, g.y, g.z};
  const unsigned per_cta = b.x * b.y * b.z, ctas = li.cluster, n = per_cta * ctas;
  if (w.n != n || w.ctas != ctas || w.threads.empty() || w.threads[0].dim.x != b.x || w.threads[0].dim.y != b.y) {
    w.n = n;
    w.ctas = ctas;
    if (w.threads.size() < n) w.threads.resize(n);
    for (unsigned i = 0; i < n; i++) {
      Thread& t = w.threads[i];
      const unsigned at = i % per_cta;
      t.cta = i / per_cta;
      t.dim = uint3{b.x, b.y, b.z};
      t.tid = uint3{at % b.x, at / b.x % b.y, at / (b.x * b.y)};
      t.linear = at;
      t.lane = at % 32;
      t.warp = i / 32;
    }
    w.warps.resize((n + 31) / 32);
    w.groups.resize((n + 127) / 128);
  }
  w.per_cta = per_cta;
  for (unsigned i = 0; i < n; i++) {
    const uint64_t number = index * ctas + w.threads[i].cta;
    w.threads[i].block = uint3{unsigned(number % g.x), unsigned(number / g.x % g.y), unsigned(number / (uint64_t(g.x) * g.y))};
  }
  blockIdx = w.threads[0].block;
  for (unsigned c = 0; c < kMostCluster; c++) w.cta_alive[c] = c < ctas ? per_cta : 0;
  for (unsigned i = 0; i < w.warps.size(); i++) {
    w.warps[i].alive = n - i * 32 >= 32 ? ~0u : (1u << (n - i * 32)) - 1;
    w.warps[i].pending.clear();
  }
  for (auto& gr : w.groups) gr.arrived = gr.phase = 0;
  const auto clear = [](Barrier& bar) {
    bar.arrived = bar.preds = 0;
    bar.phase = 0;
    bar.waiting.clear();
  };
  for (unsigned c = 0; c < ctas; c++)
    for (auto& bar : w.bars[c]) clear(bar);
  clear(w.cluster_bar);
  unsigned seed = config().seed;
  w.order.clear();
  if (seed) {
    w.order.resize(n);
    for (unsigned i = 0; i < n; i++) w.order[i] = n - 1 - i;
    w.rng = (seed * 2654435761u) ^ (uint32_t(index) * 40503u + 12345u);
    if (!w.rng) w.rng = 1;
    if (seed > 1)
      for (unsigned i = n; i > 1; i--) std::swap(w.order[i - 1], w.order[random_u32() % i]);
  }
  w.ready.clear();
  w.pollers.clear();
  w.async.clear();
  w.started = 0;
  w.alive = n;
  w.kernel = &kernel;
  w.failed = false;
  w.init_unfenced = false;
  w.static_anchor = nullptr;
  // Dynamic shared memory: exactly as large as asked for, so that an overrun is seen by ASan.
  const size_t stride = ctas == 1 ? li.smem : (li.smem + TAIL + 1023) / 1024 * 1024, all = stride * (ctas - 1) + li.smem;
  if (li.smem != w.smem_bytes || stride != w.cta_stride || all != w.smem_all || !w.smem_alloc) {
    free(w.smem_alloc);
    void* p = nullptr;
    if (posix_memalign(&p, 1024, all + 16 * !all + TAIL)) abort();
    w.smem_alloc = w.smem = (char*)p;
    w.smem_bytes = li.smem;
    w.cta_stride = stride;
    w.smem_all = all;
  }
  for (unsigned c = 0; c < ctas; c++) {
    if (config().poison && li.smem) memset(w.smem + c * stride, 0xFF, li.smem);
    set_tail(w.smem + c * stride, li.smem);
  }
#ifndef TK_EMULATOR_SHARED_STATIC
  if (config().poison_static) dl_iterate_phdr(fill_tls, (void*)li.func);
#endif
#ifdef TK_EMULATOR_TSAN
  while (w.fibers.size() < n + 2) add_fiber();
#endif
  HB_RELEASE(&w.started);
  w.running = true;
  switch_to(get_fiber());
  w.running = false;
  HB_ACQUIRE(&w.alive);
  for (unsigned c = 0; c < ctas && !w.failed; c++) {
    if (tail_ok(w.smem + c * stride, li.smem)) continue;
    report("a block wrote past the end of its dynamic shared memory");
    w.failed = true;
  }
  if (w.failed) {  // abandoned fibers start afresh
    w.free_fibers.clear();
    for (auto& f : w.fibers) {
      f.fresh = true;
      f.tsan = nullptr;
      w.free_fibers.push_back(&f);
    }
    for (auto& t : w.threads) {
      t.copies.clear();
      t.copy_groups.clear();
      t.wgmma.clear();
      t.wgmma_groups.clear();
      for (auto* a : t.wgmma_acc) delete a;
      t.wgmma_acc.clear();
      t.wgmma_fenced = t.init_pending = t.proxy_fenced = false;
      t.bulk_stores = 0;
      t.what = nullptr;
    }
  }
  return !w.failed;
}

struct Pool {
  std::mutex m;
  std::condition_variable go, done;
  std::vector<std::thread> th;
  std::function<void()> job;
  uint64_t gen = 0;
  int active = 0;
  bool stop = false;
  explicit Pool(int n) {
    for (int i = 0; i < n; i++)
      th.emplace_back([this] {
        uint64_t seen = 0;
        for (;;) {
          std::unique_lock<std::mutex> l(m);
          go.wait(l, [&] { return stop || gen != seen; });
          if (stop) return;
          seen = gen;
          auto j = job;
          l.unlock();
          j();
          l.lock();
          if (--active == 0) done.notify_one();
        }
      });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> l(m);
      stop = true;
    }
    go.notify_all();
    for (auto& t : th) t.join();
  }
  void run(std::function<void()> j) {
    {
      std::lock_guard<std::mutex> l(m);
      job = j;
      gen++;
      active = int(th.size());
    }
    go.notify_all();
    j();
    std::unique_lock<std::mutex> l(m);
    done.wait(l, [&] { return active == 0; });
  }
};
void grid_sync(const char* file, int line) {
  if (!t_grid) fail("grid sync without a cooperative launch (%s:%d)", file, line);
  barrier(0, 0, 0, "grid sync", file, line);
  if (cur->linear == 0) t_grid->meet();  // the OS thread sleeps: no other thread of the block can run
  barrier(0, 0, 0, "grid sync", file, line);
}
static bool run_cooperative(const LaunchInfo& li, const std::function<void()>& kernel, uint64_t nb) {
  GridBarrier g;
  g.n = unsigned(nb);
  std::atomic<bool> ok{true};
  std::vector<std::thread> th;
  for (uint64_t i = 0; i < nb; i++)
    th.emplace_back([&, i] {
      t_grid = &g;
      auto k = kernel;
      if (!run_block(li, i, k)) ok = false;
      g.leave();
      delete W;
      W = nullptr;
    });
  for (auto& t : th) t.join();
  return ok;
}
cudaError_t run_grid(const LaunchInfo& li, const std::function<void()>& kernel) {
  uint64_t nb = uint64_t(li.grid.x) * li.grid.y * li.grid.z;
  stats().launches++;
  stats().blocks += nb;
  nb /= li.cluster;
  int nt = config().threads;
#if defined(TK_EMULATOR_SHARED_STATIC)
  nt = 1;
#endif
  bool ok = true;
  if (li.cooperative)
    ok = nb <= 64 && run_cooperative(li, kernel, nb);
  else if (nt <= 1 || nb == 1) {
    auto k = kernel;
    for (uint64_t i = 0; i < nb && ok; i++)  // blocks in order, or reversed
      ok = run_block(li, config().seed == 1 ? nb - 1 - i : i, k);
    stats().switches += W->switches;
    W->switches = 0;
  } else {
    static Pool pool(nt - 1);
    std::atomic<uint64_t> next{0};
    std::atomic<bool> good{true};
    std::atomic<uint64_t> sw{0};
    std::atomic<int> id{0};
    pool.run([&] {
      auto k = kernel;
#ifdef TK_EMULATOR_TSAN  // deal the blocks out in turn, so that neighbours are never ordered: finds races between blocks
      for (uint64_t i = uint64_t(id++); good && i < nb; i += uint64_t(nt))
        if (!run_block(li, i, k)) good = false;
#else
      for (uint64_t i; good && (i = next++) < nb;)
        if (!run_block(li, i, k)) good = false;
#endif
      if (W) {
        sw += W->switches;
        W->switches = 0;
      }
    });
    stats().switches += sw;
    ok = good;
  }
  return ok ? cudaSuccess : cudaErrorLaunchFailure;
}
}  // namespace tk::emulator
