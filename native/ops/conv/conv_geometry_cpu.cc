#include "ops/conv/conv_geometry.h"

TK_BEGIN_LEVEL

void copy_padded(const ConvGeometry& g, const float* x, float* padded, CpuContext& context) {
  const PaddedImage p = padded_image(g);
  // Columns of the copy that lie in the image.
  const int64_t left = min64(max64(g.pad_left, 0), p.w), right = max64(left, min64(g.w + g.pad_left, p.w));
  context.parallel_for(g.n * p.d * p.h, max64(1, 16 * 1024 / p.row), [&](int64_t begin, int64_t end, int) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t plane = line / p.h, h = line % p.h - g.pad_top, d = plane % p.d - g.pad_front;
      float* dst = padded + line * p.row;
      if (d < 0 || d >= g.d || h < 0 || h >= g.h || left == right) {
        std::memset(dst, 0, size_t(p.row) * sizeof(float));
        continue;
      }
      const float* src = x + (((plane / p.d * g.d + d) * g.h + h) * g.w + left - g.pad_left) * g.c;
      std::memset(dst, 0, size_t(left * g.c) * sizeof(float));
      std::memcpy(dst + left * g.c, src, size_t((right - left) * g.c) * sizeof(float));
      std::memset(dst + right * g.c, 0, size_t((p.w - right) * g.c) * sizeof(float));
    }
  });
}

TK_END_LEVEL
