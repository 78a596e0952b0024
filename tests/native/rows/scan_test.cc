#include "op_test.h"

namespace tktest::scan_test {
namespace {

int64_t place(int64_t outer, int64_t j, int64_t c, const std::vector<int64_t>& shape) {
  return (outer * shape[1] + j) * shape[2] + c;
}

// f32 against sums in double: one rounding to float.
void check_floats(const std::vector<int64_t>& shape, bool product, bool exclusive, bool reverse) {
  Tensor x = Tensor::random(shape, 3);
  std::vector<float> expected(size_t(x.size()));
  for (int64_t o = 0; o < shape[0]; ++o)
    for (int64_t c = 0; c < shape[2]; ++c) {
      double so_far = product ? 1.0 : 0.0;
      for (int64_t k = 0; k < shape[1]; ++k) {
        const int64_t at = place(o, reverse ? shape[1] - 1 - k : k, c, shape);
        const double next = product ? so_far * double(x.f()[at]) : so_far + double(x.f()[at]);
        expected[size_t(at)] = float(exclusive ? so_far : next);
        so_far = next;
      }
    }
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, shape);
    tktest::call_op(run, product ? "cumprod" : "cumsum", {&x, &y}, {exclusive, reverse});
    CHECK(x.size() == 0 || std::memcmp(y.f(), expected.data(), size_t(y.bytes())) == 0);
  }
}

TEST(scan_shapes_and_directions) {
  const std::vector<std::vector<int64_t>> shapes = {{1, 1, 1},  {1, 17, 1}, {3, 9, 1},    {2, 5, 3},
                                                    {2, 7, 64}, {2, 3, 65}, {1, 40, 130}, {70, 33, 1},
                                                    {1, 0, 4},  {0, 3, 2},  {5, 500, 9},  {40, 300, 70}};
  for (const auto& shape : shapes)
    for (bool product : {false, true})
      for (bool exclusive : {false, true})
        for (bool reverse : {false, true}) check_floats(shape, product, exclusive, reverse);
}

TEST(scan_int32_wraps) {
  Tensor x = Tensor::i32({1, 3, 1}, {INT32_MAX, 2, 3});
  const int32_t sums[] = {INT32_MAX, INT32_MIN + 1, INT32_MIN + 4}, products[] = {INT32_MAX, -2, -6};
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::i32, {1, 3, 1});
    tktest::call_op(run, "cumsum", {&x, &y}, {0, 0});
    CHECK(std::memcmp(y.i(), sums, sizeof sums) == 0);
    tktest::call_op(run, "cumprod", {&x, &y}, {0, 0});
    CHECK(std::memcmp(y.i(), products, sizeof products) == 0);
  }
}

TEST(scan_in_place_and_not_a_number) {
  for (const tktest::Run& run : tktest::runs()) {
    Tensor x = Tensor::f32({1, 4, 1}, {1, 2, std::nanf(""), 4});
    tktest::call_op(run, "cumsum", {&x, &x}, {1, 0});
    CHECK(x.f()[0] == 0 && x.f()[1] == 1 && x.f()[2] == 3 && std::isnan(x.f()[3]));
  }
}

TEST(scan_product_passes_through_large_values) {
  Tensor x = Tensor::f32({1, 3, 1}, {1e30f, 1e30f, 1e-30f});
  for (const tktest::Run& run : tktest::runs()) {
    Tensor y(tk::DType::f32, {1, 3, 1});
    tktest::call_op(run, "cumprod", {&x, &y}, {0, 0});
    CHECK(std::isinf(y.f()[1]));
    CHECK(std::fabs(y.f()[2] / 1e30f - 1) < 1e-6);
  }
}

}  // namespace

}  // namespace tktest::scan_test
