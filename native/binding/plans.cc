// Recording a step and replaying it.
#include "binding/arguments.h"
#include "binding/functions.h"

namespace tk {
namespace {

Napi::Int32Array handles_result(Napi::Env env, const std::vector<HandleId>& handles) {
  Napi::Int32Array result = Napi::Int32Array::New(env, handles.size());
  std::copy(handles.begin(), handles.end(), result.Data());
  return result;
}

Plan& plan_argument(State& state, const Napi::CallbackInfo& info) {
  const auto found = state.plans.find(int_argument(info, 0, "plan"));
  if (found == state.plans.end()) throw Error("E_DISPOSED", "the plan has been disposed");
  return *found->second;
}

}  // namespace

Napi::Value record_begin(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.recorder = std::make_unique<Recorder>(state.engine());
    return info.Env().Undefined();
  });
}

Napi::Value record_end(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    if (state.recorder == nullptr) throw Error("E_RECORDING", "no step is being recorded");
    const std::unique_ptr<Recorder> recorder = std::move(state.recorder);
    const int32_t id = state.next_plan++;
    state.plans[id] = recorder->finish(handles_argument(info, 0), handles_argument(info, 1));
    return Napi::Number::New(info.Env(), id);
  });
}

Napi::Value record_abort(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.recorder.reset();
    return info.Env().Undefined();
  });
}

Napi::Value is_recording(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value { return Napi::Boolean::New(info.Env(), state.recorder != nullptr); });
}

Napi::Value plan_captures(const Napi::CallbackInfo& info) {
  return guarded(
      info, [&](State& state) -> Napi::Value { return handles_result(info.Env(), plan_argument(state, info).captures()); });
}

Napi::Value plan_replay(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const std::vector<HandleId> outputs = plan_argument(state, info).replay(handles_argument(info, 1));
    state.adjust_external_memory(info.Env());
    return handles_result(info.Env(), outputs);
  });
}

Napi::Value plan_rebind(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    plan_argument(state, info).rebind(int_argument(info, 1, "index"), int_argument(info, 2, "replacement"));
    return info.Env().Undefined();
  });
}

Napi::Value plan_text(const Napi::CallbackInfo& info) {
  return guarded(
      info, [&](State& state) -> Napi::Value { return Napi::String::New(info.Env(), plan_argument(state, info).text(false)); });
}

Napi::Value plan_fingerprint(const Napi::CallbackInfo& info) {
  return guarded(
      info, [&](State& state) -> Napi::Value { return Napi::String::New(info.Env(), plan_argument(state, info).text(true)); });
}

// planOptimize(plan, fast): whether the plan could be optimised.
Napi::Value plan_optimize(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    OptimizeOptions options;
    options.fast = info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
    return Napi::Boolean::New(info.Env(), plan_argument(state, info).optimize(options));
  });
}

Napi::Value plan_optimized_text(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    return Napi::String::New(info.Env(), plan_argument(state, info).optimized_text());
  });
}

Napi::Value plan_dispose(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.plans.erase(int_argument(info, 0, "plan"));
    return info.Env().Undefined();
  });
}

}  // namespace tk
