// Resizing of images, NHWC: x [N,H,W,C], y and dy [N,OH,OW,C], dx as x; H, W >= 1 unless y is empty.
//
// Along an axis of H source and OH result pixels, result pixel o looks at the source position
//   ratio * o                        ratio = H / OH, or (H - 1) / (OH - 1) with align_corners and OH > 1
//   ratio * (o + 0.5) [- 0.5]        with half_pixel_centers; the - 0.5 for bilinear only
//   bilinear: its neighbours low and high, kept inside the image, as low + (high - low) * (position - low), first along W, then
//             along H; positions in double, pixels in f32. f32 only.
//   nearest:  the pixel at floor(position), with align_corners at position rounded half up. Any dtype; pixels are copied.
//   *_grad:   the adjoint for the same attributes: dx gets dy times the weight with which each pixel was read. tfjs's own cpu
//             backend ignores half_pixel_centers here. Sums run over rows, then columns of dy in rising order.
// Outputs must not overlap inputs. workspace: <op>_workspace; column tables and, per thread, rows.
// Source: the meaning is that of tfjs's ResizeBilinear and ResizeNearestNeighbor.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t resize_bilinear_workspace(const OpCall& call, int num_threads);
void resize_bilinear_cpu(const OpCall& call, CpuContext& context);
int64_t resize_nearest_workspace(const OpCall& call, int num_threads);
void resize_nearest_cpu(const OpCall& call, CpuContext& context);
int64_t resize_bilinear_grad_workspace(const OpCall& call, int num_threads);
void resize_bilinear_grad_cpu(const OpCall& call, CpuContext& context);
int64_t resize_nearest_grad_workspace(const OpCall& call, int num_threads);
void resize_nearest_grad_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
