// Fibers, barriers, warp collectives and the block scheduler.  See emulator.h for the model.
// Under -fsanitize=thread compile this file WITHOUT the flag (define TK_EMULATOR_TSAN instead): the scheduler
// moves between fibers on purpose; only the kernels should be instrumented.
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <atomic>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
#include "cuda/emulator/emulator.h"
#include "cuda/emulator/internal.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TK_EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* addr);
void __tsan_release(void* addr);
}
#define HB_RELEASE(p) __tsan_release((void*)(p))
#define HB_ACQUIRE(p) __tsan_acquire((void*)(p))
#else
#define HB_RELEASE(p) ((void)(p))
#define HB_ACQUIRE(p) ((void)(p))
#endif

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

// ---------------------------------------------------------------- context switch
// tk_emulator_switch(save, next): push the callee-saved registers, store sp in *save, load next, pop, return.
#if defined(TK_EMULATOR_UCONTEXT)
#include <ucontext.h>
#elif defined(__x86_64__)
asm(R"(.text
.globl tk_emulator_switch
.type tk_emulator_switch,@function
tk_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tk_emulator_switch,.-tk_emulator_switch
)");
#elif defined(__aarch64__)
asm(R"(.text
.globl tk_emulator_switch
.type tk_emulator_switch,%function
tk_emulator_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size tk_emulator_switch,.-tk_emulator_switch
)");
#else
#error "no context switch for this processor: define TK_EMULATOR_UCONTEXT"
#endif
extern "C" void tk_emulator_switch(void** save, void* next);

namespace tk::emulator {
__thread Thread* cur;
unsigned g_lose_at = 0;
__thread int t_device = 0;

namespace {
// Sets what one word of TENSORKILN_EMULATOR says, e.g. "seed=2"; false for a word that is not known.
bool set_switch(Config& c, const std::string& word) {
  const size_t equal = word.find('=');
  const std::string name = word.substr(0, equal);
  char* end = nullptr;
  const unsigned value = equal == std::string::npos ? 1 : unsigned(strtoul(word.c_str() + equal + 1, &end, 10));
  if (end != nullptr && (*end != 0 || end == word.c_str() + equal + 1)) return false;
  if (name == "seed")
    c.seed = value;
  else if (name == "devices") {
    if (value < 1 || value > unsigned(kMostDevices)) return false;
    c.devices = int(value);
  } else if (name == "threads")
    c.threads = std::max(1, int(value));
  else if (name == "poison")
    c.poison = value;
  else if (name == "poison_static")
    c.poison_static = value;
  else if (name == "protect")
    c.protect = value;
  else if (name == "lazy")
    c.lazy_streams = value;
  else if (name == "fences")
    c.check_fences = value;
  else if (name == "abort")
    c.abort_on_error = value;
  else if (name == "quiet")
    c.quiet = value;
  else if (name == "lose")
    g_lose_at = value;
  else
    return false;
  return true;
}
}  // namespace
Config& config() {
  static Config& shared = *[] {
    auto* c = new Config;
    std::istringstream words(getenv("TENSORKILN_EMULATOR") != nullptr ? getenv("TENSORKILN_EMULATOR") : "");
    for (std::string word; words >> word;) {
      if (!set_switch(*c, word)) fprintf(stderr, "TENSORKILN_EMULATOR: '%s' is not known and has no effect\n", word.c_str());
    }
    return c;
  }();
  return shared;
}
static Stats g_stats;
Stats& stats() { return g_stats; }
static std::mutex g_errMutex;
static std::string g_lastError;
const char* last_error() { return g_lastError.c_str(); }

// ---------------------------------------------------------------- fibers
struct Fiber {
  void* sp = nullptr;
  char* stack = nullptr;
  size_t size = 0;
  bool fresh = true;  // needs an initial frame
  void* asan_fake = nullptr;
  void* tsan = nullptr;
#ifdef TK_EMULATOR_UCONTEXT
  ucontext_t uc;
#endif
};
static const size_t STACK = 256 << 10, GUARD = 4096;

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
    for (auto& f : fibers) munmap(f.stack - GUARD, f.size + GUARD);
    free(smem_alloc);
  }
};
static thread_local Worker* W;
struct GridBarrier;
static thread_local GridBarrier* t_grid;

bool random_mode() { return config().seed > 1; }
uint32_t random_u32() {
  uint32_t& x = W->rng;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x;
}

