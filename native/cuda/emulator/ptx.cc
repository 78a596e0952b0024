#include "cuda/emulator/ptx.h"
#include "cuda/emulator/internal.h"

namespace tk::emulator {
// ---------------------------------------------------------------- cp.async
static void do_copy(const AsyncCopy& c) {
  memcpy(c.dst, c.src, c.src_bytes);
  memset((char*)c.dst + c.src_bytes, 0, c.bytes - c.src_bytes);
}
void cp_async(void* smem, const void* g, int bytes, int src_bytes, const char* file, int line) {
  if (bytes != 4 && bytes != 8 && bytes != 16) fail("cp.async of %d bytes (%s:%d)", bytes, file, line);
  if (uintptr_t(smem) % bytes || uintptr_t(g) % bytes) fail("cp.async: misaligned address (%s:%d)", file, line);
  if (src_bytes < 0 || src_bytes > bytes) fail("cp.async: src-size %d (%s:%d)", src_bytes, file, line);
  smem_ptr(smem_addr(smem), bytes, "cp.async");
  AsyncCopy c{smem, g, unsigned(bytes), unsigned(src_bytes)};
  TS_WRITE(smem, bytes);
  NoRace nr;
  if (random_mode() && random_u32() % 2) {
    do_copy(c);
    return;
  }  // early is legal as well
  memset(smem, 0xFF, bytes);
  cur->copies.push_back(c);
}
void cp_async_commit() {
  NoRace nr;
  cur->copy_groups.push_back(unsigned(cur->copies.size()));
}
void cp_async_wait(int n) {
  auto& g = cur->copy_groups;
  if (int(g.size()) <= n) return;
  unsigned done = g[g.size() - 1 - n];
  for (unsigned i = 0; i < done; i++) {
    auto& c = cur->copies[i];
    TS_WRITE(c.dst, c.bytes);
    TS_READ(c.src, c.src_bytes);
    do_copy(c);
  }
  NoRace nr;
  cur->copies.erase(cur->copies.begin(), cur->copies.begin() + done);
  g.erase(g.begin(), g.end() - n);
  for (auto& e : g) e -= done;
}

// ---------------------------------------------------------------- ldmatrix
namespace {
struct LdIn {
  const void* row;
  int n;
  bool trans;
};
}  // namespace
void ldmatrix(uint32_t* r, int n, bool trans, const void* row, const char* file, int line) {
  int need = n * 8;
  if (int(cur->lane) < need) {
    if (uintptr_t(row) % 16) fail("ldmatrix: row address not 16-byte aligned (%s:%d)", file, line);
    smem_ptr(smem_addr(row), 16, "ldmatrix");
    TS_READ(row, 16);
  }
  LdIn in{row, n, trans};
  warp_rendezvous(
      ~0u, &in, r,
      [](const void* const* in, void* const* out, uint32_t m) {
        if (m != ~0u) fail("ldmatrix needs all 32 lanes");
        auto* first = (const LdIn*)in[0];
        for (int l = 0; l < 32; l++) {
          auto* mine = (const LdIn*)in[l];
          uint32_t* r = (uint32_t*)out[l];
          for (int k = 0; k < first->n; k++) {
            uint16_t lo, hi;
            auto at = [&](int row, int col) { return ((const uint16_t*)((const LdIn*)in[k * 8 + row])->row)[col]; };
            if (!mine->trans) {
              lo = at(l / 4, l % 4 * 2);
              hi = at(l / 4, l % 4 * 2 + 1);
            } else {
              lo = at(l % 4 * 2, l / 4);
              hi = at(l % 4 * 2 + 1, l / 4);
            }
            r[k] = lo | uint32_t(hi) << 16;
          }
        }
      },
      "ldmatrix", file, line);
}

// ---------------------------------------------------------------- mma.sync
static inline float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static inline float bf16_val(uint16_t h) { return from_bits(uint32_t(h) << 16); }
static float f16_val(uint16_t h) {
  static const float* table = [] {
    float* t = new float[65536];
    for (int i = 0; i < 65536; i++) {
      __half_raw r;
      r.x = uint16_t(i);
      t[i] = __half2float(__half(r));
    }
    return t;
  }();
  return table[h];
}
namespace {
struct MmaIn {
  float* d;
  const uint32_t *a, *b;
};
}  // namespace
template <class F>
static void mma16(const void* const* in, F val) {  // m16n8k16
  alignas(64) float A[16][16], B[16][8], C[16][8];
  for (int l = 0; l < 32; l++) {
    auto* x = (const MmaIn*)in[l];
    int g = l >> 2, t = (l & 3) * 2;
    for (int i = 0; i < 4; i++) {  // a0:(g,t) a1:(g+8,t) a2:(g,t+8) a3:(g+8,t+8)
      int row = g + (i & 1) * 8, col = t + (i >> 1) * 8;
      A[row][col] = val(uint16_t(x->a[i]));
      A[row][col + 1] = val(uint16_t(x->a[i] >> 16));
    }
    for (int i = 0; i < 2; i++) {
      B[t + i * 8][g] = val(uint16_t(x->b[i]));
      B[t + i * 8 + 1][g] = val(uint16_t(x->b[i] >> 16));
    }
    C[g][t] = x->d[0];
    C[g][t + 1] = x->d[1];
    C[g + 8][t] = x->d[2];
    C[g + 8][t + 1] = x->d[3];
  }
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      for (int j = 0; j < 8; j++) C[i][j] += A[i][k] * B[k][j];
  for (int l = 0; l < 32; l++) {
    float* d = ((const MmaIn*)in[l])->d;
    int g = l >> 2, t = (l & 3) * 2;
    d[0] = C[g][t];
    d[1] = C[g][t + 1];
    d[2] = C[g + 8][t];
    d[3] = C[g + 8][t + 1];
  }
}
static void mma8_tf32(const void* const* in) {  // m16n8k8
  float A[16][8], B[8][8], C[16][8];
  auto val = [](uint32_t u) { return from_bits(u & 0xffffe000u); };  // the hardware ignores the low 13 bits
  for (int l = 0; l < 32; l++) {
    auto* x = (const MmaIn*)in[l];
    int g = l >> 2, t = l & 3;
    for (int i = 0; i < 4; i++) A[g + (i & 1) * 8][t + (i >> 1) * 4] = val(x->a[i]);
    for (int i = 0; i < 2; i++) B[t + i * 4][g] = val(x->b[i]);
    C[g][t * 2] = x->d[0];
    C[g][t * 2 + 1] = x->d[1];
    C[g + 8][t * 2] = x->d[2];
    C[g + 8][t * 2 + 1] = x->d[3];
  }
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 8; k++)
      for (int j = 0; j < 8; j++) C[i][j] += A[i][k] * B[k][j];
  for (int l = 0; l < 32; l++) {
    float* d = ((const MmaIn*)in[l])->d;
    int g = l >> 2, t = (l & 3) * 2;
    d[0] = C[g][t];
    d[1] = C[g][t + 1];
    d[2] = C[g + 8][t];
    d[3] = C[g + 8][t + 1];
  }
}
void mma(MmaType t, float* d, const uint32_t* a, const uint32_t* b, const char* file, int line) {
  MmaIn in{d, a, b};
  Combine f = t == BF16  ? Combine([](const void* const* in, void* const*, uint32_t) { mma16(in, bf16_val); })
              : t == F16 ? Combine([](const void* const* in, void* const*, uint32_t) { mma16(in, f16_val); })
                         : Combine([](const void* const* in, void* const*, uint32_t) { mma8_tf32(in); });
  warp_rendezvous(~0u, &in, nullptr, f, t == BF16 ? "mma.sync bf16" : t == F16 ? "mma.sync f16" : "mma.sync tf32", file, line);
}

