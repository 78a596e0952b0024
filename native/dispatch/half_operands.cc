#include "dispatch/half_operands.h"

#include <cstring>

#include "dispatch/op_table.h"

namespace tk {
namespace {

bool is_half(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

// A new handle with the elements of another in the dtype asked for.
HandleId cast(Environment& environment, const CallOperand& from, DType to) {
  CallRequest request;
  request.op = op_number::cast;
  request.operands.assign(2, from);
  request.operands[1].handle = kNewHandle;
  request.operands[1].dtype = to;
  environment.dispatch(request);
  return request.operands[1].handle;
}

// Handles that are given up whatever happens; what was enqueued keeps what it needs.
class Temporaries {
 public:
  explicit Temporaries(Environment& environment) : environment_(environment) {}
  ~Temporaries() {
    for (HandleId handle : handles_) environment_.release(handle);
  }
  void add(HandleId handle) { handles_.push_back(handle); }

 private:
  Environment& environment_;
  std::vector<HandleId> handles_;
};

}  // namespace

bool has_half(const CallRequest& request) {
  for (const CallOperand& operand : request.operands) {
    if (is_half(operand.dtype)) return true;
  }
  return false;
}

bool cpu_takes_half(const CallRequest& request) {
  // Of each operand: h the 16-bit dtype, f f32, x either. Operands of 0 elements may have any dtype.
  const char* wanted = request.op == op_number::matmul        ? "hhx"
                       : request.op == op_number::linear      ? "hhxhh"
                       : request.op == op_number::linear_grad ? "hhhhhff"
                                                              : "";
  if (*wanted == 0 || request.operands.size() != std::strlen(wanted)) return false;
  const DType type = request.operands[0].dtype;
  if (!is_half(type)) return false;
  for (size_t i = 0; i < request.operands.size(); ++i) {
    const CallOperand& operand = request.operands[i];
    if (count_elements(operand.dims, operand.rank) == 0 && i > 1) continue;
    const bool is_type = operand.dtype == type, is_float = operand.dtype == DType::f32;
    if (!(wanted[i] == 'h' ? is_type : wanted[i] == 'f' ? is_float : is_type || is_float)) return false;
  }
  return true;
}

void dispatch_widened(Environment& environment, CallRequest& request, const OpInfo& info, int star_count) {
  CallRequest wide = request;
  Temporaries temporaries(environment);
  std::vector<size_t> outputs;
  size_t position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? star_count : 1); ++i, ++position) {
      const CallOperand& asked = request.operands[position];
      CallOperand& operand = wide.operands[position];
      if (spec.role == Role::out) outputs.push_back(position);
      if (!is_half(asked.dtype)) continue;
      if (spec.role == Role::inout) {
        throw Error("E_INTERNAL", "[" + info.name + "] operand " + spec.name + " is changed in place and cannot be " +
                                      dtype_name(asked.dtype));
      }
      operand.dtype = DType::f32;
      if (spec.role == Role::out) continue;
      operand.handle = kNewHandle;
      for (size_t before = 0; before < position && operand.handle == kNewHandle; ++before) {
        const bool same = request.operands[before].handle == asked.handle && wide.operands[before].handle != asked.handle;
        if (same) operand.handle = wide.operands[before].handle;
      }
      if (operand.handle != kNewHandle) continue;
      operand.handle = cast(environment, asked, DType::f32);
      temporaries.add(operand.handle);
    }
  }
  environment.dispatch(wide);
  size_t done = 0;
  try {
    for (; done < outputs.size(); ++done) {
      const CallOperand& made = wide.operands[outputs[done]];
      CallOperand& asked = request.operands[outputs[done]];
      if (!is_half(asked.dtype)) {
        asked.handle = made.handle;
        continue;
      }
      asked.handle = cast(environment, made, asked.dtype);
      environment.release(made.handle);
    }
  } catch (...) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      CallOperand& asked = request.operands[outputs[i]];
      environment.release(i < done ? asked.handle : wide.operands[outputs[i]].handle);
      asked.handle = kNewHandle;
    }
    throw;
  }
}

}  // namespace tk
