#include "plan/plan.h"

#include <algorithm>
#include <utility>

#include "cpu/thread_pool.h"
#include "plan/graph.h"
#include "plan/lower.h"

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
    if (slot.kind == PlanSlot::Kind::capture || slot.kind == PlanSlot::Kind::constant) {
      if (!slot.is_dropped()) environment_.release(slot.handle);
    }
  }
  for (HandleId handle : folded_) environment_.release(handle);
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

void Plan::check_arguments(const std::vector<HandleId>& arguments) const {
  if (arguments.size() != arguments_.size()) {
    throw Error("E_SHAPE", "[replay] expected " + std::to_string(arguments_.size()) + " arguments, got " +
                               std::to_string(arguments.size()));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const PlanSlot& expected = slots_[size_t(arguments_[i])];
    if (environment_.size_of(arguments[i]) != expected.size || environment_.dtype_of(arguments[i]) != expected.dtype) {
      throw Error("E_SHAPE", "[replay] argument " + std::to_string(i) + ": expected " + std::to_string(expected.size) + " " +
                                 dtype_name(expected.dtype) + ", got " + std::to_string(environment_.size_of(arguments[i])) +
                                 " " + dtype_name(environment_.dtype_of(arguments[i])));
    }
  }
}

std::vector<HandleId> Plan::replay(const std::vector<HandleId>& arguments) {
  check_arguments(arguments);
  return lowered_ == nullptr ? replay_plain(arguments) : replay_program(arguments);
}

bool Plan::optimize(const OptimizeOptions& options) {
  std::optional<Graph> graph = make_graph(slots_, steps_, outputs_);
  if (!graph) return false;
  PassCounts counts;
  drop_dead_calls(*graph, counts);
  merge_same_calls(*graph, slots_, counts);
  const size_t externals = graph->externals.size();
  try {
    fold_constants(*graph, environment_, counts);
  } catch (...) {
    for (size_t i = externals; i < graph->externals.size(); ++i) environment_.release(graph->externals[i].handle);
    throw;
  }
  for (size_t i = externals; i < graph->externals.size(); ++i) folded_.push_back(graph->externals[i].handle);
  fold_transposes(*graph, !options.fast, environment_.on_device(), counts);
  use_relu_results(*graph, counts);
  drop_dead_calls(*graph, counts);
  settle_in_place(*graph, counts);
  // The chains are the CPU's: a device runs calls one by one.
  if (environment_.on_device()) {
    keep(std::move(*graph), counts);
    drop_unused_constants();
    return true;
  }
  Graph unheaded = *graph;
  PassCounts unheaded_counts = counts;
  fuse_chains(*graph, true, counts);
  keep(std::move(*graph), counts);
  if (counts.headed > 0) {
    // Products that are put off to their chains, and have them at their side, hold more at a time: never more than plain
    // replays.
    const int64_t bytes = lowered_->program->bytes();
    fuse_chains(unheaded, false, unheaded_counts);
    PassCounts lowered_counts = unheaded_counts;
    const int num_threads = ThreadPool::instance().num_threads();
    const int64_t other = lower_graph(unheaded, environment_, num_threads, lowered_counts).program->bytes();
    if (bytes > std::max(other, plain_peak())) keep(std::move(unheaded), unheaded_counts);
  }
  drop_unused_constants();
  return true;
}

int64_t Plan::plain_peak() const {
  struct Held {
    int64_t bytes = 0;
    int refs = 0;
  };
  std::vector<int32_t> storage(slots_.size(), -1);  // of temporaries; an alias has its source's
  std::vector<Held> held;
  int64_t live = 0, peak = 0;
  const auto make = [&](Slot slot) {
    if (slots_[size_t(slot)].kind != PlanSlot::Kind::temporary || storage[size_t(slot)] >= 0) return;
    storage[size_t(slot)] = int32_t(held.size());
    held.push_back({slots_[size_t(slot)].size * dtype_bytes(slots_[size_t(slot)].dtype), 1});
    live += held.back().bytes;
  };
  for (const PlanStep& step : steps_) {
    if (step.kind == PlanStep::Kind::call) {
      for (const CallOperand& operand : step.call.operands) make(Slot(operand.handle));
    } else if (step.kind == PlanStep::Kind::alias) {
      const int32_t source = storage[size_t(step.source)];
      storage[size_t(step.target)] = source;
      if (source >= 0) ++held[size_t(source)].refs;
    }
    peak = std::max(peak, live);
    for (Slot slot : step.last_uses) {
      const int32_t index = storage[size_t(slot)];
      if (index >= 0 && --held[size_t(index)].refs == 0) live -= held[size_t(index)].bytes;
    }
  }
  return peak;
}

