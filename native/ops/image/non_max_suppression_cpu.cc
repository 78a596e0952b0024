#include "ops/image/non_max_suppression.h"

#include "ops/image/image_math.h"

TK_BEGIN_LEVEL
namespace {

struct Candidate {
  double score;
  int32_t box;
  int32_t compared;  // kept boxes whose weight is in the score already
};

// A binary heap with the next candidate at the top. Scores are never NaN, so the order is total.
class CandidateHeap {
 public:
  TK_INLINE explicit CandidateHeap(Candidate* items) : items_(items) {}
  TK_INLINE bool empty() const { return size_ == 0; }

  TK_INLINE void push(const Candidate& item) {
    int64_t at = size_++;
    while (at > 0 && is_before(item, items_[(at - 1) / 2])) {
      items_[at] = items_[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    items_[at] = item;
  }

  TK_INLINE Candidate pop() {
    const Candidate top = items_[0], last = items_[--size_];
    int64_t at = 0;
    for (int64_t child = 1; child < size_; child = 2 * at + 1) {
      if (child + 1 < size_ && is_before(items_[child + 1], items_[child])) ++child;
      if (!is_before(items_[child], last)) break;
      items_[at] = items_[child];
      at = child;
    }
    items_[at] = last;
    return top;
  }

 private:
  TK_INLINE static bool is_before(const Candidate& a, const Candidate& b) {
    return a.score > b.score || (a.score == b.score && a.box < b.box);
  }
  Candidate* items_;
  int64_t size_ = 0;
};

// Math.max and Math.min of JavaScript but for the sign of zero, which no area shows: NaN if either is.
TK_INLINE double larger(double a, double b) { return a != a || a > b ? a : b; }
TK_INLINE double smaller(double a, double b) { return a != a || a < b ? a : b; }

struct Corners {
  double top, left, bottom, right, area;
};

TK_INLINE Corners corners_of(const float* box) {
  const double a = double(box[0]), b = double(box[1]), c = double(box[2]), d = double(box[3]);
  Corners k = {smaller(a, c), smaller(b, d), larger(a, c), larger(b, d), 0};
  k.area = (k.bottom - k.top) * (k.right - k.left);
  return k;
}

TK_INLINE double overlap(const Corners& a, const Corners& b) {
  if (a.area <= 0 || b.area <= 0) return 0;
  const double height = larger(smaller(a.bottom, b.bottom) - larger(a.top, b.top), 0);
  const double width = larger(smaller(a.right, b.right) - larger(a.left, b.left), 0);
  const double common = height * width;
  return common / (a.area + b.area - common);
}

struct Thresholds {
  double iou, score, exponent;
};

// Compares a candidate with the boxes kept since it was last looked at, newest first: near boxes have near scores.
// Lowers its score; returns whether it is dropped at once.
TK_INLINE bool is_suppressed(const Corners* boxes, const int32_t* kept, int64_t num_kept, const Thresholds& limit,
                             Candidate* candidate) {
  const Corners& own = boxes[candidate->box];
  for (int64_t j = num_kept - 1; j >= candidate->compared; --j) {
    const double iou = overlap(own, boxes[kept[j]]);
    if (iou >= limit.iou) return true;
    // A NaN overlap is not below the limit either: weight 0.
    const double weight = !(iou <= limit.iou) ? 0 : limit.exponent == 0 ? 1 : ::exp(limit.exponent * iou * iou);
    candidate->score *= weight;
    if (candidate->score <= limit.score) break;
  }
  return false;
}

}  // namespace

int64_t non_max_suppression_workspace(const OpCall& call, int) {
  const int64_t boxes = call[1].size;
  return aligned_bytes(boxes, sizeof(Corners)) + aligned_bytes(boxes, sizeof(Candidate));
}

void non_max_suppression_cpu(const OpCall& call, CpuContext&) {
  const Operand &boxes = call[0], &scores = call[1], &selected = call[2], &selected_scores = call[3], &count = call[4];
  TK_CHECK_EQ(boxes.size, 4 * scores.size);
  TK_CHECK_EQ(selected.size, selected_scores.size);
  TK_CHECK_EQ(count.size, 1);
  const double sigma = TK_FLOAT(call, non_max_suppression, soft_sigma);
  const Thresholds limit = {TK_FLOAT(call, non_max_suppression, iou_threshold),
                            TK_FLOAT(call, non_max_suppression, score_threshold), sigma > 0 ? -0.5 / sigma : 0};
  Corners* corners = static_cast<Corners*>(call.workspace);
  CandidateHeap candidates(
      reinterpret_cast<Candidate*>(static_cast<char*>(call.workspace) + aligned_bytes(scores.size, sizeof(Corners))));
  for (int64_t i = 0; i < scores.size; ++i) {
    corners[i] = corners_of(boxes.f32() + i * 4);
    const double score = double(scores.f32()[i]);
    if (score > limit.score) candidates.push({score, int32_t(i), 0});
  }
  int32_t* kept = selected.i32();
  int64_t num_kept = 0;
  while (num_kept < selected.size && !candidates.empty()) {
    Candidate candidate = candidates.pop();
    const double original = candidate.score;
    const bool dropped = is_suppressed(corners, kept, num_kept, limit, &candidate);
    candidate.compared = int32_t(num_kept);
    if (dropped) continue;
    if (candidate.score == original) {
      selected_scores.f32()[num_kept] = float(candidate.score);
      kept[num_kept++] = candidate.box;
    } else if (candidate.score > limit.score) {
      candidates.push(candidate);
    }
  }
  *count.i32() = int32_t(num_kept);
  for (int64_t i = num_kept; i < selected.size; ++i) {
    kept[i] = 0;
    selected_scores.f32()[i] = 0;
  }
}

TK_END_LEVEL
