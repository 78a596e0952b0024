// The door's JavaScript face: every function of ts/backend/native/addon.ts, and nothing else.
#include <cmath>
#include <limits>

#include "binding/state.h"
#include "cpu/cpu_info.h"
#include "cpu/thread_pool.h"
#include "dispatch/cuda_device.h"
#include "plan/plan_text.h"

#ifndef TENSORKILN_VERSION
#define TENSORKILN_VERSION "unknown"
#endif
#ifndef TENSORKILN_BUILD_TYPE
#define TENSORKILN_BUILD_TYPE "unknown"
#endif

namespace tk {
namespace {

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

double number_value(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) throw Error("E_INTERNAL", std::string(name) + ": expected a number");
  return value.As<Napi::Number>().DoubleValue();
}

double number_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return number_value(info[index], name);
}

// A whole number of [-limit, limit]; limit at most 2^53, up to which doubles count exactly.
int64_t whole_value(const Napi::Value& value, const char* name, int64_t limit) {
  const double number = number_value(value, name);
  if (!(std::abs(number) <= double(limit)) || number != std::floor(number)) {
    throw Error("E_INTERNAL", std::string(name) + ": expected a whole number, got " + std::to_string(number));
  }
  return int64_t(number);
}

// A handle, or the number of a plan, a capture or a dtype.
int32_t int_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return int32_t(whole_value(info[index], name, INT32_MAX));
}

int64_t count_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return whole_value(info[index], name, int64_t(1) << 53);
}

struct HostArray {
  Napi::TypedArray array;
  void* data;
  int64_t size;
  DType dtype;
};

HostArray array_argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsTypedArray()) throw Error("E_INTERNAL", "expected a typed array");
  HostArray host{info[index].As<Napi::TypedArray>(), nullptr, 0, DType::f32};
  // Not through the array's ArrayBuffer: Node-API takes a SharedArrayBuffer there for a wrong argument.
  napi_typedarray_type type;
  size_t length = 0;
  if (napi_get_typedarray_info(info.Env(), host.array, &type, &length, &host.data, nullptr, nullptr) != napi_ok) {
    throw Napi::Error::New(info.Env());
  }
  host.size = int64_t(length);
  switch (type) {
    case napi_float32_array: host.dtype = DType::f32; break;
    case napi_int32_array: host.dtype = DType::i32; break;
    case napi_uint8_array:
    case napi_uint8_clamped_array: host.dtype = DType::u8; break;
    default: throw Error("E_DTYPE", "expected Float32Array, Int32Array or Uint8Array");
  }
  return host;
}

// The array must be of the type a read of this buffer gives.
void check_read_target(const Environment& engine, HandleId handle, const HostArray& target) {
  const DType held = engine.dtype_of(handle);
  const DType expected = held == DType::f16 || held == DType::bf16 ? DType::f32 : held;
  if (target.dtype != expected || target.size != engine.size_of(handle)) {
    throw Error("E_INTERNAL", "read: expected an array of " + std::to_string(engine.size_of(handle)) + " " +
                                  dtype_name(expected) + ", got " + std::to_string(target.size) + " " +
                                  dtype_name(target.dtype));
  }
}

std::vector<HandleId> handles_argument(const Napi::CallbackInfo& info, size_t index) {
  const HostArray array = array_argument(info, index);
  if (array.dtype != DType::i32) throw Error("E_INTERNAL", "expected an Int32Array of handles");
  const auto* data = static_cast<const HandleId*>(array.data);
  return std::vector<HandleId>(data, data + array.size);
}

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

// ---- description

Napi::Value build_info(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    Napi::Env env = info.Env();
    Napi::Object result = Napi::Object::New(env);
    result.Set("version", TENSORKILN_VERSION);
#if defined(__VERSION__)
    result.Set("compiler", __VERSION__);
#elif defined(_MSC_VER)
    result.Set("compiler", "MSVC " + std::to_string(_MSC_VER));
#else
    result.Set("compiler", "unknown");
#endif
    result.Set("buildType", TENSORKILN_BUILD_TYPE);
    Napi::Array levels = Napi::Array::New(env);
    for (Level level : usable_levels()) levels.Set(levels.Length(), level_name(level));
    result.Set("levels", levels);
    result.Set("activeLevel", level_name(active_level()));
    result.Set("cpuModel", cpu_features().model);
    result.Set("napiVersion", NAPI_VERSION);
#if TENSORKILN_CHECK_OPS
    result.Set("checkedOps", true);
#else
    result.Set("checkedOps", false);
#endif
    return result;
  });
}

