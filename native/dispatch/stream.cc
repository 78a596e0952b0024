#include "dispatch/stream.h"

#include <chrono>
#include <cstring>
#include <string>
#include <system_error>

#include "core/half.h"
#include "cpu/thread_pool.h"
#include "dispatch/op_scope.h"

namespace tk {
namespace {

// How long the stream's thread looks for new work before it sleeps.
constexpr auto kSpin = std::chrono::microseconds(20);
constexpr size_t kMaxSpare = 256;
constexpr size_t kMaxSpareStaged = 4096;  // bytes a spare command may hold on to

void convert_read(const Command& command) {
  if (command.size == 0) return;
  switch (command.source_dtype) {
    case DType::f32:
    case DType::i32:
    case DType::u8:
      std::memcpy(command.target, command.source, size_t(command.size * dtype_bytes(command.source_dtype)));
      return;
    case DType::f16:
      for (int64_t i = 0; i < command.size; ++i)
        static_cast<float*>(command.target)[i] = f16_to_f32(static_cast<const uint16_t*>(command.source)[i]);
      return;
    case DType::bf16:
      for (int64_t i = 0; i < command.size; ++i)
        static_cast<float*>(command.target)[i] = bf16_to_f32(static_cast<const uint16_t*>(command.source)[i]);
      return;
  }
}

}  // namespace

class Stream::Context final : public CpuContext {
 public:
  Context(Stream& stream, uint16_t op, int num_threads) : stream_(stream), op_(op) { num_threads_ = num_threads; }

  void run_parallel(int64_t n, int64_t grain, RangeBody body, void* state) override {
#if TENSORKILN_CHECK_OPS
    // The pool itself may start threads; the op's body may not allocate, on whichever thread it runs.
    struct Checked {
      RangeBody body;
      void* state;
      std::atomic<int> allocations{0};
    } checked{body, state};
    {
      OpPause pause;
      ThreadPool::instance().run(
          n, grain, num_threads_,
          [](int64_t begin, int64_t end, int thread, void* opaque) {
            auto& inner = *static_cast<Checked*>(opaque);
            OpScope scope;
            inner.body(begin, end, thread, inner.state);
            inner.allocations += scope.allocations();
          },
          &checked);
    }
    if (checked.allocations.load() != 0) throw Error("E_INTERNAL", "[" + op_infos()[op_].name + "] an op must not allocate");
#else
    ThreadPool::instance().run(n, grain, num_threads_, body, state);
#endif
  }

  // What takes the rows of the call's result from now on; null: nothing.
  void follow(const FollowUp* follow_up) { follow_up_ = follow_up; }

  void report_index(int64_t index, int64_t limit) override {
    // Several threads may find one; the first to come is kept. Building the text allocates, which an op may not: so it waits.
    bool expected = false;
    if (!claimed_.compare_exchange_strong(expected, true)) return;
    index_ = index;
    limit_ = limit;
  }

  void surface() const {
    if (!claimed_.load()) return;
    stream_.report(Error("E_INDEX", "[" + op_infos()[op_].name + "] index out of range: expected 0 to " +
                                        std::to_string(limit_ - 1) + ", got " + std::to_string(index_)));
  }

 private:
  Stream& stream_;
  const uint16_t op_;
  std::atomic<bool> claimed_{false};
  int64_t index_ = 0, limit_ = 0;
};

OpCall Command::view() const {
  OpCall call;
  call.op = op;
  call.operands = operands.data();
  call.num_operands = int32_t(operands.size());
  call.star_count = star_count;
  call.ints = ints.data();
  call.num_ints = int32_t(ints.size());
  call.floats = floats.data();
  call.num_floats = int32_t(floats.size());
  call.workspace = workspace;
  call.workspace_bytes = workspace_bytes;
  return call;
}

Stream::Stream(Level level, Device* device)
    : level_(level), ops_(cpu_ops(level)), pool_(ThreadPool::instance()), device_(device) {}

Stream::~Stream() { close(); }

std::unique_ptr<Command> Stream::new_command() {
  {
    std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      std::unique_ptr<Command> command = std::move(spare_.back());
      spare_.pop_back();
      return command;
    }
  }
  return std::make_unique<Command>();
}

