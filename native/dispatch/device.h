// A device other than the host's processor, as the door and the stream see it: memory, copies, op calls, waiting. Null stands
// for the CPU, whose way through both stays as it is.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "core/op_call.h"

namespace tk {

struct Program;
class ProgramRun;

// Bytes handed out, kept for reuse, most handed out since the last reset, most that may be held.
struct MemoryUse {
  int64_t live = 0, cached = 0, peak = 0, budget = 0;
};

// Memory functions are called by the thread that enqueues; write, read, run and wait one at a time in stream order, by
// whichever thread runs the queue. Errors are thrown: E_OUT_OF_MEMORY, E_INDEX, E_DEVICE_LOST, E_INTERNAL.
class Device {
 public:
  virtual ~Device() = default;

  // Name for messages: "tensorkiln-cuda".
  virtual const char* name() const = 0;

  // Null when there is no memory left. Freed memory may be handed out at once: its users run in stream order.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void free(void* data) = 0;
  // Gives cached memory back to the device; no queued work may use any of it. Returns the bytes.
  virtual int64_t trim() = 0;
  virtual MemoryUse memory() const = 0;
  virtual void reset_peak() = 0;
  // New budget in bytes, not below what is live and cached now.
  virtual void set_budget(int64_t bytes) = 0;

  virtual bool has_op(uint16_t op) const = 0;
  // Whether it has a kernel for operands of these shapes and dtypes, some of 16 bits, beyond what ops.def lists. They have no
  // addresses.
  virtual bool takes_half(const OpCall& call) const = 0;
  virtual int64_t workspace(const OpCall& call) = 0;

  virtual void run(const OpCall& call) = 0;
  // Runs the calls of a program in their order. What the device keeps for the program goes when the program does.
  virtual void run_program(const std::shared_ptr<const Program>& program, ProgramRun& run) = 0;
  // `source` may be reused when write returns; `target` is filled when read returns.
  virtual void write(void* target, const void* source, int64_t bytes) = 0;
  virtual void read(const void* source, void* target, int64_t bytes) = 0;
  // Returns when everything run so far has taken effect; throws what kernels reported.
  virtual void wait() = 0;
};

}  // namespace tk
