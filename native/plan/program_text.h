// The optimised form of a plan, for people: what runs, in which order, fused how, in how much memory.
#pragma once
#include <string>
#include <vector>

#include "plan/graph.h"

namespace tk {

// One call on the graph's values.
std::string node_text(const Graph& graph, const GraphNode& node);

// texts: of the calls of each step. Version 1:
//
//     tensorkiln program 1
//     # 12 calls in 9 steps, arena 65536 bytes; left out: 2 dead, 1 repeated, 3 constant; ...
//     %7: f32[64,10] = matmul(%4: f32[1,64,784], %1: f32[1,784,10]) {...}
//     chain 64 x 10 {
//       ...
//     }
std::string program_text(const Program& program, const std::vector<std::vector<std::string>>& texts, const PassCounts& counts);

}  // namespace tk
