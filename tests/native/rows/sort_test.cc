// top_k, search_sorted and unique against plain references that sort, count and compare every pair.
#include <algorithm>
#include <numeric>

#include "op_test.h"

namespace tktest::sort_test {
namespace {

constexpr tk::DType kDTypes[] = {tk::DType::f32, tk::DType::i32, tk::DType::u8};
const float kNaN = std::nanf("");

// Small whole numbers, so that there are many ties; every dtype can hold them.
Tensor whole_numbers(tk::DType dtype, const std::vector<int64_t>& shape, uint32_t seed, int32_t limit) {
  Tensor t(dtype, shape);
  std::mt19937 generator(seed);
  for (int64_t i = 0; i < t.size(); ++i) {
    const int32_t value = int32_t(generator() % uint32_t(limit));
    if (dtype == tk::DType::f32) t.f()[i] = float(value - limit / 2) / 4;
    if (dtype == tk::DType::i32) t.i()[i] = value - limit / 2;
    if (dtype == tk::DType::u8) t.b()[i] = uint8_t(value);
  }
  return t;
}

double value_at(const Tensor& t, tk::DType dtype, int64_t i) {
  Tensor& x = const_cast<Tensor&>(t);
  return dtype == tk::DType::f32 ? double(x.f()[i]) : dtype == tk::DType::i32 ? double(x.i()[i]) : double(x.b()[i]);
}

// Largest first, NaN last, equal values by index.
void check_top_k(Tensor& x, tk::DType dtype, int64_t k) {
  const int64_t rows = x.shape()[0], n = x.shape()[1];
  std::vector<int32_t> expected;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      const double left = value_at(x, dtype, row * n + a), right = value_at(x, dtype, row * n + b);
      return std::isnan(right) ? !std::isnan(left) : left > right;
    });
    expected.insert(expected.end(), order.begin(), order.begin() + k);
  }
  for (const Run& run : tktest::runs()) {
    Tensor values(dtype, {rows, k}), indices(tk::DType::i32, {rows, k});
    CHECK(tktest::call_op(run, "top_k", {&x, &values, &indices}) == INT64_MIN);
    bool same = true;
    const int64_t bytes = tk::dtype_bytes(dtype);
    for (int64_t i = 0; i < rows * k; ++i) {
      const int64_t from = i / k * n + expected[size_t(i)];
      same = same && indices.i()[i] == expected[size_t(i)] &&
             std::memcmp(static_cast<char*>(values.data()) + i * bytes, static_cast<char*>(x.data()) + from * bytes,
                         size_t(bytes)) == 0;
    }
    CHECK(same);
  }
}

template <class T>
int32_t count_below(const T* row, int64_t n, T value, bool right) {
  int32_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += right ? row[i] <= value : row[i] < value;
  return count;
}

}  // namespace

TEST(top_k_shapes) {
  for (tk::DType dtype : kDTypes) {
    const int64_t cases[][3] = {{1, 1, 1},    {3, 7, 0},    {3, 7, 3},     {3, 7, 7},       {50, 33, 5},    {2, 511, 511},
                                {2, 512, 32}, {2, 512, 33}, {3, 5000, 10}, {3, 5000, 4000}, {70, 900, 900}, {0, 5, 2}};
    for (const auto& c : cases) {
      Tensor x = whole_numbers(dtype, {c[0], c[1]}, 3, 200);
      check_top_k(x, dtype, c[2]);
    }
  }
}
TEST(top_k_special_values) {
  std::vector<float> values = {0.0f,   -0.0f,   kNaN,  INFINITY, -INFINITY, -kNaN, -1.0f,
                               1e-45f, -1e-45f, -0.0f, 0.0f,     INFINITY,  3e38f};
  for (int64_t k : {1, 5, 13}) {
    Tensor x = Tensor::f32({1, 13}, values);
    check_top_k(x, tk::DType::f32, k);
  }
  // The same through the sort of whole rows.
  std::vector<float> many;
  for (int i = 0; i < 100; ++i) many.insert(many.end(), values.begin(), values.end());
  Tensor x = Tensor::f32({1, 1300}, many);
  check_top_k(x, tk::DType::f32, 1300);
  Tensor extremes = Tensor::i32({1, 4}, {INT32_MIN, INT32_MAX, 0, INT32_MIN});
  check_top_k(extremes, tk::DType::i32, 4);
}

