// mbarriers, and the bulk copies of tensor maps that complete at them.
#include <algorithm>
#include "cuda/emulator/internal.h"
#include "cuda/emulator/ptx.h"
#include "cuda/emulator/ptx_internal.h"

namespace tk::emulator {
// ---------------------------------------------------------------- mbarrier
namespace {
struct MBar {
  unsigned pending, count;
  int tx;
  unsigned phase;
  static MBar get(const uint64_t* p) {
    uint64_t v = *p;
    if ((v >> 61 & 3) != 1) fail("mbarrier %p is not initialised", (const void*)p);
    return {unsigned(v & 0xfffff), unsigned(v >> 20 & 0xfffff), int(int64_t(v << 3) >> 43), unsigned(v >> 63)};
  }
  void put(uint64_t* p) const {
    *p = uint64_t(pending) | uint64_t(count) << 20 | (uint64_t(tx) & 0x1fffff) << 40 | 1ull << 61 | uint64_t(phase) << 63;
  }
  void maybe_complete() {
    if (pending == 0 && tx == 0) {
      phase ^= 1;
      pending = count;
    }
  }
};
}  // namespace
void mbar_init(uint64_t* bar, unsigned count) {
  if (uintptr_t(bar) % 8) fail("mbarrier misaligned");
  MBar{count, count, 0, 0}.put(bar);
  cur->init_pending = true;
}
// The emulator does not see plain stores, so fences are checked by rule of thumb: a bulk load needs the
// initialising threads to have fenced before the barrier they met at; a bulk store needs every thread at
// the issuing thread's last barrier to have run fence.proxy.async since the barrier before.
void fence_mbarrier_init() { cur->init_pending = false; }
void fence_proxy_async() {
  cur->init_pending = false;
  cur->proxy_fenced = true;
}
void mbar_arrive(uint64_t* bar, unsigned tx_bytes) {
  hb_release_block();
  MBar b = MBar::get(bar);
  if (b.pending == 0) fail("mbarrier: more arrivals than its count of %u in one phase", b.count);
  b.tx += int(tx_bytes);
  if (b.tx >= 1 << 20) fail("mbarrier: transaction count overflow");
  b.pending--;
  b.maybe_complete();
  b.put(bar);
}
void mbar_arrive_cluster(uint64_t* bar, unsigned rank) { mbar_arrive((uint64_t*)cluster_map(bar, rank), 0); }
static void mbar_complete_tx(uint64_t* bar, unsigned bytes) {
  MBar b = MBar::get(bar);
  b.tx -= int(bytes);
  b.maybe_complete();
  b.put(bar);
}
void mbar_wait(uint64_t* bar, unsigned parity, const char* file, int line) {
  NoRace nr;
  MBar::get(bar);
  wait_until([=] { return MBar::get(bar).phase != parity; }, "mbarrier wait", file, line);
}

// ---------------------------------------------------------------- TMA
namespace {
struct TMap {  // lives in the 128 opaque bytes of CUtensorMap
  uint32_t magic;
  uint8_t rank, elem, swizzle, rounds_tf32;
  char* addr;
  uint32_t dim[5];
  uint16_t box[5];
  uint16_t pad2;
  uint64_t stride[4];
};
static_assert(sizeof(TMap) <= sizeof(CUtensorMap));
const uint32_t MAGIC = 0x544d4150;
// f(pointer into global memory or null when outside the tensor, shared address) for each 16 bytes or element
template <class F>
void tma_walk(const TMap& t, const int* c, uint32_t s0, F f) {
  int idx[5] = {};
  uint32_t off = 0;
  int b[5], rank = t.rank;
  for (int i = 0; i < 5; i++) b[i] = i < rank ? t.box[i] : 1;
  for (idx[4] = 0; idx[4] < b[4]; idx[4]++)
    for (idx[3] = 0; idx[3] < b[3]; idx[3]++)
      for (idx[2] = 0; idx[2] < b[2]; idx[2]++)
        for (idx[1] = 0; idx[1] < b[1]; idx[1]++) {
          char* row = t.addr;
          bool in = true;
          for (int i = 1; i < rank; i++) {
            int64_t x = int64_t(c[i]) + idx[i];
            if (x < 0 || x >= int64_t(t.dim[i]))
              in = false;
            else
              row += x * int64_t(t.stride[i - 1]);
          }
          for (int e = 0; e < b[0]; e++, off += t.elem) {
            int64_t x = int64_t(c[0]) + e;
            f(in && x >= 0 && x < int64_t(t.dim[0]) ? row + x * t.elem : nullptr, swizzle(s0 + off, t.swizzle));
          }
        }
}
// What the copy engine does to TFLOAT32 elements: nearest, ties to even.
uint32_t nearest_tf32(uint32_t bits) {
  if ((bits & 0x7f800000) == 0x7f800000) return bits;
  return (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
}
const TMap& tmap(const CUtensorMap* m, int rank, const void* smem, const char* file, int line) {
  if (uintptr_t(m) % 64) fail("tensor map not 64-byte aligned: pass it as const __grid_constant__ (%s:%d)", file, line);
  auto& t = *(const TMap*)m;
  if (t.magic != MAGIC) fail("not a tensor map (%s:%d)", file, line);
  if (t.rank != rank) fail("tensor map has rank %d, instruction %d (%s:%d)", t.rank, rank, file, line);
  uint32_t a = smem_addr(smem);
  if (a % 128) fail("TMA: shared address not 128-byte aligned (%s:%d)", file, line);
  return t;
}
unsigned box_bytes(const TMap& t) {
  unsigned n = t.elem;
  for (int i = 0; i < t.rank; i++) n *= t.box[i];
  return n;
}
}  // namespace
void tma_load(void* smem, const CUtensorMap* map, const int* coord, int rank, uint64_t* bar, const char* file, int line,
              unsigned multicast) {
  NoRace nr;
  TMap t = tmap(map, rank, smem, file, line);
  if (config().check_fences && mbar_init_unfenced())
    fail("bulk load, but mbarrier.init was not followed by a fence before the barrier (%s:%d)", file, line);
  unsigned bytes = box_bytes(t);
  uint32_t s0 = smem_addr(smem);
  struct Target {
    int cta;
    uint64_t* bar;
  };
  std::vector<Target> targets;
  if (!multicast) targets.push_back({int(cluster_rank()), bar});
  for (unsigned cta = 0; multicast >> cta; cta++)
    if (multicast >> cta & 1) targets.push_back({int(cta), (uint64_t*)cluster_map(bar, cta)});
  for (const Target& to : targets) {
    memset(smem_ptr(s0, bytes, "TMA load", to.cta), 0xFF, bytes);
    MBar::get(to.bar);
  }
  int c[5] = {};
  for (int i = 0; i < rank; i++) c[i] = coord[i];
  hb_release_block();
  enqueue_async([=] {
    for (const Target& to : targets) {
      tma_walk(t, c, s0, [&](const char* g, uint32_t a) {
        void* d = smem_ptr(a, t.elem, "TMA load", to.cta);
        if (!g) {
          memset(d, 0, t.elem);
          return;
        }
        memcpy(d, g, t.elem);
        if (t.rounds_tf32) *(uint32_t*)d = nearest_tf32(*(uint32_t*)d);
      });
      mbar_complete_tx(to.bar, bytes);  // the whole box counts, elements outside the tensor too
    }
  });
}
void tma_store(const CUtensorMap* map, const int* coord, int rank, const void* smem, const char* file, int line) {
  NoRace nr;
  TMap t = tmap(map, rank, smem, file, line);
  uint32_t s0 = smem_addr(smem);
  smem_ptr(s0, box_bytes(t), "TMA store");
  if (config().check_fences && !cur->barrier_fenced)
    fail("bulk store, but not every thread ran fence.proxy.async before the last barrier (%s:%d)", file, line);
  int c[5] = {};
  for (int i = 0; i < rank; i++) c[i] = coord[i];
  Thread* me = cur;
  const int cta = int(me->cta);
  me->bulk_stores++;
  enqueue_async([=] {
    tma_walk(t, c, s0, [&](char* g, uint32_t a) {
      if (g) memcpy(g, smem_ptr(a, t.elem, "TMA store", cta), t.elem);
    });
    me->bulk_stores--;
  });
}
void tma_store_wait(const char* file, int line) {
  NoRace nr;
  Thread* me = cur;
  wait_until([=] { return me->bulk_stores == 0; }, "cp.async.bulk.wait_group", file, line);
}
}  // namespace tk::emulator

// ---------------------------------------------------------------- driver entry points
using namespace tk::emulator;
extern "C" CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* addr,
                                           const cuuint64_t* dim, const cuuint64_t* strides, const cuuint32_t* box,
                                           const cuuint32_t* estr, CUtensorMapInterleave il, CUtensorMapSwizzle sw,
                                           CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  static const uint8_t size[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  TMap t{};
  if (uintptr_t(map) % 64 || unsigned(type) >= sizeof size || rank < 1 || rank > 5 || uintptr_t(addr) % 16 ||
      il != CU_TENSOR_MAP_INTERLEAVE_NONE)
    return CUDA_ERROR_INVALID_VALUE;
  t.magic = MAGIC;
  t.rank = uint8_t(rank);
  t.elem = size[type];
  t.rounds_tf32 = type == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32 || type == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ;
  t.swizzle = uint8_t(sw);
  t.addr = (char*)addr;
  static const unsigned inner[] = {1u << 30, 32, 64, 128};
  if (unsigned(sw) > 3) return CUDA_ERROR_INVALID_VALUE;
  if (box[0] * t.elem % 16 || box[0] * t.elem > inner[sw]) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < rank; i++) {
    if (!dim[i] || dim[i] > 1ull << 32 || !box[i] || box[i] > 256 || estr[i] != 1) return CUDA_ERROR_INVALID_VALUE;
    t.dim[i] = uint32_t(std::min<cuuint64_t>(dim[i], 0xffffffffu));
    t.box[i] = uint16_t(box[i]);
    if (i + 1 < rank) {
      if (strides[i] % 16 || strides[i] >= 1ull << 40) return CUDA_ERROR_INVALID_VALUE;
      t.stride[i] = strides[i];
    }
  }
  memset(map, 0, sizeof *map);
  memcpy((void*)map, &t, sizeof t);
  return CUDA_SUCCESS;
}
extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** p, unsigned, unsigned long long,
                                                        cudaDriverEntryPointQueryResult* st) {
  bool ok = !strcmp(name, "cuTensorMapEncodeTiled");
  *p = ok ? (void*)cuTensorMapEncodeTiled : nullptr;
  if (st) *st = ok ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return ok ? cudaSuccess : cudaErrorSymbolNotFound;
}
