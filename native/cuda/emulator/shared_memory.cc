// Addresses of shared memory, as PTX instructions and descriptors name it.
#include <algorithm>
#include "cuda/emulator/worker.h"

namespace tk::emulator {
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
void* cluster_map(const void* own, unsigned rank) {
  Worker& w = *W;
  const char* base = w.smem + cur->cta * w.cta_stride;
  const char* p = (const char*)own;
  if (p < base || p >= base + w.smem_bytes) fail("mapa: %p is not in the block's dynamic shared memory", own);
  if (rank >= w.ctas) fail("mapa: the cluster has no block %u", rank);
  if (w.cta_alive[rank] == 0) fail("shared memory of block %u of the cluster is used after the block has ended", rank);
  return w.smem + rank * w.cta_stride + (p - base);
}
}  // namespace tk::emulator
