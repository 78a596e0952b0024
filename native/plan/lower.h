// From a graph to the program that runs: order of steps, places of buffers, scratch memory.
#pragma once
#include <memory>
#include <string>

#include "plan/graph.h"

namespace tk {

// A program and how a plan uses it.
struct LoweredPlan {
  std::shared_ptr<const Program> program;
  // What an output of the plan is: elements [offset, offset + size) of an external, or of an output of the program.
  struct Output {
    bool from_external = false;
    int32_t index = 0;
    int64_t offset = 0, size = 0;
  };
  std::vector<Output> outputs;
  std::string text;  // the steps, for people
};

LoweredPlan lower_graph(const Graph& graph, Environment& environment, int num_threads, PassCounts& counts);

}  // namespace tk
