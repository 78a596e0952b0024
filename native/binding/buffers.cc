// Buffers: making, reading, writing and sharing them.
#include "binding/arguments.h"
#include "binding/functions.h"

namespace tk {
namespace {

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

}  // namespace

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

}  // namespace tk
