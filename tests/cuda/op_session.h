// A stream of the emulated library, and op calls on operands of any dtype given as floats.
#pragma once
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/half.h"
#include "core/op_call.h"
#include "cuda/cuda_table.h"
#include "test.h"

enum : uint16_t {
#define TK_OP(name, ...) k_##name,
#include "ops/ops.def"
};

inline const TkCudaTable& table() { return *tensorkiln_cuda_table(TK_CUDA_TABLE_VERSION); }

inline float rounded(tk::DType type, float x) {
  if (type == tk::DType::f16) return tk::f16_to_f32(tk::f32_to_f16(x));
  return type == tk::DType::bf16 ? tk::bf16_to_f32(tk::f32_to_bf16(x)) : x;
}

inline std::vector<float> normal_values(int64_t count, unsigned seed, tk::DType type = tk::DType::f32) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = rounded(type, distribution(random));
  return values;
}

// Values as they lie in memory; u8 from whole numbers.
inline std::vector<unsigned char> bytes_of(tk::DType type, const std::vector<float>& values) {
  const size_t size = size_t(tk::dtype_bytes(type));
  std::vector<unsigned char> raw(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) {
    unsigned char* to = raw.data() + i * size;
    const uint16_t half = type == tk::DType::f16 ? tk::f32_to_f16(values[i]) : tk::f32_to_bf16(values[i]);
    if (type == tk::DType::f32) {
      std::memcpy(to, &values[i], 4);
    } else if (type == tk::DType::u8) {
      *to = uint8_t(values[i]);
    } else {
      std::memcpy(to, &half, 2);
    }
  }
  return raw;
}
inline std::vector<float> floats_of(tk::DType type, const std::vector<unsigned char>& raw) {
  const size_t size = size_t(tk::dtype_bytes(type));
  std::vector<float> values(raw.size() / size);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    if (type == tk::DType::f32) {
      std::memcpy(&values[i], raw.data() + i * 4, 4);
      continue;
    }
    std::memcpy(&half, raw.data() + i * 2, 2);
    values[i] = type == tk::DType::f16 ? tk::f16_to_f32(half) : tk::bf16_to_f32(half);
  }
  return values;
}

class OpSession {
 public:
  explicit OpSession(int32_t device = 0, uint64_t limit_bytes = uint64_t(256) << 20) {
    if (table().open_stream(device, limit_bytes, &stream_) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
  }
  ~OpSession() { table().close_stream(stream_); }
  OpSession(const OpSession&) = delete;

  // An operand with these values, or, of none, poisoned with NaN.
  tk::Operand operand(const std::vector<int64_t>& dims, tk::DType type, const std::vector<float>& values = {}) {
    tk::Operand x;
    x.dtype = type, x.size = 1;
    for (const int64_t dim : dims) x.dims[x.rank++] = dim, x.size *= dim;
    if (x.size == 0) return x;
    CHECK(table().allocate(stream_, uint64_t(x.bytes()), &x.data) == TK_CUDA_OK);
    std::vector<unsigned char> raw(size_t(x.bytes()), 0xFF);
    if (!values.empty()) raw = bytes_of(type, values);
    CHECK(int64_t(raw.size()) == x.bytes());
    CHECK(table().write(stream_, x.data, raw.data(), raw.size()) == TK_CUDA_OK);
    return x;
  }
  // An i32 operand of rank 1.
  tk::Operand words(const std::vector<int32_t>& values) {
    tk::Operand x;
    x.dtype = tk::DType::i32, x.rank = 1, x.dims[0] = x.size = int64_t(values.size());
    CHECK(table().allocate(stream_, uint64_t(x.bytes()), &x.data) == TK_CUDA_OK);
    CHECK(table().write(stream_, x.data, values.data(), uint64_t(x.bytes())) == TK_CUDA_OK);
    return x;
  }
  std::vector<float> read(const tk::Operand& x) {
    std::vector<unsigned char> raw(size_t(x.bytes()));
    CHECK(table().read(stream_, x.data, raw.data(), raw.size()) == TK_CUDA_OK);
    return floats_of(x.dtype, raw);
  }
  void run(uint16_t op, const std::vector<tk::Operand>& operands, const std::vector<int64_t>& ints = {},
           const std::vector<double>& numbers = {}) {
    tk::OpCall call;
    call.op = op;
    call.operands = operands.data(), call.num_operands = int32_t(operands.size());
    call.ints = ints.data(), call.num_ints = int32_t(ints.size());
    call.floats = numbers.data(), call.num_floats = int32_t(numbers.size());
    bool has_half = false;
    for (const tk::Operand& x : operands) has_half |= x.dtype == tk::DType::f16 || x.dtype == tk::DType::bf16;
    if (has_half) CHECK(table().takes_half(&call) == 1);
    call.workspace_bytes = table().workspace(stream_, &call);
    if (call.workspace_bytes > 0) {
      CHECK(table().allocate(stream_, uint64_t(call.workspace_bytes), &call.workspace) == TK_CUDA_OK);
      const std::vector<unsigned char> poison(size_t(call.workspace_bytes), 0xFF);
      CHECK(table().write(stream_, call.workspace, poison.data(), poison.size()) == TK_CUDA_OK);
    }
    if (table().run(stream_, &call) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
    if (call.workspace != nullptr) table().free(stream_, call.workspace);
  }
  TkCudaStream* stream() { return stream_; }

 private:
  TkCudaStream* stream_ = nullptr;
};

// Norm of the difference over the norm of what is expected; infinite where something is NaN that should not be.
inline double norm_error(const std::vector<float>& got, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = double(got[i]) - expected[i];
    if (d != d) return INFINITY;
    difference += d * d;
    norm += expected[i] * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}