void Stream::recycle(std::unique_ptr<Command> command) {
  if (spare_.size() >= kMaxSpare) return;
  command->operands.clear();
  command->ints.clear();
  command->floats.clear();
  command->staged.clear();
  if (command->staged.capacity() > kMaxSpareStaged) command->staged.shrink_to_fit();
  command->completion.reset();
  command->program.reset();
  command->bases.clear();
  command->workspace = nullptr;
  command->workspace_bytes = 0;
#if TENSORKILN_CHECK_OPS
  command->blocks.clear();
#endif
  spare_.push_back(std::move(command));
}

uint64_t Stream::enqueue(std::unique_ptr<Command> command, bool negligible) {
  forbid_inside_op("enqueue");
  if (profile_.load(std::memory_order_relaxed) != nullptr) command->enqueued_ns = steady_nanoseconds();
  std::unique_lock lock(mutex_);
  if (closing_) throw Error("E_CLOSED", "the engine of this environment has been closed");
  const bool idle = queue_.empty() && !running_;
  const bool at_once = negligible && idle && device_ == nullptr && pool_.try_acquire();
  if (!at_once && !thread_.joinable()) start_thread();
  const uint64_t sequence = ++enqueued_;
  command->sequence = sequence;
  if (at_once) {
    running_ = true;
    ++inlined_;
    lock.unlock();
    execute(*command);
    pool_.release();
    lock.lock();
    running_ = false;
    completed_.store(sequence, std::memory_order_release);
    recycle(std::move(command));
    return sequence;
  }
  const int64_t staged = int64_t(command->staged.size());
  while (!queue_.empty() && (queued_calls_ >= kMaxQueued || staged_bytes_ + staged > kMaxStagedBytes)) {
    ++takeovers_;
    if (running_) {
      idle_.wait(lock);
    } else {
      run_front(lock);
    }
    --takeovers_;
  }
  staged_bytes_ += staged;
  queued_calls_ += command->weight();
  queue_.push_back(std::move(command));
  pending_.store(queue_.size(), std::memory_order_release);
  lock.unlock();
  work_.notify_one();
  return sequence;
}

void Stream::start_thread() {
  try {
    thread_ = std::thread([this] { thread_main(); });
  } catch (const std::system_error& error) {
    throw Error("E_OUT_OF_MEMORY", std::string("the system gives no thread for the engine's queue: ") + error.what());
  }
}

void Stream::run_front(std::unique_lock<std::mutex>& lock) {
  std::unique_ptr<Command> command = std::move(queue_.front());
  queue_.pop_front();
  queued_calls_ -= command->weight();
  pending_.store(queue_.size(), std::memory_order_release);
  running_ = true;
  lock.unlock();
  if (device_ == nullptr) pool_.acquire();
  execute(*command);
  if (device_ == nullptr) pool_.release();
  lock.lock();
  running_ = false;
  staged_bytes_ -= int64_t(command->staged.size());
  completed_.store(command->sequence, std::memory_order_release);
  recycle(std::move(command));
  if (takeovers_ > 0 || closing_) idle_.notify_all();
}

void Stream::thread_main() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    if (!queue_.empty() && !running_ && takeovers_ == 0) {
      run_front(lock);
      continue;
    }
    if (takeovers_ == 0 && !running_) {
      // New work usually follows at once: look for it a moment before sleeping.
      lock.unlock();
      const auto end = std::chrono::steady_clock::now() + kSpin;
      while (pending_.load(std::memory_order_acquire) == 0 && std::chrono::steady_clock::now() < end) {}
      lock.lock();
    }
    work_.wait(lock, [&] { return closing_ || (!queue_.empty() && !running_ && takeovers_ == 0); });
  }
}

void Stream::wait_until(uint64_t sequence) {
  forbid_inside_op("wait for its stream");
  if (completed() >= sequence) return;
  std::unique_lock lock(mutex_);
  ++takeovers_;
  while (completed() < sequence && !(closing_ && queue_.empty() && !running_)) {
    if (!running_ && !queue_.empty()) {
      run_front(lock);
    } else {
      idle_.wait(lock);
    }
  }
  --takeovers_;
  const bool more = !queue_.empty();
  lock.unlock();
  if (more) work_.notify_one();
}

void Stream::execute(Command& command) {
  try {
    if (device_ != nullptr) {
      execute_on_device(command);
    } else {
      switch (command.kind) {
        case Command::Kind::call: execute_call(command); break;
        case Command::Kind::program: execute_program(command); break;
        case Command::Kind::write:
          if (!command.staged.empty()) std::memcpy(command.target, command.staged.data(), command.staged.size());
          break;
        case Command::Kind::read: convert_read(command); break;
        case Command::Kind::marker: break;
      }
    }
  } catch (const Error& error) {
    report(error);
  } catch (const std::exception& error) {
    report(Error("E_INTERNAL", error.what()));
  }
  if (command.completion != nullptr) {
    const std::optional<Error> error = take_error();
    command.completion->done(error ? &*error : nullptr);
  }
}

