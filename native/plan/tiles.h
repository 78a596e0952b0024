// Which calls can work on a tile of rows at a time with the bits they give on the whole, and how each operand follows the tile.
#pragma once
#include <optional>
#include <vector>

#include "dispatch/program.h"
#include "plan/graph.h"

namespace tk {

// A call seen over a domain of rows x cols elements.
struct TileView {
  int64_t size = 0;             // rows * cols; of a narrow call the rows
  int64_t cols = 0;             // 0: any, as every operand is full or one element
  bool reads_rows = false;      // it works on whole rows (softmax, reductions), not element by element
  std::vector<TileKind> kinds;  // one per operand
};

// Nothing when the call cannot be cut.
std::optional<TileView> tile_view(const GraphNode& node);

// The operand whose rows a call hands over to calls behind it as soon as they are complete (RowsOver in
// ops/common/gemm_blocks.h); -1 when it hands over none.
int head_output(const GraphNode& node);

// Rows longer than this are not cut by rows: one tile would not stay in the cache, and from 32,768 elements on a sum over one
// row alone is added in chunks (kMinChunk in ops/reduce/reduce_driver.h), one among many rows is not.
constexpr int64_t kMaxTileCols = 32767;

}  // namespace tk
