// CUDA graphs of recorded programs. A program's launches are the same at every run but for addresses, so they are listed once
// and kept as graphs: a run at known addresses is one launch of a graph, a run at others gives the graph's nodes new
// parameters. Calls that a graph cannot hold (NotListable) run by themselves between two graphs. Nodes follow one another in
// the order of the calls, so a replay computes what the calls one by one compute, bit for bit.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>
#include <vector>

#include "core/op_call.h"
#include "cuda/cuda_table.h"
#include "cuda/launch_list.h"

namespace tk::cuda {

// A call with everything it points to but the buffers.
class KeptCall {
 public:
  explicit KeptCall(const OpCall& call);
  OpCall view() const;

 private:
  OpCall call_;
  std::vector<Operand> operands_;
  std::vector<int64_t> ints_;
  std::vector<double> floats_;
};

class ProgramGraphs {
 public:
  // Lists the launches of a call, or throws NotListable; runs a call at once.
  using ListCall = std::function<void(const OpCall&, LaunchList&)>;
  using RunCall = std::function<void(const OpCall&)>;

  ProgramGraphs(cudaStream_t stream, ListCall list_call, RunCall run_call);
  ~ProgramGraphs();
  ProgramGraphs(const ProgramGraphs&) = delete;
  ProgramGraphs& operator=(const ProgramGraphs&) = delete;

  // Runs the program when it is known at these addresses. Else its calls are to follow, one by one, and then finish().
  bool begin(uint64_t program, const void* const* addresses, int32_t count);
  void add(const OpCall& call);
  void finish();
  void forget(uint64_t program);

  const TkCudaGraphs& counts() const { return counts_; }

 private:
  // A graph, or a call that runs by itself.
  struct Part {
    std::vector<ListedLaunch> launches;
    std::vector<KeptCall> call;  // one, or none
    std::vector<cudaGraphNode_t> nodes;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
  };
  struct Variant {
    std::vector<const void*> addresses;
    std::vector<Part> parts;
  };
  // Of one program, the last used first: results go to fresh memory, which a pool hands out in turns.
  using Variants = std::list<Variant>;

  void launch(Variant& variant);
  void build(Part& part);
  static bool are_alike(const std::vector<Part>& a, const std::vector<Part>& b);
  void patch(Part& part, std::vector<ListedLaunch>&& launches);
  void drop(Variant& variant);

  const cudaStream_t stream_;
  const ListCall list_call_;
  const RunCall run_call_;
  std::unordered_map<uint64_t, Variants> programs_;
  uint64_t program_ = 0;  // being listed
  Variant listed_;
  TkCudaGraphs counts_ = {};
};

}  // namespace tk::cuda
