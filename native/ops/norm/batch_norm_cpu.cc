#include "ops/norm/norm.h"

#include "ops/common/elementwise.h"

TK_BEGIN_LEVEL
namespace {

// Few channels are repeated until a period has at least so many elements; then hardly any vector is cut by its end.
constexpr int64_t kShortPeriod = 256;

struct Params {
  int64_t length;  // L
  int64_t period;  // a multiple of L
};

Params read_params(const OpCall& call) {
  Params p = {1, 0};
  for (int i = 1; i <= call.star_count; ++i) {
    const int64_t size = call[i].size;
    if (size == 1) continue;
    TK_CHECK(size > 0 || call[0].size == 0);
    TK_CHECK(p.length == 1 || p.length == size);
    p.length = size;
  }
  p.period = p.length == 0 ? 0 : (p.length >= kShortPeriod ? 1 : (kShortPeriod + p.length - 1) / p.length) * p.length;
  return p;
}

// The element of a parameter that belongs to place i of a period.
TK_INLINE float param_at(const Operand& param, int64_t i) { return param.f32()[param.size == 1 ? 0 : i % param.size]; }

}  // namespace

int64_t batch_norm_workspace(const OpCall& call, int) { return 3 * read_params(call).period * int64_t(sizeof(float)); }

void batch_norm_cpu(const OpCall& call, CpuContext& context) {
  const bool has_scale = TK_INT(call, batch_norm, has_scale) != 0, has_offset = TK_INT(call, batch_norm, has_offset) != 0;
  TK_CHECK_EQ(call.star_count, 2 + int(has_scale) + int(has_offset));
  const Operand &x = call[0], &y = call[call.star_count + 1];
  TK_CHECK_EQ(x.size, y.size);
  if (x.size == 0) return;
  const Params params = read_params(call);
  const double epsilon = TK_FLOAT(call, batch_norm, epsilon);
  float* mean = static_cast<float*>(call.workspace);
  float *factor = mean + params.period, *offset = factor + params.period;
  context.parallel_for(params.period, kMathGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const double scale = has_scale ? double(param_at(call[3], i)) : 1.0;
      mean[i] = param_at(call[1], i);
      factor[i] = float(scale / ::sqrt(double(param_at(call[2], i)) + epsilon));
      offset[i] = has_offset ? param_at(call[call.star_count], i) : 0.0f;
    }
  });
  const float* from = x.f32();
  float* to = y.f32();
  context.parallel_for(x.size, kCheapGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end;) {
      const int64_t at = i % params.period, run = params.period - at < end - i ? params.period - at : end - i;
      for (int64_t k = 0; k < run; k += kVecWidth) {
        const int n = run - k < kVecWidth ? int(run - k) : kVecWidth;
        if (n == kVecWidth) {
          store(to + i + k, (load(from + i + k) - load(mean + at + k)) * load(factor + at + k) + load(offset + at + k));
        } else {
          store_part(to + i + k,
                     (load_part(from + i + k, n) - load_part(mean + at + k, n)) * load_part(factor + at + k, n) +
                         load_part(offset + at + k, n),
                     n);
        }
      }
      i += run;
    }
  });
}

TK_END_LEVEL
