// gather, unsorted_segment_sum and one_hot against plain loops.
#include "op_test.h"

namespace tktest::gather_test {
namespace {

constexpr tk::DType kDTypes[] = {tk::DType::f32, tk::DType::i32, tk::DType::u8};

// Bytes that differ from element to element, whatever the dtype: gather moves bits and must not change any.
Tensor patterned(tk::DType dtype, const std::vector<int64_t>& shape) {
  Tensor t(dtype, shape);
  uint32_t state = 12345;
  for (int64_t i = 0; i < t.bytes(); ++i) {
    state = state * 1664525u + 1013904223u;
    static_cast<uint8_t*>(t.data())[i] = uint8_t(state >> 24);
  }
  return t;
}

std::vector<int32_t> random_indices(int64_t k, int32_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<int32_t> indices;
  for (int64_t i = 0; i < k; ++i) indices.push_back(n == 0 ? 0 : int32_t(generator() % uint32_t(n)));
  return indices;
}

void check_gather(int64_t outer, int64_t n, int64_t inner, int64_t k) {
  const std::vector<int32_t> indices = random_indices(k, int32_t(n), 7);
  for (tk::DType dtype : kDTypes) {
    Tensor x = patterned(dtype, {outer, n, inner}), index = Tensor::i32({k}, indices);
    const int64_t row = inner * tk::dtype_bytes(dtype);
    std::vector<uint8_t> expected(size_t(outer * k * row) + 1);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < k; ++j)
        for (int64_t b = 0; b < row; ++b)
          expected[size_t((o * k + j) * row + b)] = static_cast<uint8_t*>(x.data())[(o * n + indices[size_t(j)]) * row + b];
    for (const Run& run : tktest::runs()) {
      Tensor y(dtype, {outer, k, inner});
      CHECK(tktest::call_op(run, "gather", {&x, &index, &y}) == INT64_MIN);
      CHECK(std::memcmp(y.data(), expected.data(), size_t(y.bytes())) == 0);
    }
  }
}

// The reference adds in f32 in the order of the rows, which the contract promises: results are equal, not close.
void check_segment_sum(int64_t k, int64_t n, const std::vector<int64_t>& inner_shape, int32_t lowest = -2) {
  int64_t inner = 1;
  for (int64_t dim : inner_shape) inner *= dim;
  std::vector<int64_t> x_shape = {k}, y_shape = {n};
  x_shape.insert(x_shape.end(), inner_shape.begin(), inner_shape.end());
  y_shape.insert(y_shape.end(), inner_shape.begin(), inner_shape.end());
  std::vector<int32_t> ids = random_indices(k, int32_t(n) - lowest, 9);
  for (int32_t& id : ids) id += lowest;
  Tensor x = Tensor::random(x_shape, 1), xi(tk::DType::i32, x_shape), id = Tensor::i32({k}, ids);
  for (int64_t i = 0; i < x.size(); ++i) xi.i()[i] = int32_t(uint32_t(i) * 2654435761u);  // sums overflow and wrap
  std::vector<float> expected(size_t(n * inner));
  std::vector<uint32_t> expected_i(size_t(n * inner));
  for (int64_t i = 0; i < k; ++i) {
    if (ids[size_t(i)] < 0) continue;
    for (int64_t c = 0; c < inner; ++c) {
      const size_t at = size_t(ids[size_t(i)] * inner + c);
      expected[at] += x.f()[i * inner + c];
      expected_i[at] += uint32_t(xi.i()[i * inner + c]);
    }
  }
  for (const Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, y_shape), yi(tk::DType::i32, y_shape);
    CHECK(tktest::call_op(run, "unsorted_segment_sum", {&x, &id, &y}) == INT64_MIN);
    CHECK(tktest::call_op(run, "unsorted_segment_sum", {&xi, &id, &yi}) == INT64_MIN);
    bool same = true;
    for (int64_t i = 0; i < y.size(); ++i)
      same = same && y.f()[i] == expected[size_t(i)] && uint32_t(yi.i()[i]) == expected_i[size_t(i)];
    CHECK(same);
  }
}

}  // namespace

