#include "ops/common/runs.h"
#include "ops/image/image_math.h"
#include "ops/image/sampling.h"

TK_BEGIN_LEVEL
namespace {

template <class T>
void rotate(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  const int64_t h = x.dims[1], w = x.dims[2], channels = x.dims[3], row_size = w * channels;
  const double sine = TK_FLOAT(call, rotate_image, sine), cosine = TK_FLOAT(call, rotate_image, cosine);
  const double center_x = TK_FLOAT(call, rotate_image, center_x), center_y = TK_FLOAT(call, rotate_image, center_y);
  const double* fill = &TK_FLOAT(call, rotate_image, fill);
  const int64_t fill_count = call.num_floats - (fill - call.floats);
  TK_CHECK(fill_count > 0);
  context.parallel_for(x.dims[0] * h, image_grain(row_size * 2), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const T* image = static_cast<const T*>(x.data) + unit / h * h * row_size;
      T* target = static_cast<T*>(y.data) + unit * row_size;
      const double down = double(unit % h) - center_y;
      for (int64_t i = 0; i < w; ++i, target += channels) {
        const double across = double(i) - center_x;
        const double column = round_half_up(across * cosine - down * sine + center_x);
        const double row = round_half_up(across * sine + down * cosine + center_y);
        if (column >= 0 && column < double(w) && row >= 0 && row < double(h)) {
          copy_run(target, image + int64_t(row) * row_size + int64_t(column) * channels, channels * int64_t(sizeof(T)));
          continue;
        }
        for (int64_t c = 0; c < channels; ++c) {
          target[c] = T(element_bits(x.dtype, fill[c < fill_count ? c : fill_count - 1]));
        }
      }
    }
  });
}

}  // namespace

void rotate_image_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[1];
  TK_CHECK(x.rank == 4);
  TK_CHECK_EQ(x.size, y.size);
  if (y.size == 0) return;
  if (x.dtype == DType::u8) return rotate<uint8_t>(call, context);
  rotate<uint32_t>(call, context);
}

TK_END_LEVEL
