#include "ops/norm/row_norm.h"

#include "ops/common/column_sums.h"

TK_BEGIN_LEVEL
namespace {

// Pointer to an operand of `size` elements, or null where it was not given.
TK_INLINE float* optional_f32(const Operand& operand, int64_t size) {
  if (operand.size == 0) return nullptr;
  TK_CHECK_EQ(operand.size, size);
  return operand.f32();
}

struct RowNorm {
  int64_t cols;
  bool centered;
  double epsilon;
  const float *scale, *offset;
  bool stream = false;  // y is written past the caches

  // next: the row of x to bring nearer meanwhile, or null.
  TK_INLINE void row(const float* x, float* y, float* mean_out, float* inverse_out, const float* next) const {
    const double count = double(cols);
    const float mean =
        centered ? float(sum_row(cols, [&](int64_t i, int k) { return load_row(x + i, k, 0.0f); }) / count) : 0.0f;
    const VecF shift = set1(mean);
    const double squares = sum_row(cols, [&](int64_t i, int k) {
      fetch_row(next, i);
      const VecF d = load_row(x + i, k, mean) - shift;
      return d * d;
    });
    const float inverse = float(1.0 / ::sqrt(squares / count + epsilon));
    *mean_out = mean;
    *inverse_out = inverse;
    const VecF factor = set1(inverse);
    const auto normalise = [&](VecF v, int64_t i, int k) {
      VecF h = (v - shift) * factor;
      if (scale != nullptr) h = h * load_row(scale + i, k, 0.0f);
      if (offset != nullptr) h = h + load_row(offset + i, k, 0.0f);
      return h;
    };
    map_row(x, y, cols, normalise, stream);
  }
};

TK_INLINE RowNorm read_row_norm(int64_t cols, const Operand& scale, const Operand& offset, bool centered, double epsilon) {
  return {cols, centered, epsilon, optional_f32(scale, cols), optional_f32(offset, cols)};
}

struct RowNormGrad {
  int64_t cols;
  bool centered;
  const float* scale;

  // dx of one row; adds the row's share to dscale and doffset where they are not null. dsum may be null.
  TK_INLINE void row(const float* dy, const float* dsum, const float* x, float mean, float inverse, float* dx, float* dscale,
                     float* doffset) const {
    const VecF shift = set1(mean), factor = set1(inverse);
    const auto gradient = [&](int64_t i, int k) {
      const VecF g = load_row(dy + i, k, 0.0f);
      return scale == nullptr ? g : g * load_row(scale + i, k, 0.0f);
    };
    const double total = centered ? sum_row(cols, gradient) : 0.0;
    const double product =
        sum_row(cols, [&](int64_t i, int k) { return gradient(i, k) * ((load_row(x + i, k, mean) - shift) * factor); });
    const VecF a = set1(float(total / double(cols))), b = set1(float(product / double(cols)));
    map_row(dy, dx, cols, [&](VecF g, int64_t i, int k) {
      const VecF h = (load_row(x + i, k, mean) - shift) * factor;
      if (dscale != nullptr) store_row(dscale + i, fmadd(g, h, load_row(dscale + i, k, 0.0f)), k);
      if (doffset != nullptr) store_row(doffset + i, g + load_row(doffset + i, k, 0.0f), k);
      const VecF scaled = scale == nullptr ? g : g * load_row(scale + i, k, 0.0f);
      const VecF d = (scaled - a - h * b) * factor;
      return dsum == nullptr ? d : d + load_row(dsum + i, k, 0.0f);
    });
  }
};

int64_t grad_workspace(const Operand& x, const Operand& dscale, const Operand& doffset) {
  const RowShape shape = row_shape(x);
  return cut_rows(shape.rows, shape.cols).count() * (dscale.size + doffset.size) * int64_t(sizeof(float));
}

// dy, x and what follows as in the header; dsum null when there is none.
void run_grad(const Operand& dy, const float* dsum, const Operand& x, const Operand& scale, const Operand& mean,
              const Operand& inverse, const Operand& dx, const Operand& dscale, const Operand& doffset, bool centered,
              void* workspace, CpuContext& context) {
  const RowShape shape = row_shape(x);
  TK_CHECK_EQ(dy.size, x.size);
  TK_CHECK_EQ(dx.size, x.size);
  TK_CHECK_EQ(mean.size, shape.rows);
  TK_CHECK_EQ(inverse.size, shape.rows);
  const int64_t cols = shape.cols;
  const RowNormGrad norm = {cols, centered, optional_f32(scale, cols)};
  const bool with_scale = optional_f32(dscale, cols) != nullptr, with_offset = optional_f32(doffset, cols) != nullptr;
  const RowChunks chunks = cut_rows(shape.rows, cols);
  const int64_t stride = dscale.size + doffset.size;
  float* sums = static_cast<float*>(workspace);
  context.parallel_for(chunks.count(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; ++c) {
      float* part = sums + c * stride;
      for (int64_t i = 0; i < stride; ++i) part[i] = 0.0f;
      for (int64_t row = chunks.begin(c); row < chunks.end(c); ++row) {
        const int64_t at = row * cols;
        norm.row(dy.f32() + at, dsum == nullptr ? nullptr : dsum + at, x.f32() + at, mean.f32()[row], inverse.f32()[row],
                 dx.f32() + at, with_scale ? part : nullptr, with_offset ? part + dscale.size : nullptr);
      }
    }
  });
  if (with_scale) combine_chunks(sums, stride, chunks.count(), cols, dscale.f32(), context);
  if (with_offset) combine_chunks(sums + dscale.size, stride, chunks.count(), cols, doffset.f32(), context);
}

}  // namespace

