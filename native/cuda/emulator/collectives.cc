// Where the threads of a block meet: barriers of blocks and clusters, and the collectives of warps and warpgroups.
#include "cuda/emulator/worker.h"

namespace tk::emulator {
void release_barrier(Barrier& b) {
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
}  // namespace tk::emulator
