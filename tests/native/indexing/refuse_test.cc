// Operands and attributes that do not fit each other are refused before memory beside them is touched.
#include "core/error.h"
#include "op_test.h"

namespace tktest::refuse_test {
namespace {

// Shapes of the operands, all f32 unless said, in ops.def order.
struct Wrong {
  const char* op;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<int64_t> ints;
  std::vector<tk::DType> dtypes = {};
  std::vector<double> floats = {};
};

}  // namespace

TEST(operands_that_do_not_fit_are_refused) {
  using tk::DType;
  const std::vector<DType> sparse{DType::f32, DType::i32, DType::f32, DType::f32, DType::f32};
  const std::vector<Wrong> cases = {
      {"transpose", {{4, 4}, {4, 4}}, {1, 1}},
      {"transpose", {{4, 4}, {4, 4}}, {0, 2}},
      {"transpose", {{4, 4}, {4, 4}}, {-1, 0}},
      {"transpose", {{4, 4}, {16}}, {1, 0}},
      {"softmax", {{6, 5}, {3, 5}}, {}},
      {"log_softmax", {{6, 5}, {3, 5}}, {}},
      {"softmax_grad", {{6, 5}, {3, 5}, {6, 5}}, {}},
      {"softmax_grad", {{6, 5}, {6, 5}, {3, 5}}, {}},
      {"softmax_cross_entropy", {{6, 5}, {5}, {0}, {6}, {6}}, {0, 0}, sparse, {0}},
      {"softmax_cross_entropy", {{6, 5}, {6, 4}, {0}, {6}, {6}}, {0, 0}, {}, {0}},
      {"softmax_cross_entropy", {{6, 5}, {6, 5}, {4}, {6}, {6}}, {0, 0}, {}, {0}},
      {"softmax_cross_entropy", {{6, 5}, {6, 5}, {0}, {5}, {5}}, {0, 0}, {}, {0}},
      {"softmax_cross_entropy", {{6, 5}, {6, 5}, {0}, {6}, {5}}, {0, 0}, {}, {0}},
      {"softmax_cross_entropy_grad", {{6, 5}, {5}, {0}, {6}, {6, 5}}, {0, 0}, sparse, {0}},
      {"softmax_cross_entropy_grad", {{6, 5}, {6}, {0}, {5}, {6, 5}}, {0, 0}, sparse, {0}},
      {"softmax_cross_entropy_grad", {{6, 5}, {6}, {0}, {6}, {5, 5}}, {0, 0}, sparse, {0}},
      {"binary_cross_entropy", {{6, 5}, {6, 4}, {0}, {6, 5}}, {}, {}, {0}},
      {"binary_cross_entropy", {{6, 5}, {6, 5}, {4}, {6, 5}}, {}, {}, {0}},
      {"row_norm", {{6, 5}, {4}, {0}, {6, 5}, {6}, {6}}, {1}, {}, {1e-5}},
      {"row_norm", {{6, 5}, {0}, {6}, {6, 5}, {6}, {6}}, {1}, {}, {1e-5}},
      {"row_norm", {{6, 5}, {0}, {0}, {6, 5}, {5}, {6}}, {1}, {}, {1e-5}},
      {"row_norm_grad", {{6, 5}, {6, 5}, {0}, {6}, {6}, {6, 5}, {6}, {0}}, {1}},
      {"group_norm", {{2, 3, 4}, {0}, {0}, {2, 3, 4}, {2, 3}, {2, 3}}, {3}, {}, {1e-5}},
      {"group_norm", {{2, 3, 4}, {3}, {0}, {2, 3, 4}, {2, 2}, {2, 2}}, {2}, {}, {1e-5}},
      {"batch_norm_train", {{2, 3, 4}, {0}, {0}, {4}, {4}, {2, 3, 4}, {2, 4}, {2, 4}}, {0}, {}, {1e-5, 0.1}},
      {"activation", {{6}, {6}}, {8}},
      {"activation", {{6}, {5}}, {4}},
      {"activation_grad", {{6}, {5}, {6}}, {4}},
      {"prelu_grad", {{6, 5}, {6, 5}, {4}, {6, 5}, {4}}, {}},
      {"linear", {{6, 5}, {4, 3}, {0}, {6, 3}, {0}}, {0}},
      {"linear", {{6, 5}, {5, 3}, {2}, {6, 3}, {0}}, {0}},
      {"linear_grad", {{6, 3}, {6, 5}, {5, 3}, {0}, {6, 5}, {5, 3}, {3}}, {4}},
      {"attention", {{2, 3, 4, 8}, {2, 5, 3, 8}, {2, 5, 3, 8}, {0}, {0}, {2, 3, 4, 8}, {2, 4, 3}}, {0, 0}, {}, {1, 0}},
      {"attention", {{2, 3, 4, 8}, {2, 5, 4, 7}, {2, 5, 4, 8}, {0}, {0}, {2, 3, 4, 8}, {2, 4, 3}}, {0, 0}, {}, {1, 0}},
      {"attention", {{2, 3, 4, 8}, {2, 5, 4, 8}, {2, 5, 4, 8}, {2, 4, 3, 4}, {0}, {2, 3, 4, 8}, {2, 4, 3}}, {0, 0}, {}, {1, 0}},
      {"multi_scale", {{1}, {6}, {5}}, {}},
      {"multi_clip_each", {{1}, {6}, {5}}, {}},
      {"multi_clip_each", {{2}, {6}, {6}}, {}},
      {"accumulate", {{2}, {6}, {5}}, {}},
      {"accumulate", {{1}, {6}, {6}}, {}},
      {"sgd", {{5}, {6}, {6}}, {}},
      {"multi_norm", {{6}, {1}, {2}}, {}, {DType::f32, DType::f32, DType::u8}},
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
      std::vector<Tensor*> operands;
      for (Tensor& tensor : tensors) operands.push_back(&tensor);
      CHECK_THROWS(tktest::call_op_list(run, wrong.op, operands, wrong.ints, wrong.floats), "E_INTERNAL");
    }
  }
}

TEST(batch_norm_refuses_parameters_without_elements) {
  for (const tktest::Run& run : tktest::runs()) {
    Tensor x(tk::DType::f32, {2, 3}), mean(tk::DType::f32, {0}), variance(tk::DType::f32, {3}), y(tk::DType::f32, {2, 3});
    CHECK_THROWS(call_op(run, "batch_norm", {&x, &mean, &variance, &y}, {0, 0}, {1e-3}), "E_INTERNAL");
    CHECK_THROWS(call_op(run, "batch_norm", {&x, &mean, &mean, &y}, {0, 0}, {1e-3}), "E_INTERNAL");
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

}  // namespace tktest::refuse_test
