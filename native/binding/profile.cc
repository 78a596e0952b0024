// When each op call ran.
#include "binding/arguments.h"
#include "binding/functions.h"

namespace tk {

Napi::Value profile_begin(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().begin_profile();
    return Napi::Number::New(info.Env(), double(steady_nanoseconds()) / 1e6);
  });
}

Napi::Value profile_end(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    Napi::Env env = info.Env();
    Napi::Array result = Napi::Array::New(env);
    for (const ProfileRecord& record : state.engine().end_profile()) {
      Napi::Object row = Napi::Object::New(env);
      row.Set("name", record.name);
      row.Set("shapes", record.shapes);
      row.Set("enqueuedMs", double(record.enqueued_ns) / 1e6);
      row.Set("startMs", double(record.start_ns) / 1e6);
      row.Set("endMs", double(record.end_ns) / 1e6);
      row.Set("bytes", record.bytes);
      row.Set("flops", record.flops);
      row.Set("inPlan", record.in_plan);
      result.Set(result.Length(), row);
    }
    return result;
  });
}

}  // namespace tk
