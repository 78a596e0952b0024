#include "plan/recorder.h"

#include <iterator>

namespace tk {
namespace {

// 64-bit FNV-1a (Fowler, Noll, Vo), taken eight bytes at a time.
uint64_t hash_bytes(const void* data, int64_t count) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  uint64_t hash = 0xcbf29ce484222325u;
  for (int64_t i = 0; i < count; i += 8) {
    uint64_t word = 0;
    for (int64_t j = i; j < count && j < i + 8; ++j) word = word << 8 | bytes[j];
    hash = (hash ^ word) * 0x100000001b3u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

Recorder::Recorder(Environment& environment) : environment_(environment) {
  if (environment.observer() != nullptr) {
    throw Error("E_RECORDING", "a step is being recorded already: recordings cannot be nested");
  }
  environment.set_observer(this);
}

Recorder::~Recorder() {
  if (environment_.observer() == this) environment_.set_observer(nullptr);
  for (const PlanSlot& slot : slots_) {
    if (slot.kind == PlanSlot::Kind::capture || slot.kind == PlanSlot::Kind::constant) environment_.release(slot.handle);
  }
}

Slot Recorder::define(PlanSlot::Kind kind, HandleId handle) {
  PlanSlot slot;
  slot.kind = kind;
  slot.dtype = environment_.dtype_of(handle);
  slot.size = environment_.size_of(handle);
  if (kind == PlanSlot::Kind::capture || kind == PlanSlot::Kind::constant) {
    environment_.retain(handle);
    slot.handle = handle;
  }
  slots_.push_back(std::move(slot));
  const Slot number = Slot(slots_.size()) - 1;
  slot_of_handle_[handle] = number;
  return number;
}

Slot Recorder::slot_of(HandleId handle) {
  const auto found = slot_of_handle_.find(handle);
  return found != slot_of_handle_.end() ? found->second : define(PlanSlot::Kind::capture, handle);
}

void Recorder::on_call(const CallRequest& request) {
  PlanStep step;
  step.call = request;
  const OpInfo& info = op_infos()[request.op];
  const int star_count = info.num_starred == 0 ? 0 : (int(request.operands.size()) - info.num_fixed) / info.num_starred;
  size_t position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? star_count : 1); ++i, ++position) {
      CallOperand& operand = step.call.operands[position];
      operand.handle = spec.role == Role::out ? define(PlanSlot::Kind::temporary, operand.handle) : slot_of(operand.handle);
    }
  }
  steps_.push_back(std::move(step));
}

void Recorder::on_create(HandleId handle, DType dtype, const void* bytes, int64_t size) {
  // The plan keeps a handle of its own, and the step works on an alias of it: an in-place call copies first, so that every
  // replay starts from the bytes that were written.
  environment_.set_observer(nullptr);
  const HandleId pristine = environment_.alias(handle, 0, size);
  environment_.set_observer(this);
  const Slot constant = define(PlanSlot::Kind::constant, pristine);
  environment_.release(pristine);
  const int64_t count = size * dtype_bytes(dtype);
  slots_[size_t(constant)].hash = hash_bytes(bytes, count);
  if (count <= kMaxComparedBytes) {
    const auto* first = static_cast<const unsigned char*>(bytes);
    slots_[size_t(constant)].bytes.assign(first, first + count);
  }
  PlanStep step;
  step.kind = PlanStep::Kind::alias;
  step.source = constant;
  step.target = define(PlanSlot::Kind::temporary, handle);
  step.count = size;
  steps_.push_back(std::move(step));
}

void Recorder::on_alias(HandleId source, HandleId result, int64_t offset, int64_t count) {
  PlanStep step;
  step.kind = PlanStep::Kind::alias;
  step.source = slot_of(source);
  step.target = define(PlanSlot::Kind::temporary, result);
  step.offset = offset;
  step.count = count;
  steps_.push_back(std::move(step));
}

void Recorder::on_assign(HandleId target, HandleId source) {
  PlanStep step;
  step.kind = PlanStep::Kind::assign;
  step.source = slot_of(source);
  step.target = slot_of(target);
  steps_.push_back(std::move(step));
}

void Recorder::before_read(HandleId) {
  throw Error("E_RECORDING",
              "a tensor was read inside a recorded step: a replay would not repeat what depends on the value. "
              "Return the tensor from the step and read it outside.");
}

void Recorder::before_write(HandleId) {
  throw Error("E_RECORDING",
              "a buffer was rewritten from the host inside a recorded step: a replay would not repeat the write. "
              "Write it before the step, or pass the value as an argument.");
}

void Recorder::drop_unused(std::vector<Slot>& arguments, std::vector<Slot>& outputs) {
  std::vector<bool> used(slots_.size(), false);
  for (Slot slot : arguments) used[size_t(slot)] = true;
  for (Slot slot : outputs) used[size_t(slot)] = true;
  std::vector<PlanStep> kept;
  for (size_t i = steps_.size(); i-- > 0;) {
    PlanStep& step = steps_[i];
    if (step.kind == PlanStep::Kind::alias && !used[size_t(step.target)]) continue;
    if (step.kind == PlanStep::Kind::call) {
      for (const CallOperand& operand : step.call.operands) used[size_t(operand.handle)] = true;
    } else {
      used[size_t(step.source)] = used[size_t(step.target)] = true;
    }
    kept.push_back(std::move(step));
  }
  steps_.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));

  std::vector<Slot> renumbered(slots_.size(), -1);
  std::vector<PlanSlot> slots;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (used[i]) {
      renumbered[i] = Slot(slots.size());
      slots.push_back(std::move(slots_[i]));
    } else if (slots_[i].kind == PlanSlot::Kind::capture || slots_[i].kind == PlanSlot::Kind::constant) {
      environment_.release(slots_[i].handle);
    }
  }
  slots_ = std::move(slots);
  const auto renumber = [&](Slot& slot) { slot = renumbered[size_t(slot)]; };
  for (PlanStep& step : steps_) {
    if (step.kind == PlanStep::Kind::call) {
      for (CallOperand& operand : step.call.operands) renumber(operand.handle);
    } else {
      renumber(step.source);
      renumber(step.target);
    }
  }
  for (Slot& slot : arguments) renumber(slot);
  for (Slot& slot : outputs) renumber(slot);
}

std::unique_ptr<Plan> Recorder::finish(const std::vector<HandleId>& arguments, const std::vector<HandleId>& outputs) {
  std::vector<Slot> argument_slots, output_slots;
  for (HandleId handle : arguments) {
    const Slot slot = slot_of(handle);
    PlanSlot& taken = slots_[size_t(slot)];
    if (taken.kind == PlanSlot::Kind::capture) {
      environment_.release(taken.handle);
      taken.kind = PlanSlot::Kind::argument;
      taken.handle = kNewHandle;
    } else if (taken.kind != PlanSlot::Kind::argument) {
      throw Error("E_RECORDING", "an argument of the recorded step was made inside it");
    }
    argument_slots.push_back(slot);
  }
  for (HandleId handle : outputs) output_slots.push_back(slot_of(handle));
  environment_.set_observer(nullptr);
  drop_unused(argument_slots, output_slots);
  return std::make_unique<Plan>(environment_, std::exchange(slots_, {}), std::exchange(steps_, {}), std::move(argument_slots),
                                std::move(output_slots));
}

}  // namespace tk
