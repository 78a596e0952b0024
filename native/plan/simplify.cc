// Passes that leave calls out: dead ones, repeated ones, those of constants.
#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <tuple>

#include "core/error.h"
#include "plan/graph.h"

namespace tk {
namespace {

constexpr int64_t kMaxFoldedBytes = 65536;     // of the results of a call that is folded into constants
constexpr int64_t kFreelyMergedBytes = 65536;  // results up to this size may live longer for the sake of another call
constexpr int64_t kExactInner = 128;           // inner length up to which a product adds in one order whatever the strides are
// Products with a side so short have kernels of their own for each stride (kSkinny in ops/common/gemm_skinny_cpu.cc and in
// cuda/gemm/gemm_choice.h).
constexpr int64_t kSkinnySide = 4;
constexpr int64_t kSkinnySideOnDevice = 8;

bool is_output(Role role) { return role == Role::out; }

int64_t output_bytes(const GraphNode& node) {
  int64_t bytes = 0;
  for (size_t i = 0; i < node.operands.size(); ++i) {
    const GraphOperand& operand = node.operands[i];
    if (is_output(node.roles[i])) bytes += count_elements(operand.dims, operand.rank) * dtype_bytes(operand.dtype);
  }
  return bytes;
}

// What two calls must have in common to give the same: everything but the values they make.
std::string key_of(const GraphNode& node) {
  std::string key;
  const auto add = [&](const void* data, size_t bytes) { key.append(static_cast<const char*>(data), bytes); };
  add(&node.op, sizeof node.op);
  add(&node.star_count, sizeof node.star_count);
  for (size_t i = 0; i < node.operands.size(); ++i) {
    const GraphOperand& operand = node.operands[i];
    const ValueId value = is_output(node.roles[i]) ? kNoValue : operand.value;
    add(&value, sizeof value);
    add(&operand.dtype, sizeof operand.dtype);
    add(&operand.rank, sizeof operand.rank);
    add(operand.dims, sizeof(int64_t) * operand.rank);
  }
  add(node.ints.data(), node.ints.size() * sizeof(int64_t));
  key += '/';
  add(node.floats.data(), node.floats.size() * sizeof(double));
  return key;
}

// Renames values throughout a graph; views of renamed values become views of the new ones, one per part.
class Renaming {
 public:
  explicit Renaming(Graph& graph) : graph_(graph), names_(graph.values.size()) {
    for (size_t i = 0; i < names_.size(); ++i) names_[i] = ValueId(i);
  }
  void rename(ValueId from, ValueId to) { names_[size_t(from)] = to; }
  ValueId operator()(ValueId value) {
    const ValueId own = names_[size_t(value)];
    if (own != value) return own;
    GraphValue& view = graph_.values[size_t(value)];
    if (view.parent == kNoValue) return value;
    const ValueId parent = names_[size_t(view.parent)];
    const auto [found, is_new] = views_.try_emplace({parent, view.offset, view.size}, value);
    if (is_new) {
      view.parent = parent;
    } else {
      names_[size_t(value)] = found->second;
    }
    return found->second;
  }

 private:
  Graph& graph_;
  std::vector<ValueId> names_;
  std::map<std::tuple<ValueId, int64_t, int64_t>, ValueId> views_;
};

// The last node that reads each value, its views counted for it; outputs are read at the end.
std::vector<int32_t> last_readers(const Graph& graph) {
  std::vector<int32_t> last(graph.values.size(), -1);
  const auto note = [&](ValueId value, int32_t at) {
    last[size_t(value)] = std::max(last[size_t(value)], at);
    const ValueId parent = graph.values[size_t(value)].parent;
    if (parent != kNoValue) last[size_t(parent)] = std::max(last[size_t(parent)], at);
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (node.dead) continue;
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (!is_output(node.roles[j])) note(node.operands[j].value, int32_t(i));
    }
  }
  for (ValueId output : graph.outputs) note(output, int32_t(graph.nodes.size()));
  return last;
}

// Results that nobody needs and that the op makes on demand become none: the gradient of a batch of data is the usual one.
void drop_unread_results(Graph& graph, GraphNode& node, const std::vector<bool>& needed, PassCounts& counts) {
  if (node.star_count != 0) return;
  const std::vector<OperandSpec>& specs = op_infos()[node.op].operands;
  for (size_t j = 0; j < node.operands.size(); ++j) {
    GraphOperand& operand = node.operands[j];
    GraphValue& value = graph.values[size_t(operand.value)];
    if (!specs[j].optional || needed[size_t(operand.value)] || value.size == 0) continue;
    value.size = 0;
    operand.rank = 1;
    operand.dims[0] = 0;
    ++counts.unread;
  }
}

}  // namespace

