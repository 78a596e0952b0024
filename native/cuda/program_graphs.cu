#include "cuda/program_graphs.h"

#include <algorithm>

#include "cuda/context.h"

namespace tk::cuda {
namespace {

// Sets of addresses of one program that are kept as graphs of their own; beyond, the one unused longest is patched.
constexpr size_t kVariants = 4;

std::vector<void*> parameters_of(ListedLaunch& launch) {
  std::vector<void*> parameters;
  for (const uint32_t offset : launch.offsets) parameters.push_back(launch.bytes.data() + offset);
  return parameters;
}

cudaKernelNodeParams kernel_node(const ListedLaunch& launch, std::vector<void*>& parameters) {
  cudaKernelNodeParams node = {};
  node.func = const_cast<void*>(launch.function);
  node.gridDim = launch.grid, node.blockDim = launch.block;
  node.sharedMemBytes = launch.shared_bytes;
  node.kernelParams = parameters.data();
  return node;
}

cudaMemsetParams zero_node(const ListedLaunch& launch) {
  cudaMemsetParams node = {};
  node.dst = launch.to;
  node.elementSize = 1, node.width = launch.size, node.height = 1;
  return node;
}

}  // namespace

KeptCall::KeptCall(const OpCall& call)
    : call_(call),
      operands_(call.operands, call.operands + call.num_operands),
      ints_(call.ints, call.ints + call.num_ints),
      floats_(call.floats, call.floats + call.num_floats) {}

OpCall KeptCall::view() const {
  OpCall call = call_;
  call.operands = operands_.data(), call.ints = ints_.data(), call.floats = floats_.data();
  return call;
}

ProgramGraphs::ProgramGraphs(cudaStream_t stream, ListCall list_call, RunCall run_call)
    : stream_(stream), list_call_(std::move(list_call)), run_call_(std::move(run_call)) {}

ProgramGraphs::~ProgramGraphs() {
  for (auto& [program, variants] : programs_) {
    for (Variant& variant : variants) drop(variant);
  }
}

bool ProgramGraphs::begin(uint64_t program, const void* const* addresses, int32_t count) {
  Variants& variants = programs_[program];
  for (auto variant = variants.begin(); variant != variants.end(); ++variant) {
    if (!std::equal(variant->addresses.begin(), variant->addresses.end(), addresses, addresses + count)) continue;
    variants.splice(variants.begin(), variants, variant);
    launch(*variant);
    return true;
  }
  program_ = program;
  listed_ = {};
  listed_.addresses.assign(addresses, addresses + count);
  return false;
}

void ProgramGraphs::add(const OpCall& call) {
  LaunchList list;
  std::vector<Part>& parts = listed_.parts;
  try {
    list_call_(call, list);
  } catch (const NotListable&) {
    parts.emplace_back();
    parts.back().call.emplace_back(call);
    return;
  }
  if (list.launches.empty()) return;
  if (parts.empty() || !parts.back().call.empty()) parts.emplace_back();
  std::move(list.launches.begin(), list.launches.end(), std::back_inserter(parts.back().launches));
}

void ProgramGraphs::finish() {
  Variants& variants = programs_[program_];
  if (variants.size() >= kVariants) {
    variants.splice(variants.begin(), variants, std::prev(variants.end()));
    Variant& oldest = variants.front();
    if (are_alike(oldest.parts, listed_.parts)) {
      oldest.addresses.clear();  // of neither, should patching fail
      for (size_t i = 0; i < oldest.parts.size(); ++i) {
        if (listed_.parts[i].call.empty()) {
          patch(oldest.parts[i], std::move(listed_.parts[i].launches));
        } else {
          oldest.parts[i].call = std::move(listed_.parts[i].call);
        }
      }
      oldest.addresses = std::move(listed_.addresses);
      return launch(oldest);
    }
    drop(oldest);
    variants.pop_front();
  }
  variants.push_front(std::move(listed_));
  Variant& made = variants.front();
  try {
    for (Part& part : made.parts) {
      if (part.call.empty()) build(part);
    }
  } catch (...) {
    drop(made);
    variants.pop_front();
    throw;
  }
  launch(made);
}

void ProgramGraphs::forget(uint64_t program) {
  const auto found = programs_.find(program);
  if (found == programs_.end()) return;
  for (Variant& variant : found->second) drop(variant);
  programs_.erase(found);
}

bool ProgramGraphs::are_alike(const std::vector<Part>& a, const std::vector<Part>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Part& left, const Part& right) {
    return left.call.size() == right.call.size() &&
           std::equal(left.launches.begin(), left.launches.end(), right.launches.begin(), right.launches.end(),
                      [](const ListedLaunch& x, const ListedLaunch& y) { return x.is_like(y); });
  });
}