uint32_t to_tf32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if ((bits & 0x7f800000) == 0x7f800000) return (bits & 0x7fffff) != 0 ? 0x7fffe000 : bits;
  return (bits + 0x1000) & 0xffffe000;
}

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
// Swizzle on address bits: 128B: 4-6 ^= 7-9; 64B: 4-5 ^= 7-8; 32B: 4 ^= 7.
inline uint32_t swizzle(uint32_t a, int mode) {
  switch (mode) {
    case CU_TENSOR_MAP_SWIZZLE_128B: return a ^ ((a >> 7 & 7) << 4);
    case CU_TENSOR_MAP_SWIZZLE_64B: return a ^ ((a >> 7 & 3) << 4);
    case CU_TENSOR_MAP_SWIZZLE_32B: return a ^ ((a >> 7 & 1) << 4);
    default: return a;
  }
}
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

// ---------------------------------------------------------------- wgmma
namespace {
// Matrix descriptor: bits 0-13 start>>4, 16-29 leading byte offset>>4, 32-45 stride byte offset>>4,
// 49-51 base offset, 62-63 swizzle (0 none, 1 128B, 2 64B, 3 32B).
struct Desc {
  uint32_t start, lbo, sbo;
  int mode;
};
Desc decode(uint64_t d) {
  if (d >> 49 & 7) fail("wgmma: base offset not supported");
  static const int modes[4] = {CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_SWIZZLE_64B,
                               CU_TENSOR_MAP_SWIZZLE_32B};
  return {uint32_t(d & 0x3fff) << 4, uint32_t(d >> 16 & 0x3fff) << 4, uint32_t(d >> 32 & 0x3fff) << 4, modes[d >> 62]};
}
// Byte address of 8 consecutive elements (16 bytes).
// K-major: row r (of M or N), k-chunk kc (0,1).  8-row groups are sbo apart; inside a group rows are
// 128/64/32 bytes apart (swizzle width) and the chunk index is XORed by the row through the address
// bits.  Without swizzle a core matrix is 8 rows x 16 bytes, contiguous; the next k-chunk is lbo away.
uint32_t kmajor(const Desc& d, int r, int kc) {
  switch (d.mode) {
    case CU_TENSOR_MAP_SWIZZLE_128B: return swizzle(d.start + r / 8 * d.sbo + r % 8 * 128 + kc * 16, d.mode);
    case CU_TENSOR_MAP_SWIZZLE_64B: return swizzle(d.start + r / 8 * d.sbo + r % 8 * 64 + kc * 16, d.mode);
    case CU_TENSOR_MAP_SWIZZLE_32B: return swizzle(d.start + r / 8 * d.sbo + r % 8 * 32 + kc * 16, d.mode);
    default: return d.start + r / 8 * d.sbo + kc * d.lbo + r % 8 * 16;
  }
}
// MN-major, 128B swizzle: 64 elements of M/N are contiguous (128 bytes), one such line per k; 8 k-lines
// make an atom of 1024 bytes; the next 8 k are sbo away, the next 64 of M/N are lbo away.
uint32_t mnmajor(const Desc& d, int nchunk, int k) {
  if (d.mode != CU_TENSOR_MAP_SWIZZLE_128B) fail("wgmma: MN-major is emulated with 128-byte swizzle only");
  return swizzle(d.start + nchunk / 8 * d.lbo + k / 8 * d.sbo + k % 8 * 128 + nchunk % 8 * 16, d.mode);
}
WgmmaAcc* acc_of(Thread* t, float* d) {
  for (auto* a : t->wgmma_acc)
    if (a->d == d) return a;
  return nullptr;
}

void execute_group(const void* const* in) {  // in[i]: the 128 Threads
  Thread* t0 = (Thread*)in[0];
  unsigned done = t0->wgmma_run;
  for (unsigned o = 0; o < done; o++) {
    WgmmaOp op = t0->wgmma[o];
    for (int i = 1; i < 128; i++) {
      auto& q = ((Thread*)in[i])->wgmma;
      if (q.size() <= o || q[o].desc_a != op.desc_a || q[o].desc_b != op.desc_b || q[o].scale_d != op.scale_d ||
          q[o].type != op.type || (q[o].registers_a == nullptr) != (op.registers_a == nullptr))
        fail("wgmma: operands differ between threads of the warpgroup");
    }
    static thread_local float A[64][16], B[16][256], C[64][256];
    Desc a = decode(op.registers_a ? 0 : op.desc_a), b = decode(op.desc_b);
    auto load8 = [](uint32_t addr, uint16_t* v) { memcpy(v, smem_ptr(addr, 16, "wgmma"), 16); };
    uint16_t v[8];
    auto value = [&](uint16_t bits) { return op.type == F16 ? f16_val(bits) : bf16_val(bits); };
    const int depth = op.type == TF32 ? 8 : 16;
    if (op.type == TF32) {  // K-major only: 4 elements to 16 bytes, of which the low 13 bits are not looked at
      auto fill = [&](const Desc& from, int rows, auto set) {
        for (int r = 0; r < rows; r++)
          for (int kc = 0; kc < 2; kc++) {
            uint32_t words[4];
            memcpy(words, smem_ptr(kmajor(from, r, kc), 16, "wgmma"), 16);
            for (int e = 0; e < 4; e++) set(r, kc * 4 + e, from_bits(words[e] & 0xffffe000u));
          }
      };
      fill(a, 64, [&](int r, int k, float x) { A[r][k] = x; });
      fill(b, op.n, [&](int n, int k, float x) { B[k][n] = x; });
    } else if (op.registers_a) {
      // Register j of lane l holds two elements of row 16w + l/4 + 8*(j%2), from column 8*(j/2) + 2*(l%4) on.
      for (int t = 0; t < 128; t++) {
        const WgmmaOp& mine = ((Thread*)in[t])->wgmma[o];
        if (memcmp(mine.registers_a, mine.issued_a, sizeof mine.issued_a))
          fail("wgmma: registers of A were changed before the wait");
        for (int j = 0; j < 4; j++)
          for (int e = 0; e < 2; e++)
            A[t / 32 * 16 + t % 32 / 4 + 8 * (j % 2)][8 * (j / 2) + 2 * (t % 4) + e] =
                value(uint16_t(mine.issued_a[j] >> 16 * e));
      }
    } else if (!op.trans_a)
      for (int r = 0; r < 64; r++)
        for (int kc = 0; kc < 2; kc++) {
          load8(kmajor(a, r, kc), v);
          for (int e = 0; e < 8; e++) A[r][kc * 8 + e] = value(v[e]);
        }
    else
      for (int k = 0; k < 16; k++)
        for (int mc = 0; mc < 8; mc++) {
          load8(mnmajor(a, mc, k), v);
          for (int e = 0; e < 8; e++) A[mc * 8 + e][k] = value(v[e]);
        }
    if (op.type == TF32) {
    } else if (!op.trans_b)
      for (int n = 0; n < op.n; n++)
        for (int kc = 0; kc < 2; kc++) {
          load8(kmajor(b, n, kc), v);
          for (int e = 0; e < 8; e++) B[kc * 8 + e][n] = value(v[e]);
        }
    else
      for (int k = 0; k < 16; k++)
        for (int nc = 0; nc < op.n / 8; nc++) {
          load8(mnmajor(b, nc, k), v);
          for (int e = 0; e < 8; e++) B[k][nc * 8 + e] = value(v[e]);
        }
    // Accumulator fragment: warp w of the group holds rows 16w..16w+15; element i of lane l is at
    // row 16w + l/4 + 8*((i/2)%2), column 8*(i/4) + 2*(l%4) + i%2.
    auto each = [&](auto f) {
      for (int t = 0; t < 128; t++) {
        Thread* th = (Thread*)in[t];
        float* s = acc_of(th, th->wgmma[o].d)->saved;
        for (int i = 0; i < op.n / 2; i++)
          f(s[i], C[t / 32 * 16 + t % 32 / 4 + 8 * (i / 2 % 2)][8 * (i / 4) + 2 * (t % 4) + i % 2]);
      }
    };
    each([&](float& s, float& c) { c = op.scale_d ? s : 0.f; });
    for (int r = 0; r < 64; r++)
      for (int k = 0; k < depth; k++) {
        float x = A[r][k];
        for (int n = 0; n < op.n; n++) C[r][n] += x * B[k][n];
      }
    each([](float& s, float& c) { s = c; });
  }
}
}  // namespace
void wgmma_fence() { cur->wgmma_fenced = true; }
static void issue(const WgmmaOp& op) {
  float* d = op.d;
  const int n = op.n;
  if (!cur->wgmma_fenced) fail("wgmma.mma_async without wgmma.fence before it");
  if (!acc_of(cur, d)) {
    auto* a = new WgmmaAcc;
    a->d = d;
    a->n = n;
    memcpy(a->saved, d, n / 2 * sizeof(float));
    cur->wgmma_acc.push_back(a);
    memset(d, 0xFF, n / 2 * sizeof(float));
  }
  if (op.type == TF32 && (op.trans_a || op.trans_b)) fail("wgmma: tf32 operands are K-major only");
  cur->wgmma.push_back(op);
}
void wgmma(MmaType type, float* d, int n, uint64_t da, uint64_t db, int scale_d, bool trans_a, bool trans_b) {
  NoRace nr;
  issue({d, n, da, db, scale_d, type, trans_a, trans_b});
}
void wgmma_registers(MmaType type, float* d, int n, const uint32_t* a, uint64_t db, int scale_d, bool trans_b) {
  NoRace nr;
  if (type == TF32) fail("wgmma: tf32 from registers is not emulated");
  issue({d, n, 0, db, scale_d, type, false, trans_b, a, {a[0], a[1], a[2], a[3]}});
}
void wgmma_commit() {
  NoRace nr;
  cur->wgmma_groups.push_back(unsigned(cur->wgmma.size()));
  cur->wgmma_fenced = false;
}
void wgmma_wait(int n, const char* file, int line) {
  NoRace nr;
  Thread* me = cur;
  auto& g = me->wgmma_groups;
  unsigned done = int(g.size()) > n ? g[g.size() - 1 - n] : 0;
  me->wgmma_run = done;
  warpgroup_rendezvous(me, execute_group, "wgmma.wait_group", file, line);
  if (!done) return;
  me->wgmma.erase(me->wgmma.begin(), me->wgmma.begin() + done);
  g.erase(g.begin(), g.end() - n);
  for (auto& e : g) e -= done;
  for (size_t i = 0; i < me->wgmma_acc.size();) {
    auto* a = me->wgmma_acc[i];
    bool busy = false;
    for (auto& op : me->wgmma) busy |= op.d == a->d;
    if (busy) {
      i++;
      continue;
    }
    memcpy(a->d, a->saved, a->n / 2 * sizeof(float));
    delete a;
    me->wgmma_acc.erase(me->wgmma_acc.begin() + i);
  }
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
