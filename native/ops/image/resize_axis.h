// Which source pixels a pixel of the resized image reads, along one axis; and the sizes of a resizing op.
#pragma once
#include "ops/image/image_math.h"

TK_BEGIN_LEVEL

static_assert(same_image_attributes(attrs::resize_bilinear_ints, attrs::resize_bilinear_grad_ints) &&
                  same_image_attributes(attrs::resize_bilinear_ints, attrs::resize_nearest_ints) &&
                  same_image_attributes(attrs::resize_bilinear_ints, attrs::resize_nearest_grad_ints),
              "the four ops are read by one function");

struct ResizeAxis {
  int64_t source, result;
  double ratio;
  bool align_corners, half_pixel_centers;
};

struct LinearTap {
  int64_t low, high;
  float fraction;  // weight of high
};

TK_INLINE LinearTap linear_tap(const ResizeAxis& axis, int64_t o) {
  const double position = axis.half_pixel_centers ? axis.ratio * (double(o) + 0.5) - 0.5 : axis.ratio * double(o);
  const double below = ::floor(position), above = ::ceil(position), last = double(axis.source - 1);
  LinearTap tap;
  tap.low = below > 0 ? int64_t(below < last ? below : last) : 0;
  tap.high = int64_t(above < last ? above : last);
  tap.fraction = float(position - double(tap.low));
  return tap;
}

TK_INLINE int64_t nearest_tap(const ResizeAxis& axis, int64_t o) {
  const double position = axis.ratio * (axis.half_pixel_centers ? double(o) + 0.5 : double(o));
  const int64_t nearest = int64_t(axis.align_corners ? round_half_up(position) : ::floor(position));
  return nearest < axis.source - 1 ? nearest : axis.source - 1;
}

struct ResizeGeometry {
  int64_t n, h, w, c, oh, ow;
  ResizeAxis rows, columns;
};

TK_INLINE ResizeAxis resize_axis(int64_t source, int64_t result, bool align_corners, bool half_pixel_centers) {
  const int64_t inset = align_corners && result > 1 ? 1 : 0;
  return {source, result, double(source - inset) / double(result - inset), align_corners, half_pixel_centers};
}

// image: x or dx; resized: y or dy.
TK_INLINE ResizeGeometry read_resize(const OpCall& call, const Operand& image, const Operand& resized) {
  TK_CHECK(image.rank == 4 && resized.rank == 4);
  TK_CHECK_EQ(image.dims[0], resized.dims[0]);
  TK_CHECK_EQ(image.dims[3], resized.dims[3]);
  TK_CHECK(resized.size == 0 || image.size > 0);
  const bool align_corners = TK_INT(call, resize_bilinear, align_corners) != 0;
  const bool half_pixel_centers = TK_INT(call, resize_bilinear, half_pixel_centers) != 0;
  ResizeGeometry g;
  g.n = image.dims[0], g.h = image.dims[1], g.w = image.dims[2], g.c = image.dims[3];
  g.oh = resized.dims[1], g.ow = resized.dims[2];
  g.rows = resize_axis(g.h, g.oh, align_corners, half_pixel_centers);
  g.columns = resize_axis(g.w, g.ow, align_corners, half_pixel_centers);
  return g;
}

// What each column of the resized image reads, as offsets into a row of the image.
struct LinearColumns {
  int64_t *low, *high;
  float* fraction;

  TK_INLINE static int64_t bytes(int64_t count) {
    return 2 * aligned_bytes(count, sizeof(int64_t)) + aligned_bytes(count, sizeof(float));
  }

  TK_INLINE LinearColumns(const ResizeGeometry& g, void* memory) {
    low = static_cast<int64_t*>(memory);
    high = low + aligned_bytes(g.ow, sizeof(int64_t)) / int64_t(sizeof(int64_t));
    fraction = reinterpret_cast<float*>(high + aligned_bytes(g.ow, sizeof(int64_t)) / int64_t(sizeof(int64_t)));
    for (int64_t column = 0; column < g.ow; ++column) {
      const LinearTap tap = linear_tap(g.columns, column);
      low[column] = tap.low * g.c;
      high[column] = tap.high * g.c;
      fraction[column] = tap.fraction;
    }
  }
};

struct NearestColumns {
  int64_t* offset;

  TK_INLINE static int64_t bytes(int64_t count) { return aligned_bytes(count, sizeof(int64_t)); }

  TK_INLINE NearestColumns(const ResizeGeometry& g, void* memory) : offset(static_cast<int64_t*>(memory)) {
    for (int64_t column = 0; column < g.ow; ++column) offset[column] = nearest_tap(g.columns, column) * g.c;
  }
};

// Scratch rows behind the column table, `rows` per thread.
TK_INLINE float* scratch_row(const OpCall& call, int64_t table_bytes, int64_t row_size, int64_t row) {
  char* base = static_cast<char*>(call.workspace) + table_bytes;
  return reinterpret_cast<float*>(base + row * aligned_bytes(row_size, sizeof(float)));
}

TK_END_LEVEL
