#include "binding/state.h"

namespace tk {

class PromiseCompletion final : public Completion {
 public:
  PromiseCompletion(State& state, uint64_t id) : state_(state), id_(id) {}
  void done(const Error* error) override { state_.post(id_, error); }

 private:
  State& state_;
  const uint64_t id_;
};

Napi::Error to_js_error(Napi::Env env, const Error& error) {
  Napi::Error js = Napi::Error::New(env, error.what());
  js.Value().Set("code", error.code());
  return js;
}

State::State(Napi::Env env, std::unique_ptr<Device> device) : engine_(std::move(device)) {
  // Read now, so that a wrong environment variable is found when the addon is loaded and not in the middle of a call.
  MemoryBudget::instance();
  Napi::Int32Array ints = Napi::Int32Array::New(env, kBlockInts);
  Napi::Float64Array floats = Napi::Float64Array::New(env, kBlockFloats);
  block_ints = ints.Data();
  block_floats = floats.Data();
  Napi::Object both = Napi::Object::New(env);
  both.Set("ints", ints);
  both.Set("floats", floats);
  block = Napi::Persistent(both);
  block.SuppressDestruct();
  napi_value name = Napi::String::New(env, "tensorkiln");
  napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &State::deliver, &wake_);
  if (status != napi_ok) throw Napi::Error::New(env, "cannot create the engine's completion channel");
  // Only pending promises keep the process alive.
  napi_unref_threadsafe_function(env, wake_);
}

State::~State() { close(); }

void State::close() {
  // No completion may be posted after this: the channel is closed by the environment next.
  for (const std::unique_ptr<State>& device : devices) device->close();
  recorder.reset();
  engine_.close();
  plans.clear();
  for (auto& [id, promise] : pending_) promise.value.SuppressDestruct();
  pending_.clear();
}

std::unique_ptr<Completion> State::make_promise(Napi::Env env, Napi::Object value, Napi::Promise* promise) {
  PendingPromise pending{Napi::Promise::Deferred::New(env),
                         value.IsEmpty() ? Napi::ObjectReference() : Napi::Persistent(value)};
  *promise = pending.deferred.Promise();
  if (pending_.empty()) napi_ref_threadsafe_function(env, wake_);
  const uint64_t id = next_promise_++;
  pending_.emplace(id, std::move(pending));
  return std::make_unique<PromiseCompletion>(*this, id);
}

void State::post(uint64_t id, const Error* error) {
  bool wake = false;
  {
    std::lock_guard lock(settled_mutex_);
    settled_.push_back({id, error != nullptr ? std::make_unique<Error>(*error) : nullptr});
    wake = !std::exchange(wake_posted_, true);
  }
  if (wake) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void State::deliver(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;  // the environment is going away
  Napi::HandleScope scope(env);
  try {
    static_cast<State*>(context)->settle_all(env);
  } catch (const Napi::Error&) {
    // JavaScript is being terminated: nobody is left to hear of the rest.
  }
}

void State::settle_all(Napi::Env env) {
  std::vector<Settled> settled;
  {
    std::lock_guard lock(settled_mutex_);
    settled.swap(settled_);
    wake_posted_ = false;
  }
  for (Settled& one : settled) {
    const auto found = pending_.find(one.id);
    if (found == pending_.end()) continue;
    PendingPromise promise = std::move(found->second);
    pending_.erase(found);
    if (one.error != nullptr) {
      promise.deferred.Reject(to_js_error(env, *one.error).Value());
    } else {
      promise.deferred.Resolve(promise.value.IsEmpty() ? env.Undefined() : Napi::Value(promise.value.Value()));
    }
  }
  if (pending_.empty()) napi_unref_threadsafe_function(env, wake_);
  adjust_external_memory(env);
}

void State::adjust_external_memory(Napi::Env env) {
  constexpr int64_t kStep = 1 << 20;
  const int64_t change = engine_.live_bytes() - reported_bytes_;
  if (change > -kStep && change < kStep) return;
  reported_bytes_ += change;
  int64_t total = 0;
  napi_adjust_external_memory(env, change, &total);
}

}  // namespace tk
