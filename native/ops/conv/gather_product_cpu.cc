#include "ops/conv/gather_product.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kTableRows = kBlockPanels * kTileRows;

// `self` of the callbacks. Each thread has a table of row pointers [segments][kTableRows] and one of result rows [kTableRows].
struct Tables {
  const GatherProduct* product;
  KBlocks k;
  const float* zeros;
  char* memory;
  int64_t thread_bytes;

  const float** sources(int thread) const { return reinterpret_cast<const float**>(memory + thread * thread_bytes); }
  float** results(int thread) const {
    return reinterpret_cast<float**>(memory + thread * thread_bytes) + product->segments() * kTableRows;
  }
};

int64_t table_bytes(const GatherProduct& p) { return round_up((p.segments() + 1) * kTableRows * int64_t(sizeof(float*)), 64); }

// The table entries of one tap for `count` neighbouring result pixels from j on: `row` is the source at position 0 of the axis,
// or null when the tap's row lies outside.
TK_INLINE void fill_entries(const GatherProduct& p, const float* row, int64_t j, int64_t tap, int64_t count, const float* zeros,
                            const float** entries) {
  const int64_t x = j * p.w.scale + p.w.offset + tap * p.w.offset_step;
  int64_t first = 0, last = row == nullptr ? 0 : count;
  if (!p.inside && row != nullptr) {
    // x + i * scale must lie in [0, source).
    first = x >= 0 ? 0 : min64(count, ceil_div(-x, p.w.scale));
    last = x >= p.w.source ? first : max64(first, min64(count, (p.w.source - 1 - x) / p.w.scale + 1));
  }
  for (int64_t i = 0; i < first; ++i) entries[i] = zeros;
  if (first < last) {
    const float* from = row + x * p.source_pixel;
    const int64_t step = p.w.scale * p.source_pixel;
    for (int64_t i = first; i < last; ++i) entries[i] = from + i * step;
  }
  for (int64_t i = last; i < count; ++i) entries[i] = zeros;
}

void fill_tables(void* self, int64_t panel0, int64_t panel1, int thread) {
  const Tables& tables = *static_cast<const Tables*>(self);
  const GatherProduct& p = *tables.product;
  const float** sources = tables.sources(thread);
  float** results = tables.results(thread);
  const int64_t first = panel0 * kTileRows, rows = min64(panel1 * kTileRows, p.rows()) - first;
  int64_t j = first % p.w.result, i = first / p.w.result % p.h.result;
  int64_t plane = first / (p.w.result * p.h.result) % p.d.result, image = first / (p.w.result * p.h.result * p.d.result);
  // Runs of pixels of one row of the result: along them, each tap walks along one row of the source.
  for (int64_t r = 0; r < rows;) {
    const int64_t count = min64(rows - r, p.w.result - j);
    float* to = p.result + image * p.result_image + (p.d.result_first + plane * p.d.result_step) * p.result_plane +
                (p.h.result_first + i * p.h.result_step) * p.result_row +
                (p.w.result_first + j * p.w.result_step) * p.result_pixel;
    for (int64_t c = 0; c < count; ++c) results[r + c] = to + c * p.w.result_step * p.result_pixel;
    const float* base = p.source + image * p.source_image;
    const float** entries = sources + r;
    int64_t z = plane * p.d.scale + p.d.offset;
    for (int64_t qd = 0; qd < p.d.taps; ++qd, z += p.d.offset_step) {
      const bool plane_inside = p.inside || uint64_t(z) < uint64_t(p.d.source);
      int64_t y = i * p.h.scale + p.h.offset;
      for (int64_t qh = 0; qh < p.h.taps; ++qh, y += p.h.offset_step) {
        const bool row_inside = plane_inside && (p.inside || uint64_t(y) < uint64_t(p.h.source));
        const float* row = row_inside ? base + z * p.source_plane + y * p.source_row : nullptr;
        for (int64_t qw = 0; qw < p.w.taps; ++qw, entries += kTableRows) {
          fill_entries(p, row, j, qw, count, tables.zeros, entries);
        }
      }
    }
    r += count;
    j += count;
    if (j < p.w.result) continue;
    j = 0;
    if (++i < p.h.result) continue;
    i = 0;
    if (++plane == p.d.result) plane = 0, ++image;
  }
}

