#include "ops/common/gemm_blocks.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kPackedFloats = 1 << 20;        // packed B of a super-block: 4 MB, a part of the last level of cache
constexpr int64_t kSuperK = 1024;                 // k of a super-block when B does not fit as a whole
constexpr int64_t kBlockedUnitWork = 512 * 1024;  // multiply-adds of the smallest tile worth handing to a thread: some 10 us
constexpr int64_t kUnitsPerThread = 4;            // evens out threads of unequal speed
constexpr int64_t kPackFloats = 16 * 1024;        // of B that one thread packs without the others: some 8 us
constexpr int64_t kPackColumns = 16 * kTileCols;  // columns of B packed together: rows of at least a kilobyte
constexpr int64_t kMinTilePanels = 4;             // fewer would reload the panels of B too often

struct BlockedPlan {
  int64_t super_blocks;   // blocks of k per super-block
  int64_t super_columns;  // columns per super-block
};

BlockedPlan plan_blocked(const BlockedProblem& problem) {
  const int64_t padded_n = round_up(problem.n, kVecWidth);
  if (problem.k.total() * padded_n <= kPackedFloats) return {problem.k.count(), padded_n};
  BlockedPlan plan;
  const int64_t block = problem.k.max_length();
  plan.super_blocks = min64(problem.k.count(), max64(1, kSuperK / block));
  // More columns when k is short, more of k when there are few columns.
  const int64_t depth = plan.super_blocks * block;
  plan.super_columns = min64(padded_n, max64(1, kPackedFloats / depth / kTileCols) * kTileCols);
  if (plan.super_columns == padded_n)
    plan.super_blocks = min64(problem.k.count(), max64(1, kPackedFloats / (block * padded_n)));
  return plan;
}

// How many tiles a super-block is cut into, each way as evenly as can be.
struct Tiles {
  int64_t down, across;
};

// Tiles tall enough to use B well, and enough of them for all threads.
Tiles choose_tiles(const BlockedProblem& problem, int64_t columns, int64_t depth, int threads) {
  Tiles tiles = {ceil_div(problem.panels, kBlockPanels), 1};
  if (threads == 1) return tiles;
  const int64_t work = problem.panels * kTileRows * columns * depth;
  const int64_t wanted = ceil_div(min64(work / kBlockedUnitWork, threads * kUnitsPerThread), problem.parts);
  if (wanted <= 1) return tiles;
  const int64_t most = max64(1, problem.panels / kMinTilePanels);
  tiles.down = max64(tiles.down, min64(wanted, most));
  tiles.across = min64(ceil_div(wanted, tiles.down), ceil_div(columns, kTileCols));
  // As many for each thread, in the handfuls in which the pool shares them out.
  const int64_t multiple = max64(1, min64(round_up(wanted, threads), threads * kUnitsPerThread / problem.parts));
  if (tiles.across == 1) tiles.down = max64(tiles.down, min64(round_up(tiles.down, multiple), most));
  return tiles;
}

}  // namespace

KBlocks cut_k(int64_t segments, int64_t length) {
  KBlocks k;
  k.segments = segments;
  k.length = length;
  if (length > kBlockK + kBlockK / 4) {
    k.pieces_per_segment = ceil_div(length, kBlockK);
    k.piece_length = round_up(ceil_div(length, k.pieces_per_segment), 8);
    k.pieces_per_segment = ceil_div(length, k.piece_length);
  } else {
    const int64_t blocks = ceil_div(segments * length, kBlockK + kBlockK / 4);
    k.segments_per_block = ceil_div(segments, min64(blocks, segments));
  }
  return k;
}

int64_t blocked_workspace(const BlockedProblem& problem) {
  const BlockedPlan plan = plan_blocked(problem);
  return min64(plan.super_blocks * problem.k.max_length(), problem.k.total()) * plan.super_columns + kPackSlack;
}