void Plan::drop_unused_constants() {
  std::vector<bool> used(graph_->externals.size(), false);
  const auto use = [&](ValueId value) {
    const int32_t external = graph_->values[size_t(graph_->root_of(value))].external;
    if (external >= 0) used[size_t(external)] = true;
  };
  for (const GraphNode& node : graph_->nodes) {
    for (size_t i = 0; i < node.operands.size(); ++i) {
      if (!node.dead && node.roles[i] != Role::out) use(node.operands[i].value);
    }
  }
  for (ValueId output : graph_->outputs) use(output);
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    const Slot slot = graph_->externals[i].slot;
    if (slot < 0) {
      // A result of folding that was folded further.
      const HandleId handle = std::exchange(graph_->externals[i].handle, kNewHandle);
      environment_.release(handle);
      folded_.erase(std::find(folded_.begin(), folded_.end(), handle));
      continue;
    }
    PlanSlot& held = slots_[size_t(slot)];
    if (held.kind != PlanSlot::Kind::constant || held.is_dropped() || (held.size > 0 && held.bytes.empty())) continue;
    environment_.release(held.handle);
    held.handle = kNewHandle;
  }
}

void Plan::restore_constants() {
  for (PlanSlot& slot : slots_) {
    if (slot.is_dropped()) slot.handle = environment_.create(slot.dtype, slot.bytes.data(), slot.size);
  }
}

void Plan::keep(Graph graph, const PassCounts& counts) {
  counts_ = std::make_unique<PassCounts>(counts);
  graph_ = std::make_unique<Graph>(std::move(graph));
  lower();
}

void Plan::lower() {
  PassCounts counts = *counts_;
  lowered_ = std::make_unique<LoweredPlan>(lower_graph(*graph_, environment_, ThreadPool::instance().num_threads(), counts));
}

std::string Plan::optimized_text() const { return lowered_ == nullptr ? std::string() : lowered_->text; }

bool Plan::bind_externals(const std::vector<HandleId>& arguments, std::vector<HandleId>& externals) const {
  std::vector<HandleId> given(slots_.size(), kNewHandle);
  for (size_t i = 0; i < arguments.size(); ++i) given[size_t(arguments_[i])] = arguments[i];
  externals.reserve(graph_->externals.size());
  for (const GraphExternal& external : graph_->externals) {
    const bool is_argument = external.kind == PlanSlot::Kind::argument;
    externals.push_back(is_argument          ? given[size_t(external.slot)]
                        : external.slot >= 0 ? slots_[size_t(external.slot)].handle
                                             : external.handle);
  }
  // One buffer under two names, one of which the program writes: the order of reading and writing would matter.
  const std::vector<bool>& written = lowered_->program->written;
  for (Slot argument : arguments_) {
    for (size_t i = 0; i < externals.size(); ++i) {
      const GraphExternal& external = graph_->externals[i];
      if (external.slot != argument && externals[i] == given[size_t(argument)] && (written[i] || is_written(argument))) {
        return false;
      }
    }
  }
  return true;
}

bool Plan::is_written(Slot slot) const {
  for (size_t i = 0; i < graph_->externals.size(); ++i) {
    if (graph_->externals[i].slot == slot) return lowered_->program->written[i];
  }
  return false;
}

std::vector<HandleId> Plan::replay_program(const std::vector<HandleId>& arguments) {
  if (lowered_->program->num_threads != ThreadPool::instance().num_threads()) lower();
  std::vector<HandleId> externals;
  if (!bind_externals(arguments, externals)) return replay_plain(arguments);
  const std::vector<HandleId> made = environment_.run_program(lowered_->program, externals);
  std::vector<HandleId> results;
  std::vector<bool> taken(made.size(), false);
  for (const LoweredPlan::Output& output : lowered_->outputs) {
    const HandleId source = output.from_external ? externals[size_t(output.index)] : made[size_t(output.index)];
    const bool whole = !output.from_external && !taken[size_t(output.index)] && output.offset == 0 &&
                       output.size == environment_.size_of(source);
    if (whole) taken[size_t(output.index)] = true;
    results.push_back(whole ? source : environment_.alias(source, output.offset, output.size));
  }
  for (size_t i = 0; i < made.size(); ++i) {
    if (!taken[i]) environment_.release(made[i]);
  }
  return results;
}

std::vector<HandleId> Plan::replay_plain(const std::vector<HandleId>& arguments) {
  restore_constants();
  std::vector<HandleId> handles(slots_.size(), kNewHandle);
  for (size_t i = 0; i < slots_.size(); ++i) handles[i] = slots_[i].handle;
  for (size_t i = 0; i < arguments.size(); ++i) handles[size_t(arguments_[i])] = arguments[i];
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