Napi::Array names_array(Napi::Env env, const std::vector<std::string>& names) {
  Napi::Array array = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) array.Set(i, names[i]);
  return array;
}

Napi::Value ops(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State&) -> Napi::Value {
    Napi::Env env = info.Env();
    Napi::Array result = Napi::Array::New(env);
    for (const OpInfo& op : op_infos()) {
      Napi::Object row = Napi::Object::New(env);
      row.Set("name", op.name);
      Napi::Array operands = Napi::Array::New(env);
      for (const OperandSpec& spec : op.operands) {
        Napi::Object operand = Napi::Object::New(env);
        operand.Set("name", spec.name);
        operand.Set("role", spec.role == Role::in ? "in" : spec.role == Role::out ? "out" : "inout");
        operand.Set("star", spec.star);
        operands.Set(operands.Length(), operand);
      }
      row.Set("operands", operands);
      row.Set("ints", names_array(env, op.ints.names));
      row.Set("intsOpen", op.ints.open);
      row.Set("floats", names_array(env, op.floats.names));
      row.Set("floatsOpen", op.floats.open);
      row.Set("dtypes", names_array(env, op.dtypes));
      row.Set("kind", op.kind == OpKind::stream ? "stream" : "host");
      result.Set(result.Length(), row);
    }
    return result;
  });
}

Napi::Value argument_block(const Napi::CallbackInfo& info) {
  return guarded(info, [](State& state) -> Napi::Value { return state.block.Value(); });
}

// ---- op calls

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

// ---- buffers

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const int32_t dtype = int_argument(info, 0, "dtype");
    const HostArray values = array_argument(info, 1);
    if (dtype != int32_t(values.dtype)) {
      throw Error("E_DTYPE", std::string("create: dtype and array do not fit: array of ") + dtype_name(values.dtype));
    }
    const HandleId handle = state.engine().create(values.dtype, values.data, values.size);
    state.adjust_external_memory(info.Env());
    return Napi::Number::New(info.Env(), handle);
  });
}

Napi::Value write(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const HandleId handle = int_argument(info, 0, "handle");
    const HostArray values = array_argument(info, 1);
    if (state.engine().dtype_of(handle) != values.dtype || state.engine().size_of(handle) != values.size) {
      throw Error("E_INTERNAL", "write: expected " + std::to_string(state.engine().size_of(handle)) + " " +
                                    dtype_name(state.engine().dtype_of(handle)) + ", got " + std::to_string(values.size) + " " +
                                    dtype_name(values.dtype));
    }
    state.engine().write(handle, values.data, values.size);
    return info.Env().Undefined();
  });
}

Napi::Value read_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const HandleId handle = int_argument(info, 0, "handle");
    const HostArray target = array_argument(info, 1);
    check_read_target(state.engine(), handle, target);
    state.engine().read_sync(handle, target.data, target.size);
    return info.Env().Undefined();
  });
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const HandleId handle = int_argument(info, 0, "handle");
    const HostArray target = array_argument(info, 1);
    check_read_target(state.engine(), handle, target);
    if (state.engine().observer() != nullptr) state.engine().observer()->before_read(handle);
    Napi::Promise promise;
    std::unique_ptr<Completion> completion = state.make_promise(info.Env(), target.array, &promise);
    state.engine().read(handle, target.data, target.size, std::move(completion));
    return promise;
  });
}

Napi::Value alias(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const int64_t offset = count_argument(info, 1, "offset"), count = count_argument(info, 2, "count");
    return Napi::Number::New(info.Env(), state.engine().alias(int_argument(info, 0, "handle"), offset, count));
  });
}

Napi::Value assign(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().assign(int_argument(info, 0, "target"), int_argument(info, 1, "source"));
    return info.Env().Undefined();
  });
}

Napi::Value retain(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().retain(int_argument(info, 0, "handle"));
    return info.Env().Undefined();
  });
}

Napi::Value release(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    state.engine().release(int_argument(info, 0, "handle"));
    state.adjust_external_memory(info.Env());
    return info.Env().Undefined();
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&](State& state) -> Napi::Value {
    const HandleId handle = int_argument(info, 0, "handle");
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("size", double(state.engine().size_of(handle)));
    result.Set("dtype", int(state.engine().dtype_of(handle)));
    result.Set("sharers", state.engine().sharers_of(handle));
    return result;
  });
}

// ---- waiting

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

// ---- plans

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

// ---- profile

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

// ---- resources

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

// ---- devices

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
