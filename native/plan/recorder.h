// Turns what passes the door of an environment into a plan. Everything still runs while it is recorded.
#pragma once
#include <memory>
#include <unordered_map>
#include <vector>

#include "plan/plan.h"

namespace tk {

class Recorder final : public DoorObserver {
 public:
  // Starts to observe the environment. Throws E_RECORDING when a recording is under way.
  explicit Recorder(Environment& environment);
  // Stops observing; a recording that was not finished is dropped.
  ~Recorder() override;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Ends the recording. Buffers in `arguments` become the plan's arguments; those in `outputs` are returned by each replay.
  std::unique_ptr<Plan> finish(const std::vector<HandleId>& arguments, const std::vector<HandleId>& outputs);

  void on_call(const CallRequest& request) override;
  void on_create(HandleId handle, DType dtype, const void* bytes, int64_t size) override;
  void on_alias(HandleId source, HandleId result, int64_t offset, int64_t count) override;
  void on_assign(HandleId target, HandleId source) override;
  void before_read(HandleId handle) override;
  void before_write(HandleId handle) override;

 private:
  Slot define(PlanSlot::Kind kind, HandleId handle);
  // The slot of a buffer; one not seen before comes from outside and is captured.
  Slot slot_of(HandleId handle);

  // Drops aliases nobody uses and the slots that go with them, so that bookkeeping of the caller (a clone made and disposed)
  // does not tell two recordings of one step apart.
  void drop_unused(std::vector<Slot>& arguments, std::vector<Slot>& outputs);

  Environment& environment_;
  std::vector<PlanSlot> slots_;
  std::vector<PlanStep> steps_;
  std::unordered_map<HandleId, Slot> slot_of_handle_;
};

}  // namespace tk
