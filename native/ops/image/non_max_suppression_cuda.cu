#include "cuda/context.h"
// context.h first.
#include "ops/image/non_max_suppression.h"

// One thread, since each choice depends on those before; the candidate that comes next is found by a pass over all.
TK_BEGIN_CUDA
namespace {

// Math.max and Math.min of JavaScript but for the sign of zero, which no area shows: NaN if either is.
__device__ inline double larger_of(double a, double b) { return a != a || a > b ? a : b; }
__device__ inline double smaller_of(double a, double b) { return a != a || a < b ? a : b; }

struct BoxArea {
  double top, left, bottom, right, area;
};
__device__ inline BoxArea box_area(const float* box) {
  const double a = double(box[0]), b = double(box[1]), c = double(box[2]), d = double(box[3]);
  BoxArea k = {smaller_of(a, c), smaller_of(b, d), larger_of(a, c), larger_of(b, d), 0};
  k.area = (k.bottom - k.top) * (k.right - k.left);
  return k;
}
__device__ inline double overlap_of(const BoxArea& a, const BoxArea& b) {
  if (a.area <= 0 || b.area <= 0) return 0;
  const double height = larger_of(smaller_of(a.bottom, b.bottom) - larger_of(a.top, b.top), 0);
  const double width = larger_of(smaller_of(a.right, b.right) - larger_of(a.left, b.left), 0);
  const double common = height * width;
  return common / (a.area + b.area - common);
}

// A box that may still be kept; compared: how many kept boxes its score has been weighed against.
struct Contender {
  double score;
  int32_t compared;
  int32_t waits;
};

}  // namespace

int64_t non_max_suppression_cuda_workspace(const OpCall& call) { return call[1].size * int64_t(sizeof(Contender)); }

void non_max_suppression_cuda(const OpCall& call, CudaContext& context) {
  TK_CHECK_EQ(call[0].size, 4 * call[1].size);
  TK_CHECK_EQ(call[2].size, call[3].size);
  TK_CHECK_EQ(call[4].size, 1);
  const double sigma = TK_FLOAT(call, non_max_suppression, soft_sigma), exponent = sigma > 0 ? -0.5 / sigma : 0;
  const double iou_limit = TK_FLOAT(call, non_max_suppression, iou_threshold);
  const double score_limit = TK_FLOAT(call, non_max_suppression, score_threshold);
  const float *boxes = call[0].f32(), *scores = call[1].f32();
  int32_t *kept = call[2].i32(), *count = call[4].i32();
  float* kept_scores = call[3].f32();
  const int64_t num_boxes = call[1].size, room = call[2].size;
  Contender* contenders = static_cast<Contender*>(call.workspace);
  for_each(context, num_boxes, [=] __device__(int64_t i) {
    contenders[i] = {double(scores[i]), 0, double(scores[i]) > score_limit};
  });
  for_each(context, 1, [=] __device__(int64_t) {
    int64_t num_kept = 0;
    while (num_kept < room) {
      int64_t next = -1;
      for (int64_t i = 0; i < num_boxes; ++i) {
        if (contenders[i].waits && (next < 0 || contenders[i].score > contenders[next].score)) next = i;
      }
      if (next < 0) break;
      Contender& chosen = contenders[next];
      const double original = chosen.score;
      const BoxArea own = box_area(boxes + next * 4);
      bool dropped = false;
      // Newest first: near boxes have near scores.
      for (int64_t j = num_kept - 1; j >= chosen.compared && !dropped; --j) {
        const double iou = overlap_of(own, box_area(boxes + int64_t(kept[j]) * 4));
        dropped = iou >= iou_limit;
        if (dropped) break;
        // A NaN overlap is not below the limit either: weight 0.
        chosen.score *= !(iou <= iou_limit) ? 0 : exponent == 0 ? 1 : exp(exponent * iou * iou);
        if (chosen.score <= score_limit) break;
      }
      chosen.compared = int32_t(num_kept);
      if (!dropped && chosen.score == original) {
        kept_scores[num_kept] = float(chosen.score);
        kept[num_kept++] = int32_t(next);
        chosen.waits = 0;
      } else if (dropped || !(chosen.score > score_limit)) {
        chosen.waits = 0;
      }
    }
    *count = int32_t(num_kept);
    for (int64_t i = num_kept; i < room; ++i) {
      kept[i] = 0;
      kept_scores[i] = 0;
    }
  });
}

TK_END_CUDA
