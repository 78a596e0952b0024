// Layout ops against a plain index walk: every element of y is looked up in x one by one.
#include <algorithm>
#include <functional>

#include "op_test.h"

namespace tktest::layout_test {
using Shape = std::vector<int64_t>;
using Index = std::vector<int64_t>;

namespace {

int64_t flat(const Shape& shape, const Index& index) {
  int64_t position = 0;
  for (size_t d = 0; d < shape.size(); ++d) position = position * shape[d] + index[d];
  return position;
}

void next(const Shape& shape, Index& index) {
  for (size_t d = shape.size(); d-- > 0;) {
    if (++index[d] < shape[d]) return;
    index[d] = 0;
  }
}

// All elements of a 4-byte tensor differ; bytes repeat with a period that is no usual size.
Tensor numbered(tk::DType dtype, const Shape& shape, int64_t first = 0) {
  Tensor t(dtype, shape);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == tk::DType::u8) {
      t.b()[i] = uint8_t((first + i) % 251);
    } else if (dtype == tk::DType::i32) {
      t.i()[i] = int32_t(first + i);
    } else {
      t.f()[i] = float(first + i) + 0.5f;
    }
  }
  return t;
}

constexpr tk::DType kDTypes[] = {tk::DType::f32, tk::DType::i32, tk::DType::u8};

// source(index of y) gives the position in x, or -1 for `pad_value`.
void check_moves(const char* op, const Shape& x_shape, const Shape& y_shape, const std::vector<int64_t>& ints,
                 const std::function<int64_t(const Index&)>& source, double pad_value = 0,
                 const std::vector<double>& floats = {}) {
  for (tk::DType dtype : kDTypes) {
    Tensor x = numbered(dtype, x_shape), expected(dtype, y_shape);
    Index index(y_shape.size(), 0);
    const size_t element = size_t(tk::dtype_bytes(dtype));
    char padding[4];
    if (dtype == tk::DType::f32) {
      const float value = float(pad_value);
      std::memcpy(padding, &value, 4);
    } else {
      const int32_t value = int32_t(pad_value);
      std::memcpy(padding, &value, 4);  // little endian: the first byte is the u8 value
    }
    for (int64_t i = 0; i < expected.size(); ++i, next(y_shape, index)) {
      const int64_t from = source(index);
      const char* value = from < 0 ? padding : static_cast<const char*>(x.data()) + size_t(from) * element;
      std::memcpy(static_cast<char*>(expected.data()) + size_t(i) * element, value, element);
    }
    for (const Run& run : tktest::runs()) {
      Tensor y(dtype, y_shape);
      tktest::call_op(run, op, {&x, &y}, ints, floats);
      const bool same = std::memcmp(y.data(), expected.data(), size_t(y.bytes())) == 0;
      CHECK(same);
      if (!same) {
        std::string text = std::string(op) + " " + tk::dtype_name(dtype) + " " + tk::level_name(run.level) + " y [";
        for (int64_t dim : y_shape) text += std::to_string(dim) + " ";
        tktest::report(__FILE__, __LINE__, text + "]");
      }
    }
  }
}

void check_transpose(const Shape& x, const std::vector<int64_t>& perm) {
  Shape y;
  for (int64_t p : perm) y.push_back(x[size_t(p)]);
  check_moves("transpose", x, y, perm, [&](const Index& i) {
    Index from(x.size());
    for (size_t d = 0; d < perm.size(); ++d) from[size_t(perm[d])] = i[d];
    return flat(x, from);
  });
}

void check_slice(const Shape& x, const std::vector<int64_t>& begin, const Shape& y) {
  check_moves("slice", x, y, begin, [&](Index i) {
    for (size_t d = 0; d < x.size(); ++d) i[d] += begin[d];
    return flat(x, i);
  });
}

void check_strided(const Shape& x, const std::vector<int64_t>& begin, const std::vector<int64_t>& stride, const Shape& y) {
  std::vector<int64_t> ints = begin;
  ints.insert(ints.end(), stride.begin(), stride.end());
  check_moves("strided_slice", x, y, ints, [&](Index i) {
    for (size_t d = 0; d < x.size(); ++d) i[d] = begin[d] + i[d] * stride[d];
    return flat(x, i);
  });
}

