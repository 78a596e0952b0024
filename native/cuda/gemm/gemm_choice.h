// Which kernel runs a product: a pure function of the problem, the same on every machine, so that results are too. Thresholds
// come from counting: tiles against 132 multiprocessors, bytes against operations. None of them is measured yet.
#pragma once
#include <cstdint>

#include "cuda/gemm/gemm.h"

namespace tk::cuda {

enum class GemmKernel : uint8_t {
  elements,    // a thread per element of y: tiny products, or operands of unusual strides
  simt,        // 64 x 64 tiles on the plain cores: f32 problems too small to fill tensor-core tiles
  skinny,      // y has at most kSkinny rows or columns: the large operand is read once, K is cut
  tiles_64,    // mma.sync, 64 x 64
  tiles_128,   // mma.sync, 128 x 128
  hopper_128,  // wgmma and the tensor memory accelerator, 128 x 128
  hopper_256,  // the same, 128 x 256, two blocks to a cluster
};

struct GemmChoice {
  GemmKernel kernel;
  int splits;  // of K; partial sums are added in order by a second kernel
};

// What the choice may depend on.
struct GemmShape {
  int64_t m, n, k, batch;
  bool half;               // f16 or bf16 operands
  bool usual;              // in each operand one of rows and columns is contiguous
  bool aligned;            // base, pitch and batch stride are multiples of 16 bytes in both operands
  bool has_wgmma;          // an sm_90a device
  bool tf32_rows = false;  // f32 operands to be rounded to TF32 that both run along K, as wgmma wants them
};

constexpr int64_t kSkinny = 8;
constexpr int64_t kEnoughTiles = 128;  // keeps the multiprocessors of a large GPU busy

inline int64_t tiles_of(const GemmShape& s, int64_t tile) {
  return ((s.m + tile - 1) / tile) * ((s.n + tile - 1) / tile) * s.batch;
}

// Splits that bring `tiles` near kEnoughTiles while each keeps at least `least` of K.
inline int splits_for(int64_t tiles, int64_t k, int64_t least) {
  int64_t splits = kEnoughTiles / (tiles > 0 ? tiles : 1);
  if (splits > k / least) splits = k / least;
  if (splits > 64) splits = 64;
  return splits < 1 ? 1 : int(splits);
}

inline GemmChoice choose_gemm(const GemmShape& s) {
  const int64_t smaller = s.m < s.n ? s.m : s.n;
  if (!s.usual) return {GemmKernel::elements, 1};
  if (smaller <= kSkinny && s.k * (s.m > s.n ? s.m : s.n) >= 64 * 64) {
    const int64_t blocks = ((s.m > s.n ? s.m : s.n) + 31) / 32 * s.batch;
    return {GemmKernel::skinny, splits_for(blocks, s.k, 256)};
  }
  const int64_t work = s.m * s.n * s.k;
  if (s.m * s.n <= 32 * 32 || smaller <= kSkinny) {
    if (s.k >= 1024 && smaller > kSkinny)
      return {s.half ? GemmKernel::tiles_64 : GemmKernel::simt, splits_for(tiles_of(s, 64), s.k, 256)};
    return {GemmKernel::elements, 1};
  }
  if (!s.half && work < int64_t(1) << 22) return {GemmKernel::simt, splits_for(tiles_of(s, 64), s.k, 512)};
  if ((s.half || s.tf32_rows) && s.has_wgmma && s.aligned && s.m >= 128 && s.n >= 128 && s.k >= 64) {
    const int64_t tiles = tiles_of(s, 128), wide = ((s.m + 127) / 128) * ((s.n + 255) / 256) * s.batch;
    if (wide >= kEnoughTiles) return {GemmKernel::hopper_256, 1};
    if (tiles >= 32 || s.k >= 2048) return {GemmKernel::hopper_128, splits_for(tiles, s.k, 1024)};
  }
  if (tiles_of(s, 128) >= kEnoughTiles || (s.m >= 128 && s.n >= 128 && s.k >= 4096)) {
    return {GemmKernel::tiles_128, splits_for(tiles_of(s, 128), s.k, 512)};
  }
  return {GemmKernel::tiles_64, splits_for(tiles_of(s, 64), s.k, 512)};
}

inline const char* name_of(GemmKernel kernel) {
  switch (kernel) {
    case GemmKernel::elements: return "elements";
    case GemmKernel::simt: return "simt";
    case GemmKernel::skinny: return "skinny";
    case GemmKernel::tiles_64: return "tiles_64";
    case GemmKernel::tiles_128: return "tiles_128";
    case GemmKernel::hopper_128: return "hopper_128";
    default: return "hopper_256";
  }
}

}  // namespace tk::cuda