void Stream::execute_call(Command& command) {
  const OpCall call = command.view();
#if TENSORKILN_CHECK_OPS
  // What an op does not write shows as NaN or as -1.
  const OpInfo& info = op_infos()[command.op];
  int position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? command.star_count : 1); ++i, ++position) {
      const Operand& operand = command.operands[size_t(position)];
      if (spec.role == Role::out && operand.size > 0) std::memset(operand.data, 0xFF, size_t(operand.bytes()));
    }
  }
  if (command.workspace_bytes > 0) std::memset(command.workspace, 0xFF, size_t(command.workspace_bytes));
#endif
  Profile* const profile = profile_.load(std::memory_order_acquire);
  const int64_t start = profile == nullptr ? 0 : steady_nanoseconds();
  run_body(call, command.num_threads);
  if (profile != nullptr) note_call(*profile, command, call, start);
#if TENSORKILN_CHECK_OPS
  for (const Block* block : command.blocks) HostAllocator::check_guards(*block);
#endif
}

void Stream::run_body(const OpCall& call, int num_threads) {
  Context context(*this, call.op, num_threads);
  int allocations = 0;
  {
    OpScope scope;
    ops_[call.op].body(call, context);
    allocations = scope.allocations();
  }
  if (allocations != 0) throw Error("E_INTERNAL", "[" + op_infos()[call.op].name + "] an op must not allocate");
  context.surface();
}

void Stream::run_headed(ProgramRun& run, const ProgramStep& step) {
  Context context(*this, run.program().calls[size_t(step.first_call)].op, run.program().num_threads);
  struct Following {
    const ProgramRun& run;
    const ProgramStep& step;
    const CpuOp* ops;
    Context& context;
    std::atomic<int64_t> rows{0};
  } following{run, step, ops_, context};
  FollowUp follow_up;
  follow_up.multiple = step.cols;
  follow_up.self = &following;
  follow_up.run = [](void* self, int64_t begin, int64_t end, int thread) {
    Following& f = *static_cast<Following*>(self);
    f.run.run_rows(f.step, f.ops, f.context, begin / f.step.cols, end / f.step.cols, thread);
    f.rows.fetch_add((end - begin) / f.step.cols, std::memory_order_relaxed);
  };
  const OpCall call = run.plain_call(step);
  int allocations = 0;
  {
    OpScope scope;
    context.follow(&follow_up);
    ops_[call.op].body(call, context);
    context.follow(nullptr);
    if (following.rows.load() == 0) run.run_tiles(step, ops_, context);
    allocations = scope.allocations();
  }
  if (allocations != 0) throw Error("E_INTERNAL", "[" + op_infos()[call.op].name + "] an op must not allocate");
  if (following.rows.load() != 0) TK_CHECK_EQ(following.rows.load(), step.rows);
  context.surface();
}

void Stream::note_call(Profile& profile, const Command& command, const OpCall& call, int64_t start_ns) const {
  ProfileRecord record;
  describe_call(call, record);
  record.bytes = call_bytes(call);
  record.enqueued_ns = command.enqueued_ns;
  record.start_ns = start_ns;
  record.end_ns = steady_nanoseconds();
  record.in_plan = command.kind == Command::Kind::program;
  profile.add(std::move(record));
}

void Stream::note_chain(Profile& profile, const Command& command, const ProgramStep& step, const OpCall* head,
                        int64_t start_ns) const {
  ProfileRecord record;
  record.end_ns = steady_nanoseconds();
  record.start_ns = start_ns;
  record.enqueued_ns = command.enqueued_ns;
  record.in_plan = true;
  const Program& program = *command.program;
  if (step.headed) {
    describe_call(*head, record);
    record.bytes = call_bytes(*head);
  } else {
    record.shapes = "[" + std::to_string(step.rows) + "," + std::to_string(step.cols) + "]";
  }
  for (int32_t c = step.first_call + (step.headed ? 1 : 0); c < step.first_call + step.num_calls; ++c) {
    const ProgramCall& planned = program.calls[size_t(c)];
    record.name += (record.name.empty() ? "" : "+") + op_infos()[planned.op].name;
    record.flops += double(step.rows * step.cols);
    for (int i = 0; i < planned.num_operands; ++i) {
      const ProgramOperand& operand = program.operands[size_t(planned.first_operand + i)];
      if (operand.place.base == kTileScratch || operand.place.base == kNoBase) continue;
      const int64_t elements = operand.tile == TileKind::full     ? step.rows * step.cols
                               : operand.tile == TileKind::column ? step.rows
                                                                  : operand.shape.size;
      record.bytes += double(elements * dtype_bytes(operand.shape.dtype));
    }
  }
  profile.add(std::move(record));
}

