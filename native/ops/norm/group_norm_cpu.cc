#include "ops/norm/group_norm.h"

#include "ops/common/column_sums.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kMaxChunkRows = 512;  // f32 sums of so many terms keep their digits
constexpr int64_t kCentreShare = 8;     // an eighth of a chunk's rows gives the centre of its distances
constexpr int64_t kNearFloats = 4096;   // half of the first-level cache

// x [N, S, C] as N blocks of chunks of places.
struct Blocks {
  int64_t images, places, channels;
  int64_t groups = 1;
  int64_t chunk_rows = 1, chunks = 0;  // chunks per image

  TK_INLINE int64_t units() const { return images * chunks; }
  TK_INLINE int64_t group_size() const { return channels / groups; }
  TK_INLINE int64_t first(int64_t unit) const { return unit % chunks * chunk_rows; }
  TK_INLINE int64_t rows(int64_t unit) const {
    const int64_t rest = places - first(unit);
    return rest < chunk_rows ? rest : chunk_rows;
  }
  TK_INLINE int64_t image(int64_t unit) const { return unit / chunks; }
  // First element of a unit.
  TK_INLINE int64_t start(int64_t unit) const { return (image(unit) * places + first(unit)) * channels; }
  TK_INLINE int64_t grain() const { return 1 + kRowChunkElements / (chunk_rows * channels + 1); }
};

Blocks cut_blocks(const Operand& x, int64_t groups) {
  TK_CHECK_EQ(x.rank, 3);
  Blocks b = {x.dims[0], x.dims[1], x.dims[2]};
  TK_CHECK(groups >= 1 && b.channels % groups == 0);
  b.groups = groups;
  const int64_t wanted = 4 * kRowChunkElements / (b.channels + 1) + 1;
  b.chunk_rows = wanted < 16 ? 16 : wanted > kMaxChunkRows ? kMaxChunkRows : wanted;
  b.chunks = (b.places + b.chunk_rows - 1) / b.chunk_rows;
  return b;
}

TK_INLINE float* given(const Operand& operand, int64_t size) {
  if (operand.size == 0) return nullptr;
  TK_CHECK_EQ(operand.size, size);
  return operand.f32();
}

// Calls body(r0, r1, c, vectors) for all channels of rows [0, rows), `row_floats` floats to read for each: rows in pieces that
// stay in the first-level cache, so that memory is read in order; within a piece, kVectors vectors of channels at a time, then
// one by one, the last of them perhaps not full.
template <int Vectors, class Body>
TK_INLINE void for_pieces(int64_t rows, int64_t channels, int64_t row_floats, const Body& body) {
  const int64_t piece = row_floats >= kNearFloats ? 1 : kNearFloats / row_floats;
  for (int64_t r0 = 0; r0 < rows; r0 += piece) {
    const int64_t r1 = rows - r0 < piece ? rows : r0 + piece;
    int64_t c = 0;
    for (; c + Vectors * kVecWidth <= channels; c += Vectors * kVecWidth) {
      body.template operator()<Vectors, true>(r0, r1, c, kVecWidth);
    }
    for (; c + kVecWidth <= channels; c += kVecWidth) body.template operator()<1, true>(r0, r1, c, kVecWidth);
    if (c < channels) body.template operator()<1, false>(r0, r1, c, int(channels - c));
  }
}

template <bool Full>
TK_INLINE VecF load_lanes_of(const float* p, int n) {
  if constexpr (Full) return load(p);
  return load_part(p, n);
}
template <bool Full>
TK_INLINE void store_lanes_of(float* p, VecF a, int n) {
  if constexpr (Full) return store(p, a);
  store_part(p, a, n);
}

