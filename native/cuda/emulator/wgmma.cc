// Matrix products of warpgroups.
#include <algorithm>
#include "cuda/emulator/internal.h"
#include "cuda/emulator/ptx.h"
#include "cuda/emulator/ptx_internal.h"

namespace tk::emulator {
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
