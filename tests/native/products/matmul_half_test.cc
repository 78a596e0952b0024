// Products of 16-bit operands in all their ways (widened, by bf16 pairs, by the instruction where the machine has it), and the
// dense layer on them, against double precision on the rounded operands.
#include "core/half.h"
#include "cpu/cpu_info.h"
#include "op_test.h"

namespace tktest::matmul_half_test {
namespace {

using tk::Bf16Products;
using tk::DType;

float decode(DType type, uint16_t value) { return type == DType::bf16 ? tk::bf16_to_f32(value) : tk::f16_to_f32(value); }
uint16_t encode(DType type, float value) { return type == DType::bf16 ? tk::f32_to_bf16(value) : tk::f32_to_f16(value); }

uint16_t* halves(Tensor& tensor) { return static_cast<uint16_t*>(tensor.data()); }

// Random numbers rounded to `type`, and what they are as doubles.
Tensor rounded(DType type, const std::vector<int64_t>& shape, uint32_t seed, std::vector<double>* values) {
  const Tensor source = Tensor::random(shape, seed);
  Tensor result(type, shape);
  values->resize(size_t(source.size()));
  for (int64_t i = 0; i < source.size(); ++i) {
    halves(result)[i] = encode(type, source.f()[i]);
    (*values)[size_t(i)] = double(decode(type, halves(result)[i]));
  }
  return result;
}

double value_of(Tensor& tensor, DType type, int64_t i) {
  return type == DType::f32 ? double(tensor.f()[i]) : double(decode(type, halves(tensor)[i]));
}

// Half a unit in the last place of the result's dtype.
double rounding(DType type) { return type == DType::bf16 ? 0x1p-8 : type == DType::f16 ? 0x1p-11 : 0x1p-24; }

// The ways that this machine can go.
std::vector<Bf16Products> ways() {
  std::vector<Bf16Products> all = {Bf16Products::widened, Bf16Products::emulated};
  if (tk::cpu_features().avx512_bf16) all.push_back(Bf16Products::native);
  return all;
}
struct Way {
  explicit Way(Bf16Products products) : before(tk::bf16_products()) { tk::bf16_products() = products; }
  ~Way() { tk::bf16_products() = before; }
  Bf16Products before;
};

struct Shape {
  int64_t a_batch, b_batch, m, n, k;
};

void check_product(const Shape& s, bool ta, bool tb, DType type, DType y_type) {
  const int64_t batch = std::max(s.a_batch, s.b_batch);
  std::vector<double> av, bv;
  Tensor a = rounded(type, ta ? std::vector<int64_t>{s.a_batch, s.k, s.m} : std::vector<int64_t>{s.a_batch, s.m, s.k}, 1, &av);
  Tensor b = rounded(type, tb ? std::vector<int64_t>{s.b_batch, s.n, s.k} : std::vector<int64_t>{s.b_batch, s.k, s.n}, 2, &bv);
  std::vector<double> expected(size_t(batch * s.m * s.n)), scale(expected.size());
  for (int64_t z = 0; z < batch; ++z) {
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        const size_t at = size_t((z * s.m + i) * s.n + j);
        for (int64_t k = 0; k < s.k; ++k) {
          const double x = av[size_t((s.a_batch == 1 ? 0 : z * s.m * s.k) + (ta ? k * s.m + i : i * s.k + k))];
          const double w = bv[size_t((s.b_batch == 1 ? 0 : z * s.k * s.n) + (tb ? j * s.k + k : k * s.n + j))];
          expected[at] += x * w, scale[at] += std::fabs(x * w);
        }
      }
    }
  }
  for (Bf16Products products : ways()) {
    const Way way(products);
    for (tk::Level level : tk::usable_levels()) {
      Tensor first(y_type, {batch, s.m, s.n});
      for (int threads : {1, 2}) {
        Tensor y(y_type, {batch, s.m, s.n});
        tktest::call_op({level, threads}, "matmul", {&a, &b, &y}, {ta, tb});
        int64_t wrong = 0;
        for (int64_t i = 0; i < y.size(); ++i) {
          // As for f32 (matmul_test.cc), and the rounding of the result; operands are exact.
          const double bound = (2.0 * std::sqrt(double(s.k)) + 2.0) * 1.2e-7 * scale[size_t(i)] +
                               rounding(y_type) * std::fabs(expected[size_t(i)]) + 1e-7;
          if (!(std::fabs(value_of(y, y_type, i) - expected[size_t(i)]) <= bound)) ++wrong;
        }
        CHECK(wrong == 0);
        if (wrong > 0) {
          std::printf("  matmul %s -> %s m %d n %d k %d ta %d tb %d level %s %s: %d wrong\n", tk::dtype_name(type),
                      tk::dtype_name(y_type), int(s.m), int(s.n), int(s.k), ta, tb, tk::level_name(level),
                      tk::bf16_products_name(products), int(wrong));
        }
        if (threads == 1) std::memcpy(first.data(), y.data(), size_t(y.bytes()));
        CHECK(std::memcmp(first.data(), y.data(), size_t(y.bytes())) == 0);
      }
    }
  }
}