// Per channel of a chunk: about a centre the sums of distances and of squared distances. The centre is the mean of the first
// rows, an eighth of all: so squares about it are at most 8 times those about the mean of the chunk, whatever the others are.
TK_INLINE void chunk_statistics(const float* x, int64_t rows, int64_t channels, float* centre, float* sums, float* squares) {
  const int64_t first = (rows + kCentreShare - 1) / kCentreShare;
  const VecF share = set1(1.0f / float(first));
  for_pieces<4>(first, channels, channels, [&]<int Vectors, bool Full>(int64_t r0, int64_t r1, int64_t c, int n) {
    VecF total[Vectors];
    for (int v = 0; v < Vectors; ++v) total[v] = r0 == 0 ? zero() : load_lanes_of<Full>(centre + c + v * kVecWidth, n);
    for (int64_t r = r0; r < r1; ++r) {
      const float* row = x + r * channels + c;
      for (int v = 0; v < Vectors; ++v) total[v] = total[v] + load_lanes_of<Full>(row + v * kVecWidth, n);
    }
    for (int v = 0; v < Vectors; ++v) {
      store_lanes_of<Full>(centre + c + v * kVecWidth, r1 == first ? total[v] * share : total[v], n);
    }
  });
  for_pieces<4>(rows, channels, channels, [&]<int Vectors, bool Full>(int64_t r0, int64_t r1, int64_t c, int n) {
    VecF mean[Vectors], sum[Vectors], square[Vectors];
    for (int v = 0; v < Vectors; ++v) {
      const int64_t at = c + v * kVecWidth;
      mean[v] = load_lanes_of<Full>(centre + at, n);
      sum[v] = r0 == 0 ? zero() : load_lanes_of<Full>(sums + at, n);
      square[v] = r0 == 0 ? zero() : load_lanes_of<Full>(squares + at, n);
    }
    for (int64_t r = r0; r < r1; ++r) {
      const float* row = x + r * channels + c;
      for (int v = 0; v < Vectors; ++v) {
        const VecF distance = load_lanes_of<Full>(row + v * kVecWidth, n) - mean[v];
        sum[v] = sum[v] + distance;
        square[v] = fmadd(distance, distance, square[v]);
      }
    }
    for (int v = 0; v < Vectors; ++v) {
      store_lanes_of<Full>(sums + c + v * kVecWidth, sum[v], n);
      store_lanes_of<Full>(squares + c + v * kVecWidth, square[v], n);
    }
  });
}

struct Moments {
  double mean, variance;
};

// The moments of one image and group from the statistics of its chunks.
TK_INLINE Moments group_moments(const Blocks& b, const float* statistics, int64_t image, int64_t group) {
  const int64_t channels = b.channels, size = b.group_size(), first = group * size;
  const double count = double(b.places) * double(size);
  double total = 0;
  for (int64_t chunk = 0; chunk < b.chunks; ++chunk) {
    const int64_t unit = image * b.chunks + chunk;
    const float *centre = statistics + unit * 3 * channels, *sums = centre + channels;
    const double rows = double(b.rows(unit));
    for (int64_t c = first; c < first + size; ++c) total += rows * double(centre[c]) + double(sums[c]);
  }
  const double mean = total / count;
  double squares = 0;
  for (int64_t chunk = 0; chunk < b.chunks; ++chunk) {
    const int64_t unit = image * b.chunks + chunk;
    const float *centre = statistics + unit * 3 * channels, *sums = centre + channels, *square = sums + channels;
    const double rows = double(b.rows(unit));
    for (int64_t c = first; c < first + size; ++c) {
      const double off = double(centre[c]) - mean;
      squares += double(square[c]) + off * (2 * double(sums[c]) + rows * off);
    }
  }
  // Rounding may carry a variance of nothing below 0.
  return {mean, squares > 0 || squares != squares ? squares / count : 0.0};
}

int64_t statistics_floats(const Blocks& b) { return b.units() * 3 * b.channels; }

// Statistics of all chunks, then y. each(image, group, moments) sees the moments before y is made.
template <class Each>
void normalise(const Blocks& b, const OpCall& call, const Operand& y, const Operand& mean, const Operand& inverse,
               double epsilon, CpuContext& context, const Each& each) {
  const Operand& x = call[0];
  TK_CHECK_EQ(y.size, x.size);
  TK_CHECK_EQ(mean.size, b.images * b.groups);
  TK_CHECK_EQ(inverse.size, b.images * b.groups);
  const int64_t channels = b.channels;
  const float *scale = given(call[1], channels), *offset = given(call[2], channels);
  if (x.size == 0) {
    for (int64_t i = 0; i < mean.size; ++i) mean.f32()[i] = inverse.f32()[i] = 0.0f;
    return;
  }
  float* statistics = static_cast<float*>(call.workspace);
  float* factors = statistics + statistics_floats(b);  // per image: mean, factor, offset of each channel
  context.parallel_for(b.units(), b.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      float* centre = statistics + unit * 3 * channels;
      chunk_statistics(x.f32() + b.start(unit), b.rows(unit), channels, centre, centre + channels, centre + 2 * channels);
    }
  });
  const int64_t size = b.group_size();
  context.parallel_for(b.images * b.groups, 1 + 4096 / (b.chunks * size), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / b.groups, group = i % b.groups;
      const Moments moments = group_moments(b, statistics, image, group);
      const double root = 1.0 / ::sqrt(moments.variance + epsilon);
      mean.f32()[i] = float(moments.mean);
      inverse.f32()[i] = float(root);
      each(group, moments);
      float* shift = factors + image * 3 * channels;
      float *factor = shift + channels, *added = factor + channels;
      for (int64_t c = group * size; c < (group + 1) * size; ++c) {
        shift[c] = float(moments.mean);
        factor[c] = float(root * (scale == nullptr ? 1.0 : double(scale[c])));
        added[c] = offset == nullptr ? 0.0f : offset[c];
      }
    }
  });
  const bool stream = streams_rows(x, y, channels);
  context.parallel_for(b.units(), b.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const float* shift = factors + b.image(unit) * 3 * channels;
      const float *factor = shift + channels, *added = factor + channels;
      const float* from = x.f32() + b.start(unit);
      float* to = y.f32() + b.start(unit);
      for (int64_t r = 0; r < b.rows(unit); ++r, from += channels, to += channels) {
        const auto normal = [&](VecF v, int64_t c, int n) {
          return (v - load_row(shift + c, n, 0.0f)) * load_row(factor + c, n, 0.0f) + load_row(added + c, n, 0.0f);
        };
        map_row(from, to, channels, normal, stream);
      }
    }
    if (stream) stream_fence();
  });
}

