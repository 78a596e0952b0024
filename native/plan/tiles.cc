#include "plan/tiles.h"

namespace tk {
namespace {

enum class TileRule : uint8_t { none, same, broadcast, softmax, reduce, norm };

TileRule tile_rule(uint16_t op) {
  switch (op) {
#define TK_OP(...)
#define TK_UNARY(name, ...) case op_number::name:
#define TK_BINARY(...)
#include "ops/ops.def"
    case op_number::leaky_relu:
    case op_number::step:
    case op_number::clip:
    case op_number::cast:
    case op_number::copy:
    case op_number::activation:
    case op_number::activation_grad: return TileRule::same;
#define TK_OP(...)
#define TK_UNARY(...)
#define TK_BINARY(name, ...) case op_number::name:
#include "ops/ops.def"
    case op_number::select: return TileRule::broadcast;
    case op_number::softmax:
    case op_number::log_softmax:
    case op_number::softmax_grad: return TileRule::softmax;
    case op_number::reduce_sum:
    case op_number::reduce_mean:
    case op_number::reduce_max:
    case op_number::reduce_min: return TileRule::reduce;
    case op_number::row_norm:
    case op_number::residual_norm: return TileRule::norm;
    default: return TileRule::none;
  }
}

int64_t elements(const GraphOperand& operand) { return count_elements(operand.dims, operand.rank); }

// How an input broadcasts to y; cols is set where the input fixes the domain's rows. Nothing for other patterns.
std::optional<TileKind> broadcast_kind(const GraphOperand& input, const GraphOperand& y, int64_t& cols) {
  if (elements(input) == elements(y)) return TileKind::full;
  if (elements(input) == 1) return TileKind::scalar;
  const int shift = y.rank - input.rank;
  const auto repeats = [&](int axis) { return axis < shift || (input.dims[axis - shift] == 1 && y.dims[axis] != 1); };
  int split = 0;
  // Leading axes repeat, the others are y's own.
  while (split < y.rank && (repeats(split) || y.dims[split] == 1)) ++split;
  bool is_row = true;
  for (int axis = split; axis < y.rank; ++axis) is_row = is_row && !repeats(axis);
  if (is_row) {
    cols = elements(input);
    return TileKind::row;
  }
  // Trailing axes repeat, the others are y's own.
  split = y.rank;
  while (split > 0 && (repeats(split - 1) || y.dims[split - 1] == 1)) --split;
  for (int axis = 0; axis < split; ++axis) {
    if (repeats(axis)) return std::nullopt;
  }
  cols = elements(y) / elements(input);
  return TileKind::column;
}

std::optional<TileView> broadcast_view(const GraphNode& node) {
  TileView view;
  const GraphOperand& y = node.operands.back();
  view.size = elements(y);
  for (size_t i = 0; i + 1 < node.operands.size(); ++i) {
    int64_t cols = 0;
    const std::optional<TileKind> kind = broadcast_kind(node.operands[i], y, cols);
    if (!kind) return std::nullopt;
    if (cols != 0 && view.cols != 0 && cols != view.cols) return std::nullopt;
    if (cols != 0) view.cols = cols;
    view.kinds.push_back(*kind);
  }
  view.kinds.push_back(TileKind::full);
  return view;
}

}  // namespace

std::optional<TileView> tile_view(const GraphNode& node) {
  TileView view;
  switch (tile_rule(node.op)) {
    case TileRule::none: return std::nullopt;
    case TileRule::same:
      view.size = elements(node.operands.back());
      view.kinds.assign(node.operands.size(), TileKind::full);
      break;
    case TileRule::broadcast: {
      const std::optional<TileView> found = broadcast_view(node);
      if (!found) return std::nullopt;
      view = *found;
      break;
    }
    case TileRule::softmax:
      if (node.operands[0].rank < 1) return std::nullopt;
      view.size = elements(node.operands[0]);
      view.cols = node.operands[0].dims[node.operands[0].rank - 1];
      view.reads_rows = true;
      view.kinds.assign(node.operands.size(), TileKind::full);
      break;
    case TileRule::reduce:
      if (node.operands[0].rank != 3 || node.operands[0].dims[2] != 1) return std::nullopt;
      view.size = elements(node.operands[0]);
      view.cols = node.operands[0].dims[1];
      view.reads_rows = true;
      view.kinds = {TileKind::full, TileKind::column};
      break;
    case TileRule::norm: {
      if (node.operands[0].rank < 1) return std::nullopt;
      view.size = elements(node.operands[0]);
      view.cols = node.operands[0].dims[node.operands[0].rank - 1];
      view.reads_rows = true;
      using enum TileKind;
      if (node.op == op_number::row_norm) {
        view.kinds = {full, row, row, full, column, column};
      } else {
        view.kinds = {full, full, row, row, full, full, column, column};
      }
      break;
    }
  }
  // With rows of one element a column and the whole cannot be told apart.
  if (view.size == 0 || view.cols > kMaxTileCols || (view.reads_rows && view.cols < 2)) return std::nullopt;
  return view;
}

int head_output(const GraphNode& node) {
  switch (node.op) {
    case op_number::matmul:
    case op_number::conv2d:
    case op_number::conv3d:
    case op_number::conv2d_input_grad:
    case op_number::conv3d_input_grad: return 2;
    case op_number::linear: return 3;
    case op_number::linear_grad: return 4;
    default: return -1;
  }
}

}  // namespace tk
