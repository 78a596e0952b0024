// What the tests of convolutions share: the three passes of an op against sums in double precision.
#pragma once
#include <string>

#include "op_test.h"

namespace tktest {

// Sums in double precision with the sum of absolute products and their number, which scale the error.
struct ProductSums {
  std::vector<double> value, scale, count;
  explicit ProductSums(int64_t size) : value(size_t(size)), scale(size_t(size)), count(size_t(size)) {}
  void add(int64_t at, double a, double b) {
    value[size_t(at)] += a * b;
    scale[size_t(at)] += std::fabs(a * b);
    count[size_t(at)] += 1;
  }
};

inline std::string list_of(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (int64_t number : numbers) text += (text.size() > 1 ? "," : "") + std::to_string(number);
  return text + "]";
}

// Checks op, op_input_grad and op_filter_grad at every level, with one and two threads, which must agree bit for bit.
// for_each_product calls its argument with (index of x, index of filter, index of y) for every product of the convolution.
template <class ForEachProduct>
void check_convolution(const std::string& op, const std::vector<int64_t>& x_shape, const std::vector<int64_t>& filter_shape,
                       const std::vector<int64_t>& y_shape, const std::vector<int64_t>& attributes,
                       const ForEachProduct& for_each_product) {
  Tensor x = Tensor::random(x_shape, 1), filter = Tensor::random(filter_shape, 2), dy = Tensor::random(y_shape, 3);
  ProductSums y_sums(dy.size()), dx_sums(x.size()), df_sums(filter.size());
  for_each_product([&](int64_t xi, int64_t fi, int64_t yi) {
    y_sums.add(yi, x.f()[xi], filter.f()[fi]);
    dx_sums.add(xi, dy.f()[yi], filter.f()[fi]);
    df_sums.add(fi, dy.f()[yi], x.f()[xi]);
  });
  struct Pass {
    std::string op;
    Tensor *a, *b;
    const std::vector<int64_t>& shape;
    const ProductSums& sums;
  };
  const Pass passes[] = {{op, &x, &filter, y_shape, y_sums},
                         {op + "_input_grad", &dy, &filter, x_shape, dx_sums},
                         {op + "_filter_grad", &x, &dy, filter_shape, df_sums}};
  for (const Pass& pass : passes) {
    for (tk::Level level : tk::usable_levels()) {
      std::vector<float> first;
      for (int threads : {1, 2}) {
        Tensor out(tk::DType::f32, pass.shape);
        call_op({level, threads}, pass.op.c_str(), {pass.a, pass.b, &out}, attributes);
        int64_t wrong = 0;
        for (int64_t i = 0; i < out.size(); ++i) {
          const size_t at = size_t(i);
          // As for matmul: a random walk of sqrt(k) roundings, times 4 for the worst element.
          const double limit = (2.0 * std::sqrt(pass.sums.count[at]) + 2.0) * 1.2e-7 * pass.sums.scale[at] + 1e-30;
          if (!(std::fabs(out.f()[i] - pass.sums.value[at]) <= limit)) ++wrong;
        }
        CHECK(wrong == 0);
        if (wrong > 0) {
          std::printf("  %s x %s filter %s attributes %s level %s threads %d: %d wrong\n", pass.op.c_str(),
                      list_of(x_shape).c_str(), list_of(filter_shape).c_str(), list_of(attributes).c_str(),
                      tk::level_name(level), threads, int(wrong));
        }
        if (threads == 1) {
          first.assign(out.f(), out.f() + out.size());
        } else {
          CHECK(out.size() == 0 || std::memcmp(first.data(), out.f(), size_t(out.bytes())) == 0);
        }
      }
    }
  }
}

}  // namespace tktest
