#include "plan/lower.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "dispatch/cost.h"
#include "plan/memory_plan.h"
#include "plan/program_text.h"
#include "plan/tiles.h"

namespace tk {
namespace {

constexpr int64_t kTileElements = 4096;  // 16 KB of f32: a handful of tiles stays in the second-level cache
constexpr double kUnitNanoseconds = 15000;

class Lowering {
 public:
  Lowering(const Graph& graph, Environment& environment, int num_threads, PassCounts& counts)
      : graph_(graph), environment_(environment), counts_(counts) {
    program_->num_threads = num_threads;
  }

  LoweredPlan run() {
    order_steps();
    find_homes();
    find_lives();
    if (!environment_.on_device()) reuse_inputs();
    write_steps();
    place();
    LoweredPlan result;
    for (ValueId output : graph_.outputs) result.outputs.push_back(output_of(output));
    result.text = program_text(*program_, texts_, counts_);
    result.program = program_;
    return result;
  }

 private:
  enum class Home : uint8_t { nowhere, external, output, arena, scratch };
  struct Life {
    int32_t first = INT32_MAX, last = -1;
  };

  const GraphValue& value_of(ValueId value) const { return graph_.values[size_t(value)]; }
  int64_t bytes_of_value(ValueId value) const { return value_of(value).size * dtype_bytes(value_of(value).dtype); }

  // A chain stands at its last call.
  void order_steps() {
    step_of_node_.assign(graph_.nodes.size(), -1);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const int32_t group = graph_.nodes[i].group;
      if (group >= 0) {
        const std::vector<int32_t>& nodes = graph_.chains[size_t(group)].nodes;
        if (nodes.back() != int32_t(i)) continue;
        for (int32_t node : nodes) step_of_node_[size_t(node)] = int32_t(steps_.size());
        steps_.push_back(nodes);
      } else {
        step_of_node_[i] = int32_t(steps_.size());
        steps_.push_back({int32_t(i)});
      }
    }
  }

  template <class Visit>
  void for_each_use(const Visit& visit) const {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (int32_t n : steps_[s]) {
        const GraphNode& node = graph_.nodes[size_t(n)];
        for (size_t j = 0; j < node.operands.size(); ++j) {
          visit(node.operands[j].value, int32_t(s), node.roles[j]);
          if (node.roles[j] == Role::inout) visit(node.operands[j].result, int32_t(s), Role::out);
        }
      }
    }
  }

  void find_homes() {
    homes_.assign(graph_.values.size(), Home::nowhere);
    base_.assign(graph_.values.size(), -1);
    for (size_t i = 0; i < graph_.externals.size(); ++i) {
      const ValueId first = graph_.externals[i].first;
      homes_[size_t(first)] = Home::external;
      base_[size_t(first)] = int32_t(i);
    }
    program_->written.assign(graph_.externals.size(), false);
    for (ValueId output : graph_.outputs) {
      const ValueId root = graph_.root_of(output);
      if (homes_[size_t(root)] != Home::nowhere) continue;
      homes_[size_t(root)] = Home::output;
      base_[size_t(root)] = int32_t(graph_.externals.size() + program_->outputs.size());
      program_->outputs.push_back({value_of(root).size, value_of(root).dtype});
    }
    // What is made and read within one chain only never leaves the cache.
    std::vector<int32_t> only(graph_.values.size(), -1);
    std::vector<bool> leaves(graph_.values.size(), false);
    for_each_use([&](ValueId value, int32_t step, Role role) {
      const ValueId root = graph_.root_of(value);
      if (role == Role::inout || value != root || steps_[size_t(step)].size() < 2) leaves[size_t(root)] = true;
      if (only[size_t(root)] < 0) only[size_t(root)] = step;
      if (only[size_t(root)] != step) leaves[size_t(root)] = true;
      if (role == Role::inout && homes_[size_t(root)] == Home::external) program_->written[size_t(base_[size_t(root)])] = true;
    });
    // A product makes all of its results.
    for (const GraphChain& chain : graph_.chains) {
      if (!chain.headed) continue;
      const GraphNode& head = graph_.nodes[size_t(chain.nodes[0])];
      for (const GraphOperand& operand : head.operands) leaves[size_t(graph_.root_of(operand.value))] = true;
    }
    for (size_t v = 0; v < homes_.size(); ++v) {
      if (homes_[v] == Home::nowhere && only[v] >= 0) homes_[v] = leaves[v] ? Home::arena : Home::scratch;
    }
  }

  void find_lives() {
    lives_.assign(graph_.values.size(), Life{});
    for_each_use([&](ValueId value, int32_t step, Role) {
      Life& life = lives_[size_t(graph_.root_of(value))];
      life.first = std::min(life.first, step);
      life.last = std::max(life.last, step);
    });
    shares_.assign(graph_.values.size(), kNoValue);
  }

