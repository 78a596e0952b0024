// Inline PTX behind small functions; the host build calls the emulated versions.  Nothing outside this
// file contains asm.
#pragma once
#include <cuda.h>
#include "cuda/launch.cuh"
#ifndef __CUDACC__
#include "cuda/emulator/ptx.h"
#endif

namespace ptx {
#if defined(__CUDACC__)
#define PTX_FN __device__ __forceinline__
#define PTX_SITE
PTX_FN unsigned smem(const void* p) { return unsigned(__cvta_generic_to_shared(p)); }

// ---- sm_80
PTX_FN void cp_async16(void* s, const void* g, int src_bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem(s)), "l"(g), "r"(src_bytes) : "memory");
}
PTX_FN void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
PTX_FN void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
PTX_FN void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem(row))
               : "memory");
}
PTX_FN void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem(row))
               : "memory");
}
#define PTX_MMA(name, inst)                                                                        \
  PTX_FN void name(float(&d)[4], const unsigned(&a)[4], const unsigned* b) {                       \
    asm volatile("mma.sync.aligned." inst " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));              \
  }
PTX_MMA(mma_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
PTX_MMA(mma_f16, "m16n8k16.row.col.f32.f16.f16.f32")
PTX_MMA(mma_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
// Nearest, ties away from zero, as the tensor cores want their .tf32 operands: the low 13 bits are 0.
PTX_FN unsigned to_tf32(float x) {
  unsigned r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}
// 2 to the x, to two units in the last place; 0 where that would be denormal.
PTX_FN float exp2_flush(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
PTX_FN void bar_sync(int id, int n) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n) : "memory"); }
PTX_FN void bar_arrive(int id, int n) { asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(n) : "memory"); }

// ---- sm_90a
PTX_FN void mbarrier_init(uint64_t* b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem(b)), "r"(count) : "memory");
}
PTX_FN void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
PTX_FN void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
PTX_FN void mbarrier_arrive(uint64_t* b) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(smem(b)) : "memory"); }
PTX_FN void mbarrier_arrive_expect_tx(uint64_t* b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(smem(b)), "r"(bytes) : "memory");
}
PTX_FN void mbarrier_wait(uint64_t* b, int parity) {
  asm volatile(
      "{\n.reg .pred P;\nW: mbarrier.try_wait.parity.shared::cta.b64 P, [%0], %1;\n@P bra D;\nbra W;\nD:\n}" ::"r"(smem(b)),
      "r"(parity)
      : "memory");
}
PTX_FN void tma_load_2d(void* s, const CUtensorMap* m, int x, int y, uint64_t* b) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          smem(s)),
      "l"(m), "r"(smem(b)), "r"(x), "r"(y)
      : "memory");
}
PTX_FN void tma_load_3d(void* s, const CUtensorMap* m, int x, int y, int z, uint64_t* b) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(
          smem(s)),
      "l"(m), "r"(smem(b)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
PTX_FN void tma_load_4d(void* s, const CUtensorMap* m, int x, int y, int z, int w, uint64_t* b) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(smem(s)),
      "l"(m), "r"(smem(b)), "r"(x), "r"(y), "r"(z), "r"(w)
      : "memory");
}
// The box goes to the same place of every block in `blocks`, a bit for each, and counts at the barrier of each.
PTX_FN void tma_load_3d_multicast(void* s, const CUtensorMap* m, int x, int y, int z, uint64_t* b, unsigned blocks) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4, %5, "
      "%6}], [%2], %3;" ::"r"(smem(s)),
      "l"(m), "r"(smem(b)), "h"((unsigned short)blocks), "r"(x), "r"(y), "r"(z)
      : "memory");
}
// At the same barrier of another block of the cluster.
PTX_FN void mbarrier_arrive_cluster(uint64_t* b, int rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(smem(b)),
      "r"(rank)
      : "memory");
}
PTX_FN int cluster_rank() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return int(rank);
}
// Every thread of every block of the cluster.
PTX_FN void cluster_sync() { asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory"); }
PTX_FN void tma_store_2d(const CUtensorMap* m, int x, int y, const void* s) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(m), "r"(smem(s)),
               "r"(x), "r"(y)
               : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
PTX_FN void tma_store_wait() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
PTX_FN void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
PTX_FN void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
PTX_FN void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
template <int R>
PTX_FN void setmaxnreg_inc() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(R));
}
template <int R>
PTX_FN void setmaxnreg_dec() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(R));
}
#define PTX_F4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define PTX_F16(i) PTX_F4(i), PTX_F4(i + 4), PTX_F4(i + 8), PTX_F4(i + 12)
#define PTX_REGISTERS_32                                                   \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define PTX_REGISTERS_64                                                             \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PTX_REGISTERS_128                                                                        \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                       \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "             \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "             \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "             \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define PTX_WGMMA_BEGIN(n, scale, types)      \
  "{\n.reg .pred p;\nsetp.ne.b32 p, %" #scale \
  ", 0;\n"                                    \
  "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." types " {"