void Stream::yield_pool() {
  if (!pool_.has_waiters()) return;
  pool_.release();
  pool_.acquire();
}

void Stream::execute_program(Command& command) {
  const Program& program = *command.program;
  ProgramRun run(program, std::move(command.bases));
  for (const ProgramStep& step : program.steps) {
    if (closing_.load(std::memory_order_relaxed)) return;
    Profile* const profile = profile_.load(std::memory_order_acquire);
    const int64_t start = profile == nullptr ? 0 : steady_nanoseconds();
    if (step.headed) {
      run_headed(run, step);
      if (profile != nullptr) {
        const OpCall head = run.plain_call(step);
        note_chain(*profile, command, step, &head, start);
      }
    } else if (step.tiled) {
      Context context(*this, program.calls[size_t(step.first_call)].op, program.num_threads);
      run.run_tiles(step, ops_, context);
      context.surface();
      if (profile != nullptr) note_chain(*profile, command, step, nullptr, start);
    } else {
      const OpCall call = run.plain_call(step);
      run_body(call, program.num_threads);
      if (profile != nullptr) note_call(*profile, command, call, start);
    }
#if TENSORKILN_CHECK_OPS
    for (const Block* block : command.blocks) HostAllocator::check_guards(*block);
#endif
    yield_pool();
  }
}

void Stream::execute_on_device(Command& command) {
  switch (command.kind) {
    case Command::Kind::call: {
      Profile* const profile = profile_.load(std::memory_order_acquire);
      const int64_t start = profile == nullptr ? 0 : steady_nanoseconds();
      device_->run(command.view());
      if (profile != nullptr) note_call(*profile, command, command.view(), start);
      break;
    }
    case Command::Kind::program: {
      ProgramRun run(*command.program, std::move(command.bases));
      Profile* const profile = profile_.load(std::memory_order_acquire);
      if (profile == nullptr) {
        device_->run_program(command.program, run);
        break;
      }
      // Whoever measures wants each call by itself.
      for (const ProgramStep& step : command.program->steps) {
        if (closing_.load(std::memory_order_relaxed)) return;
        const int64_t start = steady_nanoseconds();
        const OpCall call = run.plain_call(step);
        device_->run(call);
        note_call(*profile, command, call, start);
      }
      break;
    }
    case Command::Kind::write: device_->write(command.target, command.staged.data(), int64_t(command.staged.size())); break;
    case Command::Kind::read:
      if (command.source_dtype == DType::f16 || command.source_dtype == DType::bf16) {
        command.staged.resize(size_t(command.size * dtype_bytes(command.source_dtype)));
        device_->read(command.source, command.staged.data(), int64_t(command.staged.size()));
        command.source = command.staged.data();
        convert_read(command);
        command.staged.clear();  // what was staged on the way in counts against the queue; this did not
      } else {
        device_->read(command.source, command.target, command.size * dtype_bytes(command.source_dtype));
      }
      break;
    case Command::Kind::marker: device_->wait(); break;
  }
}

void Stream::report(const Error& error) {
  std::lock_guard lock(error_mutex_);
  if (!error_) error_ = error;
  has_error_.store(true, std::memory_order_release);
}

std::optional<Error> Stream::take_error() {
  if (!has_error_.load(std::memory_order_acquire)) return std::nullopt;
  std::lock_guard lock(error_mutex_);
  std::optional<Error> error = std::move(error_);
  error_.reset();
  has_error_.store(false, std::memory_order_release);
  return error;
}

void Stream::close() {
  std::deque<std::unique_ptr<Command>> dropped;
  {
    std::unique_lock lock(mutex_);
    if (closing_) return;
    closing_ = true;
    dropped.swap(queue_);
    pending_.store(0, std::memory_order_release);
    ++takeovers_;
    idle_.wait(lock, [&] { return !running_; });
    --takeovers_;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
  completed_.store(enqueued_, std::memory_order_release);
}

}  // namespace tk