static void fiber_main();
static void init_fiber(Fiber& f) {
  // Stack colouring: without it the hot lines of a thousand page-aligned stacks share a few cache sets.
  size_t colour = ((uintptr_t(f.stack) / (STACK + GUARD)) % 48) * 64;
  uintptr_t top = (uintptr_t(f.stack) + f.size - colour) & ~uintptr_t(63);
#if defined(TK_EMULATOR_UCONTEXT)
  getcontext(&f.uc);
  f.uc.uc_stack.ss_sp = f.stack;
  f.uc.uc_stack.ss_size = top - uintptr_t(f.stack);
  f.uc.uc_link = nullptr;
  makecontext(&f.uc, (void (*)())fiber_main, 0);
#elif defined(__x86_64__)
  void** s = (void**)top;
  *--s = nullptr;  // keeps rsp % 16 == 8 at entry
  *--s = (void*)fiber_main;
  for (int i = 0; i < 6; i++) *--s = nullptr;
  f.sp = s;
#else
  void** s = (void**)(top - 160);
  memset(s, 0, 160);
  s[11] = (void*)fiber_main;  // x30
  f.sp = s;
#endif
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(f.stack, f.size);  // an abandoned run leaves its red zones behind
#endif
#ifdef TK_EMULATOR_TSAN
  if (!f.tsan) f.tsan = __tsan_create_fiber(0);
#endif
  f.asan_fake = nullptr;
  f.fresh = false;
}
static void add_fiber() {
  Worker& w = *W;
  w.fibers.emplace_back();
  Fiber& f = w.fibers.back();
  char* p = (char*)mmap(nullptr, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("CUDA emulator: fiber stack");
    abort();
  }
  mprotect(p, GUARD, PROT_NONE);
  f.stack = p + GUARD;
  f.size = STACK;
  init_fiber(f);
  w.free_fibers.push_back(&f);
}
static Fiber* get_fiber() {
  Worker& w = *W;
#ifdef TK_EMULATOR_TSAN
  // First in, first out, and more fibers than threads: every thread of a block has its own.  They are
  // made before the block starts (run_block), since making one orders it after its maker.
  std::rotate(w.free_fibers.begin(), w.free_fibers.begin() + 1, w.free_fibers.end());
#endif
  if (w.free_fibers.empty()) add_fiber();
  Fiber* f = w.free_fibers.back();
  w.free_fibers.pop_back();
  if (f->fresh) init_fiber(*f);
  return f;
}
static void switch_to(Fiber* to) {
  Worker& w = *W;
  Fiber* from = w.fiber;
  if (from == to) return;
  w.fiber = to;
  w.switches++;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from->asan_fake, to->stack, to->size);
#endif
#ifdef TK_EMULATOR_TSAN
  __tsan_switch_to_fiber(to->tsan, 1 /* no synchronisation implied */);
#endif
#ifdef TK_EMULATOR_UCONTEXT
  swapcontext(&from->uc, &to->uc);
#else
  tk_emulator_switch(&from->sp, to->sp);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from->asan_fake, nullptr, nullptr);
#endif
}

// ---------------------------------------------------------------- errors
// fail() abandons the stack it is called on, so nothing there may own heap memory.
static const char* deadlock_report() {
  Worker& w = *W;
  char* r = w.report;
  size_t left = sizeof w.report;
  *r = 0;
  for (unsigned i = 0; i < w.n && left > 1;) {  // group the threads by where they wait
    Thread& t = w.threads[i];
    unsigned j = i + 1;
    while (j < w.n && w.threads[j].what == t.what && w.threads[j].line == t.line) j++;
    int k = snprintf(r, left, "\n    threads %u-%u: %s", i, j - 1, t.what ? t.what : "running");
    if (k > 0 && size_t(k) < left) {
      r += k;
      left -= k;
    }
    if (t.file && t.line) {
      k = snprintf(r, left, " at %s:%d", t.file, t.line);
      if (k > 0 && size_t(k) < left) {
        r += k;
        left -= k;
      }
    }
    i = j;
  }
  return w.report;
}
void report(const char* text) {
  {
    std::lock_guard<std::mutex> l(g_errMutex);
    g_lastError = text;
  }
  if (!config().quiet) fprintf(stderr, "CUDA emulator: %s\n", text);
  if (config().abort_on_error) abort();
}
void fail(const char* fmt, ...) {
  char buf[2048];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  Worker* w = W;
  char where[160] = "";
  if (w && w->running)
    snprintf(where, sizeof where, " [block (%u,%u,%u) thread (%u,%u,%u)]", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
             threadIdx.y, threadIdx.z);
  char text[2300];
  snprintf(text, sizeof text, "%s%s", buf, where);
  report(text);
  if (!w || !w->running) abort();
  w->failed = true;
  switch_to(&w->main);  // abandon every fiber of the block
  abort();
}

