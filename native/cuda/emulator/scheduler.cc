// Which thread of a block runs next, and what ends a block early.  See emulator.h for the model.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include "cuda/emulator/worker.h"

namespace tk::emulator {
__thread Thread* cur;
__thread Worker* W;

bool random_mode() { return config().seed > 1; }
uint32_t random_u32() {
  uint32_t& x = W->rng;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x;
}

void add_fiber() {
  Worker& w = *W;
  w.fibers.emplace_back();
  Fiber& f = w.fibers.back();
  map_stack(f);
  init_fiber(f, fiber_main);
  w.free_fibers.push_back(&f);
}
Fiber* get_fiber() {
  Worker& w = *W;
#ifdef TK_EMULATOR_TSAN
  // First in, first out, and more fibers than threads: every thread of a block has its own.  They are
  // made before the block starts (run_block), since making one orders it after its maker.
  std::rotate(w.free_fibers.begin(), w.free_fibers.begin() + 1, w.free_fibers.end());
#endif
  if (w.free_fibers.empty()) add_fiber();
  Fiber* f = w.free_fibers.back();
  w.free_fibers.pop_back();
  if (f->fresh) init_fiber(*f, fiber_main);
  return f;
}
void switch_to(Fiber* to) {
  Worker& w = *W;
  Fiber* from = w.fiber;
  if (from == to) return;
  w.fiber = to;
  w.switches++;
  switch_fiber(*from, *to);
}

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
void reschedule() {
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
void block_here(const char* what, const char* file, int line) {
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
}  // namespace tk::emulator
