// What the functions of the door share: the frame round each body, and JavaScript arguments as C++ values.
#pragma once
#include <chrono>
#include <new>
#include <string>
#include <vector>

#include "binding/state.h"

namespace tk {

// Measures how long the JavaScript thread stays in native code.
class Stay {
 public:
  explicit Stay(State& state) : state_(state), start_(std::chrono::steady_clock::now()) {}
  ~Stay() {
    const int64_t spent = (std::chrono::steady_clock::now() - start_).count();
    if (state_.first_stay_ns < 0) {
      state_.first_stay_ns = spent;
    } else if (spent > state_.longest_stay_ns) {
      state_.longest_stay_ns = spent;
    }
  }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

 private:
  State& state_;
  const std::chrono::steady_clock::time_point start_;
};

// Runs `body(state)` and turns native errors into JavaScript ones.
template <class Body>
Napi::Value guarded(const Napi::CallbackInfo& info, const Body& body) {
  Napi::Env env = info.Env();
  auto* state = static_cast<State*>(info.Data());
  try {
    Stay stay(*state);
    return body(*state);
  } catch (const Error& error) {
    throw to_js_error(env, error);
  } catch (const std::bad_alloc&) {
    throw to_js_error(env, Error("E_OUT_OF_MEMORY", "the system has no memory left for the engine's own bookkeeping"));
  }
}

// The arguments below come from ts/native only, so a wrong one is a broken promise between the two halves: E_INTERNAL.

double number_argument(const Napi::CallbackInfo& info, size_t index, const char* name);
// A whole number of [-limit, limit]; limit at most 2^53, up to which doubles count exactly.
int64_t whole_value(const Napi::Value& value, const char* name, int64_t limit);
// A handle, or the number of a plan, a capture or a dtype.
int32_t int_argument(const Napi::CallbackInfo& info, size_t index, const char* name);
int64_t count_argument(const Napi::CallbackInfo& info, size_t index, const char* name);

struct HostArray {
  Napi::TypedArray array;
  void* data;
  int64_t size;
  DType dtype;
};
// A Float32Array, Int32Array or Uint8Array, also one over shared memory.
HostArray array_argument(const Napi::CallbackInfo& info, size_t index);
std::vector<HandleId> handles_argument(const Napi::CallbackInfo& info, size_t index);

}  // namespace tk