#define PTX_WGMMA_END(a, b, trans_a, trans_b) "}, %" #a ", %" #b ", p, 1, 1, %" #trans_a ", %" #trans_b ";\n}"
// d (64x64, fp32) = A (64x16) B (16x64) + (scale_d ? d : 0), as below.
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n64(float (&d)[32], uint64_t a, uint64_t b, int scale_d) {
  if constexpr (kHalf) {
    asm volatile(PTX_WGMMA_BEGIN(64, 34, "f16.f16") PTX_REGISTERS_32 PTX_WGMMA_END(32, 33, 35, 36)
                 : PTX_F16(0), PTX_F16(16)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  } else {
    asm volatile(PTX_WGMMA_BEGIN(64, 34, "bf16.bf16") PTX_REGISTERS_32 PTX_WGMMA_END(32, 33, 35, 36)
                 : PTX_F16(0), PTX_F16(16)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  }
}
// d (64x128, fp32) = A (64x16) B (16x128) + (scale_d ? d : 0). kHalf: f16, else bf16. kTransA, kTransB: the operand lies M- or
// N-major in shared memory, else K-major.
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n128(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
  if constexpr (kHalf) {
    asm volatile(PTX_WGMMA_BEGIN(128, 66, "f16.f16") PTX_REGISTERS_64 PTX_WGMMA_END(64, 65, 67, 68)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  } else {
    asm volatile(PTX_WGMMA_BEGIN(128, 66, "bf16.bf16") PTX_REGISTERS_64 PTX_WGMMA_END(64, 65, 67, 68)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  }
}
// d (64x256, fp32) = A (64x16) B (16x256) + (scale_d ? d : 0). kHalf: f16, else bf16. kTransA, kTransB: the operand lies M- or
// N-major in shared memory, else K-major.
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n256(float (&d)[128], uint64_t a, uint64_t b, int scale_d) {
  if constexpr (kHalf) {
    asm volatile(PTX_WGMMA_BEGIN(256, 130, "f16.f16") PTX_REGISTERS_128 PTX_WGMMA_END(128, 129, 131, 132)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48), PTX_F16(64), PTX_F16(80), PTX_F16(96), PTX_F16(112)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  } else {
    asm volatile(PTX_WGMMA_BEGIN(256, 130, "bf16.bf16") PTX_REGISTERS_128 PTX_WGMMA_END(128, 129, 131, 132)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48), PTX_F16(64), PTX_F16(80), PTX_F16(96), PTX_F16(112)
                 : "l"(a), "l"(b), "r"(scale_d), "n"(kTransA), "n"(kTransB));
  }
}
// The same with A (64x16) from registers, each of which holds two elements: the fragment of mma_bf16, 16 rows to a warp.
#define PTX_WGMMA_END_R(a0, a1, a2, a3, b, trans_b) \
  "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #b ", p, 1, 1, %" #trans_b ";\n}"
template <bool kHalf, int kTransB>
PTX_FN void wgmma_registers(float (&d)[32], const unsigned (&a)[4], uint64_t b, int scale_d) {
  if constexpr (kHalf) {
    asm volatile(PTX_WGMMA_BEGIN(64, 37, "f16.f16") PTX_REGISTERS_32 PTX_WGMMA_END_R(32, 33, 34, 35, 36, 38)
                 : PTX_F16(0), PTX_F16(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(kTransB));
  } else {
    asm volatile(PTX_WGMMA_BEGIN(64, 37, "bf16.bf16") PTX_REGISTERS_32 PTX_WGMMA_END_R(32, 33, 34, 35, 36, 38)
                 : PTX_F16(0), PTX_F16(16)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(kTransB));
  }
}
template <bool kHalf, int kTransB>
PTX_FN void wgmma_registers(float (&d)[64], const unsigned (&a)[4], uint64_t b, int scale_d) {
  if constexpr (kHalf) {
    asm volatile(PTX_WGMMA_BEGIN(128, 69, "f16.f16") PTX_REGISTERS_64 PTX_WGMMA_END_R(64, 65, 66, 67, 68, 70)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(kTransB));
  } else {
    asm volatile(PTX_WGMMA_BEGIN(128, 69, "bf16.bf16") PTX_REGISTERS_64 PTX_WGMMA_END_R(64, 65, 66, 67, 68, 70)
                 : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(kTransB));
  }
}
#define PTX_WGMMA_TF32_BEGIN(n, scale)        \
  "{\n.reg .pred p;\nsetp.ne.b32 p, %" #scale \
  ", 0;\n"                                    \
  "wgmma.mma_async.sync.aligned.m64n" #n "k8.f32.tf32.tf32 {"
#define PTX_WGMMA_TF32_END(a, b) "}, %" #a ", %" #b ", p, 1, 1;\n}"
// d (64xN, fp32) = A (64x8) B (8xN) + (scale_d ? d : 0) of TF32, both operands K-major.
PTX_FN void wgmma_tf32(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
  asm volatile(PTX_WGMMA_TF32_BEGIN(128, 66) PTX_REGISTERS_64 PTX_WGMMA_TF32_END(64, 65)
               : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48)
               : "l"(a), "l"(b), "r"(scale_d));
}
PTX_FN void wgmma_tf32(float (&d)[128], uint64_t a, uint64_t b, int scale_d) {
  asm volatile(PTX_WGMMA_TF32_BEGIN(256, 130) PTX_REGISTERS_128 PTX_WGMMA_TF32_END(128, 129)
               : PTX_F16(0), PTX_F16(16), PTX_F16(32), PTX_F16(48), PTX_F16(64), PTX_F16(80), PTX_F16(96), PTX_F16(112)
               : "l"(a), "l"(b), "r"(scale_d));
}
#else
// ================================================================ host
#define PTX_FN inline
PTX_FN unsigned smem(const void* p) { return tk::emulator::smem_addr(p); }
PTX_FN void cp_async16(void* s, const void* g, int src_bytes = 16, TK_EMULATOR_SITE) {
  tk::emulator::cp_async(s, g, 16, src_bytes, TK_EMULATOR_ARGS);
}
PTX_FN void cp_async_commit() { tk::emulator::cp_async_commit(); }
template <int N>
PTX_FN void cp_async_wait() {
  tk::emulator::cp_async_wait(N);
}
PTX_FN void ldmatrix_x4(unsigned (&r)[4], const void* row, TK_EMULATOR_SITE) {
  tk::emulator::ldmatrix(r, 4, false, row, TK_EMULATOR_ARGS);
}
PTX_FN void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, TK_EMULATOR_SITE) {
  tk::emulator::ldmatrix(r, 4, true, row, TK_EMULATOR_ARGS);
}
PTX_FN void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned* b, TK_EMULATOR_SITE) {
  tk::emulator::mma(tk::emulator::BF16, d, a, b, TK_EMULATOR_ARGS);
}
PTX_FN void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned* b, TK_EMULATOR_SITE) {
  tk::emulator::mma(tk::emulator::F16, d, a, b, TK_EMULATOR_ARGS);
}
PTX_FN void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned* b, TK_EMULATOR_SITE) {
  tk::emulator::mma(tk::emulator::TF32, d, a, b, TK_EMULATOR_ARGS);
}
PTX_FN unsigned to_tf32(float x) { return tk::emulator::to_tf32(x); }
PTX_FN float exp2_flush(float x) { return x < -126.0f ? 0.0f : exp2f(x); }
PTX_FN void bar_sync(int id, int n, TK_EMULATOR_SITE) { tk::emulator::barrier(id, n, 0, "bar.sync", TK_EMULATOR_ARGS); }
PTX_FN void bar_arrive(int id, int n, TK_EMULATOR_SITE) { tk::emulator::barrier_arrive(id, n, TK_EMULATOR_ARGS); }
PTX_FN void mbarrier_init(uint64_t* b, int count) { tk::emulator::mbar_init(b, unsigned(count)); }
PTX_FN void fence_barrier_init() { tk::emulator::fence_mbarrier_init(); }
PTX_FN void fence_proxy_async() { tk::emulator::fence_proxy_async(); }
PTX_FN void mbarrier_arrive(uint64_t* b) { tk::emulator::mbar_arrive(b, 0); }
PTX_FN void mbarrier_arrive_expect_tx(uint64_t* b, int bytes) { tk::emulator::mbar_arrive(b, unsigned(bytes)); }
PTX_FN void mbarrier_wait(uint64_t* b, int parity, TK_EMULATOR_SITE) {
  tk::emulator::mbar_wait(b, unsigned(parity), TK_EMULATOR_ARGS);
}
PTX_FN void tma_load_2d(void* s, const CUtensorMap* m, int x, int y, uint64_t* b, TK_EMULATOR_SITE) {
  int c[2] = {x, y};
  tk::emulator::tma_load(s, m, c, 2, b, TK_EMULATOR_ARGS);
}
PTX_FN void tma_load_3d(void* s, const CUtensorMap* m, int x, int y, int z, uint64_t* b, TK_EMULATOR_SITE) {
  int c[3] = {x, y, z};
  tk::emulator::tma_load(s, m, c, 3, b, TK_EMULATOR_ARGS);
}
PTX_FN void tma_load_4d(void* s, const CUtensorMap* m, int x, int y, int z, int w, uint64_t* b, TK_EMULATOR_SITE) {
  int c[4] = {x, y, z, w};
  tk::emulator::tma_load(s, m, c, 4, b, TK_EMULATOR_ARGS);
}
PTX_FN void tma_load_3d_multicast(void* s, const CUtensorMap* m, int x, int y, int z, uint64_t* b, unsigned blocks,
                                  TK_EMULATOR_SITE) {
  int c[3] = {x, y, z};
  tk::emulator::tma_load(s, m, c, 3, b, TK_EMULATOR_ARGS, blocks);
}
PTX_FN void mbarrier_arrive_cluster(uint64_t* b, int rank) { tk::emulator::mbar_arrive_cluster(b, unsigned(rank)); }
PTX_FN int cluster_rank() { return int(tk::emulator::cluster_rank()); }
PTX_FN void cluster_sync(TK_EMULATOR_SITE) { tk::emulator::cluster_barrier(TK_EMULATOR_ARGS); }
PTX_FN void tma_store_2d(const CUtensorMap* m, int x, int y, const void* s, TK_EMULATOR_SITE) {
  int c[2] = {x, y};
  tk::emulator::tma_store(m, c, 2, s, TK_EMULATOR_ARGS);
}
PTX_FN void tma_store_wait(TK_EMULATOR_SITE) { tk::emulator::tma_store_wait(TK_EMULATOR_ARGS); }
PTX_FN void wgmma_fence() { tk::emulator::wgmma_fence(); }
PTX_FN void wgmma_commit() { tk::emulator::wgmma_commit(); }
template <int N>
PTX_FN void wgmma_wait(TK_EMULATOR_SITE) {
  tk::emulator::wgmma_wait(N, TK_EMULATOR_ARGS);
}
template <int R>
PTX_FN void setmaxnreg_inc() {}
template <int R>
PTX_FN void setmaxnreg_dec() {}
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n64(float (&d)[32], uint64_t a, uint64_t b, int scale_d) {
  tk::emulator::wgmma(kHalf ? tk::emulator::F16 : tk::emulator::BF16, d, 64, a, b, scale_d, kTransA, kTransB);
}
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n128(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
  tk::emulator::wgmma(kHalf ? tk::emulator::F16 : tk::emulator::BF16, d, 128, a, b, scale_d, kTransA, kTransB);
}
template <bool kHalf, int kTransA, int kTransB>
PTX_FN void wgmma_n256(float (&d)[128], uint64_t a, uint64_t b, int scale_d) {
  tk::emulator::wgmma(kHalf ? tk::emulator::F16 : tk::emulator::BF16, d, 256, a, b, scale_d, kTransA, kTransB);
}
template <bool kHalf, int kTransB, int kRegisters>
PTX_FN void wgmma_registers(float (&d)[kRegisters], const unsigned (&a)[4], uint64_t b, int scale_d) {
  tk::emulator::wgmma_registers(kHalf ? tk::emulator::F16 : tk::emulator::BF16, d, 2 * kRegisters, a, b, scale_d, kTransB);
}
template <int kRegisters>
PTX_FN void wgmma_tf32(float (&d)[kRegisters], uint64_t a, uint64_t b, int scale_d) {
  tk::emulator::wgmma(tk::emulator::TF32, d, 2 * kRegisters, a, b, scale_d, false, false);
}
#endif

// 128-byte-swizzled wgmma descriptor.  K-major: sbo = 1024 (next 8 rows), lbo unused.
PTX_FN uint64_t desc_sw128(const void* p, unsigned lbo, unsigned sbo) {
  return uint64_t((smem(p) & 0x3ffff) >> 4) | uint64_t((lbo & 0x3ffff) >> 4) << 16 | uint64_t((sbo & 0x3ffff) >> 4) << 32 |
         1ull << 62;
}
}  // namespace ptx
