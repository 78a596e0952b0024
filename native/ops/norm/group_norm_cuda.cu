#include "cuda/column_sums.cuh"
// context.h first.
#include "ops/norm/group_norm.h"

// Statistics are sums of x and x^2 in double, x taken about the first element of its group: the squares of f32 values fit the
// 53 bits of a double, so that a large mean costs no digits.
TK_BEGIN_CUDA
namespace {

struct Images {
  int64_t images, places, channels, groups;

  Images(const Operand& x, int64_t groups) : images(x.dims[0]), places(x.dims[1]), channels(x.dims[2]), groups(groups) {
    TK_CHECK_EQ(x.rank, 3);
    TK_CHECK(groups >= 1 && channels % groups == 0);
  }
  int64_t group_size() const { return channels / groups; }
  int64_t factor_floats() const { return 3 * images * channels; }
  int64_t part_doubles() const { return column_parts(images, places, channels, 2); }
};

const float* channel_vector(const Operand& operand, int64_t size) {
  if (operand.size == 0) return nullptr;
  TK_CHECK_EQ(operand.size, size);
  return operand.f32();
}

int64_t norm_workspace(const Images& s) {
  return s.part_doubles() * int64_t(sizeof(double)) + s.factor_floats() * int64_t(sizeof(float));
}

// Running values of batch norm; null for group norm.
struct Running {
  float *mean = nullptr, *variance = nullptr;
  double rate = 0, correction = 1;
};

void normalise_images(const CudaContext& context, const OpCall& call, const Images& s, const Operand& y_operand,
                      const Operand& mean_operand, const Operand& inverse_operand, double epsilon, const Running& running) {
  const Operand& x_operand = call[0];
  TK_CHECK_EQ(y_operand.size, x_operand.size);
  TK_CHECK_EQ(mean_operand.size, s.images * s.groups);
  TK_CHECK_EQ(inverse_operand.size, s.images * s.groups);
  const float *scale = channel_vector(call[1], s.channels), *offset = channel_vector(call[2], s.channels);
  float *mean = mean_operand.f32(), *inverse = inverse_operand.f32();
  if (x_operand.size == 0) {
    for_each(context, mean_operand.size, [=] __device__(int64_t i) { mean[i] = inverse[i] = 0.0f; });
    return;
  }
  const float* x = x_operand.f32();
  float* y = y_operand.f32();
  double* parts = static_cast<double*>(call.workspace);
  float* factors = reinterpret_cast<float*>(parts + s.part_doubles());
  const int64_t places = s.places, channels = s.channels, size = s.group_size(), groups = s.groups;
  const int64_t chunks = cut_columns(places).count(), total_channels = s.images * channels;
  sum_column_parts<2>(context, s.images, places, channels, parts,
                      [=] __device__(int64_t image, int64_t row, int64_t col, double(&sums)[2]) {
                        const float* of_image = x + image * places * channels;
                        const double d = double(of_image[row * channels + col]) - double(of_image[col / size * size]);
                        sums[0] += d;
                        sums[1] += d * d;
                      });
  for_each(
      context, s.images * groups,
      [=] __device__(int64_t i) {
        const int64_t image = i / groups, group = i % groups, first = group * size;
        double sum = 0, squares = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          const double* part = parts + (image * chunks + chunk) * 2 * channels;
          for (int64_t c = first; c < first + size; ++c) sum += part[c], squares += part[channels + c];
        }
        const double count = double(places) * double(size), about = sum / count;
        const double spread = squares - sum * about;
        // Rounding may carry a variance of nothing below 0; NaN stays.
        const double variance = spread > 0 || spread != spread ? spread / count : 0.0;
        const double centre = double(x[image * places * channels + first]) + about, root = 1.0 / sqrt(variance + epsilon);
        mean[i] = float(centre);
        inverse[i] = float(root);
        if (running.mean != nullptr) {
          const double old_mean = running.mean[i], old_variance = running.variance[i];
          const float next_mean = float(old_mean + running.rate * (centre - old_mean));
          const float next_variance = float(old_variance + running.rate * (variance * running.correction - old_variance));
          // A batch that is not finite belongs to a step that is left out: it may not spoil the statistics for good.
          if (next_mean - next_mean == 0 && next_variance - next_variance == 0) {
            running.mean[i] = next_mean;
            running.variance[i] = next_variance;
          }
        }
        for (int64_t c = first; c < first + size; ++c) {
          float* factor = factors + image * channels + c;
          factor[0] = float(centre);
          factor[total_channels] = float(root * (scale == nullptr ? 1.0 : double(scale[c])));
          factor[2 * total_channels] = offset == nullptr ? 0.0f : offset[c];
        }
      },
      1);
  for_each(context, x_operand.size, [=] __device__(int64_t i) {
    const float* factor = factors + i / (places * channels) * channels + i % channels;
    y[i] = (x[i] - factor[0]) * factor[total_channels] + factor[2 * total_channels];
  });
}

}  // namespace

int64_t group_norm_cuda_workspace(const OpCall& call) {
  return norm_workspace(Images(call[0], TK_INT(call, group_norm, groups)));
}

void group_norm_cuda(const OpCall& call, CudaContext& context) {
  normalise_images(context, call, Images(call[0], TK_INT(call, group_norm, groups)), call[3], call[4], call[5],
                   TK_FLOAT(call, group_norm, epsilon), {});
}

