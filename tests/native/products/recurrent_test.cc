// LSTM, GRU and simple RNN with backward through time, against plain loops and central differences in double.
#include "reference.h"

namespace tktest::recurrent_test {
using tk::DType;

namespace {

enum class Cell { lstm, gru_after, gru_before, rnn_relu, rnn_tanh };
const Cell kCells[] = {Cell::lstm, Cell::gru_after, Cell::gru_before, Cell::rnn_relu, Cell::rnn_tanh};

struct Problem {
  Cell cell;
  int64_t batch, steps, inputs, hidden;
  bool reverse = false, hold = false, masked = false, biased = true;

  int64_t gates() const { return cell == Cell::lstm ? 4 : cell == Cell::rnn_relu || cell == Cell::rnn_tanh ? 1 : 3; }
  int64_t width() const { return gates() * hidden; }
  bool is_gru() const { return gates() == 3; }
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Values {
  Doubles x, kernel, recurrent, bias, h0, c0;
};
struct States {
  Doubles y, h, c;
};

States reference(const Problem& p, const Values& in, const std::vector<uint8_t>& mask) {
  const int64_t H = p.hidden, W = p.width();
  States s = {Doubles(size_t(p.batch * p.steps * H), 0.0), in.h0, in.c0};
  for (int64_t b = 0; b < p.batch; ++b) {
    double* h = s.h.data() + b * H;
    for (int64_t n = 0; n < p.steps; ++n) {
      const int64_t t = p.reverse ? p.steps - 1 - n : n;
      double* y = s.y.data() + (b * p.steps + t) * H;
      if (!mask.empty() && mask[size_t(b * p.steps + t)] == 0) {
        for (int64_t j = 0; j < H && p.hold; ++j) y[j] = h[j];
        continue;
      }
      Doubles from_x(static_cast<size_t>(W), 0.0), from_h(static_cast<size_t>(W), 0.0);
      for (int64_t j = 0; j < W; ++j) {
        double sum = in.bias.empty() ? 0 : in.bias[size_t(j)];
        for (int64_t i = 0; i < p.inputs; ++i)
          sum += in.x[size_t((b * p.steps + t) * p.inputs + i)] * in.kernel[size_t(i * W + j)];
        from_x[size_t(j)] = sum;
        for (int64_t i = 0; i < H; ++i) from_h[size_t(j)] += h[i] * in.recurrent[size_t(i * W + j)];
        if (p.cell == Cell::gru_after && !in.bias.empty()) from_h[size_t(j)] += in.bias[size_t(W + j)];
      }
      const auto both = [&](int64_t gate, int64_t j) { return from_x[size_t(gate * H + j)] + from_h[size_t(gate * H + j)]; };
      Doubles next(static_cast<size_t>(H), 0.0);
      for (int64_t j = 0; j < H; ++j) {
        if (p.cell == Cell::lstm) {
          double& c = s.c[size_t(b * H + j)];
          c = sigmoid(both(1, j)) * c + sigmoid(both(0, j)) * std::tanh(both(2, j));
          next[size_t(j)] = sigmoid(both(3, j)) * std::tanh(c);
        } else if (p.is_gru()) {
          const double z = sigmoid(both(0, j)), r = sigmoid(both(1, j));
          double inner = r * from_h[size_t(2 * H + j)];
          if (p.cell == Cell::gru_before) {
            inner = 0;
            for (int64_t i = 0; i < H; ++i) inner += sigmoid(both(1, i)) * h[i] * in.recurrent[size_t(i * W + 2 * H + j)];
          }
          next[size_t(j)] = z * h[j] + (1 - z) * std::tanh(from_x[size_t(2 * H + j)] + inner);
        } else {
          next[size_t(j)] = p.cell == Cell::rnn_tanh ? std::tanh(both(0, j)) : std::max(0.0, both(0, j));
        }
      }
      for (int64_t j = 0; j < H; ++j) h[j] = y[j] = next[size_t(j)];
    }
  }
  return s;
}

// Sums of up to some hundred products, carried through up to 20 steps.
constexpr double kForward = 5e-6, kGradient = 2e-5;

void check(const Problem& p, bool gradient) {
  const int64_t H = p.hidden, W = p.width(), bias_size = !p.biased ? 0 : p.cell == Cell::gru_after ? 2 * W : W;
  Tensor x = Tensor::random({p.batch, p.steps, p.inputs}, 1), kernel = Tensor::random({p.inputs, W}, 2, 0.4f);
  // Of norm about 1: larger ones make every rounding grow from step to step.
  Tensor recurrent = Tensor::random({H, W}, 3, 0.5f / std::sqrt(float(H))), bias = Tensor::random({bias_size}, 4, 0.5f);
  Tensor h0 = Tensor::random({p.batch, H}, 5), c0 = Tensor::random({p.batch, H}, 6);
  std::vector<uint8_t> flags;
  // Row 0 ends early, row 1 has holes, and the last row is masked from end to end.
  for (int64_t b = 0; p.masked && b < p.batch; ++b)
    for (int64_t t = 0; t < p.steps; ++t)
      flags.push_back(b + 1 == p.batch ? 0 : b == 0 ? t < p.steps / 2 : b == 1 ? t % 3 != 1 : 1);
  Tensor mask = p.masked ? Tensor::u8({p.batch, p.steps}, flags) : Tensor(DType::u8, {0});
  const bool lstm = p.cell == Cell::lstm;
  const char* name = lstm ? "lstm" : p.is_gru() ? "gru" : "rnn";
  std::vector<int64_t> ints = {p.reverse, p.hold};
  if (p.is_gru()) ints.push_back(p.cell == Cell::gru_after);
  if (p.gates() == 1) ints.push_back(p.cell == Cell::rnn_relu ? 1 : 3);
  Values values = {doubles_of(x), doubles_of(kernel), doubles_of(recurrent), doubles_of(bias), doubles_of(h0), doubles_of(c0)};
  const States want = reference(p, values, flags);
  const std::vector<int64_t> all = {p.batch, p.steps, H}, state = {p.batch, H}, wide = {p.batch, p.steps, W};
  Tensor dy = Tensor::random(all, 7), dh = Tensor::random(state, 8), dc = Tensor::random(state, 9);
  const std::string label = std::string(name) + (p.reverse ? " reverse" : "") + (p.masked ? " masked" : "");
  for (tk::Level level : tk::usable_levels()) {
    std::vector<Tensor*> inputs = {&x, &kernel, &recurrent, &bias, &h0};
    if (lstm) inputs.push_back(&c0);
    inputs.push_back(&mask);
    std::vector<std::vector<int64_t>> shapes = {all, state};
    if (lstm) shapes.push_back(state);
    shapes.push_back(wide);
    shapes.push_back(all);
    if (lstm || p.is_gru()) shapes.push_back(all);
    const auto out = outputs_of(level, name, inputs, shapes, ints);
    check_close((label + " y").c_str(), out[0], want.y, kForward);
    check_close((label + " h").c_str(), out[1], want.h, kForward);
    if (lstm) check_close("c", out[2], want.c, kForward);
    shapes[0] = {0};
    const auto last = outputs_of(level, name, inputs, shapes, ints);
    CHECK(last[1].size() == 0 || std::memcmp(last[1].data(), out[1].data(), size_t(out[1].bytes())) == 0);

    std::vector<Tensor> saved(out.begin() + (lstm ? 3 : 2), out.end());
    std::vector<Tensor*> given = {&dy, &dh};
    if (lstm) given.push_back(&dc);
    for (Tensor* t : {&x, &kernel, &recurrent, &mask}) given.push_back(t);
    for (Tensor& t : saved) given.push_back(&t);
    std::vector<std::vector<int64_t>> gradients = {x.shape(), kernel.shape(), recurrent.shape(), {bias_size}, state};
    if (lstm) gradients.push_back(state);
    const std::string grad = std::string(name) + "_grad";
    const auto grads = outputs_of(level, grad.c_str(), given, gradients, ints);
    // Gradients that were not asked for change nothing in the others.
    std::vector<std::vector<int64_t>> some = gradients;
    some[0] = some[2] = {0};
    const auto fewer = outputs_of(level, grad.c_str(), given, some, ints);
    CHECK(fewer[1].size() == 0 || std::memcmp(fewer[1].data(), grads[1].data(), size_t(grads[1].bytes())) == 0);
    if (!gradient) continue;
    const auto loss = [&] {
      const States s = reference(p, values, flags);
      return dot(doubles_of(dy), s.y) + dot(doubles_of(dh), s.h) + (lstm ? dot(doubles_of(dc), s.c) : 0);
    };
    check_close((label + " dx").c_str(), grads[0], numeric_gradient(values.x, loss), kGradient);
    check_close((label + " dkernel").c_str(), grads[1], numeric_gradient(values.kernel, loss), kGradient);
    check_close((label + " drecurrent").c_str(), grads[2], numeric_gradient(values.recurrent, loss), kGradient);
    check_close((label + " dbias").c_str(), grads[3], numeric_gradient(values.bias, loss), kGradient);
    check_close((label + " dh0").c_str(), grads[4], numeric_gradient(values.h0, loss), kGradient);
    if (lstm) check_close("dc0", grads[5], numeric_gradient(values.c0, loss), kGradient);
    // Gradients that are none count as zero.
    Tensor none(DType::f32, {0});
    given[0] = &none;
    if (lstm) given[2] = &none;
    const auto part = outputs_of(level, grad.c_str(), given, gradients, ints);
    const auto last_loss = [&] { return dot(doubles_of(dh), reference(p, values, flags).h); };
    check_close((label + " dkernel of the last state").c_str(), part[1], numeric_gradient(values.kernel, last_loss), kGradient);
  }
}

}  // namespace

TEST(sequences_and_gradients) {
  for (Cell cell : kCells) {
    for (bool reverse : {false, true}) {
      check({cell, 2, 4, 3, 5, reverse}, true);
      check({cell, 3, 5, 2, 4, reverse, false, true}, true);
      check({cell, 3, 5, 2, 4, reverse, true, true, false}, true);
    }
    check({cell, 1, 1, 1, 1}, true);
    check({cell, 1, 3, 9, 8}, true);
  }
}

// Many rows are shared among threads for all steps; with a few more than a skinny product has, or with a large matrix, two
// threads share each step instead. One thread and two must agree in every bit.
TEST(ways_of_sharing) {
  for (Cell cell : kCells) {
    for (bool reverse : {false, true}) {
      check({cell, 9, 3, 2, 5, reverse}, true);
      check({cell, 9, 3, 2, 5, reverse, false, true}, true);
      check({cell, 9, 3, 2, 5, reverse, true, true, false}, true);
    }
    check({cell, 6, 4, 3, 40}, false);
    check({cell, 130, 3, 5, 36}, false);
  }
  check({Cell::lstm, 9, 2, 3, 520}, false);
  check({Cell::gru_before, 9, 2, 3, 600}, false);
}

TEST(longer_sequences) {
  for (Cell cell : kCells) {
    check({cell, 9, 20, 17, 33}, false);
    check({cell, 60, 5, 40, 64, true, false, true}, false);
  }
}

TEST(sequences_of_nothing) {
  for (Cell cell : kCells) {
    check({cell, 2, 0, 3, 4}, false);
    check({cell, 0, 3, 3, 4}, false);
  }
}

}  // namespace tktest::recurrent_test
