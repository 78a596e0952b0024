// The door's JavaScript face: the table of every function of ts/native/addon.ts, and the engines it is bound to.
#include "binding/arguments.h"
#include "binding/functions.h"
#include "dispatch/cuda_device.h"

namespace tk {
namespace {

void add_functions(Napi::Env env, Napi::Object target, State* state);

// Every function of the addon once more, for an engine of its own on a GPU.
Napi::Value open_cuda(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    Napi::Env env = info.Env();
    if (!info[0].IsString()) throw Error("E_INTERNAL", "openCuda: expected the path of the library");
    const std::string path = info[0].As<Napi::String>();
    const int32_t index = int_argument(info, 1, "index");
    std::unique_ptr<Device> device = open_cuda_device(path, index, count_argument(info, 2, "limit"));
    state.devices.push_back(std::make_unique<State>(env, std::move(device)));
    // Before the device's completion channel closes, which was made before this hook.
    napi_add_env_cleanup_hook(
        env, [](void* opaque) { static_cast<State*>(opaque)->close(); }, state.devices.back().get());
    Napi::Object result = Napi::Object::New(env);
    add_functions(env, result, state.devices.back().get());
    return result;
  });
}

void add_functions(Napi::Env env, Napi::Object target, State* state) {
  struct Function {
    const char* name;
    Napi::Value (*body)(const Napi::CallbackInfo&);
  };
  const Function functions[] = {
      {"buildInfo", build_info},
      {"ops", ops},
      {"argumentBlock", argument_block},
      {"enqueue", enqueue},
      {"runText", run_text_form},
      {"create", create},
      {"write", write},
      {"readSync", read_sync},
      {"read", read},
      {"alias", alias},
      {"assign", assign},
      {"retain", retain},
      {"release", release},
      {"describe", describe},
      {"sync", sync},
      {"settled", settled},
      {"recordBegin", record_begin},
      {"recordEnd", record_end},
      {"recordAbort", record_abort},
      {"isRecording", is_recording},
      {"planCaptures", plan_captures},
      {"planReplay", plan_replay},
      {"planRebind", plan_rebind},
      {"planText", plan_text},
      {"planFingerprint", plan_fingerprint},
      {"planOptimize", plan_optimize},
      {"planOptimizedText", plan_optimized_text},
      {"planDispose", plan_dispose},
      {"profileBegin", profile_begin},
      {"profileEnd", profile_end},
      {"memory", memory},
      {"resetPeak", reset_peak},
      {"setBudget", set_budget},
      {"trim", trim},
      {"threads", threads},
      {"setThreads", set_threads},
      {"counters", counters},
      {"resetCounters", reset_counters},
      {"countLineEnds", count_line_ends_of},
      {"parsePlainBlock", parse_plain_block_of},
      {"numberRange", number_range},
      {"numberSum", number_sum},
      {"numberSquares", number_squares},
      {"countNumberBuckets", count_number_buckets},
      {"takeNumberBucket", take_number_bucket},
      {"profileNumbers", profile_number_column},
      {"openCuda", open_cuda},
  };
  for (const Function& function : functions) {
    target.Set(function.name, Napi::Function::New(env, function.body, function.name, state));
  }
  target.Set("apiVersion", kApiVersion);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  State* state = nullptr;
  try {
    state = new State(env, nullptr);
  } catch (const Error& error) {
    throw to_js_error(env, error);
  }
  env.SetInstanceData(state);
  // Hooks run in the reverse order of their making: the stream ends before the completion channel it posts to.
  napi_add_env_cleanup_hook(
      env, [](void* opaque) { static_cast<State*>(opaque)->close(); }, state);

  add_functions(env, exports, state);
  return exports;
}

}  // namespace
}  // namespace tk

static Napi::Object tensorkiln_init(Napi::Env env, Napi::Object exports) { return tk::init(env, exports); }
NODE_API_MODULE(tensorkiln, tensorkiln_init)