int64_t forward_workspace(const Blocks& b) {
  return (statistics_floats(b) + 3 * b.images * b.channels) * int64_t(sizeof(float));
}

// Per channel of a chunk: sums of dy, and of dy h with h about the given means and inverses of each channel.
TK_INLINE void chunk_gradients(const float* dy, const float* x, int64_t rows, int64_t channels, const float* shift,
                               const float* inverse, float* plain, float* products) {
  for_pieces<4>(rows, channels, 2 * channels, [&]<int Vectors, bool Full>(int64_t r0, int64_t r1, int64_t c, int n) {
    VecF mean[Vectors], sum[Vectors], product[Vectors];
    for (int v = 0; v < Vectors; ++v) {
      const int64_t at = c + v * kVecWidth;
      mean[v] = load_lanes_of<Full>(shift + at, n);
      sum[v] = r0 == 0 ? zero() : load_lanes_of<Full>(plain + at, n);
      product[v] = r0 == 0 ? zero() : load_lanes_of<Full>(products + at, n);
    }
    for (int64_t r = r0; r < r1; ++r) {
      const float *dy_row = dy + r * channels + c, *x_row = x + r * channels + c;
      for (int v = 0; v < Vectors; ++v) {
        const VecF g = load_lanes_of<Full>(dy_row + v * kVecWidth, n);
        sum[v] = sum[v] + g;
        product[v] = fmadd(g, load_lanes_of<Full>(x_row + v * kVecWidth, n) - mean[v], product[v]);
      }
    }
    for (int v = 0; v < Vectors; ++v) {
      const int64_t at = c + v * kVecWidth;
      store_lanes_of<Full>(plain + at, sum[v], n);
      store_lanes_of<Full>(products + at, r1 == rows ? product[v] * load_lanes_of<Full>(inverse + at, n) : product[v], n);
    }
  });
}

}  // namespace

int64_t group_norm_workspace(const OpCall& call, int) {
  return forward_workspace(cut_blocks(call[0], TK_INT(call, group_norm, groups)));
}

void group_norm_cpu(const OpCall& call, CpuContext& context) {
  normalise(cut_blocks(call[0], TK_INT(call, group_norm, groups)), call, call[3], call[4], call[5],
            TK_FLOAT(call, group_norm, epsilon), context, [](int64_t, const Moments&) {});
}

int64_t batch_norm_train_workspace(const OpCall& call, int) { return forward_workspace(cut_blocks(call[0], call[0].dims[2])); }

void batch_norm_train_cpu(const OpCall& call, CpuContext& context) {
  const Operand& x = call[0];
  TK_CHECK(x.rank == 3 && x.dims[0] == 1 && x.dims[2] > 0);
  const Blocks b = cut_blocks(x, x.dims[2]);
  TK_CHECK_EQ(call[3].size, b.channels);
  TK_CHECK_EQ(call[4].size, b.channels);
  float *running_mean = call[3].f32(), *running_variance = call[4].f32();
  const double rate = TK_FLOAT(call, batch_norm_train, update_rate);
  const bool unbiased = TK_INT(call, batch_norm_train, unbiased) != 0 && b.places > 1;
  const double correction = unbiased ? double(b.places) / double(b.places - 1) : 1.0;
  normalise(b, call, call[5], call[6], call[7], TK_FLOAT(call, batch_norm_train, epsilon), context,
            [&](int64_t channel, const Moments& moments) {
              const double mean = double(running_mean[channel]), variance = double(running_variance[channel]);
              const float next_mean = float(mean + rate * (moments.mean - mean));
              const float next_variance = float(variance + rate * (moments.variance * correction - variance));
              // A batch that is not finite belongs to a step that is left out: it may not spoil the statistics for good.
              if (next_mean - next_mean != 0 || next_variance - next_variance != 0) return;
              running_mean[channel] = next_mean;
              running_variance[channel] = next_variance;
            });
}

