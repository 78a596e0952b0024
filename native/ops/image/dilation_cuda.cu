#include "cuda/context.h"
// context.h first.
#include "ops/image/dilation.h"

TK_BEGIN_CUDA
namespace {

struct DilationShape {
  const float *x, *filter;
  int64_t h, w, c, oh, ow, filter_h, filter_w;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;

  DilationShape(const OpCall& call, const Operand& x_operand, const Operand& filter_operand, const Operand& y) {
    TK_CHECK(x_operand.rank == 4 && filter_operand.rank == 3 && y.rank == 4);
    x = x_operand.f32(), filter = filter_operand.f32();
    h = x_operand.dims[1], w = x_operand.dims[2], c = x_operand.dims[3];
    oh = y.dims[1], ow = y.dims[2], filter_h = filter_operand.dims[0], filter_w = filter_operand.dims[1];
    stride_h = TK_INT(call, dilation2d, stride_h), stride_w = TK_INT(call, dilation2d, stride_w);
    dilation_h = TK_INT(call, dilation2d, dilation_h), dilation_w = TK_INT(call, dilation2d, dilation_w);
    pad_top = TK_INT(call, dilation2d, pad_top), pad_left = TK_INT(call, dilation2d, pad_left);
  }
};

struct LargestSum {
  float value;
  int64_t pixel, tap;  // h*W + w and fh*FW + fw; -1 when there is none
};

// row: n*OH + oh. Number.MIN_SAFE_INTEGER of JavaScript is what tfjs takes for less than everything.
__device__ inline LargestSum largest_sum(const DilationShape& d, int64_t row, int64_t column, int64_t channel) {
  LargestSum best = {-0x1p53f, -1, -1};
  const float* image = d.x + row / d.oh * d.h * d.w * d.c + channel;
  for (int64_t fh = 0; fh < d.filter_h; ++fh) {
    const int64_t h = row % d.oh * d.stride_h - d.pad_top + fh * d.dilation_h;
    if (h < 0 || h >= d.h) continue;
    for (int64_t fw = 0; fw < d.filter_w; ++fw) {
      const int64_t w = column * d.stride_w - d.pad_left + fw * d.dilation_w;
      if (w < 0 || w >= d.w) continue;
      const int64_t tap = fh * d.filter_w + fw, pixel = h * d.w + w;
      const float sum = image[pixel * d.c] + d.filter[tap * d.c + channel];
      if (sum > best.value) best = {sum, pixel, tap};
    }
  }
  return best;
}

// The place that each position's gradient goes to, so that the threads that gather it need not search again.
enum class Goal { pixel, tap };
template <Goal kGoal>
void find_goals(const CudaContext& context, const DilationShape& d, int64_t size, int32_t* goals) {
  for_each(
      context, size,
      [=] __device__(int64_t i) {
        const int64_t position = i / d.c, row = position / d.ow, column = position % d.ow;
        const LargestSum best = largest_sum(d, row, column, i % d.c);
        if (kGoal == Goal::tap) {
          goals[i] = int32_t(best.tap >= 0 ? best.tap : 0);
          return;
        }
        int64_t h = row % d.oh * d.stride_h - d.pad_top, w = column * d.stride_w - d.pad_left;
        if (h < 0) h = 0;
        if (w < 0) w = 0;
        goals[i] = int32_t(best.pixel >= 0 ? best.pixel : h < d.h && w < d.w ? h * d.w + w : -1);
      },
      1);
}

}  // namespace

void dilation2d_cuda(const OpCall& call, CudaContext& context) {
  const DilationShape d(call, call[0], call[1], call[2]);
  float* y = call[2].f32();
  for_each(
      context, call[2].size,
      [=] __device__(int64_t i) { y[i] = largest_sum(d, i / d.c / d.ow, i / d.c % d.ow, i % d.c).value; }, 1);
}

int64_t dilation2d_input_grad_cuda_workspace(const OpCall& call) { return call[0].size * int64_t(sizeof(int32_t)); }

void dilation2d_input_grad_cuda(const OpCall& call, CudaContext& context) {
  const DilationShape d(call, call[1], call[2], call[0]);
  const float* dy = call[0].f32();
  float* dx = call[3].f32();
  int32_t* goals = static_cast<int32_t*>(call.workspace);
  find_goals<Goal::pixel>(context, d, call[0].size, goals);
  for_each(
      context, call[3].size,
      [=] __device__(int64_t i) {
        const int64_t channel = i % d.c, pixel = i / d.c % (d.h * d.w), image = i / (d.c * d.h * d.w);
        float sum = 0;
        for (int64_t position = image * d.oh * d.ow; position < (image + 1) * d.oh * d.ow; ++position) {
          if (goals[position * d.c + channel] == pixel) sum += dy[position * d.c + channel];
        }
        dx[i] = sum;
      },
      1);
}

int64_t dilation2d_filter_grad_cuda_workspace(const OpCall& call) { return call[0].size * int64_t(sizeof(int32_t)); }

void dilation2d_filter_grad_cuda(const OpCall& call, CudaContext& context) {
  const DilationShape d(call, call[1], call[2], call[0]);
  const float* dy = call[0].f32();
  float* dfilter = call[3].f32();
  const int64_t positions = call[0].dims[0] * d.oh * d.ow;
  int32_t* goals = static_cast<int32_t*>(call.workspace);
  find_goals<Goal::tap>(context, d, call[0].size, goals);
  for_each(
      context, call[3].size,
      [=] __device__(int64_t i) {
        const int64_t channel = i % d.c, tap = i / d.c;
        double sum = 0;
        for (int64_t position = 0; position < positions; ++position) {
          if (goals[position * d.c + channel] == tap) sum += double(dy[position * d.c + channel]);
        }
        dfilter[i] = float(sum);
      },
      1);
}

TK_END_CUDA
