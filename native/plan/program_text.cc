#include "plan/program_text.h"

#include "plan/plan_text.h"

namespace tk {

std::string node_text(const Graph& graph, const GraphNode& node) {
  CallRequest request;
  request.op = node.op;
  request.ints = node.ints;
  request.floats = node.floats;
  for (const GraphOperand& from : node.operands) {
    CallOperand operand;
    operand.handle = graph.root_of(from.value);
    operand.dtype = from.dtype;
    operand.rank = from.rank;
    std::copy(from.dims, from.dims + kMaxRank, operand.dims);
    request.operands.push_back(operand);
  }
  return call_text(request);
}

std::string program_text(const Program& program, const std::vector<std::vector<std::string>>& texts, const PassCounts& counts) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  std::string text = "tensorkiln program 1\n# " + number(int64_t(program.calls.size())) + " calls in " +
                     number(int64_t(program.steps.size())) + " steps, arena " + number(program.arena_bytes) +
                     " bytes; left out: " + number(counts.dead) + " dead, " + number(counts.unread) + " unread results, " +
                     number(counts.same) + " repeated, " + number(counts.folded) + " constant; " + number(counts.transposes) +
                     " transpositions folded; " + number(counts.derivatives) + " derivatives of results; " +
                     number(counts.chained) + " calls in " + number(counts.chains) + " chains, " + number(counts.headed) +
                     " of them behind products; " + number(counts.copies) + " copies; " + number(counts.reused) +
                     " results in the memory of an input\n";
  for (size_t i = 0; i < texts.size(); ++i) {
    const ProgramStep& step = program.steps[i];
    if (step.tiled) {
      text += "chain " + number(step.rows) + " x " + number(step.cols) + ", tiles of " + number(step.tile_rows) +
              (step.headed ? ", on the rows of its first call" : "") + " {\n";
    }
    for (const std::string& line : texts[i]) text += (step.tiled ? "  " : "") + line + "\n";
    if (step.tiled) text += "}\n";
  }
  return text;
}

}  // namespace tk
