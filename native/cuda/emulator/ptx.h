// CPU versions of the PTX instructions that kernels/ptx.cuh wraps.  Layouts follow the PTX ISA manual;
// each function says which section it implements.
#pragma once
#include <cuda.h>
#include "cuda/emulator/emulator.h"

namespace tk::emulator {
// 9.7.9.25 cp.async.  The copy happens as late as the program allows (at the wait), and the destination
// is poisoned at the issue, so a missing wait or a stage refilled too early gives NaN.
void cp_async(void* smem, const void* gmem, int bytes, int src_bytes, const char* file, int line);
void cp_async_commit();
void cp_async_wait(int n);

// 9.7.14.5.15 ldmatrix: lane l gives the address of row l%8 of matrix l/8; each lane gets two
// 16-bit elements of every matrix: row l/4, columns 2*(l%4) and the next (transposed: row and column swapped).
void ldmatrix(uint32_t* r, int nmat, bool trans, const void* row, const char* file, int line);

enum MmaType { BF16, F16, TF32 };
// 9.7.14.5 mma.m16n8k16 (.bf16/.f16) and mma.m16n8k8 (.tf32), fp32 accumulators, d = a*b + d.
void mma(MmaType t, float* d, const uint32_t* a, const uint32_t* b, const char* file, int line);

// 9.7.9.21 cvt.rna.tf32.f32: halves away from zero; infinities stay, NaN becomes 0x7fffffff with the low bits cleared by use.
uint32_t to_tf32(float x);

// 9.7.13.15 mbarrier: one 64-bit word: [0,20) pending arrivals, [20,40) count, [40,61) signed
// transaction count, 61-62 marker 01, 63 phase parity.
void mbar_init(uint64_t* bar, unsigned count);
void mbar_arrive(uint64_t* bar, unsigned tx_bytes);
void mbar_arrive_cluster(uint64_t* bar, unsigned rank);  // at the same barrier of another block of the cluster
void fence_mbarrier_init();
void fence_proxy_async();
void mbar_wait(uint64_t* bar, unsigned parity, const char* file, int line);

// 9.7.9.27 cp.async.bulk.tensor (tile mode, 1-5 dimensions), coordinates innermost first.
// multicast: a bit for each block of the cluster that gets the box, at the same place and with a count at its own barrier; 0
// for the block itself.
void tma_load(void* smem, const CUtensorMap* map, const int* coord, int rank, uint64_t* bar, const char* file, int line,
              unsigned multicast = 0);
void tma_store(const CUtensorMap* map, const int* coord, int rank, const void* smem, const char* file, int line);
void tma_store_wait(const char* file, int line);

// 9.7.15 wgmma.mma_async.m64nNk16 of bf16 or f16, A and B from shared memory.  Work is done at wait_group; the
// accumulators hold NaN from the issue until then.  wgmma_registers: A from registers, a[4], in the layout of the left operand
// of mma.m16n8k16 with 16 rows to a warp; they must stay as they are until the wait.
void wgmma_fence();
void wgmma(MmaType type, float* d, int n, uint64_t desc_a, uint64_t desc_b, int scale_d, bool trans_a, bool trans_b);
void wgmma_registers(MmaType type, float* d, int n, const uint32_t* a, uint64_t desc_b, int scale_d, bool trans_b);
void wgmma_commit();
void wgmma_wait(int n, const char* file, int line);
}  // namespace tk::emulator