void run_blocked(const BlockedProblem& problem, float* packed_b, CpuContext& context) {
  const BlockedPlan plan = plan_blocked(problem);
  const KBlocks& k = problem.k;
  bool finished = false;
  for (int64_t first = 0; first < k.count(); first += plan.super_blocks) {
    const int64_t last = min64(first + plan.super_blocks, k.count());
    const int64_t k_first = k.begin(first), depth = k.end(last - 1) - k_first;
    for (int64_t column = 0; column < problem.n; column += plan.super_columns) {
      const int64_t columns = min64(plan.super_columns, problem.n - column);
      const int64_t padded = round_up(columns, kVecWidth);
      const int64_t groups = ceil_div(columns, kPackColumns);

      // Panels of one block lie side by side, blocks one after the other.
      const int64_t group_floats = k.max_length() * min64(kPackColumns, columns);
      context.parallel_for((last - first) * groups, max64(1, kPackFloats / group_floats), [&](int64_t begin, int64_t end, int) {
        for (int64_t unit = begin; unit < end; ++unit) {
          const int64_t block = first + unit / groups, n0 = unit % groups * kPackColumns;
          const int64_t k0 = k.begin(block), k1 = k.end(block);
          float* dst = packed_b + (k0 - k_first) * padded + n0 * (k1 - k0);
          problem.pack_b(problem.self, k0, k1, column + n0, min64(kPackColumns, columns - n0), dst);
        }
      });

      const Tiles tiles = choose_tiles(problem, columns, depth, context.num_threads());
      const int64_t down = tiles.down, across = tiles.across, column_panels = ceil_div(columns, kTileCols);
      // A tile of all columns is complete after the last block.
      const bool finishes = problem.finish != nullptr && last == k.count() && columns == problem.n && across == 1;
      finished = finished || finishes;
      context.parallel_for(problem.parts * down * across, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t unit = begin; unit < end; ++unit) {
          BlockedTile tile;
          tile.thread = thread;
          tile.part = unit / (down * across);
          const int64_t row = unit / across % down, place = unit % across;
          tile.panel0 = problem.panels * row / down;
          tile.panel1 = problem.panels * (row + 1) / down;
          const int64_t n0 = column_panels * place / across * kTileCols;
          tile.n0 = column + n0;
          tile.n1 = column + min64(column_panels * (place + 1) / across * kTileCols, columns);
          if (problem.begin_tile != nullptr) problem.begin_tile(problem.self, tile.panel0, tile.panel1, thread);
          // The first block at or after `first` that belongs to the part.
          const int64_t start = first + (tile.part - first % problem.parts + problem.parts) % problem.parts;
          for (int64_t block = start; block < last; block += problem.parts) {
            const int64_t k0 = k.begin(block);
            tile.block = block;
            tile.b = packed_b + (k0 - k_first) * padded + n0 * (k.end(block) - k0);
            tile.accumulate = block >= problem.parts;
            problem.compute(problem.self, tile);
          }
          if (finishes) problem.finish(problem.self, tile.panel0, tile.panel1, thread);
        }
      });
    }
  }
  if (problem.finish == nullptr || finished) return;
  context.parallel_for(problem.panels, 1 + 8192 / (kTileRows * problem.n),
                       [&](int64_t begin, int64_t end, int thread) { problem.finish(problem.self, begin, end, thread); });
}

int64_t choose_parts(int64_t panels, int64_t n, const KBlocks& k) {
  constexpr int64_t kWantedTiles = 16;
  const int64_t tiles = ceil_div(panels, kMinTilePanels) * ceil_div(n, 4 * kTileCols);
  // Each part costs a pass over C, so it should hold at least four blocks.
  return max64(1, min64(kWantedTiles / tiles, k.count() / 4));
}

void sum_parts(const float* parts, int64_t num_parts, int64_t size, float* c, CpuContext& context) {
  context.parallel_for(size, 16 * 1024, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i += kVecWidth) {
      const int n = int(min64(kVecWidth, end - i));
      const bool full = n == kVecWidth;
      VecF sum = full ? load(parts + i) : load_part(parts + i, n);
      for (int64_t p = 1; p < num_parts; ++p) {
        const float* part = parts + p * size + i;
        sum = sum + (full ? load(part) : load_part(part, n));
      }
      if (full) {
        store(c + i, sum);
      } else {
        store_part(c + i, sum, n);
      }
    }
  });
}

TK_END_LEVEL