void drop_dead_calls(Graph& graph, PassCounts& counts) {
  std::vector<bool> needed(graph.values.size(), false);
  const auto need = [&](ValueId value) {
    needed[size_t(value)] = true;
    if (graph.values[size_t(value)].parent != kNoValue) needed[size_t(graph.values[size_t(value)].parent)] = true;
  };
  for (ValueId output : graph.outputs) need(output);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    GraphNode& node = graph.nodes[i];
    if (node.dead) continue;
    bool keep = false;
    for (size_t j = 0; j < node.operands.size(); ++j) {
      const GraphOperand& operand = node.operands[j];
      if (node.roles[j] == Role::out) keep = keep || needed[size_t(operand.value)];
      if (node.roles[j] == Role::inout)
        keep = keep || needed[size_t(operand.result)] || graph.values[size_t(operand.result)].external >= 0;
    }
    if (!keep) {
      node.dead = true;
      ++counts.dead;
      continue;
    }
    drop_unread_results(graph, node, needed, counts);
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (node.roles[j] != Role::out) need(node.operands[j].value);
    }
  }
}

void merge_same_calls(Graph& graph, const std::vector<PlanSlot>& slots, PassCounts& counts) {
  Renaming renamed(graph);
  std::map<std::pair<DType, std::string_view>, ValueId> constants;
  for (const GraphExternal& external : graph.externals) {
    if (external.kind != PlanSlot::Kind::constant) continue;
    const GraphValue& value = graph.values[size_t(external.first)];
    if (value.size * dtype_bytes(value.dtype) > kMaxComparedBytes) continue;
    const std::vector<unsigned char>& bytes = slots[size_t(external.slot)].bytes;
    const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto [found, is_new] = constants.try_emplace({value.dtype, content}, external.first);
    if (!is_new) renamed.rename(external.first, found->second);
  }
  const std::vector<int32_t> last = last_readers(graph);
  std::map<std::string, int32_t> seen;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    GraphNode& node = graph.nodes[i];
    if (node.dead) continue;
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (!is_output(node.roles[j])) node.operands[j].value = renamed(node.operands[j].value);
    }
    if (node.has_effects()) continue;
    const auto [found, is_new] = seen.try_emplace(key_of(node), int32_t(i));
    if (is_new) continue;
    const GraphNode& earlier = graph.nodes[size_t(found->second)];
    // A result that was recomputed because it is large must not be kept for that long after all.
    bool living = output_bytes(node) <= kFreelyMergedBytes;
    for (size_t j = 0; j < node.operands.size() && !living; ++j) {
      living = is_output(node.roles[j]) && last[size_t(earlier.operands[j].value)] >= int32_t(i);
    }
    if (!living) {
      found->second = int32_t(i);
      continue;
    }
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (is_output(node.roles[j])) renamed.rename(node.operands[j].value, earlier.operands[j].value);
    }
    node.dead = true;
    ++counts.same;
  }
  for (ValueId& output : graph.outputs) output = renamed(output);
}

