// flat_index, scatter_update, bincount and sparse_segment against plain loops. The contracts fix the order of every sum, so
// results are equal, not close.
#include <algorithm>

#include "op_test.h"

namespace tktest::scatter_test {
namespace {

std::vector<int32_t> random_ints(int64_t count, int32_t low, int32_t high, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<int32_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(low + int32_t(generator() % uint32_t(high - low)));
  return values;
}

// Each row is written by hand: the last update of a place wins.
void check_update(int64_t rows, int64_t inner, int64_t k, bool one_x, bool one_update) {
  const std::vector<int32_t> ids = random_ints(k, -1, int32_t(rows), 4);
  Tensor id = Tensor::i32({k}, ids);
  for (tk::DType dtype : {tk::DType::f32, tk::DType::i32, tk::DType::u8}) {
    const int64_t bytes = tk::dtype_bytes(dtype);
    Tensor x(dtype, one_x ? std::vector<int64_t>{} : std::vector<int64_t>{rows, inner});
    Tensor updates(dtype, one_update ? std::vector<int64_t>{} : std::vector<int64_t>{k, inner});
    for (int64_t i = 0; i < x.bytes(); ++i) static_cast<uint8_t*>(x.data())[i] = uint8_t(i * 7 + 1);
    for (int64_t i = 0; i < updates.bytes(); ++i) static_cast<uint8_t*>(updates.data())[i] = uint8_t(i * 13 + 5);
    const auto element = [&](Tensor& t, bool one, int64_t i) {
      return static_cast<const char*>(t.data()) + (one ? 0 : i) * bytes;
    };
    std::vector<char> expected(size_t(rows * inner * bytes) + 1);
    for (int64_t i = 0; i < rows * inner; ++i) std::memcpy(&expected[size_t(i * bytes)], element(x, one_x, i), size_t(bytes));
    for (int64_t j = 0; j < k; ++j) {
      if (ids[size_t(j)] < 0) continue;
      for (int64_t c = 0; c < inner; ++c) {
        std::memcpy(&expected[size_t((ids[size_t(j)] * inner + c) * bytes)], element(updates, one_update, j * inner + c),
                    size_t(bytes));
      }
    }
    for (const Run& run : tktest::runs()) {
      Tensor y(dtype, {rows, inner});
      CHECK(tktest::call_op(run, "scatter_update", {&x, &id, &updates, &y}) == INT64_MIN);
      CHECK(std::memcmp(y.data(), expected.data(), size_t(y.bytes())) == 0);
    }
  }
}

void check_segments(int64_t n, int64_t inner, int64_t k, int64_t segments) {
  std::vector<int32_t> indices = random_ints(k, 0, int32_t(n), 11), ids = random_ints(k, 0, int32_t(segments), 12);
  std::sort(ids.begin(), ids.end());
  Tensor x = Tensor::random({n, inner}, 13), xi(tk::DType::i32, {n, inner});
  for (int64_t i = 0; i < xi.size(); ++i) xi.i()[i] = int32_t(uint32_t(i) * 2654435761u);  // sums overflow and wrap
  Tensor index = Tensor::i32({k}, indices), id = Tensor::i32({k}, ids);
  for (bool mean : {false, true}) {
    std::vector<float> expected(size_t(segments * inner));
    std::vector<uint32_t> expected_i(size_t(segments * inner));
    std::vector<int64_t> counts(static_cast<size_t>(segments));
    for (int64_t j = 0; j < k; ++j) {
      ++counts[size_t(ids[size_t(j)])];
      for (int64_t c = 0; c < inner; ++c) {
        expected[size_t(ids[size_t(j)] * inner + c)] += x.f()[indices[size_t(j)] * inner + c];
        expected_i[size_t(ids[size_t(j)] * inner + c)] += uint32_t(xi.i()[indices[size_t(j)] * inner + c]);
      }
    }
    for (int64_t i = 0; mean && i < segments * inner; ++i) {
      const int64_t count = counts[size_t(i / inner)];
      if (count == 0) continue;
      expected[size_t(i)] /= float(count);
      expected_i[size_t(i)] = uint32_t(int64_t(int32_t(expected_i[size_t(i)])) / count);
    }
    for (const Run& run : tktest::runs()) {
      Tensor y(tk::DType::f32, {segments, inner}), yi(tk::DType::i32, {segments, inner});
      CHECK(tktest::call_op(run, "sparse_segment", {&x, &index, &id, &y}, {mean}) == INT64_MIN);
      CHECK(tktest::call_op(run, "sparse_segment", {&xi, &index, &id, &yi}, {mean}) == INT64_MIN);
      CHECK(std::equal(expected.begin(), expected.end(), y.f()));
      CHECK(std::equal(expected_i.begin(), expected_i.end(), yi.i(), [](uint32_t a, int32_t b) { return a == uint32_t(b); }));
    }
  }
}

}  // namespace

TEST(flat_index_sums_components) {
  for (int64_t k : {0, 1, 7, 20000}) {
    const std::vector<int32_t> tuples = random_ints(k * 2, 0, 50, 2);
    Tensor indices = Tensor::i32({k, 2}, tuples);
    for (const Run& run : tktest::runs()) {
      Tensor ids(tk::DType::i32, {k});
      CHECK(tktest::call_op(run, "flat_index", {&indices, &ids}, {2500, 50, 1}) == INT64_MIN);
      bool same = true;
      for (int64_t i = 0; i < k; ++i) same = same && ids.i()[i] == tuples[size_t(2 * i)] * 50 + tuples[size_t(2 * i + 1)];
      CHECK(same);
    }
  }
}
TEST(flat_index_reports_what_lies_outside) {
  for (const Run& run : tktest::runs()) {
    // -1 * 3 + 2 and 3 * 3 + 0 lie outside 9 rows; 1 * 3 - 1 does not, though one component does.
    Tensor indices = Tensor::i32({4, 2}, {1, 1, -1, 2, 3, 0, 1, -1}), ids(tk::DType::i32, {4});
    CHECK(tktest::call_op(run, "flat_index", {&indices, &ids}, {9, 3, 1}) == -1);
    const int32_t expected[] = {4, -1, -1, 2};
    CHECK(std::memcmp(ids.i(), expected, sizeof expected) == 0);
    // Products beyond 32 bits are no small numbers.
    Tensor large = Tensor::i32({1, 1}, {2000000000}), id(tk::DType::i32, {1});
    CHECK(tktest::call_op(run, "flat_index", {&large, &id}, {9, 4}) == 8000000000);
    CHECK(id.i()[0] == -1);
    Tensor nothing(tk::DType::i32, {3, 0}), zeros(tk::DType::i32, {3});
    CHECK(tktest::call_op(run, "flat_index", {&nothing, &zeros}, {1}) == INT64_MIN);
    for (int i = 0; i < 3; ++i) CHECK(zeros.i()[i] == 0);
  }
}

TEST(scatter_update_shapes) {
  for (bool one_x : {false, true}) {
    for (bool one_update : {false, true}) {
      check_update(1, 1, 1, one_x, one_update);
      check_update(10, 3, 7, one_x, one_update);
      check_update(5, 1, 100, one_x, one_update);
      check_update(4, 9, 0, one_x, one_update);
      check_update(3, 0, 2, one_x, one_update);
      check_update(5000, 17, 3000, one_x, one_update);
      check_update(100001, 1, 50000, one_x, one_update);
      check_update(1, 70000, 5, one_x, one_update);
    }
  }
}
TEST(scatter_update_reports_ids_above) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({2, 1}, {1, 2}), id = Tensor::i32({3}, {0, 2, -5}), updates = Tensor::f32({3, 1}, {7, 8, 9});
    Tensor y(tk::DType::f32, {2, 1});
    CHECK(tktest::call_op(run, "scatter_update", {&x, &id, &updates, &y}) == 2);
    CHECK(y.f()[0] == 7 && y.f()[1] == 2);
  }
}

