#include <algorithm>

#include "op_test.h"

namespace tktest::non_max_suppression_test {
namespace {

struct Limits {
  double iou = 0.5, score = -INFINITY, sigma = 0;
};
struct Kept {
  std::vector<int32_t> boxes;
  std::vector<double> scores;
};

double overlap(const float* a, const float* b) {
  const auto low = [](const float* k, int axis) { return double(std::min(k[axis], k[axis + 2])); };
  const auto high = [](const float* k, int axis) { return double(std::max(k[axis], k[axis + 2])); };
  double common = 1, area_a = 1, area_b = 1;
  for (int axis : {0, 1}) {
    common *= std::max(0.0, std::min(high(a, axis), high(b, axis)) - std::max(low(a, axis), low(b, axis)));
    area_a *= high(a, axis) - low(a, axis);
    area_b *= high(b, axis) - low(b, axis);
  }
  return area_a <= 0 || area_b <= 0 ? 0 : common / (area_a + area_b - common);
}

// By definition: the best of the boxes left is kept, then every other one is weighed against it. O(n^2), no queue.
Kept reference(const Tensor& boxes, const Tensor& scores, int64_t most, const Limits& limit) {
  const int64_t n = scores.size();
  std::vector<double> score(scores.f(), scores.f() + n);
  std::vector<bool> left(size_t(n), true);
  Kept kept;
  for (int64_t i = 0; i < n; ++i) left[size_t(i)] = score[size_t(i)] > limit.score;
  while (int64_t(kept.boxes.size()) < most) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; ++i) {
      if (left[size_t(i)] && (best < 0 || score[size_t(i)] > score[size_t(best)])) best = i;
    }
    if (best < 0) break;
    kept.boxes.push_back(int32_t(best));
    kept.scores.push_back(score[size_t(best)]);
    left[size_t(best)] = false;
    for (int64_t i = 0; i < n; ++i) {
      const double iou = overlap(boxes.f() + i * 4, boxes.f() + best * 4);
      if (iou >= limit.iou) left[size_t(i)] = false;
      if (limit.sigma > 0) score[size_t(i)] *= std::exp(-iou * iou / (2 * limit.sigma));
      if (!(score[size_t(i)] > limit.score)) left[size_t(i)] = false;
    }
  }
  return kept;
}

void check(Tensor& boxes, Tensor& scores, int64_t most, const Limits& limit, const Kept& expected) {
  for (const tktest::Run& run : tktest::runs()) {
    Tensor selected(tk::DType::i32, {most}), kept_scores(tk::DType::f32, {most}), count(tk::DType::i32, {});
    tktest::call_op(run, "non_max_suppression", {&boxes, &scores, &selected, &kept_scores, &count}, {},
                    {limit.iou, limit.score, limit.sigma});
    const int64_t kept = int64_t(expected.boxes.size());
    CHECK(*count.i() == kept);
    bool same = true;
    for (int64_t i = 0; i < most; ++i) {
      const int32_t box = i < kept ? expected.boxes[size_t(i)] : 0;
      const double score = i < kept ? expected.scores[size_t(i)] : 0;
      // Scores are products in double, in another order than the reference's, rounded to f32 once.
      const double got = double(kept_scores.f()[i]);
      same = same && selected.i()[i] == box && (got == score || std::fabs(got - score) <= 1e-7 * std::fabs(score));
    }
    CHECK(same);
  }
}

struct Scene {
  Tensor boxes, scores;
};
Scene random_scene(int64_t count, uint32_t seed) {
  Scene scene = {Tensor(tk::DType::f32, {count, 4}), Tensor(tk::DType::f32, {count})};
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> place(0, 100), size(-20, 20);
  for (int64_t i = 0; i < count; ++i) {
    float* box = scene.boxes.f() + i * 4;
    box[0] = place(generator), box[1] = place(generator);
    box[2] = box[0] + size(generator), box[3] = box[1] + size(generator);  // corners in any order
    scene.scores.f()[i] = place(generator) / 100;
  }
  return scene;
}

TEST(non_max_suppression_random_boxes) {
  for (int64_t count : {0, 1, 2, 17, 300}) {
    Scene scene = random_scene(count, uint32_t(count) + 1);
    for (int64_t most : {int64_t(0), int64_t(1), int64_t(5), count}) {
      for (double iou : {0.0, 0.1, 0.5, 1.0}) {
        for (double score : {-double(INFINITY), 0.4}) {
          const Limits limit = {iou, score, 0};
          check(scene.boxes, scene.scores, most, limit, reference(scene.boxes, scene.scores, most, limit));
        }
      }
    }
  }
}

TEST(non_max_suppression_soft) {
  for (int64_t count : {2, 40, 300}) {
    Scene scene = random_scene(count, uint32_t(count) + 7);
    for (double sigma : {0.05, 0.5, 1.0}) {
      for (double iou : {0.3, 0.9, 1.0}) {
        const Limits limit = {iou, 0.2, sigma};
        check(scene.boxes, scene.scores, count, limit, reference(scene.boxes, scene.scores, count, limit));
      }
    }
  }
}

TEST(non_max_suppression_ties_and_odd_values) {
  // Equal scores: the lower number first; one box twice: the second one goes.
  Tensor boxes = Tensor::f32({5, 4}, {0, 0, 1, 1, 5, 5, 6, 6, 0, 0, 1, 1, 9, 9, 9, 9, 9, 9, 9, 9});
  Tensor scores = Tensor::f32({5}, {0.5f, 0.9f, 0.5f, 0.9f, NAN});
  // Box 4 has no number for a score; box 3 no area, so nothing overlaps it.
  check(boxes, scores, 5, {}, {{1, 3, 0}, {0.9f, 0.9f, 0.5f}});
  Tensor infinite = Tensor::f32({5}, {-INFINITY, INFINITY, 1, 2, 3});
  check(boxes, infinite, 5, {}, {{1, 4, 3, 2}, {INFINITY, 3, 2, 1}});
  // A box with a NaN corner overlaps NaN with every kept box: as in tfjs its score turns 0, and it comes last.
  Tensor broken = Tensor::f32({3, 4}, {0, 0, 1, 1, NAN, 0, 1, 1, 5, 5, 6, 6}), three = Tensor::f32({3}, {0.9f, 0.8f, 0.7f});
  check(broken, three, 3, {}, {{0, 2, 1}, {0.9f, 0.7f, 0}});
  check(broken, three, 3, {0.5, 0, 0}, {{0, 2}, {0.9f, 0.7f}});
}

TEST(non_max_suppression_checks_shapes) {
  Tensor boxes = Tensor::random({3, 4}, 1), scores = Tensor::random({2}, 1);
  Tensor selected(tk::DType::i32, {2}), kept(tk::DType::f32, {2}), count(tk::DType::i32, {});
  CHECK_THROWS(tktest::call_op({tk::active_level(), 1}, "non_max_suppression", {&boxes, &scores, &selected, &kept, &count}, {},
                               {0.5, 0, 0}),
               "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::non_max_suppression_test
