// What the addon keeps per JavaScript environment (main thread, each worker): the engine, its plans, pending promises.
#pragma once
#include <napi.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "dispatch/environment.h"
#include "plan/recorder.h"

namespace tk {

constexpr int kApiVersion = 1;
constexpr size_t kBlockInts = 1 << 16;
constexpr size_t kBlockFloats = 1 << 10;

// A promise that a command on the stream will settle.
struct PendingPromise {
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference value;  // what it resolves to, kept alive meanwhile; empty: undefined
};

class State {
 public:
  // device: null for the CPU.
  State(Napi::Env env, std::unique_ptr<Device> device);
  ~State();

  Environment& engine() { return engine_; }

  // The completion that settles a new promise; `value` is what the promise resolves to.
  std::unique_ptr<Completion> make_promise(Napi::Env env, Napi::Object value, Napi::Promise* promise);
  // Tells V8 how much native memory hangs on JavaScript objects, so that garbage is collected in time.
  void adjust_external_memory(Napi::Env env);
  // Ends the stream and frees all buffers. Runs when the environment goes away, in whatever state it is.
  void close();

  std::vector<std::unique_ptr<State>> devices;  // opened through this one, closed with it
  std::unique_ptr<Recorder> recorder;
  std::unordered_map<int32_t, std::unique_ptr<Plan>> plans;
  int32_t next_plan = 1;
  CallRequest request;  // reused by every enqueue
  int32_t* block_ints = nullptr;
  double* block_floats = nullptr;
  Napi::ObjectReference block;

  int64_t longest_stay_ns = 0, first_stay_ns = -1;

 private:
  friend class PromiseCompletion;
  struct Settled {
    uint64_t id;
    std::unique_ptr<Error> error;
  };
  void post(uint64_t id, const Error* error);
  static void deliver(napi_env env, napi_value callback, void* context, void* data);
  void settle_all(Napi::Env env);

  Environment engine_;
  napi_threadsafe_function wake_ = nullptr;
  std::mutex settled_mutex_;
  std::vector<Settled> settled_;
  bool wake_posted_ = false;
  std::unordered_map<uint64_t, PendingPromise> pending_;
  uint64_t next_promise_ = 1;
  int64_t reported_bytes_ = 0;
};

// Throws the JavaScript error for a native one.
Napi::Error to_js_error(Napi::Env env, const Error& error);

}  // namespace tk
