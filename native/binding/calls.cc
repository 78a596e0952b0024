// Op calls: from the argument block, and from their text form.
#include <map>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "plan/plan_text.h"

namespace tk {
namespace {

// Reads the argument block into the reused request; returns the index in the block of the first operand.
void read_block(const State& state, CallRequest& request) {
  const int32_t* ints = state.block_ints;
  size_t at = 4;
  const auto need = [&](int64_t count) {
    if (count < 0 || count > int64_t(kBlockInts) || at + size_t(count) > kBlockInts) {
      throw Error("E_INTERNAL", "the argument block is malformed");
    }
  };
  request.op = uint16_t(ints[0]);
  const int32_t num_operands = ints[1], num_ints = ints[2], num_floats = ints[3];
  if (ints[0] < 0 || ints[0] >= op_number::kCount || num_floats < 0 || num_floats > int32_t(kBlockFloats)) {
    throw Error("E_INTERNAL", "the argument block is malformed");
  }
  need(num_operands);
  request.operands.resize(size_t(num_operands));
  for (CallOperand& operand : request.operands) {
    need(3);
    operand.handle = ints[at];
    const int32_t dtype = ints[at + 1], rank = ints[at + 2];
    if (dtype < 0 || dtype >= kNumDTypes || rank < 0 || rank > kMaxRank)
      throw Error("E_INTERNAL", "the argument block is malformed");
    operand.dtype = DType(dtype);
    operand.rank = uint8_t(rank);
    at += 3;
    need(rank);
    for (int i = 0; i < kMaxRank; ++i) operand.dims[i] = i < rank ? ints[at + size_t(i)] : 0;
    at += size_t(rank);
  }
  need(num_ints);
  request.ints.assign(ints + at, ints + at + num_ints);
  request.floats.assign(state.block_floats, state.block_floats + num_floats);
}

}  // namespace

Napi::Value enqueue(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    read_block(state, state.request);
    state.engine().dispatch(state.request);
    size_t at = 4;
    for (const CallOperand& operand : state.request.operands) {
      state.block_ints[at] = operand.handle;
      at += 3 + operand.rank;
    }
    state.adjust_external_memory(info.Env());
    return info.Env().Undefined();
  });
}

Napi::Value run_text_form(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    Napi::Env env = info.Env();
    if (!info[0].IsString() || !info[1].IsObject())
      throw Error("E_INTERNAL", "runText: expected a text and an object of handles");
    std::map<std::string, HandleId> inputs;
    Napi::Object given = info[1].As<Napi::Object>();
    Napi::Array names = given.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = names.Get(i).As<Napi::String>();
      inputs[name] = int32_t(whole_value(given.Get(name), "runText", INT32_MAX));
    }
    Napi::Object result = Napi::Object::New(env);
    for (const auto& [name, handle] : run_text(state.engine(), info[0].As<Napi::String>(), inputs)) result.Set(name, handle);
    return result;
  });
}

}  // namespace tk