TEST(bincount_counts_and_weighs) {
  const int64_t cases[][3] = {{1, 1, 1}, {1, 50, 7}, {3, 20, 5}, {0, 4, 3}, {2, 0, 3}, {4, 5, 0}, {300, 400, 50}};
  for (const auto& c : cases) {
    const int64_t rows = c[0], n = c[1], size = c[2];
    const std::vector<int32_t> values = random_ints(rows * n, 0, int32_t(size) + 3, 21);
    Tensor x = Tensor::i32({rows, n}, values), weights = Tensor::random({rows, n}, 22), none(tk::DType::f32, {0});
    Tensor whole = Tensor::i32({rows, n}, random_ints(rows * n, 1 << 28, 1 << 30, 23)), none_i(tk::DType::i32, {0});
    std::vector<float> weighed(size_t(rows * size)), counted(size_t(rows * size)), occurs(size_t(rows * size));
    std::vector<uint32_t> summed(size_t(rows * size));
    for (int64_t i = 0; i < rows * n; ++i) {
      if (values[size_t(i)] >= size) continue;
      const size_t at = size_t(i / n * size + values[size_t(i)]);
      weighed[at] += weights.f()[i];
      counted[at] += 1;
      occurs[at] = 1;
      summed[at] += uint32_t(whole.i()[i]);
    }
    for (const Run& run : tktest::runs()) {
      Tensor y(tk::DType::f32, {rows, size}), yi(tk::DType::i32, {rows, size});
      CHECK(tktest::call_op(run, "bincount", {&x, &weights, &y}, {0}) == INT64_MIN);
      CHECK(std::equal(weighed.begin(), weighed.end(), y.f()));
      tktest::call_op(run, "bincount", {&x, &none, &y}, {0});
      CHECK(std::equal(counted.begin(), counted.end(), y.f()));
      tktest::call_op(run, "bincount", {&x, &weights, &y}, {1});
      CHECK(std::equal(occurs.begin(), occurs.end(), y.f()));
      tktest::call_op(run, "bincount", {&x, &whole, &yi}, {0});
      CHECK(std::equal(summed.begin(), summed.end(), yi.i(), [](uint32_t a, int32_t b) { return a == uint32_t(b); }));
      tktest::call_op(run, "bincount", {&x, &none_i, &yi}, {0});
      CHECK(std::equal(counted.begin(), counted.end(), yi.i(), [](float a, int32_t b) { return int32_t(a) == b; }));
    }
  }
}
TEST(bincount_reports_negative_values) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::i32({1, 3}, {1, -2, 1}), none(tk::DType::f32, {0}), y(tk::DType::f32, {1, 2});
    CHECK(tktest::call_op(run, "bincount", {&x, &none, &y}, {0}) == -2);
    CHECK(y.f()[0] == 0 && y.f()[1] == 2);
  }
}

TEST(sparse_segment_shapes) {
  check_segments(1, 1, 1, 1);
  check_segments(10, 3, 20, 6);
  check_segments(5, 1, 40, 50);
  check_segments(4, 7, 0, 3);
  check_segments(4, 0, 5, 3);
  check_segments(1000, 33, 5000, 700);
  check_segments(1000, 129, 3000, 2);
}
TEST(sparse_segment_reports_and_leaves_out) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({2, 1}, {3, 5}), index = Tensor::i32({3}, {0, 2, 1}), id = Tensor::i32({3}, {0, 0, 1});
    Tensor y(tk::DType::f32, {2, 1});
    CHECK(tktest::call_op(run, "sparse_segment", {&x, &index, &id, &y}, {0}) == 2);
    CHECK(y.f()[0] == 3 && y.f()[1] == 5);
  }
}

}  // namespace tktest::scatter_test
