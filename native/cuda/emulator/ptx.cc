// Asynchronous copies of a thread, and the loads and products of a warp's matrices.
#include "cuda/emulator/ptx.h"
#include "cuda/emulator/internal.h"
#include "cuda/emulator/ptx_internal.h"

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
}  // namespace tk::emulator
