// Chains calls that can run tile by tile, alone or behind a product whose rows they take. A chain stands where its last call
// stood: so a call may join while nothing outside has used what the chain makes or overwritten what it reads.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "plan/tiles.h"

namespace tk {
namespace {

constexpr size_t kMaxChain = 32;
// Calls by which a product may be put off to its chain's place: what it reads lives for as long.
constexpr int32_t kMaxPutOff = 6;

class ChainBuilder {
 public:
  ChainBuilder(Graph& graph, bool heads, PassCounts& counts) : graph_(graph), heads_(heads), counts_(counts) {
    chain_of_value_.assign(graph.values.size(), -1);
    kind_of_value_.assign(graph.values.size(), TileKind::full);
    chain_of_node_.assign(graph.nodes.size(), -1);
    takes_part_.assign(graph.values.size(), true);
  }

  void run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) visit(int32_t(i));
    for (OpenChain& chain : chains_) {
      if (chain.merged || chain.nodes.size() < 2) continue;
      std::sort(chain.nodes.begin(), chain.nodes.end());
      if (chain.head >= 0) {
        const auto head = std::find(chain.nodes.begin(), chain.nodes.end(), chain.head);
        std::rotate(chain.nodes.begin(), head, head + 1);
        ++counts_.headed;
      }
      for (int32_t node : chain.nodes) graph_.nodes[size_t(node)].group = int32_t(graph_.chains.size());
      const int64_t cols = chain.cols == 0 ? 1 : chain.cols;
      graph_.chains.push_back({chain.nodes, chain.head >= 0, chain.size / cols, cols});
      ++counts_.chains;
      counts_.chained += int(chain.nodes.size());
    }
  }

 private:
  struct OpenChain {
    std::vector<int32_t> nodes;
    int64_t size = 0, cols = 0;
    int32_t head = -1;
    bool open = true, merged = false;
    std::set<ValueId> reads;  // from outside, and views' parents
  };

  int32_t find(int32_t chain) const {
    while (chain >= 0 && chains_[size_t(chain)].merged) chain = merged_into_[size_t(chain)];
    return chain;
  }

  ValueId whole(ValueId value) const {
    const ValueId parent = graph_.values[size_t(value)].parent;
    return parent == kNoValue ? value : parent;
  }

  void close_maker(ValueId value) {
    const int32_t chain = find(chain_of_value_[size_t(whole(value))]);
    if (chain >= 0) chains_[size_t(chain)].open = false;
  }

  void close_readers(ValueId value) {
    for (OpenChain& chain : chains_) {
      if (chain.open && !chain.merged && chain.reads.count(whole(value)) > 0) chain.open = false;
    }
  }

  // How the call's operands would follow the chain's tiles; nothing when it does not fit. Sets the chain's new cols.
  std::optional<std::vector<TileKind>> kinds_in(const TileView& view, int64_t size, int64_t& cols) const {
    if (view.size == size && (view.cols == 0 || cols == 0 || view.cols == cols)) {
      if (cols == 0) cols = view.cols;
      return view.kinds;
    }
    // One element per row of the chain.
    if (cols < 2 || view.size != size / cols || view.cols != 0 || view.reads_rows) return std::nullopt;
    std::vector<TileKind> kinds = view.kinds;
    for (TileKind& kind : kinds) {
      if (kind == TileKind::full) kind = TileKind::column;
    }
    return kinds;
  }

