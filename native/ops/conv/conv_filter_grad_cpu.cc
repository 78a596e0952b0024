#include "ops/conv/conv.h"

#include "ops/common/gemm_blocks.h"
#include "ops/conv/conv_geometry.h"

TK_BEGIN_LEVEL
namespace {

GemmArgs pointwise_filter_grad(const ConvGeometry& g, const float* x, const float* dy, float* dfilter) {
  GemmArgs args;
  args.m = g.c, args.n = g.cout, args.k = pixels(g);
  args.a = {x, 1, g.c};
  args.b = {dy, g.cout, 1};
  args.c = dfilter;
  return args;
}

// dfilter [taps*C, Cout] = (patches of x)^T dy, k running over the pixels of dy. Rows of dfilter come in groups whose elements
// are neighbours in x: the C channels of a tap, or the KW*C of a filter row when taps are joined. For a group, consecutive
// pixels of an output row lie stride_w*C apart in x, so patches are read in place; only dy is packed.
// `self` of the callbacks.
struct FilterGrad {
  ConvGeometry g;
  bool joined;
  PaddedImage image;  // of x when joined
  const float* x;     // pixel (0, 0) of the (padded) image
  StridedMatrix dy;
  KBlocks k;       // segments are the rows of dy
  float* dfilter;  // of part 0
  int64_t part_floats;
  ColumnSegment* segments;  // of thread 0
  int64_t thread_segments;