void check_reverse(const Shape& x, int64_t mask) {
  check_moves("reverse", x, x, {mask}, [&](Index i) {
    for (size_t d = 0; d < x.size(); ++d)
      if (mask >> d & 1) i[d] = x[d] - 1 - i[d];
    return flat(x, i);
  });
}

void check_tile(const Shape& x, const Shape& y) {
  check_moves("tile", x, y, {}, [&](Index i) {
    for (size_t d = 0; d < x.size(); ++d) i[d] %= x[d];
    return flat(x, i);
  });
}

void check_pad(const Shape& x, const std::vector<int64_t>& before, const std::vector<int64_t>& after, double value) {
  Shape y = x;
  for (size_t d = 0; d < x.size(); ++d) y[d] += before[d] + after[d];
  check_moves("pad", x, y, before,
              [&](Index i) {
                for (size_t d = 0; d < x.size(); ++d) {
                  i[d] -= before[d];
                  if (i[d] < 0 || i[d] >= x[d]) return int64_t(-1);
                }
                return flat(x, i);
              },
              value, {value});
}

void check_mirror(const Shape& x, const std::vector<int64_t>& before, const std::vector<int64_t>& after, bool symmetric) {
  Shape y = x;
  for (size_t d = 0; d < x.size(); ++d) y[d] += before[d] + after[d];
  std::vector<int64_t> ints = {symmetric ? 1 : 0};
  ints.insert(ints.end(), before.begin(), before.end());
  check_moves("mirror_pad", x, y, ints, [&](Index i) {
    for (size_t d = 0; d < x.size(); ++d) {
      // Walk from the border one step at a time, as a person would.
      int64_t position = i[d] - before[d], at = 0, step = 1;
      if (position < 0) {
        for (at = symmetric ? 0 : 1, position = -1 - position; position > 0; --position) at += step;
      } else if (position >= x[d]) {
        for (at = symmetric ? x[d] - 1 : x[d] - 2, position -= x[d]; position > 0; --position) at -= step;
      } else {
        at = position;
      }
      i[d] = at;
    }
    return flat(x, i);
  });
}

}  // namespace