int64_t group_norm_grad_workspace(const OpCall& call, int) {
  const Blocks b = cut_blocks(call[1], TK_INT(call, group_norm_grad, groups));
  return (2 * b.units() * b.channels + 7 * b.images * b.channels) * int64_t(sizeof(float));
}

void group_norm_grad_cpu(const OpCall& call, CpuContext& context) {
  const Operand &dy = call[0], &x = call[1], &mean = call[3], &inverse = call[4], &dx = call[5];
  const Blocks b = cut_blocks(x, TK_INT(call, group_norm_grad, groups));
  const bool fixed = TK_INT(call, group_norm_grad, fixed) != 0;
  const int64_t channels = b.channels, size = b.group_size();
  TK_CHECK_EQ(dy.size, x.size);
  TK_CHECK_EQ(dx.size, x.size);
  TK_CHECK_EQ(mean.size, b.images * b.groups);
  TK_CHECK_EQ(inverse.size, b.images * b.groups);
  const float* scale = given(call[2], channels);
  float *dscale = given(call[6], channels), *doffset = given(call[7], channels);
  // Per image and channel: mean, inverse, sum of dy, sum of dy h; then the three factors of dx.
  float* sums = static_cast<float*>(call.workspace);
  float* per_image = sums + 2 * b.units() * channels;
  const auto row_of = [&](int64_t image, int64_t which) { return per_image + (image * 7 + which) * channels; };
  for (int64_t image = 0; image < b.images; ++image) {
    for (int64_t c = 0; c < channels; ++c) {
      row_of(image, 0)[c] = mean.f32()[image * b.groups + c / size];
      row_of(image, 1)[c] = inverse.f32()[image * b.groups + c / size];
    }
  }
  context.parallel_for(b.units(), b.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t at = b.start(unit), image = b.image(unit);
      float* plain = sums + unit * 2 * channels;
      chunk_gradients(dy.f32() + at, x.f32() + at, b.rows(unit), channels, row_of(image, 0), row_of(image, 1), plain,
                      plain + channels);
    }
  });
  const double count = double(b.places) * double(size);
  context.parallel_for(b.images * b.groups, 1 + 4096 / (b.chunks * size + 1), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / b.groups, first = i % b.groups * size;
      const double root = double(inverse.f32()[i]);
      double total = 0, product = 0;
      for (int64_t c = first; c < first + size; ++c) {
        double plain = 0, products = 0;
        for (int64_t chunk = 0; chunk < b.chunks; ++chunk) {
          const float* part = sums + (image * b.chunks + chunk) * 2 * channels;
          plain += double(part[c]);
          products += double(part[channels + c]);
        }
        const double factor = scale == nullptr ? 1.0 : double(scale[c]);
        total += factor * plain;
        product += factor * products;
        row_of(image, 2)[c] = float(plain);
        row_of(image, 3)[c] = float(products);
        row_of(image, 4)[c] = float(root * factor);
      }
      for (int64_t c = first; c < first + size; ++c) {
        row_of(image, 5)[c] = fixed ? 0.0f : float(root * root * product / count);
        row_of(image, 6)[c] = fixed ? 0.0f : float(root * total / count);
      }
    }
  });
  if (doffset != nullptr) combine_chunks(row_of(0, 2), 7 * channels, b.images, channels, doffset, context);
  if (dscale != nullptr) combine_chunks(row_of(0, 3), 7 * channels, b.images, channels, dscale, context);
  const bool stream = streams_rows(x, dx, channels);
  context.parallel_for(b.units(), b.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = b.image(unit), at = b.start(unit);
      const float *shift = row_of(image, 0), *factor = row_of(image, 4), *slope = row_of(image, 5),
                  *constant = row_of(image, 6);
      for (int64_t r = 0; r < b.rows(unit); ++r) {
        const float* from = x.f32() + at + r * channels;
        const auto gradient = [&](VecF g, int64_t c, int n) {
          const VecF d = g * load_row(factor + c, n, 0.0f) - load_row(constant + c, n, 0.0f);
          return d - (load_row(from + c, n, 0.0f) - load_row(shift + c, n, 0.0f)) * load_row(slope + c, n, 0.0f);
        };
        map_row(dy.f32() + at + r * channels, dx.f32() + at + r * channels, channels, gradient, stream);
      }
    }
    if (stream) stream_fence();
  });
}

TK_END_LEVEL