TEST(matmul_half_shapes) {
  const Shape shapes[] = {{1, 1, 1, 1, 1},   {1, 1, 7, 5, 3},    {1, 1, 16, 48, 64},  {1, 1, 33, 65, 257},
                          {3, 1, 9, 17, 31}, {1, 4, 12, 20, 40}, {2, 2, 130, 50, 70}, {1, 1, 200, 300, 515},
                          {1, 1, 2, 400, 9}, {1, 1, 5, 4, 0}};
  for (const Shape& shape : shapes) {
    for (int transposed = 0; transposed < 4; ++transposed) {
      check_product(shape, transposed & 1, transposed & 2, DType::bf16, DType::bf16);
      check_product(shape, transposed & 1, transposed & 2, DType::bf16, DType::f32);
      check_product(shape, transposed & 1, transposed & 2, DType::f16, DType::f16);
    }
  }
}

TEST(matmul_half_propagates_nan_and_infinity) {
  for (Bf16Products products : ways()) {
    const Way way(products);
    for (const tktest::Run& run : tktest::runs()) {
      // k is odd: what fills up the last pair must not make NaN of an infinity.
      const int64_t m = 3, n = 20, k = 5;
      Tensor a(DType::bf16, {1, m, k}), b(DType::bf16, {1, k, n}), y(DType::f32, {1, m, n});
      for (int64_t i = 0; i < m * k; ++i) halves(a)[i] = encode(DType::bf16, 1.0f);
      for (int64_t i = 0; i < k * n; ++i) halves(b)[i] = encode(DType::bf16, 1.0f);
      halves(a)[(m - 1) * k + k - 1] = encode(DType::bf16, INFINITY);
      halves(b)[n - 1] = encode(DType::bf16, std::nanf(""));
      tktest::call_op(run, "matmul", {&a, &b, &y}, {0, 0});
      int64_t wrong = 0;
      for (int64_t i = 0; i < m * n; ++i) {
        const float expected = i / n == m - 1 ? INFINITY : float(k);
        if (i % n == n - 1 ? !std::isnan(y.f()[i]) : y.f()[i] != expected) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

// kind 3 is tanh, whose gradient is taken from the result; 0 is none.
void check_layer(int64_t m, int64_t k, int64_t n, int64_t kind, DType type, DType bias_type) {
  std::vector<double> xv, wv, gv;
  Tensor x = rounded(type, {m, k}, 1, &xv), w = rounded(type, {k, n}, 2, &wv), dy = rounded(type, {m, n}, 3, &gv);
  for (int64_t i = 0; i < w.size(); ++i) {
    halves(w)[i] = encode(type, float(0.3 * wv[size_t(i)]));
    wv[size_t(i)] = double(decode(type, halves(w)[i]));
  }
  Tensor bias(bias_type, {n});
  std::vector<double> bv(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) {
    const float value = 0.25f * float(j % 5) - 0.5f;
    if (bias_type == DType::f32) {
      bias.f()[j] = value;
    } else {
      halves(bias)[j] = encode(bias_type, value);
    }
    bv[size_t(j)] = double(value);
  }
  const double unit = rounding(type);
  for (Bf16Products products : ways()) {
    const Way way(products);
    for (const tktest::Run& run : tktest::runs()) {
      Tensor y(type, {m, n}), saved(type, {0}), dx(type, {m, k}), dw(DType::f32, {k, n}), dbias(DType::f32, {n});
      tktest::call_op(run, "linear", {&x, &w, &bias, &y, &saved}, {kind});
      int64_t wrong = 0;
      std::vector<double> dz(static_cast<size_t>(m * n));
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double z = bv[size_t(j)], scale = std::fabs(z);
          for (int64_t l = 0; l < k; ++l) {
            const double product = xv[size_t(i * k + l)] * wv[size_t(l * n + j)];
            z += product, scale += std::fabs(product);
          }
          const double expected = kind == 0 ? z : std::tanh(z), found = value_of(y, type, i * n + j);
          if (!(std::fabs(found - expected) <= unit * std::fabs(expected) + 1e-6 * scale + 1e-7)) ++wrong;
          // From the stored result, rounded as the kernel rounds it.
          const double slope = kind == 0 ? 1.0 : 1.0 - found * found;
          dz[size_t(i * n + j)] = double(decode(type, encode(type, float(gv[size_t(i * n + j)] * slope))));
        }
      }
      CHECK(wrong == 0);
      tktest::call_op(run, "linear_grad", {&dy, &x, &w, &y, &dx, &dw, &dbias}, {kind});
      wrong = 0;
      // dz may fall on the other side of a tie: one unit of it, over the sum.
      const double slack = kind == 0 ? 1e-6 : 2 * unit;
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t l = 0; l < k; ++l) {
          double sum = 0, scale = 0;
          for (int64_t j = 0; j < n; ++j) {
            const double product = dz[size_t(i * n + j)] * wv[size_t(l * n + j)];
            sum += product, scale += std::fabs(product);
          }
          if (!(std::fabs(value_of(dx, type, i * k + l) - sum) <= unit * std::fabs(sum) + slack * scale + 1e-7)) ++wrong;
        }
      }
      for (int64_t l = 0; l < k; ++l) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0, scale = 0;
          for (int64_t i = 0; i < m; ++i) {
            const double product = dz[size_t(i * n + j)] * xv[size_t(i * k + l)];
            sum += product, scale += std::fabs(product);
          }
          if (!(std::fabs(double(dw.f()[l * n + j]) - sum) <= slack * scale + 1e-7)) ++wrong;
        }
      }
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, scale = 0;
        for (int64_t i = 0; i < m; ++i) sum += dz[size_t(i * n + j)], scale += std::fabs(dz[size_t(i * n + j)]);
        if (!(std::fabs(double(dbias.f()[j]) - sum) <= slack * scale + 1e-7)) ++wrong;
      }
      CHECK(wrong == 0);
      if (wrong > 0) {
        std::printf("  linear_grad %s kind %d m %d k %d n %d %s: %d wrong\n", tk::dtype_name(type), int(kind), int(m), int(k),
                    int(n), tk::bf16_products_name(products), int(wrong));
      }
    }
  }
}

TEST(linear_half_and_gradients) {
  for (DType type : {DType::bf16, DType::f16}) {
    check_layer(5, 7, 9, 0, type, type);
    check_layer(70, 33, 300, 3, type, DType::f32);
    check_layer(600, 20, 17, 3, type, type);
  }
}

}  // namespace

}  // namespace tktest::matmul_half_test