void compute_gathered(void* self, const BlockedTile& tile) {
  const Tables& tables = *static_cast<const Tables*>(self);
  const KBlocks& k = tables.k;
  const int64_t k0 = k.begin(tile.block), depth = k.end(tile.block) - k0;
  const int64_t segment = k0 / k.length, offset = k0 % k.length;
  const int64_t length = min64(depth, k.length), segments = depth / length;
  const float* const* sources = tables.sources(tile.thread) + segment * kTableRows;
  float* const* results = tables.results(tile.thread);
  const int64_t rows = min64(tile.panel1 * kTileRows, tables.product->rows()) - tile.panel0 * kTileRows;
  for (int64_t n = tile.n0; n < tile.n1; n += kTileCols) {
    const int cols = int(min64(kTileCols, tile.n1 - n));
    const float* b = tile.b + (n - tile.n0) * depth;
    for (int64_t r = 0; r < rows; r += kTileRows) {
      run_row_tile({sources + r, kTableRows, segments, offset, length, b, round_up(cols, kVecWidth)},
                   int(min64(kTileRows, rows - r)), {results + r, n, cols, tile.accumulate});
    }
  }
}

void finish_rows(void* self, int64_t panel0, int64_t panel1, int thread) {
  const GatherProduct& p = *static_cast<const Tables*>(self)->product;
  p.done.run(p.done.self, panel0 * kTileRows, min64(panel1 * kTileRows, p.rows()), thread);
}

void pack_b(void* self, int64_t k0, int64_t k1, int64_t n0, int64_t cols, float* dst) {
  const GatherProduct& p = *static_cast<const Tables*>(self)->product;
  for (int64_t n = 0; n < cols; n += kTileCols) {
    p.pack_b(p.filter_self, k0, k1, n0 + n, int(min64(kTileCols, cols - n)), dst + n * (k1 - k0));
  }
}

BlockedProblem blocked_problem(const GatherProduct& p, Tables* tables) {
  BlockedProblem problem;
  problem.panels = ceil_div(p.rows(), kTileRows);
  problem.n = p.n;
  problem.k = cut_k(p.segments(), p.length);
  problem.self = tables;
  problem.pack_b = pack_b;
  problem.begin_tile = fill_tables;
  problem.compute = compute_gathered;
  problem.finish = p.done.run == nullptr ? nullptr : finish_rows;
  return problem;
}

int64_t packed_floats(const BlockedProblem& problem) { return round_up(blocked_workspace(problem), 16); }
int64_t zero_floats(const GatherProduct& p) { return p.inside ? 0 : round_up(p.length, 16); }

}  // namespace

int64_t gather_workspace(const GatherProduct& product, int num_threads) {
  return (packed_floats(blocked_problem(product, nullptr)) + zero_floats(product)) * int64_t(sizeof(float)) +
         num_threads * table_bytes(product);
}

void run_gather(const GatherProduct& product, void* workspace, CpuContext& context) {
  Tables tables;
  const BlockedProblem problem = blocked_problem(product, &tables);
  float* packed = static_cast<float*>(workspace);
  float* zeros = packed + packed_floats(problem);
  std::memset(zeros, 0, size_t(zero_floats(product)) * sizeof(float));
  tables.product = &product;
  tables.k = problem.k;
  tables.zeros = zeros;
  tables.memory = reinterpret_cast<char*>(zeros + zero_floats(product));
  tables.thread_bytes = table_bytes(product);
  run_blocked(problem, packed, context);
}

TK_END_LEVEL
