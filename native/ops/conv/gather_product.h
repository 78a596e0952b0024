// The product behind convolutions and their input gradients: each pixel of the result is a sum over taps of (row of source
// channels) x (matrix of the tap). Rows of A are found through a table of pointers, so patches are never copied; a tap outside
// the source points to a row of zeros.
#pragma once
#include "ops/common/gemm_blocks.h"

TK_BEGIN_LEVEL

// Along one axis: result position i meets, through tap number q, source position i * scale + offset + q * offset_step.
struct GatherAxis {
  int64_t result;        // positions computed
  int64_t result_first;  // position i is stored at result_first + i * result_step
  int64_t result_step;
  int64_t source;  // size of the source
  int64_t taps, scale, offset, offset_step;
};

struct GatherProduct {
  int64_t images;
  GatherAxis d, h, w;
  int64_t length;  // floats per segment: channels of the source, or whole filter rows (then w.taps is 1)
  const float* source;
  int64_t source_image, source_plane, source_row, source_pixel;  // strides in floats
  float* result;
  int64_t result_image, result_plane, result_row, result_pixel;
  int64_t n;    // channels of the result
  bool inside;  // no tap leaves the source
  const void* filter_self;
  // Packs rows [k0, k1) of the stacked tap matrices, columns [n0, n0+cols), into one panel of width round_up(cols, kVecWidth).
  void (*pack_b)(const void* filter_self, int64_t k0, int64_t k1, int64_t n0, int cols, float* dst);
  RowsDone done;  // a row is a pixel of the result, counted in the order of images, planes, rows

  TK_INLINE int64_t segments() const { return d.taps * h.taps * w.taps; }
  TK_INLINE int64_t rows() const { return images * d.result * h.result * w.result; }
};

// Bytes of scratch memory; nothing may be empty.
int64_t gather_workspace(const GatherProduct& product, int num_threads);
void run_gather(const GatherProduct& product, void* workspace, CpuContext& context);

TK_END_LEVEL