void ProgramGraphs::launch(Variant& variant) {
  for (Part& part : variant.parts) {
    if (!part.call.empty()) {
      run_call_(part.call.front().view());
      ++counts_.single_calls;
      continue;
    }
    check_cuda(cudaGraphLaunch(part.exec, stream_), "cudaGraphLaunch");
    ++counts_.launches;
  }
}

void ProgramGraphs::build(Part& part) {
  check_cuda(cudaGraphCreate(&part.graph, 0), "cudaGraphCreate");
  for (ListedLaunch& launch : part.launches) {
    cudaGraphNode_t node = nullptr;
    const cudaGraphNode_t* before = part.nodes.empty() ? nullptr : &part.nodes.back();
    const size_t num_before = part.nodes.empty() ? 0 : 1;
    if (launch.kind == ListedLaunch::Kind::kernel) {
      std::vector<void*> parameters = parameters_of(launch);
      const cudaKernelNodeParams params = kernel_node(launch, parameters);
      check_cuda(cudaGraphAddKernelNode(&node, part.graph, before, num_before, &params), "cudaGraphAddKernelNode");
    } else if (launch.kind == ListedLaunch::Kind::copy) {
      check_cuda(cudaGraphAddMemcpyNode1D(&node, part.graph, before, num_before, launch.to, launch.from, launch.size,
                                          cudaMemcpyDeviceToDevice),
                 "cudaGraphAddMemcpyNode1D");
    } else {
      const cudaMemsetParams params = zero_node(launch);
      check_cuda(cudaGraphAddMemsetNode(&node, part.graph, before, num_before, &params), "cudaGraphAddMemsetNode");
    }
    part.nodes.push_back(node);
  }
  check_cuda(cudaGraphInstantiate(&part.exec, part.graph, 0), "cudaGraphInstantiate");
  ++counts_.built;
}

void ProgramGraphs::patch(Part& part, std::vector<ListedLaunch>&& launches) {
  for (size_t i = 0; i < launches.size(); ++i) {
    ListedLaunch& launch = launches[i];
    if (launch == part.launches[i]) continue;
    const cudaGraphNode_t node = part.nodes[i];
    if (launch.kind == ListedLaunch::Kind::kernel) {
      std::vector<void*> parameters = parameters_of(launch);
      const cudaKernelNodeParams params = kernel_node(launch, parameters);
      check_cuda(cudaGraphExecKernelNodeSetParams(part.exec, node, &params), "cudaGraphExecKernelNodeSetParams");
    } else if (launch.kind == ListedLaunch::Kind::copy) {
      check_cuda(
          cudaGraphExecMemcpyNodeSetParams1D(part.exec, node, launch.to, launch.from, launch.size, cudaMemcpyDeviceToDevice),
          "cudaGraphExecMemcpyNodeSetParams1D");
    } else {
      const cudaMemsetParams params = zero_node(launch);
      check_cuda(cudaGraphExecMemsetNodeSetParams(part.exec, node, &params), "cudaGraphExecMemsetNodeSetParams");
    }
    ++counts_.patched_nodes;
  }
  part.launches = std::move(launches);
}

void ProgramGraphs::drop(Variant& variant) {
  // On a lost device these fail, and nothing can be done about it.
  for (Part& part : variant.parts) {
    if (part.exec != nullptr) cudaGraphExecDestroy(part.exec);
    if (part.graph != nullptr) cudaGraphDestroy(part.graph);
  }
}

}  // namespace tk::cuda
