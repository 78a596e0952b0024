#include "dispatch/profile.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "dispatch/op_table.h"

namespace tk {
namespace {

double product(const Operand& operand, int first, int last) {
  double result = 1;
  for (int i = first; i < last; ++i) result *= double(operand.dims[i]);
  return result;
}

// Multiply-adds of an op that is a product of matrices or a convolution; 0 for all others.
double multiply_adds(const OpCall& call) {
  const auto size = [&](int i) { return double(call[i].size); };
  const auto taps = [&](int filter) { return product(call[filter], 0, call[filter].rank - 1); };
  // Of the gradient of a recurrent layer: back through the recurrent kernel in any case, and what is wanted of the gradients of
  // x (result `dx`), of the kernel and of the recurrent kernel, which follow it.
  const auto recurrent_grad = [&](int x, int dx) {
    const auto wanted = [&](int result) { return call[result].size > 0 ? 1.0 : 0.0; };
    return double(call[x].dims[0] * call[x].dims[1]) *
           (size(x + 1) * (wanted(dx) + wanted(dx + 1)) + size(x + 2) * (1 + wanted(dx + 2)));
  };
  switch (call.op) {
    case op_number::matmul: return size(2) * double(call[0].dims[call.ints[0] != 0 ? 1 : 2]);
    case op_number::conv2d:
    case op_number::conv3d: return size(2) * taps(1);
    // One filter application per element of dy.
    case op_number::conv2d_input_grad:
    case op_number::conv3d_input_grad: return size(0) * taps(1);
    case op_number::conv2d_filter_grad:
    case op_number::conv3d_filter_grad: return size(1) * taps(2);
    case op_number::depthwise_conv2d: return size(2) * product(call[1], 0, 2);
    case op_number::depthwise_conv2d_input_grad: return size(0) * product(call[1], 0, 2);
    case op_number::depthwise_conv2d_filter_grad: return size(1) * product(call[2], 0, 2);
    case op_number::linear: return size(3) * double(call[0].dims[1]);
    case op_number::linear_grad:
      return size(0) * double(call[1].dims[1]) * double((call[4].size > 0 ? 1 : 0) + (call[5].size > 0 ? 1 : 0));
    case op_number::attention: return 2 * size(0) * double(call[1].dims[1]);
    case op_number::attention_grad: return 5 * size(1) * double(call[2].dims[1]);
    case op_number::lstm:
    case op_number::gru:
    case op_number::rnn: return double(call[0].dims[0] * call[0].dims[1]) * (size(1) + size(2));
    case op_number::lstm_grad: return recurrent_grad(3, 10);
    case op_number::gru_grad: return recurrent_grad(2, 9);
    case op_number::rnn_grad: return recurrent_grad(2, 8);
    default: return 0;
  }
}

}  // namespace

int64_t steady_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double call_bytes(const OpCall& call) {
  const OpInfo& info = op_infos()[call.op];
  double bytes = 0;
  int position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? call.star_count : 1); ++i, ++position) {
      bytes += double(call[position].bytes()) * (spec.role == Role::inout ? 2 : 1);
    }
  }
  return bytes;
}

double call_flops(const OpCall& call) {
  const double products = multiply_adds(call);
  if (products > 0) return 2 * products;
  int64_t largest = 0;
  for (int i = 0; i < call.num_operands; ++i) largest = std::max(largest, call[i].size);
  return double(largest);
}

void Profile::add(ProfileRecord record) {
  std::lock_guard lock(mutex_);
  records_.push_back(std::move(record));
}

std::vector<ProfileRecord> Profile::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(records_, {});
}

void describe_call(const OpCall& call, ProfileRecord& record) {
  constexpr int kShown = 6;  // operands of a group of hundreds would hide all else
  record.name += (record.name.empty() ? "" : "+") + op_infos()[call.op].name;
  record.flops += call_flops(call);
  for (int i = 0; i < std::min(call.num_operands, kShown); ++i) {
    record.shapes += (record.shapes.empty() ? "" : " ") + std::string(dtype_name(call[i].dtype)) + "[";
    for (int d = 0; d < call[i].rank; ++d) record.shapes += (d == 0 ? "" : ",") + std::to_string(call[i].dims[d]);
    record.shapes += "]";
  }
  if (call.num_operands > kShown) record.shapes += " and " + std::to_string(call.num_operands - kShown) + " more";
}

}  // namespace tk
