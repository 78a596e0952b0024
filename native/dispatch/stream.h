// An in-order asynchronous queue of one environment. Its own thread runs the queue; a thread that waits runs it itself; a
// negligible call on an idle CPU stream runs at once on the thread that enqueues it. On a device "runs" means launches: the
// device works its own queue off in the same order, and only reads and markers wait for it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/op_call.h"
#include "cpu/host_allocator.h"
#include "cpu/thread_pool.h"
#include "dispatch/device.h"
#include "dispatch/op_table.h"
#include "dispatch/profile.h"
#include "dispatch/program.h"

namespace tk {

// Told on whichever thread ran the queue; error is null on success. Must not call into the stream.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void done(const Error* error) = 0;
};

// One entry of the queue. Reused, so that a steady stream of calls allocates nothing.
struct Command {
  enum class Kind : uint8_t { call, program, write, read, marker };
  Kind kind = Kind::marker;
  uint64_t sequence = 0;

  // call
  uint16_t op = 0;
  int32_t star_count = 0;
  std::vector<Operand> operands;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  void* workspace = nullptr;
  int64_t workspace_bytes = 0;
  int num_threads = 1;  // most threads the call may use; the workspace was sized for them
  OpCall view() const;
#if TENSORKILN_CHECK_OPS
  std::vector<Block*> blocks;  // blocks of the operands, whose guards are checked after the call
#endif

  int64_t enqueued_ns = 0;  // set while the stream is being profiled

  // program
  std::shared_ptr<const Program> program;
  std::vector<void*> bases;
  // Entries of the queue this one counts for.
  size_t weight() const { return kind == Kind::program ? program->steps.size() + 1 : 1; }

  // write: staged -> target; read: source -> target
  std::vector<uint8_t> staged;
  const void* source = nullptr;
  DType source_dtype = DType::f32;
  void* target = nullptr;
  int64_t size = 0;  // elements of a read
  std::unique_ptr<Completion> completion;
};

class Stream {
 public:
  // The queue holds at most this much, a program counting for its steps; enqueue runs the queue itself until there is room.
  static constexpr size_t kMaxQueued = 4096;
  static constexpr int64_t kMaxStagedBytes = int64_t(256) << 20;

  // device: where calls run; null for the CPU. It must outlive the stream.
  explicit Stream(Level level, Device* device = nullptr);
  ~Stream();  // close()

  // A cleared command to fill in and enqueue.
  std::unique_ptr<Command> new_command();
  // Takes the command; negligible: may run at once on this thread when the stream is idle. Returns its number.
  // Throws E_CLOSED after close(), E_OUT_OF_MEMORY when the system gives no thread; nothing is enqueued then.
  uint64_t enqueue(std::unique_ptr<Command> command, bool negligible = false);

  // Returns once command `sequence` has run; the calling thread runs the queue meanwhile.
  void wait_until(uint64_t sequence);
  void wait_idle() { wait_until(enqueued()); }
  // First error reported by a command since the last call, if any.
  std::optional<Error> take_error();

  // Keeps a record of every call from now on, or with null of none. The profile must outlive the calls enqueued until then.
  // On a device the times are those of the launches.
  void set_profile(Profile* profile) { profile_.store(profile, std::memory_order_release); }

  // Drops what is queued, waits for the running command, ends the thread. Completions dropped are not told.
  void close();

  uint64_t enqueued() const { return enqueued_; }
  uint64_t completed() const { return completed_.load(std::memory_order_acquire); }
  uint64_t inlined() const { return inlined_; }
  Level level() const { return level_; }

 private:
  class Context;

  void start_thread();
  void thread_main();
  void run_front(std::unique_lock<std::mutex>& lock);
  void execute(Command& command);
  void execute_call(Command& command);
  void execute_program(Command& command);
  void run_body(const OpCall& call, int num_threads);
  void note_call(Profile& profile, const Command& command, const OpCall& call, int64_t start_ns) const;
  // Runs a chain behind a product.
  void run_headed(ProgramRun& run, const ProgramStep& step);
  // head: the call of a headed chain's head, else null.
  void note_chain(Profile& profile, const Command& command, const ProgramStep& step, const OpCall* head,
                  int64_t start_ns) const;
  // Lets other streams have the pool between two calls of a program.
  void yield_pool();
  void execute_on_device(Command& command);
  void report(const Error& error);
  void recycle(std::unique_ptr<Command> command);

  const Level level_;
  const CpuOp* const ops_;
  ThreadPool& pool_;
  Device* const device_;

  std::mutex mutex_;
  std::condition_variable work_;  // the stream's thread sleeps here
  std::condition_variable idle_;  // threads that wait for a running command sleep here
  std::deque<std::unique_ptr<Command>> queue_;
  int64_t staged_bytes_ = 0;
  size_t queued_calls_ = 0;
  bool running_ = false;
  int takeovers_ = 0;  // threads that wait and run the queue themselves
  std::atomic<bool> closing_{false};
  std::thread thread_;
  std::vector<std::unique_ptr<Command>> spare_;

  uint64_t enqueued_ = 0;  // touched by the enqueuing thread only
  uint64_t inlined_ = 0;
  std::atomic<uint64_t> completed_{0};
  std::atomic<size_t> pending_{0};  // entries of queue_, readable without the mutex

  std::atomic<Profile*> profile_{nullptr};

  std::mutex error_mutex_;
  std::optional<Error> error_;
  std::atomic<bool> has_error_{false};
};

}  // namespace tk