TEST(search_sorted_counts) {
  const int64_t cases[][3] = {{1, 1, 1}, {3, 10, 7}, {2, 0, 5}, {2, 5, 0}, {4, 1000, 3000}};
  for (const auto& c : cases) {
    const int64_t batch = c[0], n = c[1], m = c[2];
    for (tk::DType dtype : kDTypes) {
      Tensor sorted = whole_numbers(dtype, {batch, n}, 5, 60), values = whole_numbers(dtype, {batch, m}, 6, 70);
      for (int64_t b = 0; b < batch; ++b) {
        if (dtype == tk::DType::f32) std::sort(sorted.f() + b * n, sorted.f() + (b + 1) * n);
        if (dtype == tk::DType::i32) std::sort(sorted.i() + b * n, sorted.i() + (b + 1) * n);
        if (dtype == tk::DType::u8) std::sort(sorted.b() + b * n, sorted.b() + (b + 1) * n);
      }
      for (bool right : {false, true}) {
        for (const Run& run : tktest::runs()) {
          Tensor y(tk::DType::i32, {batch, m});
          tktest::call_op(run, "search_sorted", {&sorted, &values, &y}, {right});
          bool same = true;
          for (int64_t i = 0; i < batch * m; ++i) {
            const int64_t row = i / m * n;
            const int32_t expected = dtype == tk::DType::f32   ? count_below(sorted.f() + row, n, values.f()[i], right)
                                     : dtype == tk::DType::i32 ? count_below(sorted.i() + row, n, values.i()[i], right)
                                                               : count_below(sorted.b() + row, n, values.b()[i], right);
            same = same && y.i()[i] == expected;
          }
          CHECK(same);
        }
      }
    }
  }
}

TEST(unique_columns) {
  const int64_t cases[][4] = {{1, 1, 1, 5},         {1, 100, 1, 30}, {3, 40, 2, 2}, {1, 30000, 1, 200},
                              {1, 5000, 1, 100000}, {5, 2000, 3, 1}, {2, 7, 0, 4},  {1, 0, 1, 4}};
  for (const auto& c : cases) {
    const int64_t outer = c[0], n = c[1], inner = c[2];
    for (tk::DType dtype : kDTypes) {
      if (dtype == tk::DType::u8 && c[3] > 255) continue;
      Tensor x = whole_numbers(dtype, {outer, n, inner}, 8, int32_t(c[3]));
      const auto equal = [&](int64_t a, int64_t b) {
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t i = 0; i < inner; ++i)
            if (value_at(x, dtype, (o * n + a) * inner + i) != value_at(x, dtype, (o * n + b) * inner + i)) return false;
        return true;
      };
      std::vector<int32_t> expected_ids, expected_first;
      for (int64_t j = 0; j < n; ++j) {
        size_t id = 0;
        while (id < expected_first.size() && !equal(expected_first[id], j)) ++id;
        if (id == expected_first.size()) expected_first.push_back(int32_t(j));
        expected_ids.push_back(int32_t(id));
      }
      const size_t count = expected_first.size();
      expected_first.resize(size_t(n), 0);
      for (const Run& run : tktest::runs()) {
        Tensor ids(tk::DType::i32, {n}), first(tk::DType::i32, {n}), found(tk::DType::i32, {1});
        tktest::call_op(run, "unique", {&x, &ids, &first, &found});
        CHECK(found.i()[0] == int32_t(count));
        CHECK(std::equal(expected_ids.begin(), expected_ids.end(), ids.i()));
        CHECK(std::equal(expected_first.begin(), expected_first.end(), first.i()));
      }
    }
  }
}
TEST(unique_special_values) {
  for (const Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({1, 6, 1}, {0.0f, kNaN, -0.0f, -kNaN, INFINITY, 0.0f});
    Tensor ids(tk::DType::i32, {6}), first(tk::DType::i32, {6}), count(tk::DType::i32, {1});
    tktest::call_op(run, "unique", {&x, &ids, &first, &count});
    const int32_t expected_ids[] = {0, 1, 0, 1, 2, 0}, expected_first[] = {0, 1, 4, 0, 0, 0};
    CHECK(count.i()[0] == 3);
    CHECK(std::memcmp(ids.i(), expected_ids, sizeof expected_ids) == 0);
    CHECK(std::memcmp(first.i(), expected_first, sizeof expected_first) == 0);
  }
}

}  // namespace tktest::sort_test