// ---------------------------------------------------------------- scheduling
static bool run_async_one() {
  Worker& w = *W;
  if (w.async.empty()) return false;
  size_t i = random_mode() ? random_u32() % w.async.size() : 0;
  auto op = std::move(w.async[i]);
  w.async.erase(w.async.begin() + i);
  op();
  return true;
}
static void poll() {
  Worker& w = *W;
  for (size_t i = 0; i < w.pollers.size();) {
    Thread* t = w.pollers[i];
    if ((*t->poll)()) {
      w.ready.push_back(t);
      w.pollers[i] = w.pollers.back();
      w.pollers.pop_back();
    } else
      i++;
  }
}
// The running fiber has nothing to do (its thread waits, or it has none): run another one.
static void reschedule() {
  Worker& w = *W;
  for (;;) {
    bool can_start = w.started < w.n;
    if (random_mode()) {
      if (!w.async.empty() && random_u32() % 8 == 0) run_async_one();
      if (!w.pollers.empty() && random_u32() % 4 == 0) poll();
      if (!w.ready.empty()) {
        size_t i = random_u32() % w.ready.size();
        if (!can_start || random_u32() % (w.ready.size() + 1) != 0) {
          Thread* t = w.ready[i];
          w.ready[i] = w.ready.back();
          w.ready.pop_back();
          return switch_to(t->fiber);
        }
      }
    } else if (!w.ready.empty()) {
      Thread* t = w.ready.back();
      w.ready.pop_back();
      return switch_to(t->fiber);
    }
    if (can_start) return switch_to(get_fiber());
    if (w.alive == 0) {
      if (!w.async.empty()) fail("block ends with %zu bulk copies not waited for", w.async.size());
      return switch_to(&w.main);
    }
    bool ran = run_async_one();
    poll();
    if (!ran && w.ready.empty()) fail("deadlock: no thread of the block can run%s", deadlock_report());
  }
}
static void block_here(const char* what, const char* file, int line) {
  Thread* me = cur;
  me->what = what;
  me->file = file;
  me->line = line;
  reschedule();
  cur = me;
  threadIdx = me->tid;
  blockIdx = me->block;
  me->what = nullptr;
  me->file = nullptr;
}
void yield_random() {
  NoRace nr;
  if (!random_mode() || random_u32() % 4) return;
  W->ready.push_back(cur);
  block_here("yield", nullptr, 0);
}
void yield_now() {
  NoRace nr;
  Worker& w = *W;
  w.ready.insert(w.ready.begin(), cur);  // the last to be resumed
  run_async_one();
  poll();
  if (w.started == w.n || random_mode() || w.ready.size() > 1) return block_here("yield", nullptr, 0);
  Thread* me = cur;
  switch_to(get_fiber());
  cur = me;
  threadIdx = me->tid;
  blockIdx = me->block;
}
void wait_until(std::function<bool()> ready, const char* what, const char* file, int line) {
  NoRace nr;
  if (ready()) {
    HB_ACQUIRE(W);
    return;
  }
  cur->poll = &ready;
  W->pollers.push_back(cur);
  block_here(what, file, line);
  HB_ACQUIRE(W);
}
bool mbar_init_unfenced() { return W->init_unfenced; }
void hb_release_block() { HB_RELEASE(W); }  // one object for all mbarriers: may miss a race, never invents one
void enqueue_async(std::function<void()> op) { W->async.push_back(std::move(op)); }

