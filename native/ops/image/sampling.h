// Ops that read an image at computed positions. x [N,H,W,C]. Positions are computed in double. Outputs must not overlap inputs.
// workspace: none.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

// boxes f32 [B,4] of (y1, x1, y2, x2), 0 and 1 being the first and last row or column; box_image i32 [B]; y f32 [B,CH,CW,C].
// Row i of a crop lies at y1*(H-1) + i*(y2-y1)*(H-1)/(CH-1), for CH = 1 in the middle of the box; columns likewise.
// nearest = 1 takes the nearest pixel (halves up), else four are blended as in resize_bilinear. Outside the image:
// `extrapolation`; at a NaN position: NaN. A box whose image is N or more gives zeros, as in tfjs; a negative one is reported
// and gives zeros.
// Source: tfjs's CropAndResize, after TensorFlow's.
void crop_and_resize_cpu(const OpCall& call, CpuContext& context);

// transforms f32 [N,8] or [1,8], y f32 [N,OH,OW,C]: result (column u, row v) is read at
//   column (t0*u + t1*v + t2) / k, row (t3*u + t4*v + t5) / k, k = t6*u + t7*v + 1; k = 0 gives `fill`.
// bilinear = 1 blends four pixels in double, else the nearest one is taken (halves up). fill_mode: what lies beyond the image
//   0 constant  `fill`            1 reflect  d c b a | a b c d | d c b a
//   2 wrap      a b c d | a b c d 3 nearest  the border pixel
// A NaN position gives `fill` for nearest and NaN for bilinear. Source: tfjs's Transform, after TensorFlow's
// ImageProjectiveTransformV3; tfjs's own cpu backend leaves all images but the first at `fill`.
void transform_image_cpu(const OpCall& call, CpuContext& context);

// y as x, any dtype: result (column u, row v) is the pixel nearest (halves up) to
//   column center_x + (u-center_x)*cosine - (v-center_y)*sine, row center_y + (u-center_x)*sine + (v-center_y)*cosine,
// or fill where that lies outside; fill* has one value per channel, the last one stands for all channels after it.
// Source: tfjs's RotateWithOffset.
void rotate_image_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
