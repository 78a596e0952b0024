// Non-maximum suppression: boxes by falling score, each dropped when it overlaps one that was kept too much.
//   boxes f32 [B,4] of two opposite corners (y, x, y, x) in any order, scores f32 [B]
//   selected i32 [M], selected_scores f32 [M], count i32 scalar: the first `count` places hold the boxes kept, in the order
//   they were taken, and their scores; the rest is 0
// A box takes part when its score is above score_threshold (NaN never is). Of equal scores the box with the lower number
// comes first. A box is dropped when its intersection over union with a kept box is >= iou_threshold. With soft_sigma > 0
// each overlap below that multiplies the score by exp(-iou^2 / (2 soft_sigma)), and the box waits for its turn under the new
// score; it is dropped when that is not above score_threshold. Boxes without area overlap nothing. Arithmetic is in double.
// One thread: each choice depends on those before. Outputs must not overlap inputs.
// workspace: non_max_suppression_workspace; the queue of candidates and the corners of the boxes kept.
// Source: Bodla, Singh, Chellappa, Davis 2017, "Soft-NMS"; in detail as tfjs-core's non_max_suppression_impl, NaN included.
#pragma once
#include "cpu/kernel.h"

TK_BEGIN_LEVEL

int64_t non_max_suppression_workspace(const OpCall& call, int num_threads);
void non_max_suppression_cpu(const OpCall& call, CpuContext& context);

TK_END_LEVEL