  int64_t group_rows() const { return joined ? g.kw * g.c : g.c; }
  int64_t groups() const { return joined ? g.kd * g.kh : g.taps(); }
  int64_t group_panels() const { return ceil_div(group_rows(), kTileRows); }
};

// The runs of pixels in one block of k that meet the image through the group's tap. Returns how many there are.
int64_t list_segments(const FilterGrad& f, int64_t block, int64_t group, ColumnSegment* list) {
  const ConvGeometry& g = f.g;
  const int64_t k0 = f.k.begin(block), k1 = f.k.end(block);
  int64_t count = 0;
  for (int64_t k = k0; k < k1;) {
    const int64_t line = k / g.ow, row_end = min64((line + 1) * g.ow, k1);
    int64_t ow0 = k - line * g.ow, ow1 = row_end - line * g.ow;
    const int64_t plane = line / g.oh, image = plane / g.od, od = plane % g.od, oh = line % g.oh, b_row = line * g.ow - k0;
    k = row_end;
    if (f.joined) {
      const float* a = f.x + image * f.image.image + (od * g.stride_d + group / g.kh * g.dilation_d) * f.image.plane +
                       (oh * g.stride_h + group % g.kh * g.dilation_h) * f.image.row;
      list[count++] = {a + ow0 * g.stride_w * g.c, b_row + ow0, ow1 - ow0};
      continue;
    }
    const int64_t d = od * g.stride_d - g.pad_front + group / (g.kw * g.kh) * g.dilation_d;
    const int64_t h = oh * g.stride_h - g.pad_top + group / g.kw % g.kh * g.dilation_h;
    if (d < 0 || d >= g.d || h < 0 || h >= g.h) continue;
    // w = ow * stride_w + shift must lie in [0, W).
    const int64_t shift = group % g.kw * g.dilation_w - g.pad_left;
    if (shift < 0) ow0 = max64(ow0, ceil_div(-shift, g.stride_w));
    ow1 = g.w <= shift ? ow0 : min64(ow1, ceil_div(g.w - shift, g.stride_w));
    if (ow0 >= ow1) continue;
    list[count++] = {f.x + (((image * g.d + d) * g.h + h) * g.w + ow0 * g.stride_w + shift) * g.c, b_row + ow0, ow1 - ow0};
  }
  return count;
}

void compute_filter_grad(void* self, const BlockedTile& tile) {
  const FilterGrad& f = *static_cast<const FilterGrad*>(self);
  const int64_t depth = f.k.end(tile.block) - f.k.begin(tile.block);
  const int64_t group_rows = f.group_rows(), group_panels = f.group_panels();
  ColumnSegment* segments = f.segments + tile.thread * f.thread_segments;
  float* dfilter = f.dfilter + tile.part * f.part_floats;
  for (int64_t panel = tile.panel0; panel < tile.panel1;) {
    const int64_t group = panel / group_panels, first = panel % group_panels;
    const int64_t last = min64(group_panels, first + tile.panel1 - panel);
    panel += last - first;
    const int64_t count = list_segments(f, tile.block, group, segments);
    for (int64_t n = tile.n0; n < tile.n1; n += kTileCols) {
      const int cols = int(min64(kTileCols, tile.n1 - n));
      const float* b = tile.b + (n - tile.n0) * depth;
      for (int64_t p = first; p < last; ++p) {
        const int64_t row = p * kTileRows;
        const int rows = int(min64(kTileRows, group_rows - row));
        float* c_rows[kTileRows];
        for (int r = 0; r < rows; ++r) c_rows[r] = dfilter + (group * group_rows + row + r) * f.g.cout;
        run_column_tile({segments, count, row, f.g.stride_w * f.g.c, b, round_up(cols, kVecWidth)}, rows,
                        {c_rows, n, cols, tile.accumulate});
      }
    }
  }
}

void pack_dy(void* self, int64_t k0, int64_t k1, int64_t n0, int64_t cols, float* dst) {
  pack_b_panels(static_cast<const FilterGrad*>(self)->dy, k0, k1 - k0, n0, cols, dst);
}

BlockedProblem blocked_problem(const ConvGeometry& g, FilterGrad* f) {
  f->g = g;
  f->joined = joins_taps(g);
  f->k = cut_k(g.n * g.od * g.oh, g.ow);
  f->thread_segments = f->k.segments_per_block + 1;
  f->part_floats = g.taps() * g.c * g.cout;
  BlockedProblem problem;
  problem.panels = f->groups() * f->group_panels();
  problem.n = g.cout;
  problem.k = f->k;
  problem.parts = choose_parts(problem.panels, g.cout, f->k);
  problem.self = f;
  problem.pack_b = pack_dy;
  problem.begin_tile = nullptr;
  problem.compute = compute_filter_grad;
  return problem;
}

// Floats of each piece of the workspace, in this order.
struct Pieces {
  int64_t packed, parts, padded;
};
Pieces workspace_pieces(const BlockedProblem& problem, const FilterGrad& f) {
  return {round_up(blocked_workspace(problem), 16), problem.parts > 1 ? round_up(problem.parts * f.part_floats, 16) : 0,
          f.joined ? padded_floats(f.g) : 0};
}

int64_t filter_grad_workspace(const OpCall& call, const ConvGeometry& g, int num_threads) {
  if (call[2].size == 0 || call[1].size == 0) return 0;
  if (g.is_pointwise()) return gemm_workspace(pointwise_filter_grad(g, nullptr, nullptr, nullptr), num_threads);
  FilterGrad f = {};
  const BlockedProblem problem = blocked_problem(g, &f);
  const Pieces pieces = workspace_pieces(problem, f);
  return (pieces.packed + pieces.parts + pieces.padded) * int64_t(sizeof(float)) +
         num_threads * f.thread_segments * int64_t(sizeof(ColumnSegment));
}

void filter_grad(const OpCall& call, const ConvGeometry& g, CpuContext& context) {
  const Operand &x = call[0], &dy = call[1], &dfilter = call[2];
  if (dfilter.size == 0) return;
  if (dy.size == 0) {
    std::memset(dfilter.data, 0, size_t(dfilter.bytes()));
    return;
  }
  if (g.is_pointwise()) return gemm(pointwise_filter_grad(g, x.f32(), dy.f32(), dfilter.f32()), call.workspace, context);
  FilterGrad f = {};
  const BlockedProblem problem = blocked_problem(g, &f);
  const Pieces pieces = workspace_pieces(problem, f);
  float* packed = static_cast<float*>(call.workspace);
  float* parts = packed + pieces.packed;
  float* padded = parts + pieces.parts;
  f.segments = reinterpret_cast<ColumnSegment*>(padded + pieces.padded);
  f.x = x.f32();
  if (f.joined) {
    f.image = padded_image(g);
    if (f.image.copied) {
      copy_padded(g, x.f32(), padded, context);
      f.x = padded;
    }
    f.x += f.image.origin;
  }
  f.dy = {dy.f32(), g.cout, 1};
  f.dfilter = problem.parts > 1 ? parts : dfilter.f32();
  run_blocked(problem, packed, context);
  if (problem.parts > 1) sum_parts(parts, problem.parts, f.part_floats, dfilter.f32(), context);
}

}  // namespace

int64_t conv2d_filter_grad_workspace(const OpCall& call, int num_threads) {
  return filter_grad_workspace(call, read_conv2d(call, call[0], call[2], call[1]), num_threads);
}
int64_t conv3d_filter_grad_workspace(const OpCall& call, int num_threads) {
  return filter_grad_workspace(call, read_conv3d(call, call[0], call[2], call[1]), num_threads);
}
void conv2d_filter_grad_cpu(const OpCall& call, CpuContext& context) {
  filter_grad(call, read_conv2d(call, call[0], call[2], call[1]), context);
}
void conv3d_filter_grad_cpu(const OpCall& call, CpuContext& context) {
  filter_grad(call, read_conv3d(call, call[0], call[2], call[1]), context);
}

TK_END_LEVEL