  // A result takes over the memory of an input that nobody needs afterwards.
  void reuse_inputs() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (size_t position = 0; position < steps_[s].size(); ++position) {
        const GraphNode& node = graph_.nodes[size_t(steps_[s][position])];
        const std::optional<TileView> view = tile_view(node);
        if (!view) continue;
        for (size_t j = 0; j < node.operands.size(); ++j) {
          if (node.roles[j] == Role::out && view->kinds[j] == TileKind::full &&
              homes_[size_t(node.operands[j].value)] == Home::arena)
            take_over(node.operands[j].value, int32_t(s), position);
        }
      }
    }
  }

  // From the call itself, or an earlier one of its chain: a tile that was read then is not read again.
  void take_over(ValueId result, int32_t step, size_t position) {
    for (size_t p = position + 1; p-- > 0;) {
      const GraphNode& node = graph_.nodes[size_t(steps_[size_t(step)][p])];
      const bool is_head = p == 0 && is_headed(step);
      for (size_t j = 0; j < node.operands.size(); ++j) {
        const ValueId input = node.operands[j].value;
        if (is_head ? int(j) != head_output(node) : node.roles[j] != Role::in) continue;
        if (!may_take(input, result, step, position)) continue;
        const ValueId holder = memory_of(input);
        shares_[size_t(result)] = holder;
        lives_[size_t(holder)].last = std::max(lives_[size_t(holder)].last, lives_[size_t(result)].last);
        ++counts_.reused;
        return;
      }
    }
  }

  ValueId memory_of(ValueId value) const {
    ValueId root = graph_.root_of(value);
    while (shares_[size_t(root)] != kNoValue) root = shares_[size_t(root)];
    return root;
  }

  bool may_take(ValueId input, ValueId result, int32_t step, size_t position) const {
    const ValueId holder = memory_of(input);
    if (value_of(input).parent != kNoValue || homes_[size_t(holder)] != Home::arena) return false;
    // Rows of the chain's head are complete before a tile takes them.
    const GraphNode& first = graph_.nodes[size_t(steps_[size_t(step)][0])];
    const bool of_head = is_headed(step) && first.operands[size_t(head_output(first))].value == input;
    if (lives_[size_t(holder)].last != step || (lives_[size_t(holder)].first == step && !of_head)) return false;
    if (bytes_of_value(input) != bytes_of_value(result) || bytes_of_value(holder) != bytes_of_value(result)) return false;
    // Everybody in the step who touches this memory reads it whole, element for element, and not after it is overwritten.
    for (size_t p = 0; p < steps_[size_t(step)].size(); ++p) {
      const GraphNode& other = graph_.nodes[size_t(steps_[size_t(step)][p])];
      const std::optional<TileView> view = tile_view(other);
      for (size_t j = 0; j < other.operands.size(); ++j) {
        const ValueId value = other.operands[j].value;
        if (value == result || memory_of(value) != holder) continue;
        if (of_head && p == 0 && value == input) continue;
        if (other.roles[j] != Role::in || p > position || !view || view->kinds[j] != TileKind::full) return false;
        if (p == position && view->reads_rows) return false;
        if (value_of(value).parent != kNoValue) return false;
      }
    }
    return true;
  }

  bool is_headed(int32_t step) const {
    const int32_t group = graph_.nodes[size_t(steps_[size_t(step)][0])].group;
    return group >= 0 && graph_.chains[size_t(group)].headed;
  }

  void write_steps() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      ProgramStep step;
      step.first_call = int32_t(program_->calls.size());
      step.num_calls = int32_t(steps_[s].size());
      const GraphNode& first = graph_.nodes[size_t(steps_[s][0])];
      std::string text;
      if (steps_[s].size() > 1) {
        write_chain(graph_.chains[size_t(first.group)], step, int32_t(s));
      } else {
        write_call(first, nullptr, int32_t(s));
        program_->nanoseconds += cost_of(program_->calls.back());
      }
      std::vector<std::string> lines;
      for (int32_t n : steps_[s]) lines.push_back(node_text(graph_, graph_.nodes[size_t(n)]));
      texts_.push_back(lines);
      program_->steps.push_back(step);
    }
  }

  double cost_of(const ProgramCall& call) const {
    std::vector<Operand> operands;
    for (int i = 0; i < call.num_operands; ++i) operands.push_back(program_->operands[size_t(call.first_operand + i)].shape);
    return estimate_nanoseconds(op_infos()[call.op], operands.data(), int(operands.size()));
  }

  void write_call(const GraphNode& node, const GraphChain* chain, int32_t step) {
    ProgramCall call;
    call.op = node.op;
    call.star_count = node.star_count;
    call.first_operand = int32_t(program_->operands.size());
    call.num_operands = int32_t(node.operands.size());
    call.first_int = int32_t(program_->ints.size());
    call.num_ints = int32_t(node.ints.size());
    call.first_float = int32_t(program_->floats.size());
    call.num_floats = int32_t(node.floats.size());
    program_->ints.insert(program_->ints.end(), node.ints.begin(), node.ints.end());
    program_->floats.insert(program_->floats.end(), node.floats.begin(), node.floats.end());
    const std::optional<TileView> view = chain == nullptr ? std::nullopt : tile_view(node);
    const bool narrow = view && view->size != chain->rows * chain->cols;
    for (size_t j = 0; j < node.operands.size(); ++j) {
      const GraphOperand& from = node.operands[j];
      ProgramOperand operand;
      operand.shape.dtype = from.dtype;
      operand.shape.size = count_elements(from.dims, from.rank);
      operand.shape.rank = from.rank;
      std::copy(from.dims, from.dims + kMaxRank, operand.shape.dims);
      if (chain != nullptr) shape_for_tiles(node, *view, narrow, j, *chain, operand);
      sources_.push_back(node.roles[j] == Role::inout ? from.result : from.value);
      program_->operands.push_back(operand);
    }
    program_->calls.push_back(call);
    if (chain == nullptr) {
      OpCall asked;
      std::vector<Operand> operands;
      for (int i = 0; i < call.num_operands; ++i) operands.push_back(program_->operands[size_t(call.first_operand + i)].shape);
      asked.op = node.op;
      asked.num_operands = call.num_operands;
      asked.star_count = call.star_count;
      asked.operands = operands.data();
      asked.num_ints = call.num_ints;
      asked.num_floats = call.num_floats;
      asked.ints = node.ints.data();
      asked.floats = node.floats.data();
      ProgramCall& made = program_->calls.back();
      made.workspace_bytes = environment_.workspace_of(asked, program_->num_threads);
      if (made.workspace_bytes > 0) {
        workspaces_.push_back({program_->calls.size() - 1, requests_.size()});
        requests_.push_back({made.workspace_bytes, step, step});
      }
    }
  }

  // Dimensions over one row of the domain; ProgramRun multiplies the first one by the tile's rows.
  void shape_for_tiles(const GraphNode& node, const TileView& view, bool narrow, size_t j, const GraphChain& chain,
                       ProgramOperand& operand) const {
    operand.tile = view.kinds[j];
    if (narrow && operand.tile == TileKind::full) operand.tile = TileKind::column;
    Operand& shape = operand.shape;
    const auto set = [&](std::initializer_list<int64_t> dims) {
      shape.rank = uint8_t(dims.size());
      std::fill(shape.dims, shape.dims + kMaxRank, 0);
      std::copy(dims.begin(), dims.end(), shape.dims);
    };
    const bool reduces =
        view.reads_rows && node.operands[0].rank == 3 && view.kinds.back() == TileKind::column && node.operands.size() == 2;
    switch (operand.tile) {
      case TileKind::full: reduces ? set({1, chain.cols, 1}) : chain.cols == 1 ? set({1}) : set({1, chain.cols}); break;
      case TileKind::column: narrow || (view.reads_rows && !reduces) ? set({1}) : set({1, 1}); break;
      case TileKind::row: set({shape.size}); break;
      case TileKind::scalar: set({}); break;
    }
  }

  void write_chain(const GraphChain& chain, ProgramStep& step, int32_t number) {
    step.tiled = true;
    step.headed = chain.headed;
    step.rows = chain.rows;
    step.cols = chain.cols;
    step.tile_rows = std::max<int64_t>(1, std::min(chain.rows, kTileElements / chain.cols));
    double whole = 0;
    for (int32_t n : chain.nodes) {
      const GraphNode& node = graph_.nodes[size_t(n)];
      const bool is_head = chain.headed && n == chain.nodes[0];
      write_call(node, is_head ? nullptr : &chain, number);
      if (is_head) {
        program_->nanoseconds += cost_of(program_->calls.back());
        continue;
      }
      std::vector<Operand> operands;
      for (const GraphOperand& from : node.operands) {
        Operand operand;
        operand.size = count_elements(from.dims, from.rank);
        operands.push_back(operand);
      }
      whole += estimate_nanoseconds(op_infos()[node.op], operands.data(), int(operands.size()));
    }
    program_->nanoseconds += whole;
    const double tiles = double((chain.rows + step.tile_rows - 1) / step.tile_rows);
    step.grain = std::max<int64_t>(1, int64_t(kUnitNanoseconds * tiles / std::max(whole, 1.0)));
    place_scratch(chain, step);
    if (step.scratch_per_thread > 0) {
      scratches_.push_back({size_t(number), requests_.size()});
      requests_.push_back({step.scratch_per_thread * program_->num_threads, number, number});
    }
  }

  // Tiles of values that stay in the chain; those read for the last time make room for later ones.
  void place_scratch(const GraphChain& chain, ProgramStep& step) {
    std::map<ValueId, size_t> last;
    for (size_t p = 0; p < chain.nodes.size(); ++p) {
      for (const GraphOperand& operand : graph_.nodes[size_t(chain.nodes[p])].operands) last[operand.value] = p;
    }
    std::vector<ArenaRequest> tiles;
    std::vector<ValueId> owners;
    for (size_t p = 0; p < chain.nodes.size(); ++p) {
      const GraphNode& node = graph_.nodes[size_t(chain.nodes[p])];
      for (size_t j = 0; j < node.operands.size(); ++j) {
        const ValueId value = node.operands[j].value;
        if (node.roles[j] != Role::out || homes_[size_t(value)] != Home::scratch) continue;
        const int64_t cols = value_of(value).size / chain.rows;
        tiles.push_back({step.tile_rows * cols * dtype_bytes(value_of(value).dtype), int32_t(p), int32_t(last[value])});
        owners.push_back(value);
      }
    }
    step.scratch_per_thread = plan_arena(tiles);
    for (size_t i = 0; i < owners.size(); ++i) scratch_offsets_[owners[i]] = tiles[i].offset;
  }

  void place() {
    std::map<ValueId, size_t> arena;
    for (size_t v = 0; v < homes_.size(); ++v) {
      if (homes_[v] != Home::arena || shares_[v] != kNoValue || lives_[v].last < 0) continue;
      if (graph_.root_of(ValueId(v)) != ValueId(v) || bytes_of_value(ValueId(v)) == 0) continue;
      arena[ValueId(v)] = requests_.size();
      requests_.push_back({bytes_of_value(ValueId(v)), lives_[v].first, lives_[v].last});
    }
    program_->arena_bytes = plan_arena(requests_);
    for (const auto& [call, request] : workspaces_) program_->calls[call].workspace_offset = requests_[request].offset;
    for (const auto& [step, request] : scratches_) program_->steps[step].scratch_offset = requests_[request].offset;
    const int32_t arena_base = int32_t(graph_.externals.size() + program_->outputs.size());
    for (size_t i = 0; i < sources_.size(); ++i) {
      ProgramPlace& place = program_->operands[i].place;
      const ValueId value = sources_[i], root = graph_.root_of(value);
      const int64_t offset =
          value_of(value).parent == kNoValue ? 0 : value_of(value).offset * dtype_bytes(value_of(value).dtype);
      if (value_of(value).size == 0) {
        place = {kNoBase, 0};
      } else if (homes_[size_t(root)] == Home::scratch) {
        place = {kTileScratch, scratch_offsets_[root]};
      } else if (homes_[size_t(root)] == Home::arena) {
        place = {arena_base, requests_[arena.at(memory_of(value))].offset + offset};
      } else {
        TK_CHECK(base_[size_t(root)] >= 0);
        place = {base_[size_t(root)], offset};
      }
    }
  }

  LoweredPlan::Output output_of(ValueId output) const {
    const ValueId root = graph_.root_of(output);
    LoweredPlan::Output result;
    result.from_external = homes_[size_t(root)] == Home::external;
    result.index = base_[size_t(root)] - (result.from_external ? 0 : int32_t(graph_.externals.size()));
    result.offset = value_of(output).parent == kNoValue ? 0 : value_of(output).offset;
    result.size = value_of(output).size;
    return result;
  }

  const Graph& graph_;
  Environment& environment_;
  PassCounts& counts_;
  const std::shared_ptr<Program> program_ = std::make_shared<Program>();
  std::vector<std::vector<int32_t>> steps_;  // nodes of each
  std::vector<int32_t> step_of_node_;
  std::vector<Home> homes_;       // by root
  std::vector<int32_t> base_;     // by root: of externals and outputs
  std::vector<Life> lives_;       // by root
  std::vector<ValueId> shares_;   // by root: whose memory it has taken over
  std::vector<ValueId> sources_;  // value of each operand of the program
  std::vector<ArenaRequest> requests_;
  std::vector<std::pair<size_t, size_t>> workspaces_, scratches_;  // call or step, request
  std::map<ValueId, int64_t> scratch_offsets_;
  std::vector<std::vector<std::string>> texts_;
};

}  // namespace

LoweredPlan lower_graph(const Graph& graph, Environment& environment, int num_threads, PassCounts& counts) {
  return Lowering(graph, environment, num_threads, counts).run();
}

}  // namespace tk
