// What ran when: one record per call or chain that a stream ran while it was being profiled.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/op_call.h"

namespace tk {

struct ProfileRecord {
  std::string name;                                   // op; of a chain its ops joined by '+'
  std::string shapes;                                 // of the operands, e.g. "f32[64,10] f32[10]"
  int64_t enqueued_ns = 0, start_ns = 0, end_ns = 0;  // of the steady clock
  double bytes = 0;                                   // every input read once, every output written once
  double flops = 0;
  bool in_plan = false;  // part of an optimised replay
};

int64_t steady_nanoseconds();

// Bytes and floating-point operations of a call. Products count two per multiply-add; taps in the padding of a convolution are
// counted; everything else counts one per element of its largest operand.
double call_bytes(const OpCall& call);
double call_flops(const OpCall& call);

class Profile {
 public:
  void add(ProfileRecord record);
  std::vector<ProfileRecord> take();

 private:
  std::mutex mutex_;
  std::vector<ProfileRecord> records_;
};

// Describes a call in a record.
void describe_call(const OpCall& call, ProfileRecord& record);

}  // namespace tk