static void release_barrier(Barrier& b) {
  b.last_preds = b.preds;
  b.phase ^= 1;
  for (auto* t : b.waiting) t->barrier_fenced = b.fenced;
  cur->barrier_fenced = b.fenced;
  b.arrived = b.preds = b.expected = 0;
  for (size_t i = b.waiting.size(); i--;) W->ready.push_back(b.waiting[i]);
  b.waiting.clear();
}
static bool barrier_enter(int id, int count, int pred, bool all, const char* file, int line) {
  Worker& w = *W;
  if (id < 0 || id > 15) fail("named barrier %d out of range", id);
  if (!all && (count % 32 || count <= 0)) fail("named barrier %d: thread count %d is not a multiple of 32", id, count);
  Barrier& b = w.bars[cur->cta][id];
  int expected = all ? -1 : count;
  if (b.arrived == 0) {
    b.expected = expected;
    b.file = file;
    b.line = line;
  } else if (b.expected != expected)
    fail("barrier %d used with different thread counts", id);
  else if (all && (b.line != line || b.file != file))
    fail("divergent __syncthreads: some threads are at %s:%d, this one at %s:%d", b.file, b.line, file, line);
  if (b.arrived == 0) b.fenced = true;
  b.fenced &= cur->proxy_fenced;
  cur->proxy_fenced = false;
  if (cur->init_pending) w.init_unfenced = true;
  b.arrived++;
  b.preds += pred;
  HB_RELEASE(&b.sync[b.phase]);
  return b.arrived == (all ? int(w.cta_alive[cur->cta]) : count);
}
int barrier(int id, int count, int pred, const char* what, const char* file, int line) {
  NoRace nr;
  Barrier& b = W->bars[cur->cta][id & 15];
  char* sync = &b.sync[b.phase];
  if (barrier_enter(id, count, pred, count == 0, file, line)) {
    release_barrier(b);
    HB_ACQUIRE(sync);
    return b.last_preds;
  }
  b.waiting.push_back(cur);
  block_here(what, file, line);
  HB_ACQUIRE(sync);
  return b.last_preds;
}
void barrier_arrive(int id, int count, const char* file, int line) {
  NoRace nr;
  if (barrier_enter(id, count, 0, false, file, line)) release_barrier(W->bars[cur->cta][id]);
}

// barrier.cluster.arrive and .wait in one: every thread of every block of the cluster that has not ended.
void cluster_barrier(const char* file, int line) {
  NoRace nr;
  Worker& w = *W;
  Barrier& b = w.cluster_bar;
  char* sync = &b.sync[b.phase];
  HB_RELEASE(sync);
  b.fenced = true;
  if (++b.arrived == int(w.alive)) {
    release_barrier(b);
    HB_ACQUIRE(sync);
    return;
  }
  b.waiting.push_back(cur);
  block_here("cluster barrier", file, line);
  HB_ACQUIRE(sync);
}
unsigned cluster_rank() { return cur->cta; }
unsigned cluster_size() { return W->ctas; }
void* cluster_map(const void* own, unsigned rank) {
  Worker& w = *W;
  const char* base = w.smem + cur->cta * w.cta_stride;
  const char* p = (const char*)own;
  if (p < base || p >= base + w.smem_bytes) fail("mapa: %p is not in the block's dynamic shared memory", own);
  if (rank >= w.ctas) fail("mapa: the cluster has no block %u", rank);
  if (w.cta_alive[rank] == 0) fail("shared memory of block %u of the cluster is used after the block has ended", rank);
  return w.smem + rank * w.cta_stride + (p - base);
}

void warp_rendezvous(uint32_t mask, const void* in, void* out, Combine f, const char* what, const char* file, int line) {
  NoRace nr;
  Worker& w = *W;
  Thread* me = cur;
  Warp& wp = w.warps[me->warp];
  unsigned base = me->warp * 32;
  uint32_t exists = w.n - base >= 32 ? ~0u : (1u << (w.n - base)) - 1;
  if (!(mask >> me->lane & 1)) fail("%s: calling lane %u is not in mask 0x%08x (%s:%d)", what, me->lane, mask, file, line);
  mask &= exists;  // lanes beyond the block's size never existed
  Rendezvous* r = nullptr;
  for (auto& p : wp.pending)
    if (p.mask == mask) {
      r = &p;
      break;
    }
  if (!r) {
    for (auto& p : wp.pending)
      if (p.mask & mask)
        if (p.arrived >> me->lane & 1) fail("%s: lane %u is already in a collective", what, me->lane);
    wp.pending.push_back(Rendezvous{mask, 0, wp.phase++ & 1, what, file, line, {}, {}, {}});
    r = &wp.pending.back();
  }
  if (r->arrived && (r->what != what || r->line != line))
    fail("diverged warp: lanes 0x%08x are in %s at %s:%d, lane %u in %s at %s:%d", r->arrived, r->what, r->file, r->line,
         me->lane, what, file, line);
  r->arrived |= 1u << me->lane;
  r->in[me->lane] = in;
  r->out[me->lane] = out;
  r->th[me->lane] = me;
  char* sync = &wp.sync[r->phase];
  HB_RELEASE(sync);
  if (r->arrived != mask) {
    if (mask & ~wp.alive) fail("%s at %s:%d: mask 0x%08x names lanes that have exited", what, file, line, mask);
    block_here(what, file, line);
    HB_ACQUIRE(sync);
    return;
  }
  HB_ACQUIRE(sync);
  Rendezvous done = *r;
  *r = wp.pending.back();
  wp.pending.pop_back();
  f(done.in, done.out, mask);
  HB_RELEASE(sync);
  for (int l = 32; l--;)
    if (mask >> l & 1 && done.th[l] != me) w.ready.push_back(done.th[l]);
}
void warpgroup_rendezvous(const void* in, void (*f)(const void* const* in), const char* what, const char* file, int line) {
  NoRace nr;
  Worker& w = *W;
  Thread* me = cur;
  if ((me->warp / 4 + 1) * 128 > w.n) fail("%s: warpgroup %u is incomplete", what, me->warp / 4);
  Group& g = w.groups[me->warp / 4];
  unsigned i = me->linear % 128;
  g.in[i] = in;
  g.th[i] = me;
  char* sync = &g.sync[g.phase];
  HB_RELEASE(sync);
  if (++g.arrived < 128) {
    block_here(what, file, line);
    HB_ACQUIRE(sync);
    return;
  }
  HB_ACQUIRE(sync);
  g.arrived = 0;
  g.phase ^= 1;
  f(g.in);
  HB_RELEASE(sync);
  for (int l = 128; l--;)
    if (g.th[l] != me) w.ready.push_back(g.th[l]);
}