int64_t batch_norm_train_cuda_workspace(const OpCall& call) {
  return call[0].dims[2] == 0 ? 0 : norm_workspace(Images(call[0], call[0].dims[2]));
}

void batch_norm_train_cuda(const OpCall& call, CudaContext& context) {
  const Operand& x = call[0];
  TK_CHECK(x.rank == 3 && x.dims[0] == 1 && x.dims[2] > 0);
  const Images s(x, x.dims[2]);
  TK_CHECK_EQ(call[3].size, s.channels);
  TK_CHECK_EQ(call[4].size, s.channels);
  const bool unbiased = TK_INT(call, batch_norm_train, unbiased) != 0 && s.places > 1;
  Running running;
  running.mean = call[3].f32(), running.variance = call[4].f32();
  running.rate = TK_FLOAT(call, batch_norm_train, update_rate);
  running.correction = unbiased ? double(s.places) / double(s.places - 1) : 1.0;
  normalise_images(context, call, s, call[5], call[6], call[7], TK_FLOAT(call, batch_norm_train, epsilon), running);
}

// Workspace: parts of the sums of dy and dy h; the sums; the three factors of dx.
int64_t group_norm_grad_cuda_workspace(const OpCall& call) {
  const Images s(call[1], TK_INT(call, group_norm_grad, groups));
  return s.part_doubles() * int64_t(sizeof(double)) + 2 * s.images * s.channels * int64_t(sizeof(double)) +
         s.factor_floats() * int64_t(sizeof(float));
}

void group_norm_grad_cuda(const OpCall& call, CudaContext& context) {
  const Operand &dy_operand = call[0], &x_operand = call[1];
  const Images s(x_operand, TK_INT(call, group_norm_grad, groups));
  const bool fixed = TK_INT(call, group_norm_grad, fixed) != 0;
  const int64_t places = s.places, channels = s.channels, size = s.group_size(), groups = s.groups, images = s.images;
  TK_CHECK_EQ(dy_operand.size, x_operand.size);
  TK_CHECK_EQ(call[5].size, x_operand.size);
  TK_CHECK_EQ(call[3].size, images * groups);
  TK_CHECK_EQ(call[4].size, images * groups);
  const float *dy = dy_operand.f32(), *x = x_operand.f32(), *mean = call[3].f32(), *inverse = call[4].f32();
  const float* scale = channel_vector(call[2], channels);
  float* dscale = const_cast<float*>(channel_vector(call[6], channels));
  float* doffset = const_cast<float*>(channel_vector(call[7], channels));
  float* dx = call[5].f32();
  double *parts = static_cast<double*>(call.workspace), *sums = parts + s.part_doubles();
  float* factors = reinterpret_cast<float*>(sums + 2 * images * channels);
  const int64_t chunks = cut_columns(places).count(), total_channels = images * channels;
  sum_column_parts<2>(context, images, places, channels, parts,
                      [=] __device__(int64_t image, int64_t row, int64_t col, double(&share)[2]) {
                        const int64_t at = (image * places + row) * channels + col, group = image * groups + col / size;
                        const float g = dy[at];
                        share[0] += double(g);
                        share[1] += double(g * ((x[at] - mean[group]) * inverse[group]));
                      });
  for_each(
      context, total_channels,
      [=] __device__(int64_t i) {
        const int64_t image = i / channels, col = i % channels;
        double plain = 0, product = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          const double* part = parts + (image * chunks + chunk) * 2 * channels;
          plain += part[col], product += part[channels + col];
        }
        sums[i] = plain, sums[total_channels + i] = product;
      },
      1);
  if (dscale != nullptr || doffset != nullptr) {
    for_each(
        context, channels,
        [=] __device__(int64_t c) {
          double plain = 0, product = 0;
          for (int64_t image = 0; image < images; ++image) {
            plain += sums[image * channels + c], product += sums[total_channels + image * channels + c];
          }
          if (dscale != nullptr) dscale[c] = float(product);
          if (doffset != nullptr) doffset[c] = float(plain);
        },
        1);
  }
  for_each(
      context, images * groups,
      [=] __device__(int64_t i) {
        const int64_t image = i / groups, first = image * channels + i % groups * size;
        const double root = inverse[i], count = double(places) * double(size);
        double total = 0, product = 0;
        for (int64_t c = 0; c < size; ++c) {
          const double factor = scale == nullptr ? 1.0 : double(scale[i % groups * size + c]);
          total += factor * sums[first + c], product += factor * sums[total_channels + first + c];
        }
        for (int64_t c = 0; c < size; ++c) {
          const double factor = scale == nullptr ? 1.0 : double(scale[i % groups * size + c]);
          factors[first + c] = float(root * factor);
          factors[total_channels + first + c] = fixed ? 0.0f : float(root * root * product / count);
          factors[2 * total_channels + first + c] = fixed ? 0.0f : float(root * total / count);
        }
      },
      1);
  for_each(context, x_operand.size, [=] __device__(int64_t i) {
    const int64_t image = i / (places * channels), c = i % channels;
    const float* factor = factors + image * channels + c;
    const float d = dy[i] * factor[0] - factor[2 * total_channels];
    dx[i] = d - (x[i] - mean[image * groups + c / size]) * factor[total_channels];
  });
}

TK_END_CUDA
