#include "ops/image/lrn.h"

#include "ops/common/vector_math.h"
#include "ops/image/image_math.h"

TK_BEGIN_LEVEL
namespace {

static_assert(same_image_attributes(attrs::lrn_ints, attrs::lrn_grad_ints) &&
                  same_image_attributes(attrs::lrn_floats, attrs::lrn_grad_floats),
              "both ops are read by one function");

struct LrnParams {
  int64_t channels, pixels, radius;
  float bias, alpha, beta;
  int64_t row_bytes;  // of one padded row
};

// A padded row has `radius` zeros before its channels and, behind them, enough for the last vector's window.
TK_INLINE int64_t padded_row_bytes(int64_t channels, int64_t radius) {
  return aligned_bytes(channels + 2 * radius + kVecWidth, sizeof(float));
}

// A window reaches over all channels from radius channels - 1 on.
TK_INLINE int64_t radius_of(const OpCall& call, int64_t channels) {
  const int64_t radius = TK_INT(call, lrn, radius);
  return radius < channels ? radius : channels > 0 ? channels - 1 : 0;
}

TK_INLINE int64_t channels_of(const Operand& x) { return x.rank > 0 ? x.dims[x.rank - 1] : 1; }

TK_INLINE LrnParams read_lrn(const OpCall& call) {
  LrnParams p;
  p.channels = channels_of(call[0]);
  p.pixels = p.channels > 0 ? call[0].size / p.channels : 0;
  TK_CHECK(TK_INT(call, lrn, radius) >= 0);
  p.radius = radius_of(call, p.channels);
  p.bias = float(TK_FLOAT(call, lrn, bias));
  p.alpha = float(TK_FLOAT(call, lrn, alpha));
  p.beta = float(TK_FLOAT(call, lrn, beta));
  p.row_bytes = padded_row_bytes(p.channels, p.radius);
  return p;
}

TK_INLINE VecF window_sum(const float* padded, int64_t channel, int64_t radius) {
  VecF sum = load(padded + channel);
  for (int64_t j = 1; j <= 2 * radius; ++j) sum = sum + load(padded + channel + j);
  return sum;
}

// s^-beta. The exponents in use are roots: shorter and more exact than pow.
TK_INLINE VecF power(VecF s, float beta) {
  const VecF one = set1(1.0f);
  if (beta == 1.0f) return one / s;
  if (beta == 0.5f) return one / vsqrt(s);
  if (beta == 0.75f) return one / (vsqrt(s) * vsqrt(vsqrt(s)));
  return map_lanes(s, s, [=](float value, float) { return ::powf(value, -beta); });
}

// body(channel, lanes) for each vector of channels.
template <class Body>
TK_INLINE void for_each_vector(int64_t channels, const Body& body) {
  for (int64_t c = 0; c < channels; c += kVecWidth) body(c, channels - c < kVecWidth ? int(channels - c) : kVecWidth);
}

// body(pixel's first element, the thread's `rows` padded rows): the borders are zero and stay so.
template <class Body>
TK_INLINE void for_each_pixel(const OpCall& call, const LrnParams& p, int rows, CpuContext& context, const Body& body) {
  context.parallel_for(p.pixels, image_grain(p.channels * (2 * p.radius + 8)), [&](int64_t begin, int64_t end, int thread) {
    char* scratch = static_cast<char*>(call.workspace) + thread * rows * p.row_bytes;
    std::memset(scratch, 0, size_t(rows * p.row_bytes));
    for (int64_t pixel = begin; pixel < end; ++pixel) body(pixel * p.channels, reinterpret_cast<float*>(scratch));
  });
}

}  // namespace

int64_t lrn_workspace(const OpCall& call, int num_threads) {
  const int64_t channels = channels_of(call[0]);
  return num_threads * padded_row_bytes(channels, radius_of(call, channels));
}

void lrn_cpu(const OpCall& call, CpuContext& context) {
  const LrnParams p = read_lrn(call);
  TK_CHECK_EQ(call[0].size, call[1].size);
  const float* x = call[0].f32();
  float* y = call[1].f32();
  const VecF bias = set1(p.bias), alpha = set1(p.alpha);
  for_each_pixel(call, p, 1, context, [&](int64_t at, float* squares) {
    for (int64_t c = 0; c < p.channels; ++c) squares[p.radius + c] = x[at + c] * x[at + c];
    for_each_vector(p.channels, [&](int64_t c, int n) {
      const VecF s = bias + alpha * window_sum(squares, c, p.radius);
      store_channels(y + at + c, load_channels(x + at + c, n) * power(s, p.beta), n);
    });
  });
}

int64_t lrn_grad_workspace(const OpCall& call, int num_threads) { return 3 * lrn_workspace(call, num_threads); }

void lrn_grad_cpu(const OpCall& call, CpuContext& context) {
  const LrnParams p = read_lrn(call);
  for (int i = 1; i < 4; ++i) TK_CHECK_EQ(call[i].size, call[0].size);
  const float *x = call[0].f32(), *y = call[1].f32(), *dy = call[2].f32();
  float* dx = call[3].f32();
  const VecF bias = set1(p.bias), alpha = set1(p.alpha), factor = set1(float(-2.0 * double(p.alpha) * double(p.beta)));
  for_each_pixel(call, p, 3, context, [&](int64_t at, float* squares) {
    float* shares = squares + p.row_bytes / int64_t(sizeof(float));  // dy y / s, padded like the squares
    float* direct = shares + p.row_bytes / int64_t(sizeof(float));   // dy s^-beta
    for (int64_t c = 0; c < p.channels; ++c) squares[p.radius + c] = x[at + c] * x[at + c];
    for_each_vector(p.channels, [&](int64_t c, int n) {
      const VecF s = bias + alpha * window_sum(squares, c, p.radius), g = load_channels(dy + at + c, n);
      store_channels(shares + p.radius + c, g * load_channels(y + at + c, n) / s, n);
      store_channels(direct + c, g * power(s, p.beta), n);
    });
    for_each_vector(p.channels, [&](int64_t c, int n) {
      const VecF sum = window_sum(shares, c, p.radius);
      store_channels(dx + at + c, load(direct + c) + factor * load_channels(x + at + c, n) * sum, n);
    });
  });
}

TK_END_LEVEL
