#include "cuda/context.h"
// context.h first.
#include "ops/norm/norm.h"

TK_BEGIN_CUDA
namespace {

int64_t statistics_length(const OpCall& call) {
  int64_t length = 1;
  for (int i = 1; i <= call.star_count; ++i) {
    if (call[i].size == 1) continue;
    TK_CHECK(length == 1 || length == call[i].size);
    length = call[i].size;
  }
  return length;
}

// One statistic; a single value stands for all places.
struct Statistic {
  const float* data;
  bool single;
  Statistic() = default;
  explicit Statistic(const Operand& operand) : data(operand.f32()), single(operand.size == 1) {}
  __device__ float at(int64_t i) const { return data[single ? 0 : i]; }
};

}  // namespace

int64_t batch_norm_cuda_workspace(const OpCall& call) { return 3 * statistics_length(call) * int64_t(sizeof(float)); }

void batch_norm_cuda(const OpCall& call, CudaContext& context) {
  const bool has_scale = TK_INT(call, batch_norm, has_scale) != 0, has_offset = TK_INT(call, batch_norm, has_offset) != 0;
  TK_CHECK_EQ(call.star_count, 2 + int(has_scale) + int(has_offset));
  const Operand &x_operand = call[0], &y_operand = call[call.star_count + 1];
  TK_CHECK_EQ(x_operand.size, y_operand.size);
  if (x_operand.size == 0) return;
  const int64_t length = statistics_length(call);
  const double epsilon = TK_FLOAT(call, batch_norm, epsilon);
  const Statistic mean(call[1]), variance(call[2]);
  const Statistic scale = has_scale ? Statistic(call[3]) : Statistic(),
                  offset = has_offset ? Statistic(call[call.star_count]) : Statistic();
  // The factors once, in double; then one pass over the data.
  float* factors = static_cast<float*>(call.workspace);
  for_each(
      context, length,
      [=] __device__(int64_t i) {
        factors[i] = mean.at(i);
        factors[length + i] = float((has_scale ? double(scale.at(i)) : 1.0) / sqrt(double(variance.at(i)) + epsilon));
        factors[2 * length + i] = has_offset ? offset.at(i) : 0.0f;
      },
      1);
  const float* x = x_operand.f32();
  float* y = y_operand.f32();
  for_each(context, x_operand.size, [=] __device__(int64_t i) {
    const int64_t at = i % length;
    y[i] = (x[i] - factors[at]) * factors[length + at] + factors[2 * length + at];
  });
}

TK_END_CUDA