  // Whether values made in the chain would be read in the form in which they are made.
  bool agrees(const GraphNode& node, const std::vector<TileKind>& kinds, const std::vector<int32_t>& members) const {
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (node.roles[j] == Role::out) continue;
      const ValueId value = node.operands[j].value;
      const int32_t maker = find(chain_of_value_[size_t(whole(value))]);
      if (maker < 0 || std::find(members.begin(), members.end(), maker) == members.end()) continue;
      if (!takes_part_[size_t(value)]) return false;
      if (graph_.values[size_t(value)].parent != kNoValue || kind_of_value_[size_t(value)] != kinds[j]) return false;
    }
    return true;
  }

  void visit(int32_t index) {
    GraphNode& node = graph_.nodes[size_t(index)];
    const std::optional<TileView> view = tile_view(node);
    std::vector<int32_t> joined;
    std::vector<TileKind> kinds;
    if (view) {
      OpenChain total;
      for (size_t j = 0; j < node.operands.size(); ++j) {
        if (node.roles[j] == Role::out) continue;
        const int32_t chain = find(chain_of_value_[size_t(whole(node.operands[j].value))]);
        if (chain < 0 || std::find(joined.begin(), joined.end(), chain) != joined.end()) continue;
        const OpenChain& candidate = chains_[size_t(chain)];
        if (candidate.head >= 0 && (total.head >= 0 || index - candidate.head > kMaxPutOff)) continue;
        if (!candidate.open || total.nodes.size() + candidate.nodes.size() + 1 > kMaxChain) continue;
        if (!joined.empty() &&
            (candidate.size != total.size || (candidate.cols != 0 && total.cols != 0 && candidate.cols != total.cols))) {
          continue;
        }
        int64_t cols = std::max(candidate.cols, total.cols);
        const std::optional<std::vector<TileKind>> fitting = kinds_in(*view, candidate.size, cols);
        std::vector<int32_t> members = joined;
        members.push_back(chain);
        if (!fitting || !agrees(node, *fitting, members)) continue;
        joined = members;
        kinds = *fitting;
        total.size = candidate.size;
        total.cols = cols;
        total.head = std::max(total.head, candidate.head);
        total.nodes.insert(total.nodes.end(), candidate.nodes.begin(), candidate.nodes.end());
      }
      if (joined.empty()) {
        total.size = view->size;
        total.cols = view->cols;
        kinds = view->kinds;
      }
      join(index, node, joined, kinds, total.size, total.cols);
    } else if (heads_ && head_output(node) >= 0) {
      begin_with(index, node);
    }
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (node.roles[j] == Role::out) continue;
      const int32_t chain = find(chain_of_value_[size_t(whole(node.operands[j].value))]);
      if (chain >= 0 && chain != find(chain_of_node_[size_t(index)])) close_maker(node.operands[j].value);
      if (node.roles[j] == Role::inout) close_readers(node.operands[j].value);
    }
  }

  void join(int32_t index, const GraphNode& node, const std::vector<int32_t>& joined, const std::vector<TileKind>& kinds,
            int64_t size, int64_t cols) {
    int32_t target;
    if (joined.empty()) {
      target = int32_t(chains_.size());
      chains_.emplace_back();
      merged_into_.push_back(-1);
    } else {
      target = joined[0];
    }
    for (size_t k = 1; k < joined.size(); ++k) {
      OpenChain& from = chains_[size_t(joined[k])];
      OpenChain& to = chains_[size_t(target)];
      to.nodes.insert(to.nodes.end(), from.nodes.begin(), from.nodes.end());
      to.reads.insert(from.reads.begin(), from.reads.end());
      to.head = std::max(to.head, from.head);
      from.merged = true;
      merged_into_[size_t(joined[k])] = target;
    }
    OpenChain& chain = chains_[size_t(target)];
    chain.size = size;
    chain.cols = cols;
    chain.nodes.push_back(index);
    chain_of_node_[size_t(index)] = target;
    note_values(node, target, kinds);
  }

  // A chain of a product alone, for calls that take its rows.
  void begin_with(int32_t index, const GraphNode& node) {
    const int output = head_output(node);
    const GraphOperand& rows = node.operands[size_t(output)];
    if (count_elements(rows.dims, rows.rank) == 0) return;
    join(index, node, {}, std::vector<TileKind>(node.operands.size(), TileKind::full), count_elements(rows.dims, rows.rank), 0);
    chains_.back().head = index;
    // Its other results are not made row by row.
    for (size_t j = 0; j < node.operands.size(); ++j) {
      if (node.roles[j] == Role::out && int(j) != output) takes_part_[size_t(node.operands[j].value)] = false;
    }
  }

  void note_values(const GraphNode& node, int32_t target, const std::vector<TileKind>& kinds) {
    OpenChain& chain = chains_[size_t(target)];
    for (size_t j = 0; j < node.operands.size(); ++j) {
      const ValueId value = node.operands[j].value;
      if (node.roles[j] == Role::out) {
        chain_of_value_[size_t(value)] = target;
        kind_of_value_[size_t(value)] = kinds[j];
      } else {
        chain.reads.insert(whole(value));
      }
    }
  }

  Graph& graph_;
  const bool heads_;
  PassCounts& counts_;
  std::vector<OpenChain> chains_;
  std::vector<int32_t> merged_into_;
  std::vector<int32_t> chain_of_value_, chain_of_node_;
  std::vector<TileKind> kind_of_value_;
  std::vector<bool> takes_part_;  // whether calls of its own chain may read it
};

}  // namespace

void fuse_chains(Graph& graph, bool heads, PassCounts& counts) { ChainBuilder(graph, heads, counts).run(); }

}  // namespace tk