void fold_constants(Graph& graph, Environment& environment, PassCounts& counts) {
  const auto constant_of = [&](ValueId value) -> const GraphExternal* {
    const GraphValue& v = graph.values[size_t(value)];
    const ValueId whole = v.parent == kNoValue ? value : v.parent;
    const int32_t external = graph.values[size_t(whole)].external;
    if (external < 0) return nullptr;
    const GraphExternal& found = graph.externals[size_t(external)];
    return found.kind == PlanSlot::Kind::constant && found.first == whole ? &found : nullptr;
  };
  std::vector<bool> is_result(graph.values.size(), false);
  for (ValueId output : graph.outputs) is_result[size_t(output)] = true;
  for (GraphNode& node : graph.nodes) {
    if (node.dead || node.has_effects() || output_bytes(node) > kMaxFoldedBytes) continue;
    bool foldable = true;
    for (size_t j = 0; j < node.operands.size() && foldable; ++j) {
      if (!is_output(node.roles[j])) foldable = constant_of(node.operands[j].value) != nullptr;
    }
    if (!foldable) continue;
    CallRequest request;
    request.op = node.op;
    request.ints = node.ints;
    request.floats = node.floats;
    std::vector<HandleId> views;
    for (size_t j = 0; j < node.operands.size(); ++j) {
      CallOperand operand;
      operand.dtype = node.operands[j].dtype;
      operand.rank = node.operands[j].rank;
      std::copy(node.operands[j].dims, node.operands[j].dims + kMaxRank, operand.dims);
      if (!is_output(node.roles[j])) {
        const GraphValue& value = graph.values[size_t(node.operands[j].value)];
        const HandleId whole = constant_of(node.operands[j].value)->handle;
        operand.handle = environment.alias(whole, value.parent == kNoValue ? 0 : value.offset, value.size);
        views.push_back(operand.handle);
      }
      request.operands.push_back(operand);
    }
    const auto release_views = [&] {
      for (HandleId view : views) environment.release(view);
    };
    try {
      environment.dispatch(request);
    } catch (...) {
      release_views();
      throw;
    }
    release_views();
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (!is_output(node.roles[j])) continue;
      const ValueId value = node.operands[j].value;
      GraphExternal constant;
      constant.kind = PlanSlot::Kind::constant;
      constant.handle = request.operands[j].handle;
      constant.first = constant.last = value;
      graph.values[size_t(value)].external = int32_t(graph.externals.size());
      graph.values[size_t(value)].node = -1;
      graph.externals.push_back(constant);
    }
    node.dead = true;
    ++counts.folded;
  }
}

void fold_transposes(Graph& graph, bool exact, bool on_device, PassCounts& counts) {
  const int64_t skinny = on_device ? kSkinnySideOnDevice : kSkinnySide;
  for (GraphNode& node : graph.nodes) {
    if (node.dead || node.op != op_number::matmul) continue;
    for (size_t side = 0; side < 2; ++side) {
      GraphOperand& operand = node.operands[side];
      const GraphValue& value = graph.values[size_t(operand.value)];
      if (value.node < 0 || value.parent != kNoValue) continue;
      const GraphNode& maker = graph.nodes[size_t(value.node)];
      if (maker.dead || maker.op != op_number::transpose) continue;
      const GraphOperand &from = maker.operands[0], &to = maker.operands[1];
      const int rank = to.rank;
      bool swaps = rank >= 2 && maker.ints[size_t(rank - 1)] == rank - 2 && maker.ints[size_t(rank - 2)] == rank - 1;
      for (int i = 0; i < rank - 2 && swaps; ++i) swaps = maker.ints[size_t(i)] == i;
      if (!swaps || to.dims[rank - 1] != operand.dims[2] || to.dims[rank - 2] != operand.dims[1]) continue;
      const GraphOperand &a = node.operands[0], &y = node.operands[2];
      const int64_t inner = node.ints[0] != 0 ? a.dims[1] : a.dims[2];
      if (exact && (inner > kExactInner || y.dims[1] <= skinny || y.dims[2] <= skinny)) continue;
      operand.value = from.value;
      std::swap(operand.dims[1], operand.dims[2]);
      node.ints[side] = node.ints[side] == 0 ? 1 : 0;
      ++counts.transposes;
    }
  }
}

void use_relu_results(Graph& graph, PassCounts& counts) {
  std::map<ValueId, ValueId> results;
  for (GraphNode& node : graph.nodes) {
    if (node.dead) continue;
    if (node.op == op_number::relu) {
      results.try_emplace(node.operands[0].value, node.operands[1].value);
    } else if (node.op == op_number::step) {
      // Above zero relu changes nothing, below and at zero both are not above it, NaN stays.
      const auto found = results.find(node.operands[0].value);
      if (found == results.end()) continue;
      node.operands[0].value = found->second;
      ++counts.derivatives;
    }
  }
}

}  // namespace tk
