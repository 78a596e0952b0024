// A recorded list of op calls, and its plain replay: the same calls through the same door on new handles.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dispatch/environment.h"

namespace tk {

using Slot = int32_t;

// Constants up to this size are kept on the host too: equal ones become one without waiting for the device to read them back.
constexpr int64_t kMaxComparedBytes = 65536;

// A value of the plan.
struct PlanSlot {
  // argument: given to each replay. capture: a buffer from outside (a variable), seen as it is at each replay. constant: bytes
  // written by the host during the recording. temporary: made by a step, gone after its last use unless it is an output.
  enum class Kind : uint8_t { argument, capture, constant, temporary };
  Kind kind = Kind::temporary;
  DType dtype = DType::f32;
  int64_t size = 0;
  HandleId handle = kNewHandle;      // capture and constant: retained by the plan
  uint64_t hash = 0;                 // constant: fingerprint of its bytes
  std::vector<unsigned char> bytes;  // constant of at most kMaxComparedBytes: the bytes themselves, else empty
  bool is_dropped() const { return kind == Kind::constant && handle == kNewHandle; }
};

struct PlanStep {
  enum class Kind : uint8_t { call, alias, assign };
  Kind kind = Kind::call;
  CallRequest call;               // operands' `handle` fields hold slots
  Slot target = -1, source = -1;  // alias: target is made from source; assign: target takes source's storage
  int64_t offset = 0, count = 0;  // alias, in elements
  std::vector<Slot> last_uses;    // temporaries to release after the step
};

struct LoweredPlan;
struct Graph;
struct PassCounts;

struct OptimizeOptions {
  bool fast = false;  // calls may be replaced by ones that round otherwise
};

class Plan {
 public:
  // Takes over the references the slots hold; args and outputs are slots.
  Plan(Environment& environment, std::vector<PlanSlot> slots, std::vector<PlanStep> steps, std::vector<Slot> arguments,
       std::vector<Slot> outputs);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // Enqueues all steps. Returns one fresh handle per output, owned by the caller. On an error nothing made here stays behind;
  // captured buffers keep what the steps before the failing one did to them.
  // Throws E_SHAPE when an argument differs in size or dtype from the one recorded.
  std::vector<HandleId> replay(const std::vector<HandleId>& arguments);

  // Replaces the plain replay by an optimised one, which gives the same bits unless options.fast. False when the plan cannot be
  // optimised (it assigns buffers); it is replayed as recorded then. Waits for nothing: calls over constants are enqueued.
  bool optimize(const OptimizeOptions& options);

  // Lets the plan work on another buffer of the same size and dtype in place of captures()[index]. By position, not by handle:
  // when two variables exchange their buffers, both captures have the same one for a moment.
  // Throws E_SHAPE when size or dtype differ, E_INTERNAL when there is no such capture.
  void rebind(int32_t index, HandleId replacement);

  // Handles of the captures in order of first use.
  std::vector<HandleId> captures() const;
  size_t num_calls() const;

  // Stable text form, version 1. with_identity adds the handles of captures: two recordings of one step compare equal only
  // when they captured the same buffers.
  std::string text(bool with_identity) const;
  // The optimised form for people; empty before optimize().
  std::string optimized_text() const;

 private:
  void find_last_uses();
  void check_arguments(const std::vector<HandleId>& arguments) const;
  std::vector<HandleId> replay_plain(const std::vector<HandleId>& arguments);
  std::vector<HandleId> replay_program(const std::vector<HandleId>& arguments);
  // The handle of each external of the graph; nothing when two of them are one buffer that the program writes.
  bool bind_externals(const std::vector<HandleId>& arguments, std::vector<HandleId>& externals) const;
  bool is_written(Slot slot) const;
  void keep(Graph graph, const PassCounts& counts);
  // The most bytes of temporaries and outputs that a plain replay holds, scratch memory of its calls left aside.
  int64_t plain_peak() const;
  // Constants that the optimised program does not use, such as those that were folded, live on as host bytes only, until a
  // plain replay wants them.
  void drop_unused_constants();
  void restore_constants();
  void lower();

  Environment& environment_;
  std::vector<PlanSlot> slots_;
  std::vector<PlanStep> steps_;
  std::vector<Slot> arguments_, outputs_;
  std::unique_ptr<Graph> graph_;  // once optimised
  std::unique_ptr<PassCounts> counts_;
  std::unique_ptr<LoweredPlan> lowered_;
  std::vector<HandleId> folded_;  // constants made by folding; retained
};

}  // namespace tk
