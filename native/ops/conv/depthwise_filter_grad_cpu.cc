#include "ops/common/gemm_blocks.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/depthwise_geometry.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kMaxGroups = 16;

// Rows of dy are summed in groups, each by one thread; how many depends on the shapes only.
int64_t row_groups(const DepthwiseGeometry& g) {
  const int64_t work = g.n * g.oh * g.ow * g.channels() * g.kh * g.kw;
  return max64(1, min64(min64(kMaxGroups, g.n * g.oh), work / kDepthwiseUnit));
}
int64_t filter_floats(const DepthwiseGeometry& g) { return g.kh * g.kw * g.channels(); }
int64_t group_floats(const DepthwiseGeometry& g) {
  return row_groups(g) == 1 ? 0 : round_up(row_groups(g) * filter_floats(g), 16);
}

// Adds x * dy over the pixels [ow0, ow1) of a row to one tap of dfilter; x points at the source of pixel 0.
template <int Vectors>
TK_INLINE void add_row(const float* x, const float* dy, int64_t x_step, int64_t dy_step, int64_t ow0, int64_t ow1, int n,
                       float* tap) {
  VecF sums[Vectors];
  for (int v = 0; v < Vectors; ++v) sums[v] = n < kVecWidth ? load_part(tap, n) : load(tap + v * kVecWidth);
  for (int64_t ow = ow0; ow < ow1; ++ow) {
    const float *a = x + ow * x_step, *b = dy + ow * dy_step;
    for (int v = 0; v < Vectors; ++v) {
      sums[v] = n < kVecWidth ? fmadd(load_part(a, n), load_part(b, n), sums[v])
                              : fmadd(load(a + v * kVecWidth), load(b + v * kVecWidth), sums[v]);
    }
  }
  for (int v = 0; v < Vectors; ++v) {
    if (n < kVecWidth)
      store_part(tap, sums[v], n);
    else
      store(tap + v * kVecWidth, sums[v]);
  }
}

// One row of dy, times what it meets in x.
void add_line(const DepthwiseGeometry& g, const float* x, const float* dy, int64_t line, float* dfilter) {
  const int64_t channels = g.channels(), image = line / g.oh, oh = line % g.oh;
  const float* dy_row = dy + line * g.ow * channels;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t h = oh * g.stride_h - g.pad_top + kh * g.dilation_h;
    if (h < 0 || h >= g.h) continue;
    const float* x_row = x + (image * g.h + h) * g.w * channels;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t shift = kw * g.dilation_w - g.pad_left;  // w = ow * stride_w + shift
      const int64_t ow0 = shift < 0 ? ceil_div(-shift, g.stride_w) : 0;
      const int64_t ow1 = g.w <= shift ? 0 : min64(g.ow, ceil_div(g.w - shift, g.stride_w));
      if (ow0 >= ow1) continue;
      const float* source = x_row + shift * channels;
      float* tap = dfilter + (kh * g.kw + kw) * channels;
      const int64_t x_step = g.stride_w * channels;
      int64_t c = 0;
      for (; c + 4 * kVecWidth <= channels; c += 4 * kVecWidth) {
        add_row<4>(source + c, dy_row + c, x_step, channels, ow0, ow1, kVecWidth, tap + c);
      }
      for (; c < channels; c += kVecWidth) {
        add_row<1>(source + c, dy_row + c, x_step, channels, ow0, ow1, int(min64(kVecWidth, channels - c)), tap + c);
      }
    }
  }
}

}  // namespace

int64_t depthwise_conv2d_filter_grad_workspace(const OpCall& call, int) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[2], call[1]);
  return (repeated_floats(g) + group_floats(g)) * int64_t(sizeof(float));
}

void depthwise_conv2d_filter_grad_cpu(const OpCall& call, CpuContext& context) {
  const DepthwiseGeometry g = read_depthwise(call, call[0], call[2], call[1]);
  if (call[2].size == 0) return;
  const float *x = call[0].f32(), *dy = call[1].f32();
  float* groups_memory = static_cast<float*>(call.workspace) + repeated_floats(g);
  if (g.m > 1) {
    float* repeated = static_cast<float*>(call.workspace);
    repeat_channels(g, x, repeated, context);
    x = repeated;
  }
  const int64_t groups = row_groups(g), lines = g.n * g.oh, floats = filter_floats(g);
  float* sums = groups > 1 ? groups_memory : call[2].f32();
  context.parallel_for(groups, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t group = begin; group < end; ++group) {
      float* own = sums + group * floats;
      std::memset(own, 0, size_t(floats) * sizeof(float));
      for (int64_t line = lines * group / groups; line < lines * (group + 1) / groups; ++line) add_line(g, x, dy, line, own);
    }
  });
  if (groups > 1) sum_parts(sums, groups, floats, call[2].f32(), context);
}

TK_END_LEVEL
