// A plan as a graph of values: every call reads values and makes new ones, an in-place call included, so passes can see what is
// the same, what nobody needs and what may share memory. Aliases have no nodes: a whole one is its source's value, a partial
// one a view of it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace tk {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;

struct GraphValue {
  DType dtype = DType::f32;
  int64_t size = 0;           // elements
  int32_t node = -1;          // what makes it; -1: given from outside
  int32_t external = -1;      // lives in the buffer of this external: its first content or what an in-place call made of it
  ValueId parent = kNoValue;  // a view of these elements of another value, which is no view itself
  int64_t offset = 0;
  ValueId in_place_of = kNoValue;  // overwrites the buffer of this value
};

struct GraphOperand {
  ValueId value = kNoValue;   // what the call reads; of an `out` operand what it makes
  ValueId result = kNoValue;  // of an `inout` operand: what it makes
  DType dtype = DType::f32;
  uint8_t rank = 0;
  int64_t dims[kMaxRank] = {};
};

struct GraphNode {
  uint16_t op = 0;
  int32_t star_count = 0;
  std::vector<GraphOperand> operands;
  std::vector<Role> roles;  // one per operand
  std::vector<int64_t> ints;
  std::vector<double> floats;
  bool dead = false;
  int32_t group = -1;        // chain it is fused into
  int32_t source_step = -1;  // the recorded step it comes from
  bool has_effects() const;  // writes in place
};

// A buffer from outside: argument, capture or constant.
struct GraphExternal {
  Slot slot = -1;  // of the plan; -1 for constants that folding has made
  PlanSlot::Kind kind = PlanSlot::Kind::capture;
  ValueId first = kNoValue;      // its content when the plan begins
  ValueId last = kNoValue;       // its content when the plan ends
  HandleId handle = kNewHandle;  // of a constant
};

// Calls fused into one step: nodes in order. headed: the first one is a product or convolution, whose rows the others take.
struct GraphChain {
  std::vector<int32_t> nodes;
  bool headed = false;
  int64_t rows = 0, cols = 0;  // the domain; cols 0: not settled, every operand is full or one element
};

struct Graph {
  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;
  std::vector<GraphExternal> externals;
  std::vector<ValueId> outputs;  // one per output of the plan, repeats allowed
  std::vector<GraphChain> chains;

  ValueId add_value(DType dtype, int64_t size, int32_t node);
  // The value whose buffer this one lies in, with in-place calls followed back to the first.
  ValueId root_of(ValueId value) const;
};

// Builds the graph. Nothing when the plan holds what a graph cannot say (an assignment of buffers).
std::optional<Graph> make_graph(const std::vector<PlanSlot>& slots, const std::vector<PlanStep>& steps,
                                const std::vector<Slot>& outputs);

// What the passes did, for the dump.
struct PassCounts {
  int dead = 0, unread = 0, same = 0, folded = 0, transposes = 0, derivatives = 0, chains = 0, chained = 0, headed = 0,
      copies = 0, reused = 0;
};

// Calls whose results nobody needs go, and those results of the others that an op makes on demand.
void drop_dead_calls(Graph& graph, PassCounts& counts);
// Of equal calls on equal values one stays. Constants with equal bytes are one.
void merge_same_calls(Graph& graph, const std::vector<PlanSlot>& slots, PassCounts& counts);
// Small results of constants are computed once, here. New constants' handles are put into the graph's externals; the caller
// owns them.
void fold_constants(Graph& graph, Environment& environment, PassCounts& counts);
// A transposition of an operand of a product becomes a flag of the product. exact: only where the product adds in the same
// order either way, which depends on the device's kernels.
void fold_transposes(Graph& graph, bool exact, bool on_device, PassCounts& counts);
// The derivative of relu is taken from its result, which has the same sign, instead of its argument: that need not be kept
// then.
void use_relu_results(Graph& graph, PassCounts& counts);
// Decides for each in-place call whether it may overwrite; puts copies of what is needed afterwards before it.
void settle_in_place(Graph& graph, PassCounts& counts);
// Chains elementwise calls, and calls that work row by row. heads: also behind products and convolutions.
void fuse_chains(Graph& graph, bool heads, PassCounts& counts);

}  // namespace tk
