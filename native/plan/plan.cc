#include "plan/plan.h"

#include <algorithm>

namespace tk {
namespace {

// Calls visit(slot) for every slot a step touches.
template <class Visit>
void for_each_slot(const PlanStep& step, const Visit& visit) {
  if (step.kind == PlanStep::Kind::call) {
    for (const CallOperand& operand : step.call.operands) visit(Slot(operand.handle));
  } else {
    visit(step.source);
    visit(step.target);
  }
}

}  // namespace

Plan::Plan(Environment& environment, std::vector<PlanSlot> slots, std::vector<PlanStep> steps, std::vector<Slot> arguments,
           std::vector<Slot> outputs)
    : environment_(environment),
      slots_(std::move(slots)),
      steps_(std::move(steps)),
      arguments_(std::move(arguments)),
      outputs_(std::move(outputs)) {
  find_last_uses();
}

Plan::~Plan() {
  for (const PlanSlot& slot : slots_) {
    if (slot.kind == PlanSlot::Kind::capture || slot.kind == PlanSlot::Kind::constant) environment_.release(slot.handle);
  }
}

void Plan::find_last_uses() {
  std::vector<bool> seen(slots_.size(), false);
  for (Slot output : outputs_) seen[size_t(output)] = true;
  for (size_t i = steps_.size(); i-- > 0;) {
    for_each_slot(steps_[i], [&](Slot slot) {
      if (seen[size_t(slot)]) return;
      seen[size_t(slot)] = true;
      if (slots_[size_t(slot)].kind == PlanSlot::Kind::temporary) steps_[i].last_uses.push_back(slot);
    });
  }
}

std::vector<HandleId> Plan::replay(const std::vector<HandleId>& arguments) {
  if (arguments.size() != arguments_.size()) {
    throw Error("E_SHAPE", "[replay] expected " + std::to_string(arguments_.size()) + " arguments, got " +
                               std::to_string(arguments.size()));
  }
  std::vector<HandleId> handles(slots_.size(), kNewHandle);
  for (size_t i = 0; i < slots_.size(); ++i) handles[i] = slots_[i].handle;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const PlanSlot& expected = slots_[size_t(arguments_[i])];
    if (environment_.size_of(arguments[i]) != expected.size || environment_.dtype_of(arguments[i]) != expected.dtype) {
      throw Error("E_SHAPE", "[replay] argument " + std::to_string(i) + ": expected " + std::to_string(expected.size) + " " +
                                 dtype_name(expected.dtype) + ", got " + std::to_string(environment_.size_of(arguments[i])) +
                                 " " + dtype_name(environment_.dtype_of(arguments[i])));
    }
    handles[size_t(arguments_[i])] = arguments[i];
  }
  try {
    CallRequest request;
    for (const PlanStep& step : steps_) {
      switch (step.kind) {
        case PlanStep::Kind::call:
          request = step.call;
          for (CallOperand& operand : request.operands) operand.handle = handles[size_t(operand.handle)];
          environment_.dispatch(request);
          for (size_t i = 0; i < request.operands.size(); ++i) {
            handles[size_t(step.call.operands[i].handle)] = request.operands[i].handle;
          }
          break;
        case PlanStep::Kind::alias:
          handles[size_t(step.target)] = environment_.alias(handles[size_t(step.source)], step.offset, step.count);
          break;
        case PlanStep::Kind::assign: environment_.assign(handles[size_t(step.target)], handles[size_t(step.source)]); break;
      }
      for (Slot slot : step.last_uses) {
        environment_.release(handles[size_t(slot)]);
        handles[size_t(slot)] = kNewHandle;
      }
    }
    std::vector<HandleId> results;
    for (Slot output : outputs_) {
      HandleId& handle = handles[size_t(output)];
      const bool owned = slots_[size_t(output)].kind == PlanSlot::Kind::temporary &&
                         std::find(results.begin(), results.end(), handle) == results.end();
      results.push_back(owned ? handle : environment_.alias(handle, 0, environment_.size_of(handle)));
    }
    return results;
  } catch (...) {
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].kind == PlanSlot::Kind::temporary && handles[i] != kNewHandle) environment_.release(handles[i]);
    }
    throw;
  }
}

void Plan::rebind(int32_t index, HandleId replacement) {
  int32_t position = 0;
  for (PlanSlot& slot : slots_) {
    if (slot.kind != PlanSlot::Kind::capture || position++ != index) continue;
    if (environment_.size_of(replacement) != slot.size || environment_.dtype_of(replacement) != slot.dtype) {
      throw Error("E_SHAPE", "[replay] a captured tensor was replaced by one of another size or dtype: expected " +
                                 std::to_string(slot.size) + " " + dtype_name(slot.dtype) + ", got " +
                                 std::to_string(environment_.size_of(replacement)) + " " +
                                 dtype_name(environment_.dtype_of(replacement)));
    }
    environment_.retain(replacement);
    environment_.release(slot.handle);
    slot.handle = replacement;
    return;
  }
  throw Error("E_INTERNAL", "[replay] the plan has no capture number " + std::to_string(index));
}

std::vector<HandleId> Plan::captures() const {
  std::vector<HandleId> handles;
  for (const PlanSlot& slot : slots_) {
    if (slot.kind == PlanSlot::Kind::capture) handles.push_back(slot.handle);
  }
  return handles;
}

size_t Plan::num_calls() const {
  return size_t(std::count_if(steps_.begin(), steps_.end(), [](const PlanStep& s) { return s.kind == PlanStep::Kind::call; }));
}

}  // namespace tk