TEST(gather_shapes) {
  check_gather(1, 10, 1, 7);
  check_gather(1, 1, 1, 1);
  check_gather(3, 5, 1, 11);
  check_gather(2, 4, 3, 9);
  check_gather(5, 7, 4, 3);
  check_gather(1, 300, 17, 1000);
  check_gather(1, 50, 128, 5000);
  check_gather(4, 1000, 1, 70000);
  check_gather(1, 50, 64, 70000);  // 17 MB: written past the caches
  check_gather(300, 3, 5, 2);
  check_gather(2, 5, 0, 3);
  check_gather(2, 5, 3, 0);
  check_gather(0, 5, 3, 2);
}
TEST(gather_reports_and_clamps) {
  for (const Run& run : tktest::runs()) {
    for (int64_t inner : {1, 3}) {
      Tensor x = patterned(tk::DType::f32, {1, 4, inner});
      for (int32_t bad : {-1, 4, 2147483647, int32_t(-2147483647 - 1)}) {
        Tensor index = Tensor::i32({3}, {1, bad, 2}), y(tk::DType::f32, {1, 3, inner});
        CHECK(tktest::call_op(run, "gather", {&x, &index, &y}) == bad);
        const int64_t rows[] = {1, bad < 0 ? 0 : 3, 2};
        for (int64_t j = 0; j < 3; ++j) CHECK(std::memcmp(y.f() + j * inner, x.f() + rows[j] * inner, size_t(inner) * 4) == 0);
      }
    }
    Tensor empty(tk::DType::i32, {2, 0, 3}), index = Tensor::i32({2}, {0, 5}), y(tk::DType::i32, {2, 2, 3});
    CHECK(tktest::call_op(run, "gather", {&empty, &index, &y}) == 0);
    for (int64_t i = 0; i < y.size(); ++i) CHECK(y.i()[i] == 0);
  }
}

TEST(segment_sum_shapes) {
  check_segment_sum(1, 1, {}, 0);
  check_segment_sum(10, 3, {});
  check_segment_sum(9, 1, {5});
  check_segment_sum(0, 4, {3});
  check_segment_sum(6, 4, {0});
  check_segment_sum(7, 20, {2, 3});
  check_segment_sum(50000, 3, {});
  check_segment_sum(50000, 1, {}, 0);
  check_segment_sum(2000, 1, {129}, 0);
  check_segment_sum(3000, 500, {67});
  check_segment_sum(100, 40000, {4});
}
TEST(segment_sum_without_segments) {
  const Run run = tktest::runs().back();
  Tensor x = Tensor::random({2, 3}, 1), id = Tensor::i32({2}, {-1, 0}), y(tk::DType::f32, {0, 3});
  CHECK(tktest::call_op(run, "unsorted_segment_sum", {&x, &id, &y}) == 0);
}
TEST(segment_sum_reports_ids_above) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), id = Tensor::i32({4}, {1, 3, -7, 1}), y(tk::DType::f32, {3, 2});
    CHECK(tktest::call_op(run, "unsorted_segment_sum", {&x, &id, &y}) == 3);
    const float expected[] = {0, 0, 8, 10, 0, 0};
    CHECK(std::memcmp(y.f(), expected, sizeof expected) == 0);
  }
}

TEST(one_hot_shapes) {
  for (const Run& run : tktest::runs()) {
    for (int64_t k : {0, 1, 5, 3001}) {
      for (int64_t depth : {0, 1, 2, 7, 33}) {
        std::vector<int32_t> indices = random_indices(k, int32_t(depth) + 4, 3);
        for (int32_t& index : indices) index -= 2;
        Tensor index = Tensor::i32({k}, indices), f(tk::DType::f32, {k, depth}), i(tk::DType::i32, {k, depth}),
               b(tk::DType::u8, {k, depth});
        CHECK(tktest::call_op(run, "one_hot", {&index, &f}, {}, {1.5, -0.25}) == INT64_MIN);
        CHECK(tktest::call_op(run, "one_hot", {&index, &i}, {}, {-3, 9}) == INT64_MIN);
        CHECK(tktest::call_op(run, "one_hot", {&index, &b}, {}, {1, 0}) == INT64_MIN);
        bool same = true;
        for (int64_t r = 0; r < k; ++r) {
          for (int64_t d = 0; d < depth; ++d) {
            const bool on = indices[size_t(r)] == d;
            const int64_t at = r * depth + d;
            same = same && f.f()[at] == (on ? 1.5f : -0.25f) && i.i()[at] == (on ? -3 : 9) && b.b()[at] == (on ? 1 : 0);
          }
        }
        CHECK(same);
      }
    }
  }
}

TEST(wrong_geometry_is_refused) {
  const Run run = tktest::runs().back();
  Tensor x = Tensor::random({1, 4, 3}, 1), index = Tensor::i32({2}, {0, 1}), y(tk::DType::f32, {1, 3, 3}),
         flat(tk::DType::f32, {5});
  CHECK_THROWS(tktest::call_op(run, "gather", {&x, &index, &y}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "unsorted_segment_sum", {&x, &index, &y}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "one_hot", {&index, &flat}, {}, {1, 0}), "E_INTERNAL");
}

}  // namespace tktest::gather_test
