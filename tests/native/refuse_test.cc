// Operands and attributes that do not fit each other are refused before memory beside them is touched.
#include "core/error.h"
#include "op_test.h"

using tktest::call_op;
using tktest::Tensor;

namespace {

// Shapes of the operands, all f32 unless said, in ops.def order.
struct Wrong {
  const char* op;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<int64_t> ints;
  std::vector<tk::DType> dtypes = {};
};

}  // namespace

TEST(operands_that_do_not_fit_are_refused) {
  using tk::DType;
  const std::vector<DType> sparse{DType::f32, DType::i32, DType::f32, DType::f32};
  const std::vector<Wrong> cases = {
      {"transpose", {{4, 4}, {4, 4}}, {1, 1}},
      {"transpose", {{4, 4}, {4, 4}}, {0, 2}},
      {"transpose", {{4, 4}, {4, 4}}, {-1, 0}},
      {"transpose", {{4, 4}, {16}}, {1, 0}},
      {"softmax", {{6, 5}, {3, 5}}, {}},
      {"log_softmax", {{6, 5}, {3, 5}}, {}},
      {"softmax_grad", {{6, 5}, {3, 5}, {6, 5}}, {}},
      {"softmax_grad", {{6, 5}, {6, 5}, {3, 5}}, {}},
      {"softmax_cross_entropy", {{6, 5}, {5}, {6}}, {}, sparse},
      {"softmax_cross_entropy", {{6, 5}, {6, 4}, {6}}, {}},
      {"softmax_cross_entropy", {{6, 5}, {6, 5}, {5}}, {}},
      {"softmax_cross_entropy_grad", {{6, 5}, {5}, {6}, {6, 5}}, {}, sparse},
      {"softmax_cross_entropy_grad", {{6, 5}, {6}, {5}, {6, 5}}, {}, sparse},
      {"softmax_cross_entropy_grad", {{6, 5}, {6}, {6}, {5, 5}}, {}, sparse},
      {"add", {{2, 3}, {3}, {3}}, {}},
      {"add", {{0, 3}, {3}, {3}}, {}},
      {"mul", {{3}, {4}, {3}}, {}},
  };
  for (const tktest::Run& run : tktest::runs()) {
    for (const Wrong& wrong : cases) {
      std::vector<Tensor> tensors;
      for (size_t i = 0; i < wrong.shapes.size(); ++i) {
        tensors.emplace_back(wrong.dtypes.empty() ? DType::f32 : wrong.dtypes[i], wrong.shapes[i]);
        std::memset(tensors.back().data(), 0, size_t(tensors.back().bytes()));
      }
      const auto attempt = [&] {
        switch (tensors.size()) {
          case 2: return call_op(run, wrong.op, {&tensors[0], &tensors[1]}, wrong.ints);
          case 3: return call_op(run, wrong.op, {&tensors[0], &tensors[1], &tensors[2]}, wrong.ints);
          default: return call_op(run, wrong.op, {&tensors[0], &tensors[1], &tensors[2], &tensors[3]}, wrong.ints);
        }
      };
      CHECK_THROWS(attempt(), "E_INTERNAL");
    }
  }
}

TEST(resize_reads_inside_the_image_with_any_flags) {
  for (const tktest::Run& run : tktest::runs()) {
    for (int64_t result = 1; result < 9; ++result) {
      for (int64_t flags = 0; flags < 4; ++flags) {
        Tensor x = Tensor::f32({1, 4, 4, 1}, std::vector<float>(16, 3.0f)), y(tk::DType::f32, {1, result, result, 1});
        Tensor dx(tk::DType::f32, {1, 4, 4, 1});
        call_op(run, "resize_bilinear", {&x, &y}, {flags & 1, flags >> 1});
        // Every pixel of the image is 3, so whatever is read inside it blends to exactly that.
        for (int64_t i = 0; i < y.size(); ++i) CHECK(y.f()[i] == 3.0f);
        call_op(run, "resize_bilinear_grad", {&y, &dx}, {flags & 1, flags >> 1});
      }
    }
  }
}

TEST_MAIN
