// select against a plain index walk with numpy's broadcasting.
#include "op_test.h"

namespace tktest::select_test {
using Shape = std::vector<int64_t>;

namespace {

int64_t size_of(const Shape& shape) {
  int64_t size = 1;
  for (int64_t dim : shape) size *= dim;
  return size;
}

// Position in x of flat position `at` of y.
int64_t source(const Shape& x, const Shape& y, int64_t at) {
  int64_t position = 0, stride = 1;
  for (size_t d = 0; d < y.size(); ++d) {
    const int64_t index = at % y[y.size() - 1 - d];
    at /= y[y.size() - 1 - d];
    if (d >= x.size()) continue;
    const int64_t dim = x[x.size() - 1 - d];
    position += (dim == 1 ? 0 : index) * stride;
    stride *= dim;
  }
  return position;
}

Tensor filled(tk::DType dtype, const Shape& shape, uint32_t seed) {
  Tensor t(dtype, shape);
  std::mt19937 generator(seed);
  for (int64_t i = 0; i < t.bytes(); ++i) static_cast<uint8_t*>(t.data())[i] = uint8_t(generator());
  return t;
}

void check_select(const Shape& condition_shape, const Shape& a_shape, const Shape& b_shape, const Shape& y_shape) {
  Tensor condition = filled(tk::DType::u8, condition_shape, 1);
  for (int64_t i = 0; i < condition.size(); ++i)
    condition.b()[i] = condition.b()[i] % 2 ? condition.b()[i] : 0;  // any non-zero byte is true
  for (tk::DType dtype : {tk::DType::f32, tk::DType::i32, tk::DType::u8}) {
    const size_t element = size_t(tk::dtype_bytes(dtype));
    Tensor a = filled(dtype, a_shape, 2), b = filled(dtype, b_shape, 3), expected(dtype, y_shape);
    for (int64_t i = 0; i < size_of(y_shape); ++i) {
      const bool first = condition.b()[source(condition_shape, y_shape, i)] != 0;
      const char* from = static_cast<const char*>(first ? a.data() : b.data());
      std::memcpy(static_cast<char*>(expected.data()) + size_t(i) * element,
                  from + size_t(source(first ? a_shape : b_shape, y_shape, i)) * element, element);
    }
    for (const Run& run : tktest::runs()) {
      Tensor y(dtype, y_shape);
      tktest::call_op(run, "select", {&condition, &a, &b, &y});
      CHECK(std::memcmp(y.data(), expected.data(), size_t(y.bytes())) == 0);
    }
  }
}

}  // namespace

TEST(select_same_shape) {
  for (int64_t n : {0, 1, 7, 8, 31, 100003}) check_select({n}, {n}, {n}, {n});
  check_select({3, 5, 7}, {3, 5, 7}, {3, 5, 7}, {3, 5, 7});
  check_select({}, {}, {}, {});
}
TEST(select_broadcasts) {
  check_select({}, {6}, {6}, {6});
  check_select({6}, {}, {6}, {6});
  check_select({6}, {6}, {1}, {6});
  check_select({6}, {}, {}, {6});
  check_select({4, 1}, {4, 5}, {4, 5}, {4, 5});
  check_select({4, 1}, {1, 5}, {4, 1}, {4, 5});
  check_select({5}, {4, 5}, {4, 1}, {4, 5});
  check_select({1, 5}, {4, 1}, {}, {4, 5});
  check_select({2, 1, 4, 1, 3, 1}, {3, 1, 2, 1, 2}, {2, 1, 1, 2, 1, 2}, {2, 3, 4, 2, 3, 2});
  check_select({300, 1}, {300, 401}, {401}, {300, 401});
  check_select({100003}, {1}, {100003}, {100003});
  check_select({1, 0}, {3, 0}, {0}, {3, 0});
}
TEST(select_in_place) {
  for (const Run& run : tktest::runs()) {
    for (bool first : {true, false}) {
      Tensor condition = filled(tk::DType::u8, {1, 1001}, 5), a = filled(tk::DType::i32, {3, 1001}, 6),
             b = filled(tk::DType::i32, {3, 1001}, 7);
      Tensor y(tk::DType::i32, {3, 1001});
      for (int64_t i = 0; i < 1001; ++i) condition.b()[i] &= 1;
      tktest::call_op(run, "select", {&condition, &a, &b, &y});
      tktest::call_op(run, "select", {&condition, &a, &b, first ? &a : &b});
      CHECK(std::memcmp(y.data(), first ? a.data() : b.data(), size_t(y.bytes())) == 0);
    }
  }
}
TEST(shapes_that_do_not_broadcast_are_refused) {
  const Run run = tktest::runs().back();
  Tensor condition = filled(tk::DType::u8, {4}, 1), a = filled(tk::DType::f32, {5}, 2), y(tk::DType::f32, {5});
  CHECK_THROWS(tktest::call_op(run, "select", {&condition, &a, &a, &y}), "E_INTERNAL");
}

}  // namespace tktest::select_test
