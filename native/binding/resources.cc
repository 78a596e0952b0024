// Waiting for the stream; memory, threads and counters.
#include <cmath>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "cpu/thread_pool.h"

namespace tk {

Napi::Value sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().sync();
    return info.Env().Undefined();
  });
}

Napi::Value settled(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    Napi::Promise promise;
    state.engine().settle(state.make_promise(info.Env(), Napi::Object(), &promise));
    return promise;
  });
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const MemoryUse use = state.engine().memory();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("live", double(use.live));
    result.Set("cached", double(use.cached));
    result.Set("peak", double(use.peak));
    result.Set("budget", double(use.budget));
    result.Set("handles", double(state.engine().living_handles()));
    return result;
  });
}

Napi::Value reset_peak(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().reset_peak();
    return info.Env().Undefined();
  });
}

Napi::Value set_budget(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const double bytes = number_argument(info, 0, "bytes");
    if (!(bytes >= 1 && bytes <= 9e15)) throw Error("E_CONFIG", "memory budget: expected a positive number of bytes");
    state.engine().set_memory_limit(int64_t(bytes));
    return info.Env().Undefined();
  });
}

Napi::Value trim(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().trim();
    return info.Env().Undefined();
  });
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return guarded(info,
                 [&](State&) -> Napi::Value { return Napi::Number::New(info.Env(), ThreadPool::instance().num_threads()); });
}

Napi::Value set_threads(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    const double count = number_argument(info, 0, "count");
    if (count != std::floor(count) || count < 1 || count > 256) {
      throw Error("E_CONFIG", "number of threads: expected a whole number from 1 to 256");
    }
    ThreadPool::instance().set_num_threads(int(count));
    return info.Env().Undefined();
  });
}

Napi::Value counters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const Stream& stream = state.engine().stream();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("enqueued", double(stream.enqueued()));
    result.Set("completed", double(stream.completed()));
    result.Set("inlined", double(stream.inlined()));
    result.Set("copiesOnWrite", double(state.engine().copies_on_write()));
    result.Set("longestStayMs", double(state.longest_stay_ns) / 1e6);
    result.Set("firstStayMs", double(std::max<int64_t>(state.first_stay_ns, 0)) / 1e6);
    return result;
  });
}

Napi::Value reset_counters(const Napi::CallbackInfo& info) {
  static_cast<State*>(info.Data())->longest_stay_ns = 0;
  return info.Env().Undefined();
}

}  // namespace tk
