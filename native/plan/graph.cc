#include "plan/graph.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace tk {

bool GraphNode::has_effects() const { return std::find(roles.begin(), roles.end(), Role::inout) != roles.end(); }

ValueId Graph::add_value(DType dtype, int64_t size, int32_t node) {
  GraphValue value;
  value.dtype = dtype;
  value.size = size;
  value.node = node;
  values.push_back(value);
  return ValueId(values.size()) - 1;
}

ValueId Graph::root_of(ValueId value) const {
  for (;;) {
    const GraphValue& v = values[size_t(value)];
    if (v.parent != kNoValue) {
      value = v.parent;
    } else if (v.in_place_of != kNoValue) {
      value = v.in_place_of;
    } else {
      return value;
    }
  }
}

namespace {

class GraphBuilder {
 public:
  explicit GraphBuilder(const std::vector<PlanSlot>& slots) : slots_(slots), current_(slots.size(), kNoValue) {
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i].kind == PlanSlot::Kind::temporary) continue;
      GraphExternal external;
      external.slot = Slot(i);
      external.kind = slots[i].kind;
      external.handle = slots[i].handle;
      external.first = external.last = current_[i] = graph.add_value(slots[i].dtype, slots[i].size, -1);
      graph.values[size_t(external.first)].external = int32_t(graph.externals.size());
      external_of_slot_[Slot(i)] = int32_t(graph.externals.size());
      graph.externals.push_back(external);
    }
  }

  void add_alias(const PlanStep& step) {
    const ValueId source = current_[size_t(step.source)];
    const GraphValue from = graph.values[size_t(source)];
    if (step.offset == 0 && step.count == from.size) {
      current_[size_t(step.target)] = source;
      return;
    }
    const ValueId parent = from.parent == kNoValue ? source : from.parent;
    const int64_t offset = (from.parent == kNoValue ? 0 : from.offset) + step.offset;
    const auto [found, is_new] = views_.try_emplace({parent, offset, step.count}, kNoValue);
    if (is_new) {
      found->second = graph.add_value(from.dtype, step.count, -1);
      GraphValue& view = graph.values[size_t(found->second)];
      view.parent = parent;
      view.offset = offset;
    }
    current_[size_t(step.target)] = found->second;
  }

  void add_call(const PlanStep& step, int32_t number) {
    const OpInfo& info = op_infos()[step.call.op];
    GraphNode node;
    node.op = step.call.op;
    node.source_step = number;
    node.star_count = info.num_starred == 0 ? 0 : (int32_t(step.call.operands.size()) - info.num_fixed) / info.num_starred;
    node.ints = step.call.ints;
    node.floats = step.call.floats;
    const int32_t index = int32_t(graph.nodes.size());
    for (const OperandSpec& spec : info.operands) {
      for (int i = 0; i < (spec.star ? node.star_count : 1); ++i) node.roles.push_back(spec.role);
    }
    // What is read is read before anything is written.
    std::vector<std::pair<Slot, ValueId>> made;
    for (size_t i = 0; i < step.call.operands.size(); ++i) {
      const CallOperand& from = step.call.operands[i];
      GraphOperand operand;
      operand.dtype = from.dtype;
      operand.rank = from.rank;
      std::copy(from.dims, from.dims + kMaxRank, operand.dims);
      const Slot slot = Slot(from.handle);
      if (node.roles[i] == Role::out) {
        operand.value = graph.add_value(from.dtype, slots_[size_t(slot)].size, index);
        made.emplace_back(slot, operand.value);
      } else {
        operand.value = current_[size_t(slot)];
        const auto earlier = std::find_if(made.begin(), made.end(), [&](const auto& pair) { return pair.first == slot; });
        if (node.roles[i] == Role::inout && earlier != made.end()) {
          operand.result = earlier->second;  // one buffer under two names of the call
        } else if (node.roles[i] == Role::inout) {
          operand.result = graph.add_value(from.dtype, slots_[size_t(slot)].size, index);
          const auto external = external_of_slot_.find(slot);
          if (external != external_of_slot_.end() && slots_[size_t(slot)].kind != PlanSlot::Kind::constant) {
            graph.values[size_t(operand.result)].external = external->second;
          }
          made.emplace_back(slot, operand.result);
        }
      }
      node.operands.push_back(operand);
    }
    for (const auto& [slot, value] : made) {
      current_[size_t(slot)] = value;
      const int32_t external = graph.values[size_t(value)].external;
      if (external >= 0) graph.externals[size_t(external)].last = value;
    }
    graph.nodes.push_back(std::move(node));
  }

  void set_outputs(const std::vector<Slot>& outputs) {
    for (Slot slot : outputs) graph.outputs.push_back(current_[size_t(slot)]);
  }

  Graph graph;

 private:
  const std::vector<PlanSlot>& slots_;
  std::vector<ValueId> current_;  // by slot
  std::map<Slot, int32_t> external_of_slot_;
  std::map<std::tuple<ValueId, int64_t, int64_t>, ValueId> views_;
};

}  // namespace

std::optional<Graph> make_graph(const std::vector<PlanSlot>& slots, const std::vector<PlanStep>& steps,
                                const std::vector<Slot>& outputs) {
  GraphBuilder builder(slots);
  for (size_t i = 0; i < steps.size(); ++i) {
    switch (steps[i].kind) {
      case PlanStep::Kind::call: builder.add_call(steps[i], int32_t(i)); break;
      case PlanStep::Kind::alias: builder.add_alias(steps[i]); break;
      case PlanStep::Kind::assign: return std::nullopt;
    }
  }
  builder.set_outputs(outputs);
  return std::move(builder.graph);
}

}  // namespace tk
