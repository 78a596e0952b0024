// Which in-place calls may overwrite what they read. A value that is needed afterwards is copied before the call.
#include <algorithm>

#include "core/error.h"
#include "plan/graph.h"

namespace tk {
namespace {

class InPlace {
 public:
  InPlace(Graph& graph, PassCounts& counts) : graph_(graph), counts_(counts) {}

  void run() {
    find_readers();
    std::vector<GraphNode> nodes = std::exchange(graph_.nodes, {});
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].dead) continue;
      renumber(nodes[i]);
      for (size_t j = 0; j < nodes[i].operands.size(); ++j) {
        if (nodes[i].roles[j] == Role::inout) settle(nodes[i], j, int32_t(i));
      }
      const int32_t index = int32_t(graph_.nodes.size());
      for (size_t j = 0; j < nodes[i].operands.size(); ++j) {
        const GraphOperand& operand = nodes[i].operands[j];
        if (nodes[i].roles[j] == Role::out) graph_.values[size_t(operand.value)].node = index;
        if (nodes[i].roles[j] == Role::inout) graph_.values[size_t(operand.result)].node = index;
      }
      graph_.nodes.push_back(std::move(nodes[i]));
    }
    for (ValueId& output : graph_.outputs) output = now(output);
  }

 private:
  // Last node that reads the value or a view of it, in the order before this pass; the number of nodes for outputs.
  void find_readers() {
    last_.assign(graph_.values.size(), -1);
    const auto note = [&](ValueId value, int32_t at) {
      last_[size_t(value)] = std::max(last_[size_t(value)], at);
      const ValueId parent = graph_.values[size_t(value)].parent;
      if (parent != kNoValue) last_[size_t(parent)] = std::max(last_[size_t(parent)], at);
    };
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const GraphNode& node = graph_.nodes[i];
      if (node.dead) continue;
      for (size_t j = 0; j < node.operands.size(); ++j) {
        if (node.roles[j] != Role::out) note(node.operands[j].value, int32_t(i));
      }
    }
    for (ValueId output : graph_.outputs) note(output, int32_t(graph_.nodes.size()));
    moved_.assign(graph_.values.size(), kNoValue);
  }

  // A value under its present name: copied values are read from their copies from then on.
  ValueId now(ValueId value) {
    if (size_t(value) >= moved_.size()) return value;
    const GraphValue view = graph_.values[size_t(value)];
    if (view.parent == kNoValue) return moved_[size_t(value)] == kNoValue ? value : moved_[size_t(value)];
    if (size_t(view.parent) >= moved_.size() || moved_[size_t(view.parent)] == kNoValue) return value;
    // A view of something copied: a view of the copy.
    if (moved_[size_t(value)] == kNoValue) {
      const ValueId copy = graph_.add_value(view.dtype, view.size, -1);
      graph_.values[size_t(copy)].parent = moved_[size_t(view.parent)];
      graph_.values[size_t(copy)].offset = view.offset;
      moved_[size_t(value)] = copy;
    }
    return moved_[size_t(value)];
  }

  void renumber(GraphNode& node) {
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (node.roles[j] != Role::out) node.operands[j].value = now(node.operands[j].value);
    }
  }

  ValueId copy_of(ValueId value) {
    GraphNode node;
    node.op = op_number::copy;
    node.roles = {Role::in, Role::out};
    const GraphValue from = graph_.values[size_t(value)];
    GraphOperand operand;
    operand.value = value;
    // Bytes, whatever the storage dtype; lowering gives the operand the value's own size.
    operand.dtype = from.dtype;
    operand.rank = 1;
    operand.dims[0] = from.size;
    const ValueId copy = graph_.add_value(from.dtype, from.size, int32_t(graph_.nodes.size()));
    node.operands = {operand, operand};
    node.operands[1].value = copy;
    graph_.nodes.push_back(std::move(node));
    ++counts_.copies;
    return copy;
  }

  void settle(GraphNode& node, size_t j, int32_t at) {
    GraphOperand& operand = node.operands[j];
    // One buffer under two names of the call: the first has settled it.
    for (size_t i = 0; i < j; ++i) {
      if (node.operands[i].result != operand.result) continue;
      operand.value = node.operands[i].value;
      return;
    }
    const ValueId before = operand.value;
    const GraphValue old = graph_.values[size_t(before)];
    GraphValue& result = graph_.values[size_t(operand.result)];
    const bool is_own = old.parent == kNoValue && (result.external >= 0 ? old.external == result.external : old.external < 0);
    bool needed = size_t(before) < last_.size() && last_[size_t(before)] > at;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (i == j || node.roles[i] == Role::out || node.operands[i].result == operand.result) continue;
      const GraphValue& other = graph_.values[size_t(node.operands[i].value)];
      needed = needed || node.operands[i].value == before || other.parent == before;
    }
    if (!is_own) {
      // It reads a value that is not its own to overwrite: a constant, a part of something, what another buffer holds.
      TK_CHECK(result.external < 0);
      const ValueId copy = copy_of(before);
      operand.value = copy;
      graph_.values[size_t(operand.result)].in_place_of = copy;
      return;
    }
    if (needed) {
      const ValueId copy = copy_of(before);
      moved_.resize(std::max(moved_.size(), size_t(before) + 1), kNoValue);
      moved_[size_t(before)] = copy;
      last_.resize(std::max(last_.size(), size_t(copy) + 1), -1);
      last_[size_t(copy)] = last_[size_t(before)];
      for (size_t i = 0; i < node.operands.size(); ++i) {
        if (i != j && node.roles[i] != Role::out) node.operands[i].value = now(node.operands[i].value);
      }
    }
    graph_.values[size_t(operand.result)].in_place_of = before;
  }

  Graph& graph_;
  PassCounts& counts_;
  std::vector<int32_t> last_;
  std::vector<ValueId> moved_;
};

}  // namespace

void settle_in_place(Graph& graph, PassCounts& counts) { InPlace(graph, counts).run(); }

}  // namespace tk