TEST(transpose_matrices_of_all_sizes) {
  for (int64_t rows : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100})
    for (int64_t columns : {0, 1, 2, 3, 4, 5, 8, 13, 16, 17, 32, 48, 63, 129}) check_transpose({rows, columns}, {1, 0});
}
TEST(transpose_large) {
  check_transpose({515, 1030}, {1, 0});
  check_transpose({1024, 1024}, {1, 0});
  check_transpose({100003, 3}, {1, 0});
  check_transpose({3, 100003}, {1, 0});
  check_transpose({2, 33, 65, 1024}, {0, 2, 1, 3});  // 17 MB of long runs: written past the caches
}
TEST(transpose_image_layouts) {
  for (int64_t channels : {1, 2, 3, 4, 5, 16, 35}) {
    check_transpose({2, 13, 17, channels}, {0, 3, 1, 2});  // NHWC -> NCHW
    check_transpose({2, channels, 13, 17}, {0, 2, 3, 1});  // NCHW -> NHWC
  }
}
TEST(transpose_heads) {
  check_transpose({2, 33, 4, 8}, {0, 2, 1, 3});
  check_transpose({2, 33, 4, 1}, {0, 2, 1, 3});
  check_transpose({3, 129, 5, 7}, {0, 2, 1, 3});
  check_transpose({2, 3, 40, 24}, {0, 1, 3, 2});
}
TEST(transpose_every_permutation_up_to_rank_5) {
  const Shape full = {3, 4, 2, 5, 6};
  for (size_t rank = 1; rank <= 5; ++rank) {
    std::vector<int64_t> perm;
    for (size_t d = 0; d < rank; ++d) perm.push_back(int64_t(d));
    do {
      check_transpose(Shape(full.begin(), full.begin() + int64_t(rank)), perm);
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}
TEST(transpose_high_ranks) {
  check_transpose({}, {});
  check_transpose({17, 3, 1, 20, 18, 2}, {4, 1, 5, 3, 2, 0});
  check_transpose({2, 3, 2, 3, 2, 3, 2, 3}, {7, 6, 5, 4, 3, 2, 1, 0});
  check_transpose({2, 0, 3}, {2, 1, 0});
}

TEST(slice_shapes) {
  check_slice({10}, {3}, {4});
  check_slice({10}, {10}, {0});
  check_slice({1}, {0}, {1});
  check_slice({5, 7}, {0, 0}, {5, 7});
  check_slice({5, 7}, {1, 2}, {3, 5});
  check_slice({5, 7, 3}, {1, 0, 0}, {3, 7, 3});
  check_slice({5, 7, 3}, {1, 2, 1}, {2, 4, 1});
  check_slice({3, 4, 5, 6, 2, 3}, {1, 1, 2, 3, 0, 1}, {2, 3, 1, 2, 2, 2});
  check_slice({700, 301}, {3, 1}, {690, 299});
  check_slice({}, {}, {});
}
TEST(strided_slice_shapes) {
  check_strided({10}, {1}, {3}, {3});
  check_strided({10}, {9}, {-2}, {5});
  check_strided({10}, {9}, {-1}, {10});
  check_strided({6, 8}, {5, 0}, {-1, 2}, {6, 4});
  check_strided({6, 8}, {0, 7}, {2, -3}, {3, 3});
  check_strided({6, 8, 5}, {4, 1, 0}, {-2, 3, 1}, {3, 3, 5});
  check_strided({4, 4, 4, 4, 4, 4}, {3, 0, 1, 3, 0, 2}, {-1, 2, 1, -3, 1, 1}, {2, 2, 3, 2, 4, 2});
  check_strided({300, 400}, {299, 1}, {-1, 2}, {300, 199});
  check_strided({8}, {0}, {1}, {0});
}
TEST(reverse_shapes) {
  for (int64_t n : {0, 1, 2, 7, 8, 33}) check_reverse({n}, 1);
  for (int64_t mask = 0; mask < 16; ++mask) check_reverse({3, 4, 5, 7}, mask);
  check_reverse({2, 3, 2, 1, 4, 5}, 0b101101);
  check_reverse({100000}, 1);
  check_reverse({}, 0);
}
TEST(tile_shapes) {
  check_tile({3}, {12});
  check_tile({1}, {70000});
  check_tile({1, 5}, {1000, 5});
  check_tile({5, 1}, {5, 333});
  check_tile({2, 3}, {6, 3});
  check_tile({2, 3}, {2, 9});
  check_tile({2, 3, 4}, {4, 9, 8});
  check_tile({1, 3, 1, 4, 1, 2}, {2, 3, 5, 4, 3, 4});
  check_tile({1, 1, 1, 1, 1, 1, 1, 2}, {2, 2, 2, 2, 2, 2, 2, 4});
  check_tile({4}, {0});
  check_tile({}, {});
}
TEST(pad_shapes) {
  check_pad({5}, {2}, {3}, 7);
  check_pad({5}, {0}, {0}, 7);
  check_pad({0}, {2}, {1}, 9);
  check_pad({3, 4}, {1, 0}, {0, 2}, -3.75 + 4);
  check_pad({3, 4}, {0, 5}, {0, 0}, 1);
  check_pad({2, 3, 4, 5}, {0, 1, 2, 0}, {0, 1, 1, 0}, 0);
  check_pad({2, 3, 4, 5}, {0, 0, 0, 3}, {0, 2, 0, 1}, 200);
  check_pad({2, 1, 3, 2, 2, 3}, {1, 0, 2, 0, 1, 1}, {0, 3, 0, 1, 0, 2}, 5);
  check_pad({2, 0, 3}, {1, 1, 1}, {1, 1, 1}, 4);
  check_pad({200, 300}, {3, 2}, {1, 200}, 6);
  check_pad({70000}, {10}, {5}, 3);
}
TEST(mirror_pad_shapes) {
  for (bool symmetric : {false, true}) {
    const int64_t most = symmetric ? 4 : 3;
    check_mirror({4}, {most}, {most}, symmetric);
    check_mirror({4}, {0}, {0}, symmetric);
    check_mirror({4, 6}, {1, 2}, {most, 0}, symmetric);
    check_mirror({4, 6}, {2, 0}, {1, 0}, symmetric);
    check_mirror({2, 5, 6, 3}, {0, 2, 1, 0}, {0, 3, 4, 0}, symmetric);
    check_mirror({3, 2, 4, 2, 3, 2}, {1, 0, 2, 1, 0, 1}, {2, 1, 0, 0, 2, 1}, symmetric);
    check_mirror({300, 200}, {5, 7}, {3, 9}, symmetric);
  }
}

TEST(concat_joins_along_the_middle_axis) {
  for (tk::DType dtype : kDTypes) {
    const int64_t element = tk::dtype_bytes(dtype);
    for (int64_t outer : {0, 1, 2, 5, 3000}) {
      for (int64_t inner : {1, 3, 17}) {
        Tensor a = numbered(dtype, {outer, 2, inner}), b = numbered(dtype, {outer, 0, inner});
        Tensor c = numbered(dtype, {outer, 5, inner}, 1000), d = numbered(dtype, {outer, 1, inner}, 7000);
        Tensor* parts[] = {&a, &b, &c, &d};
        Tensor expected(dtype, {outer, 8, inner});
        char* to = static_cast<char*>(expected.data());
        for (int64_t o = 0; o < outer; ++o) {
          for (Tensor* part : parts) {
            const size_t bytes = size_t(part->shape()[1] * inner * element);
            std::memcpy(to, static_cast<char*>(part->data()) + size_t(o) * bytes, bytes);
            to += bytes;
          }
        }
        for (const Run& run : tktest::runs()) {
          Tensor y(dtype, {outer, 8, inner});
          tktest::call_op(run, "concat", {&a, &b, &c, &d, &y});
          CHECK(std::memcmp(y.data(), expected.data(), size_t(y.bytes())) == 0);
        }
      }
    }
  }
}
TEST(concat_of_one) {
  for (const Run& run : tktest::runs()) {
    Tensor x = numbered(tk::DType::f32, {1, 100000, 1}), y(tk::DType::f32, {1, 100000, 1});
    tktest::call_op(run, "concat", {&x, &y});
    CHECK(std::memcmp(y.data(), x.data(), size_t(y.bytes())) == 0);
  }
}

TEST(diag_sizes) {
  for (int64_t n : {0, 1, 2, 7, 33, 700}) {
    check_moves("diag", {n}, {n, n}, {}, [](const Index& i) { return i[0] == i[1] ? i[0] : int64_t(-1); });
  }
}

TEST(fill_converts_the_value) {
  for (const Run& run : tktest::runs()) {
    for (int64_t n : {0, 1, 7, 100001}) {
      Tensor f(tk::DType::f32, {n}), i(tk::DType::i32, {n}), b(tk::DType::u8, {n});
      tktest::call_op(run, "fill", {&f}, {}, {0.1});
      tktest::call_op(run, "fill", {&i}, {}, {-3.9});
      tktest::call_op(run, "fill", {&b}, {}, {1});
      bool same = true;
      for (int64_t k = 0; k < n; ++k) same = same && f.f()[k] == 0.1f && i.i()[k] == -3 && b.b()[k] == 1;
      CHECK(same);
    }
    Tensor nan(tk::DType::f32, {3});
    tktest::call_op(run, "fill", {&nan}, {}, {std::nan("")});
    CHECK(std::isnan(nan.f()[0]) && std::isnan(nan.f()[2]));
  }
}
TEST(range_rounds_once) {
  for (const Run& run : tktest::runs()) {
    const int64_t n = 100003;
    Tensor f(tk::DType::f32, {n}), i(tk::DType::i32, {n}), empty(tk::DType::f32, {0});
    tktest::call_op(run, "range", {&f}, {}, {-2.0, 0.1});
    tktest::call_op(run, "range", {&i}, {}, {50, -3});
    tktest::call_op(run, "range", {&empty}, {}, {0, 1});
    bool same = true;
    for (int64_t k = 0; k < n; ++k) same = same && f.f()[k] == float(-2.0 + double(k) * 0.1) && i.i()[k] == 50 - 3 * int32_t(k);
    CHECK(same);
  }
}

TEST(wrong_geometry_is_refused) {
  const Run run = tktest::runs().back();
  Tensor x = numbered(tk::DType::f32, {4, 6}), y(tk::DType::f32, {6, 4}), same(tk::DType::f32, {4, 6});
  CHECK_THROWS(tktest::call_op(run, "transpose", {&x, &y}, {1, 2}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "transpose", {&x, &y}, {0, 1}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "slice", {&x, &same}, {0, 1}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "strided_slice", {&x, &same}, {0, 5, 1, -2}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "tile", {&y, &x}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "mirror_pad", {&x, &same}, {1, 1, 0}), "E_INTERNAL");
}

}  // namespace tktest::layout_test
