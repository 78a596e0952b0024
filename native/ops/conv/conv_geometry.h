// The sizes of a convolution, read from any of its ops, and the padded copy of the image used when channels are few.
#pragma once
#include "ops/common/gemm.h"

TK_BEGIN_LEVEL

constexpr bool same_text(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}
static_assert(same_text(attrs::conv2d_ints, attrs::conv2d_input_grad_ints) &&
                  same_text(attrs::conv2d_ints, attrs::conv2d_filter_grad_ints),
              "the three ops are read by one function");

static_assert(same_text(attrs::conv3d_ints, attrs::conv3d_input_grad_ints) &&
                  same_text(attrs::conv3d_ints, attrs::conv3d_filter_grad_ints),
              "the three ops are read by one function");

// An image without depth is one plane deep.
struct ConvGeometry {
  int64_t n, d, h, w, c;     // image
  int64_t kd, kh, kw, cout;  // filter
  int64_t od, oh, ow;        // output
  int64_t stride_d, stride_h, stride_w, dilation_d, dilation_h, dilation_w, pad_front, pad_top, pad_left;

  TK_INLINE int64_t taps() const { return kd * kh * kw; }
  TK_INLINE int64_t image_floats() const { return d * h * w * c; }
  TK_INLINE int64_t output_floats() const { return od * oh * ow * cout; }
  // One tap that visits every pixel in order: a plain matrix product.
  TK_INLINE bool is_pointwise() const {
    return taps() == 1 && stride_d == 1 && stride_h == 1 && stride_w == 1 && pad_front == 0 && pad_top == 0 && pad_left == 0 &&
           od == d && oh == h && ow == w;
  }
};

TK_INLINE ConvGeometry read_conv2d(const OpCall& call, const Operand& x, const Operand& filter, const Operand& y) {
  TK_CHECK(x.rank == 4 && filter.rank == 4 && y.rank == 4);
  ConvGeometry g;
  g.n = x.dims[0], g.d = 1, g.h = x.dims[1], g.w = x.dims[2], g.c = x.dims[3];
  g.kd = 1, g.kh = filter.dims[0], g.kw = filter.dims[1], g.cout = filter.dims[3];
  g.od = 1, g.oh = y.dims[1], g.ow = y.dims[2];
  TK_CHECK_EQ(filter.dims[2], g.c);
  TK_CHECK_EQ(y.dims[0], g.n);
  TK_CHECK_EQ(y.dims[3], g.cout);
  g.stride_d = 1, g.stride_h = TK_INT(call, conv2d, stride_h), g.stride_w = TK_INT(call, conv2d, stride_w);
  g.dilation_d = 1, g.dilation_h = TK_INT(call, conv2d, dilation_h), g.dilation_w = TK_INT(call, conv2d, dilation_w);
  g.pad_front = 0, g.pad_top = TK_INT(call, conv2d, pad_top), g.pad_left = TK_INT(call, conv2d, pad_left);
  TK_CHECK(g.stride_h >= 1 && g.stride_w >= 1 && g.dilation_h >= 1 && g.dilation_w >= 1);
  return g;
}

TK_INLINE ConvGeometry read_conv3d(const OpCall& call, const Operand& x, const Operand& filter, const Operand& y) {
  TK_CHECK(x.rank == 5 && filter.rank == 5 && y.rank == 5);
  ConvGeometry g;
  g.n = x.dims[0], g.d = x.dims[1], g.h = x.dims[2], g.w = x.dims[3], g.c = x.dims[4];
  g.kd = filter.dims[0], g.kh = filter.dims[1], g.kw = filter.dims[2], g.cout = filter.dims[4];
  g.od = y.dims[1], g.oh = y.dims[2], g.ow = y.dims[3];
  TK_CHECK_EQ(filter.dims[3], g.c);
  TK_CHECK_EQ(y.dims[0], g.n);
  TK_CHECK_EQ(y.dims[4], g.cout);
  g.stride_d = TK_INT(call, conv3d, stride_d), g.dilation_d = TK_INT(call, conv3d, dilation_d);
  g.stride_h = TK_INT(call, conv3d, stride_h), g.stride_w = TK_INT(call, conv3d, stride_w);
  g.dilation_h = TK_INT(call, conv3d, dilation_h), g.dilation_w = TK_INT(call, conv3d, dilation_w);
  g.pad_front = TK_INT(call, conv3d, pad_front), g.pad_top = TK_INT(call, conv3d, pad_top);
  g.pad_left = TK_INT(call, conv3d, pad_left);
  TK_CHECK(g.stride_d >= 1 && g.stride_h >= 1 && g.stride_w >= 1);
  TK_CHECK(g.dilation_d >= 1 && g.dilation_h >= 1 && g.dilation_w >= 1);
  return g;
}

// With few channels a tap is too short to be worth a loop: the taps of one filter row are taken together, KW*C neighbours in
// memory. That needs an image without borders: either no tap leaves it, or it is copied with its zeros.
constexpr int64_t kFewChannels = 16;
TK_INLINE bool joins_taps(const ConvGeometry& g) { return g.dilation_w == 1 && g.kw > 1 && g.c < kFewChannels; }

// The part of the padded image that taps reach, starting pad_front before, pad_top above and pad_left beside it.
struct PaddedImage {
  int64_t d, h, w;
  bool copied;                // false: every tap is inside the image, which is used as it is
  int64_t row, plane, image;  // floats from row to row, plane to plane and image to image
  int64_t origin;             // floats from the start of the data to padded pixel (0, 0, 0)
};

TK_INLINE PaddedImage padded_image(const ConvGeometry& g) {
  PaddedImage p;
  p.d = (g.od - 1) * g.stride_d + (g.kd - 1) * g.dilation_d + 1;
  p.h = (g.oh - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
  p.w = (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1;
  p.copied = g.pad_front > 0 || g.pad_top > 0 || g.pad_left > 0 || p.d - g.pad_front > g.d || p.h - g.pad_top > g.h ||
             p.w - g.pad_left > g.w;
  p.row = (p.copied ? p.w : g.w) * g.c;
  p.plane = (p.copied ? p.h : g.h) * p.row;
  p.image = (p.copied ? p.d : g.d) * p.plane;
  p.origin = p.copied ? 0 : ((-g.pad_front * g.h - g.pad_top) * g.w - g.pad_left) * g.c;
  return p;
}
TK_INLINE int64_t padded_floats(const ConvGeometry& g) {
  const PaddedImage p = padded_image(g);
  return p.copied ? round_up(g.n * p.image, 16) : 0;
}
void copy_padded(const ConvGeometry& g, const float* x, float* padded, CpuContext& context);

// x as a [N*D*H*W, C] matrix and so on, for pointwise convolutions.
TK_INLINE int64_t pixels(const ConvGeometry& g) { return g.n * g.od * g.oh * g.ow; }

TK_END_LEVEL
