#include "binding/arguments.h"

#include <cmath>

namespace tk {
namespace {

double number_value(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) throw Error("E_INTERNAL", std::string(name) + ": expected a number");
  return value.As<Napi::Number>().DoubleValue();
}

}  // namespace

double number_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return number_value(info[index], name);
}

int64_t whole_value(const Napi::Value& value, const char* name, int64_t limit) {
  const double number = number_value(value, name);
  if (!(std::abs(number) <= double(limit)) || number != std::floor(number)) {
    throw Error("E_INTERNAL", std::string(name) + ": expected a whole number, got " + std::to_string(number));
  }
  return int64_t(number);
}

int32_t int_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return int32_t(whole_value(info[index], name, INT32_MAX));
}

int64_t count_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return whole_value(info[index], name, int64_t(1) << 53);
}

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

std::vector<HandleId> handles_argument(const Napi::CallbackInfo& info, size_t index) {
  const HostArray array = array_argument(info, index);
  if (array.dtype != DType::i32) throw Error("E_INTERNAL", "expected an Int32Array of handles");
  const auto* data = static_cast<const HandleId*>(array.data);
  return std::vector<HandleId>(data, data + array.size);
}

}  // namespace tk
