#include "expected.h"

namespace tktest::resize_test {
namespace {

struct Shape {
  int64_t n, h, w, c, oh, ow;
};
struct Mode {
  bool align_corners, half_pixel_centers;
  std::vector<int64_t> ints() const { return {align_corners, half_pixel_centers}; }
};
const Mode kModes[] = {{false, false}, {true, false}, {false, true}};

// Which pixels of an axis a result pixel reads, and with what weights.
struct Taps {
  int64_t index[2];
  double weight[2];
};

double ratio_of(int64_t source, int64_t result, const Mode& mode) {
  return mode.align_corners && result > 1 ? double(source - 1) / double(result - 1) : double(source) / double(result);
}

Taps linear_taps(int64_t source, int64_t result, const Mode& mode, int64_t o) {
  const double ratio = ratio_of(source, result, mode);
  double position = mode.half_pixel_centers ? (double(o) + 0.5) * ratio - 0.5 : double(o) * ratio;
  position = std::fmin(std::fmax(position, 0.0), double(source - 1));
  const int64_t low = int64_t(position);
  const double fraction = position - double(low);
  return {{low, std::min(low + 1, source - 1)}, {1 - fraction, fraction}};
}

Taps nearest_taps(int64_t source, int64_t result, const Mode& mode, int64_t o) {
  const double position = (double(o) + (mode.half_pixel_centers ? 0.5 : 0.0)) * ratio_of(source, result, mode);
  const double nearest = std::floor(mode.align_corners ? position + 0.5 : position);
  const int64_t at = std::min(int64_t(nearest), source - 1);
  return {{at, at}, {1, 0}};
}

// Forward and gradient, written as one sum over all pairs of result and source pixels with a weight.
template <class TapsOf>
void check(const Shape& s, const Mode& mode, const char* op, const TapsOf& taps_of) {
  Tensor x = Tensor::random({s.n, s.h, s.w, s.c}, 1), dy = Tensor::random({s.n, s.oh, s.ow, s.c}, 2);
  Expected y(size_t(dy.size())), dx(size_t(x.size()));
  for (int64_t out = 0; out < dy.size(); ++out) {
    const int64_t c = out % s.c, column = out / s.c % s.ow, row = out / s.c / s.ow % s.oh, n = out / s.c / s.ow / s.oh;
    const Taps rows = taps_of(s.h, s.oh, mode, row), columns = taps_of(s.w, s.ow, mode, column);
    for (int i = 0; i < 4; ++i) {
      const size_t at = size_t(((n * s.h + rows.index[i / 2]) * s.w + columns.index[i % 2]) * s.c + c);
      const double weight = rows.weight[i / 2] * columns.weight[i % 2];
      y.values[size_t(out)] += weight * double(x.f()[at]);
      dx.values[at] += weight * double(dy.f()[out]);
      // Three blends of three roundings each (2^-24), all of numbers no larger than 8; a gradient has a rounding per term, and
      // no more terms than the pixels of dy that read one pixel.
      y.bounds[size_t(out)] = op[7] == 'n' ? 0 : 9 * 6e-8 * 8;
      dx.bounds[at] += (6 + 4 * double((s.oh / s.h + 1) * (s.ow / s.w + 1))) * 6e-8 * std::fabs(double(dy.f()[out]));
    }
  }
  check_expected(op, {&x}, dy.shape(), y, mode.ints());
  check_expected((std::string(op) + "_grad").c_str(), {&dy}, x.shape(), dx, mode.ints());
}

void check_all(const Shape& s) {
  for (const Mode& mode : kModes) {
    check(s, mode, "resize_bilinear", linear_taps);
    check(s, mode, "resize_nearest", nearest_taps);
  }
}

TEST(resize_channels) {
  for (int64_t c : {1, 2, 3, 4, 5, 7, 8, 9, 17}) check_all({2, 4, 5, c, 7, 8});
}

TEST(resize_sizes) {
  for (int64_t from : {1, 2, 3, 7, 12}) {
    for (int64_t to : {1, 2, 5, 12, 24, 31}) {
      check_all({1, from, 5, 3, to, 4});
      check_all({1, 5, from, 2, 4, to});
    }
  }
}

TEST(resize_many_rows_and_images) {
  check_all({3, 40, 50, 3, 91, 120});
  check_all({2, 120, 90, 8, 33, 41});
}

TEST(resize_to_and_from_nothing) {
  check_all({0, 4, 4, 3, 2, 2});
  check_all({1, 4, 4, 0, 2, 2});
  check_all({1, 4, 4, 3, 0, 2});  // the gradients are zero
}

TEST(resize_non_finite_pixels) {
  Tensor x = Tensor::f32({1, 1, 5, 1}, {1, NAN, 2, INFINITY, 3});
  // Positions 0, 0.5, 1, ... with nine columns. An infinite pixel minus itself is NaN, as in tfjs's formula.
  Expected y(9);
  y.values = {1, NAN, NAN, NAN, 2, NAN, NAN, NAN, 3};
  check_expected("resize_bilinear", {&x}, {1, 1, 9, 1}, y, {1, 0});
}

TEST(resize_nearest_copies_all_dtypes) {
  for (const tktest::Run& run : tktest::runs()) {
    for (int64_t c : {1, 2, 3, 4, 6}) {
      Tensor bytes(tk::DType::u8, {1, 2, 2, c}), words(tk::DType::i32, {1, 2, 2, c});
      for (int64_t i = 0; i < bytes.size(); ++i) bytes.b()[i] = uint8_t(i), words.i()[i] = int32_t(i) - 0x40000000;
      Tensor byte_y(tk::DType::u8, {1, 4, 4, c}), word_y(tk::DType::i32, {1, 4, 4, c});
      tktest::call_op(run, "resize_nearest", {&bytes, &byte_y}, {0, 0});
      tktest::call_op(run, "resize_nearest", {&words, &word_y}, {0, 0});
      bool same = true;
      for (int64_t i = 0; i < byte_y.size(); ++i) {
        const int64_t from = (i / (8 * c) * 2 + i / c % 4 / 2) * c + i % c;
        same = same && byte_y.b()[i] == bytes.b()[from] && word_y.i()[i] == words.i()[from];
      }
      CHECK(same);
    }
  }
}

TEST(resize_checks_shapes) {
  Tensor x = Tensor::random({1, 4, 4, 3}, 1), y(tk::DType::f32, {1, 2, 2, 4}), none(tk::DType::f32, {1, 0, 4, 3});
  const tktest::Run run = {tk::active_level(), 1};
  CHECK_THROWS(tktest::call_op(run, "resize_bilinear", {&x, &y}, {0, 0}), "E_INTERNAL");
  CHECK_THROWS(tktest::call_op(run, "resize_nearest", {&none, &x}, {0, 0}), "E_INTERNAL");
}

}  // namespace

}  // namespace tktest::resize_test
