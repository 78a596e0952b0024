// Runs one op body on plain vectors, at every usable level and with one and two threads, without a stream.
#pragma once
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <random>
#include <vector>

#include "cpu/thread_pool.h"
#include "dispatch/op_table.h"
#include "test.h"

namespace tktest {

// A tensor with guard bytes on both sides; outputs start as NaN (0xFF bytes).
class Tensor {
 public:
  Tensor(tk::DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {
    size_ = 1;
    for (int64_t dim : shape_) size_ *= dim;
    bytes_ = size_ * tk::dtype_bytes(dtype);
    raw_.assign(size_t(bytes_) + 2 * kGuard + 64, 0xFF);
    start_ = (64 - reinterpret_cast<uintptr_t>(raw_.data() + kGuard) % 64) % 64 + kGuard;
    std::memset(raw_.data(), kMark, start_);
    std::memset(raw_.data() + start_ + bytes_, kMark, raw_.size() - start_ - size_t(bytes_));
  }
  static Tensor f32(std::vector<int64_t> shape, const std::vector<float>& values) {
    Tensor t(tk::DType::f32, std::move(shape));
    if (t.bytes_ > 0) std::memcpy(t.data(), values.data(), size_t(t.bytes_));
    return t;
  }
  static Tensor i32(std::vector<int64_t> shape, const std::vector<int32_t>& values) {
    Tensor t(tk::DType::i32, std::move(shape));
    if (t.bytes_ > 0) std::memcpy(t.data(), values.data(), size_t(t.bytes_));
    return t;
  }
  static Tensor u8(std::vector<int64_t> shape, const std::vector<uint8_t>& values) {
    Tensor t(tk::DType::u8, std::move(shape));
    if (t.bytes_ > 0) std::memcpy(t.data(), values.data(), size_t(t.bytes_));
    return t;
  }
  // Normally distributed values from a fixed seed.
  static Tensor random(std::vector<int64_t> shape, uint32_t seed, float scale = 1.0f) {
    Tensor t(tk::DType::f32, std::move(shape));
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    for (int64_t i = 0; i < t.size_; ++i) t.f()[i] = normal(generator);
    return t;
  }

  void* data() { return raw_.data() + start_; }
  const void* data() const { return raw_.data() + start_; }
  float* f() { return static_cast<float*>(data()); }
  const float* f() const { return static_cast<const float*>(data()); }
  int32_t* i() { return static_cast<int32_t*>(data()); }
  uint8_t* b() { return static_cast<uint8_t*>(data()); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return bytes_; }
  const std::vector<int64_t>& shape() const { return shape_; }

  bool guards_intact() const {
    for (size_t i = 0; i < start_; ++i)
      if (raw_[i] != kMark) return false;
    for (size_t i = start_ + size_t(bytes_); i < raw_.size(); ++i)
      if (raw_[i] != kMark) return false;
    return true;
  }
  tk::Operand operand() {
    tk::Operand o;
    o.data = size_ == 0 ? nullptr : data();
    o.size = size_;
    o.dtype = dtype_;
    o.rank = uint8_t(shape_.size());
    for (size_t d = 0; d < shape_.size(); ++d) o.dims[d] = shape_[d];
    return o;
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr uint8_t kMark = 0xA5;
  tk::DType dtype_;
  std::vector<int64_t> shape_;
  int64_t size_ = 0, bytes_ = 0;
  size_t start_ = 0;
  std::vector<uint8_t> raw_;
};

class TestContext final : public tk::CpuContext {
 public:
  explicit TestContext(int threads) { num_threads_ = threads; }
  void run_parallel(int64_t n, int64_t grain, tk::RangeBody body, void* state) override {
    tk::ThreadPool::instance().run(n, grain, num_threads_, body, state);
  }
  void report_index(int64_t index, int64_t) override {
    if (bad_index == INT64_MIN) bad_index = index;
  }
  int64_t bad_index = INT64_MIN;
};

struct Run {
  tk::Level level;
  int threads;
};
// Every usable level with 1 and 2 threads.
inline std::vector<Run> runs() {
  std::vector<Run> list;
  for (tk::Level level : tk::usable_levels())
    for (int threads : {1, 2}) list.push_back({level, threads});
  return list;
}

// Calls op `name` on the operands in ops.def order; returns the index reported as out of range, or INT64_MIN.
inline int64_t call_op_list(const Run& run, const char* name, const std::vector<Tensor*>& tensors,
                            const std::vector<int64_t>& ints = {}, const std::vector<double>& floats = {}) {
  const int number = tk::find_op(name);
  if (number < 0) throw std::runtime_error(std::string("no op ") + name);
  const tk::CpuOp* const ops = tk::cpu_ops(run.level);
  if (ops == nullptr) throw std::runtime_error(std::string("no level ") + tk::level_name(run.level));
  const tk::CpuOp& op = ops[number];
  if (op.body == nullptr) throw std::runtime_error(std::string("no body for ") + name);
  std::vector<tk::Operand> operands;
  for (Tensor* tensor : tensors) operands.push_back(tensor->operand());
  const tk::OpInfo& info = tk::op_infos()[size_t(number)];
  tk::OpCall call;
  call.op = uint16_t(number);
  call.operands = operands.data();
  call.num_operands = int32_t(operands.size());
  call.star_count = info.num_starred == 0 ? 0 : (call.num_operands - info.num_fixed) / info.num_starred;
  call.ints = ints.data();
  call.num_ints = int32_t(ints.size());
  call.floats = floats.data();
  call.num_floats = int32_t(floats.size());
  std::unique_ptr<void, decltype(&std::free)> workspace(nullptr, &std::free);
  if (op.workspace != nullptr) {
    call.workspace_bytes = op.workspace(call, run.threads);
    workspace.reset(std::aligned_alloc(64, size_t(call.workspace_bytes + 64) / 64 * 64));
    call.workspace = workspace.get();
    std::memset(call.workspace, 0xFF, size_t(call.workspace_bytes));
  }
  TestContext context(run.threads);
  tk::ThreadPool& pool = tk::ThreadPool::instance();
  pool.set_num_threads(2);
  {
    // A body that throws (a failed check) must give its token back, or the next call waits for ever.
    struct Token {
      tk::ThreadPool& pool;
      ~Token() { pool.release(); }
    };
    pool.acquire();
    const Token token{pool};
    op.body(call, context);
  }
  for (Tensor* tensor : tensors)
    if (!tensor->guards_intact()) report(name, 0, "wrote outside an operand");
  return context.bad_index;
}
inline int64_t call_op(const Run& run, const char* name, std::initializer_list<Tensor*> tensors, std::vector<int64_t> ints = {},
                       std::vector<double> floats = {}) {
  return call_op_list(run, name, tensors, ints, floats);
}

}  // namespace tktest