// ---------------------------------------------------------------- running threads and blocks
// Every fiber runs this loop: take the next unstarted thread and call the kernel.  A kernel that never
// waits therefore runs all threads of the block in one fiber, as a plain loop.  When a thread waits,
// its fiber is parked and another fiber continues the loop.
static void fiber_main() {
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
    pthread_attr_t at;
    void* p;
    size_t s;
    pthread_getattr_np(pthread_self(), &at);
    pthread_attr_getstack(&at, &p, &s);
    pthread_attr_destroy(&at);
    W->main.stack = (char*)p;
    W->main.size = s;
    W->main.fresh = false;
    W->fiber = &W->main;
#ifdef TK_EMULATOR_TSAN
    W->main.tsan = __tsan_get_current_fiber();
#endif
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

// ---------------------------------------------------------------- worker pool
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
  g_stats.launches++;
  g_stats.blocks += nb;
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
    g_stats.switches += W->switches;
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
    g_stats.switches += sw;
    ok = good;
  }
  return ok ? cudaSuccess : cudaErrorLaunchFailure;
}

// ---------------------------------------------------------------- shared-memory addresses
// Dynamic shared memory starts at 1024 (1024-byte aligned, as swizzled layouts need).  Static shared
// variables live in TLS and get addresses from 0x40000000 on; matrix descriptors cannot name those.
static const uint32_t DYN0 = 1024, STATIC0 = 0x40000000;
// Blocks of a cluster: an address that names another block's memory has that block's number, counted from 1, in bits 24 to 27.
static const unsigned CTA_SHIFT = 24;
void* dynamic_smem() { return W->smem + cur->cta * W->cta_stride; }
size_t dynamic_smem_bytes() { return W->smem_bytes; }
uint32_t smem_addr(const void* p) {
  Worker& w = *W;
  const char* c = (const char*)p;
  if (c >= w.smem && c <= w.smem + w.smem_all) {
    const unsigned cta = w.cta_stride == 0 ? 0 : std::min(unsigned(size_t(c - w.smem) / w.cta_stride), w.ctas - 1);
    const uint32_t own = DYN0 + uint32_t(c - w.smem - cta * w.cta_stride);
    return cta == cur->cta ? own : own | (cta + 1) << CTA_SHIFT;
  }
  if (!w.static_anchor) w.static_anchor = (const void*)(uintptr_t(p) & ~uintptr_t(1023));
  intptr_t d = c - (const char*)w.static_anchor;
  if (d > (16 << 20) || d < -(16 << 20)) fail("__cvta_generic_to_shared: %p is not in shared memory", p);
  return uint32_t(intptr_t(STATIC0) + d);
}
void* smem_ptr(uint32_t a, size_t bytes, const char* what, int cta) {
  Worker& w = *W;
  if (a >= STATIC0 - (16 << 20)) return (char*)w.static_anchor + (intptr_t(a) - intptr_t(STATIC0));
  if (a >> CTA_SHIFT) {
    cta = int(a >> CTA_SHIFT) - 1;
    a &= (1u << CTA_SHIFT) - 1;
  }
  if (cta < 0) cta = int(cur->cta);
  if (a < DYN0 || a - DYN0 + bytes > w.smem_bytes)
    fail("%s: shared address %u..%zu outside the %zu bytes of dynamic shared memory", what, a - DYN0, a - DYN0 + bytes,
         w.smem_bytes);
  return w.smem + size_t(cta) * w.cta_stride + (a - DYN0);
}
}  // namespace tk::emulator
