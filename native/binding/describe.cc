// What the addon is: build, ops and the argument block.
#include "binding/arguments.h"
#include "binding/functions.h"
#include "cpu/cpu_info.h"

#ifndef TENSORKILN_VERSION
#define TENSORKILN_VERSION "unknown"
#endif
#ifndef TENSORKILN_BUILD_TYPE
#define TENSORKILN_BUILD_TYPE "unknown"
#endif

namespace tk {
namespace {

Napi::Array names_array(Napi::Env env, const std::vector<std::string>& names) {
  Napi::Array array = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) array.Set(i, names[i]);
  return array;
}

}  // namespace

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
    // Other compilers build no kernels for the instruction.
#if defined(__GNUC__)
    const bool has_kernels = active_level() == Level::avx512;
#else
    const bool has_kernels = false;
#endif
    const bool is_widened = bf16_products() == Bf16Products::native && !has_kernels;
    result.Set("bf16Products", bf16_products_name(is_widened ? Bf16Products::widened : bf16_products()));
    result.Set("napiVersion", NAPI_VERSION);
#if TENSORKILN_CHECK_OPS
    result.Set("checkedOps", true);
#else
    result.Set("checkedOps", false);
#endif
    return result;
  });
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

}  // namespace tk