void row_norm_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &y = call[3], &mean = call[4], &inverse = call[5];
  const RowShape shape = row_shape(x);
  TK_CHECK_EQ(y.size, x.size);
  TK_CHECK_EQ(mean.size, shape.rows);
  TK_CHECK_EQ(inverse.size, shape.rows);
  RowNorm norm =
      read_row_norm(shape.cols, call[1], call[2], TK_INT(call, row_norm, centered) != 0, TK_FLOAT(call, row_norm, epsilon));
  norm.stream = streams_rows(x, y, shape.cols);
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x.f32() + row * shape.cols;
      norm.row(from, y.f32() + row * shape.cols, mean.f32() + row, inverse.f32() + row,
               row + 1 < end ? from + shape.cols : nullptr);
    }
    if (norm.stream) stream_fence();
  });
}

void residual_norm_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &residual = call[1], &sum = call[4], &y = call[5], &mean = call[6], &inverse = call[7];
  const RowShape shape = row_shape(x);
  TK_CHECK_EQ(residual.size, x.size);
  TK_CHECK_EQ(sum.size, x.size);
  TK_CHECK_EQ(y.size, x.size);
  TK_CHECK_EQ(mean.size, shape.rows);
  TK_CHECK_EQ(inverse.size, shape.rows);
  RowNorm norm = read_row_norm(shape.cols, call[2], call[3], TK_INT(call, residual_norm, centered) != 0,
                               TK_FLOAT(call, residual_norm, epsilon));
  norm.stream = streams_rows(x, y, shape.cols);
  context.parallel_for(shape.rows, shape.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * shape.cols;
      const float* added = residual.f32() + at;
      map_row(x.f32() + at, sum.f32() + at, shape.cols,
              [&](VecF v, int64_t i, int k) { return v + load_row(added + i, k, 0.0f); });
      norm.row(sum.f32() + at, y.f32() + at, mean.f32() + row, inverse.f32() + row, nullptr);
    }
    if (norm.stream) stream_fence();
  });
}

int64_t row_norm_grad_workspace(const OpCall& call, int) { return grad_workspace(call[1], call[6], call[7]); }

void row_norm_grad_cpu(const OpCall& call, CpuContext& context) {
  run_grad(call[0], nullptr, call[1], call[2], call[3], call[4], call[5], call[6], call[7],
           TK_INT(call, row_norm_grad, centered) != 0, call.workspace, context);
}

int64_t residual_norm_grad_workspace(const OpCall& call, int) { return grad_workspace(call[2], call[7], call[8]); }

void residual_norm_grad_cpu(const OpCall& call, CpuContext& context) {
  run_grad(call[0], optional_f32(call[1], call[2].size), call[2], call[3], call[4], call[5], call[6], call[7], call[8],
           TK_INT(call, residual_norm_grad, centered) != 0, call.workspace, context);
}

TK_END_LEVEL
