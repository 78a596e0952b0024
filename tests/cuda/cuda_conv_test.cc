// Convolutions and their gradients on each of their kernels, whatever the size: plain, on tensor cores with tiles of 64 and 128,
// and on wgmma, split sums included; f32, TF32, f16 and bf16; strides, dilations, paddings, channels that fill no vector. Judged by plain
// loops in double. Runs in the emulator.
#include <cstdlib>

#include "cuda/conv_setting.h"
#include "op_session.h"

using tk::DType;
using tk::Operand;

namespace {

struct Case {
  int64_t n = 1, d = 1, h = 9, w = 10, c = 8, kd = 1, kh = 3, kw = 3, cout = 16;
  int64_t stride = 1, dilation = 1, pad = 1;
  bool is_3d = false;
  DType type = DType::f32;
};

struct Axis {
  int64_t image, output, kernel;
};

struct Problem {
  Case c;
  Axis d, h, w;
  std::vector<float> x, filter, dy;
  explicit Problem(const Case& given) : c(given) {
    const auto axis = [&](int64_t image, int64_t kernel, bool is_used) {
      const int64_t stride = is_used ? c.stride : 1, pad = is_used ? c.pad : 0, span = (kernel - 1) * (is_used ? c.dilation : 1) + 1;
      return Axis{image, (image + 2 * pad - span) / stride + 1, kernel};
    };
    d = axis(c.d, c.kd, c.is_3d), h = axis(c.h, c.kh, true), w = axis(c.w, c.kw, true);
    x = normal_values(c.n * d.image * h.image * w.image * c.c, 1, c.type);
    filter = normal_values(d.kernel * h.kernel * w.kernel * c.c * c.cout, 2, c.type);
    dy = normal_values(c.n * d.output * h.output * w.output * c.cout, 3, c.type);
  }
  // visit(place in x, place in filter, place in dy) for all that meet.
  template <class Visit>
  void each(const Visit& visit) const {
    const auto meet = [&](int64_t o, int64_t k, bool is_used) {
      return is_used ? o * c.stride - c.pad + k * c.dilation : o * 1 + k;
    };
    for (int64_t n = 0; n < c.n; ++n)
      for (int64_t od = 0; od < d.output; ++od)
        for (int64_t oh = 0; oh < h.output; ++oh)
          for (int64_t ow = 0; ow < w.output; ++ow)
            for (int64_t kd = 0; kd < d.kernel; ++kd)
              for (int64_t kh = 0; kh < h.kernel; ++kh)
                for (int64_t kw = 0; kw < w.kernel; ++kw) {
                  const int64_t id = meet(od, kd, c.is_3d), ih = meet(oh, kh, true), iw = meet(ow, kw, true);
                  if (id < 0 || id >= d.image || ih < 0 || ih >= h.image || iw < 0 || iw >= w.image) continue;
                  const int64_t pixel = ((n * d.image + id) * h.image + ih) * w.image + iw,
                                place = ((n * d.output + od) * h.output + oh) * w.output + ow,
                                tap = (kd * h.kernel + kh) * w.kernel + kw;
                  for (int64_t ci = 0; ci < c.c; ++ci)
                    for (int64_t co = 0; co < c.cout; ++co)
                      visit(size_t(pixel * c.c + ci), size_t((tap * c.c + ci) * c.cout + co), size_t(place * c.cout + co));
                }
  }
};

// Worst error of the three passes.
double worst_error(const Case& c, DType result_type) {
  const Problem p(c);
  std::vector<double> y(p.dy.size()), dx(p.x.size()), dfilter(p.filter.size());
  p.each([&](size_t x, size_t f, size_t o) {
    y[o] += double(p.x[x]) * double(p.filter[f]);
    dx[x] += double(p.dy[o]) * double(p.filter[f]);
    dfilter[f] += double(p.x[x]) * double(p.dy[o]);
  });
  std::vector<int64_t> image = {c.n, p.h.image, p.w.image, c.c}, taps = {p.h.kernel, p.w.kernel, c.c, c.cout},
                       output = {c.n, p.h.output, p.w.output, c.cout},
                       ints = {c.stride, c.stride, c.dilation, c.dilation, c.pad, c.pad};
  if (c.is_3d) {
    image.insert(image.begin() + 1, p.d.image), taps.insert(taps.begin(), p.d.kernel);
    output.insert(output.begin() + 1, p.d.output);
    ints = {c.stride, c.stride, c.stride, c.dilation, c.dilation, c.dilation, c.pad, c.pad, c.pad};
  }
  OpSession session;
  const Operand x = session.operand(image, c.type, p.x), filter = session.operand(taps, c.type, p.filter),
                dy = session.operand(output, c.type, p.dy), got_y = session.operand(output, result_type),
                got_dx = session.operand(image, result_type), got_dfilter = session.operand(taps, DType::f32);
  session.run(c.is_3d ? k_conv3d : k_conv2d, {x, filter, got_y}, ints);
  session.run(c.is_3d ? k_conv3d_input_grad : k_conv2d_input_grad, {dy, filter, got_dx}, ints);
  session.run(c.is_3d ? k_conv3d_filter_grad : k_conv2d_filter_grad, {x, dy, got_dfilter}, ints);
  return std::max({norm_error(session.read(got_y), y), norm_error(session.read(got_dx), dx),
                   norm_error(session.read(got_dfilter), dfilter)});
}

const char* const kKernels[] = {"direct", "tiles_64", "tiles_128", "hopper"};

const Case kShapes[] = {
    {},
    {.n = 2, .h = 11, .w = 8, .c = 16, .cout = 24, .stride = 2},
    {.h = 12, .w = 12, .c = 4, .cout = 8, .dilation = 2, .pad = 0},
    // Channels that no 16-byte copy can read, and a filter that reaches past the image on both sides.
    {.n = 2, .h = 5, .w = 6, .c = 3, .kh = 5, .kw = 4, .cout = 7, .pad = 3},
    {.h = 7, .w = 9, .c = 8, .kh = 1, .kw = 1, .cout = 72, .pad = 0},
    {.d = 4, .h = 5, .w = 5, .c = 8, .kd = 2, .kh = 3, .kw = 2, .cout = 8, .stride = 2, .is_3d = true},
};

class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace

TEST(convolutions_of_f32_on_every_kernel) {
  for (const char* kernel : kKernels) {
    const Setting setting("TENSORKILN_CUDA_CONV", kernel);
    for (const Case& shape : kShapes) CHECK(worst_error(shape, DType::f32) < 4e-7);
  }
  // Chosen by size: few multiply-adds, and more than the threshold.
  CHECK(worst_error({}, DType::f32) < 4e-7);
  CHECK(worst_error({.h = 16, .w = 16, .c = 40, .cout = 48}, DType::f32) < 4e-7);
}

TEST(convolutions_of_halves_on_every_kernel) {
  for (const char* kernel : kKernels) {
    const Setting setting("TENSORKILN_CUDA_CONV", kernel);
    for (Case shape : kShapes) {
      for (const DType type : {DType::bf16, DType::f16}) {
        shape.type = type;
        // Products of rounded operands are exact in f32; with a result of 16 bits its rounding is what is left.
        CHECK(worst_error(shape, DType::f32) < 4e-7);
        const double unit = type == DType::bf16 ? 1.0 / 256 : 1.0 / 2048, error = worst_error(shape, type);
        CHECK(error < unit && error > unit / 16);
      }
    }
  }
}

// More steps than stages, tiles of 128 columns and of 64, sums of several parts; with stride 2 the input gradient meets one tap in four.
TEST(convolutions_on_wgmma_of_many_steps) {
  const Setting setting("TENSORKILN_CUDA_CONV", "hopper");
  for (const DType type : {DType::bf16, DType::f16}) {
    CHECK(worst_error({.n = 2, .h = 20, .w = 20, .c = 72, .cout = 136, .type = type}, DType::f32) < 4e-7);
    CHECK(worst_error({.n = 2, .h = 27, .w = 24, .c = 136, .cout = 64, .stride = 2, .type = type}, DType::f32) < 4e-7);
  }
}

TEST(large_convolutions_of_halves_go_through_wgmma) {
  using tk::cuda::is_large_for_wgmma;
  CHECK(is_large_for_wgmma(64 * 128, 64, 1) && is_large_for_wgmma(64 * 128 - 127, 33, 1) && is_large_for_wgmma(128, 256, 32));
  CHECK(!is_large_for_wgmma(63 * 128, 64, 1) && !is_large_for_wgmma(64 * 128, 32, 1) && !is_large_for_wgmma(127, 128, 64));
  CHECK(!is_large_for_wgmma(128, 256, 31));
  // Without a setting.
  CHECK(worst_error({.n = 4, .h = 46, .w = 46, .c = 8, .cout = 40, .type = DType::bf16}, DType::f32) < 4e-7);
}

TEST(convolutions_in_tf32_round_their_operands) {
  const Setting tf32("TENSORKILN_TF32", "1");
  for (const char* kernel : {"tiles_64", "tiles_128"}) {
    const Setting setting("TENSORKILN_CUDA_CONV", kernel);
    const double error = worst_error(kShapes[1], DType::f32);
    CHECK(error > 1e-4 && error < 6e-4);
  }
}

TEST(an_unknown_kernel_is_refused) {
  const Setting setting("TENSORKILN_CUDA_CONV", "winograd");
  TkCudaStream* stream = nullptr;
  CHECK(table().open_stream(0, 0, &stream) == TK_CUDA_FAILED);
  CHECK(std::string(table().last_error()).find("TENSORKILN_CUDA_CONV is 'winograd': expected direct") == 0);
}

TEST_MAIN
