// Graphs of the emulated CUDA runtime: captured from streams, or made node by node.
#include "cuda/emulator/runtime.h"

#include <cstring>

using namespace tk::emulator;

extern "C" {
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  LOCK;
  if (!s || s->capture) return err(cudaErrorStreamCaptureUnsupported);
  s->capture = new CUgraph_st;
  s->origin = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  LOCK;
  if (!s->capture || !s->origin) return err(cudaErrorIllegalState);
  *g = s->capture;
  s->origin = false;
  for (auto* t : R().streams)
    if (t->capture == *g) t->capture = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* st) {
  *st = s && s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphCreate(cudaGraph_t* g, unsigned) {
  *g = new CUgraph_st;
  return cudaSuccess;
}
// Nodes run in the order in which they were added; a graph whose dependencies allow more is run in this legal one.
static cudaError_t add_node(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count, Op op) {
  for (size_t i = 0; i < count; i++)
    if (before[i]->index >= g->ops.size() || &g->nodes[before[i]->index] != before[i]) return err(cudaErrorInvalidValue);
  g->nodes.push_back({g->ops.size()});
  g->ops.push_back(std::move(op));
  *node = &g->nodes.back();
  return cudaSuccess;
}
static cudaError_t kernel_op(const cudaKernelNodeParams* p, Op* op) {
  auto found = R().kernels.find(p->func);
  if (found == R().kernels.end()) return cudaErrorInvalidDeviceFunction;
  LaunchInfo li{p->gridDim, p->blockDim, p->sharedMemBytes, p->func, false, 1};
  if (auto e = check_launch(li)) return e;
  *op = Op{[li, device = t_device, f = found->second(p->kernelParams)] {
             count_launch(device);
             const auto lost = R().devices[device].sticky;
             return lost ? lost : run_grid(li, f);
           },
           t_device};
  return cudaSuccess;
}
static Op copy_op(void* d, const void* s, size_t n) {
  return Op{[=] { return copy_now(d, s, n, "a copy of a graph", true, true); }, t_device, true};
}
static Op fill_op(const cudaMemsetParams& p) {
  return Op{[p] {
              size_t left;
              if (p.height != 1 || p.elementSize != 1 || !find(p.dst, &left) || left < p.width) return cudaErrorInvalidValue;
              memset(p.dst, int(p.value), p.width);
              return cudaSuccess;
            },
            t_device};
}
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count,
                                   const cudaKernelNodeParams* p) {
  LOCK;
  Op op;
  if (auto e = kernel_op(p, &op)) return err(e);
  return add_node(node, g, before, count, std::move(op));
}
cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count, void* d,
                                     const void* s, size_t n, cudaMemcpyKind k) {
  LOCK;
  if (k != cudaMemcpyDeviceToDevice) return err(cudaErrorNotSupported);
  return add_node(node, g, before, count, copy_op(d, s, n));
}
cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* node, cudaGraph_t g, const cudaGraphNode_t* before, size_t count,
                                   const cudaMemsetParams* p) {
  LOCK;
  return add_node(node, g, before, count, fill_op(*p));
}
// New parameters hold for launches to come: those under way keep their own copies.
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node, const cudaKernelNodeParams* p) {
  LOCK;
  Op op;
  if (auto failed = kernel_op(p, &op)) return err(failed);
  e->ops[node->index] = std::move(op);
  return cudaSuccess;
}
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t e, cudaGraphNode_t node, void* d, const void* s, size_t n,
                                               cudaMemcpyKind k) {
  LOCK;
  if (k != cudaMemcpyDeviceToDevice) return err(cudaErrorNotSupported);
  e->ops[node->index] = copy_op(d, s, n);
  return cudaSuccess;
}
cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t node, const cudaMemsetParams* p) {
  LOCK;
  e->ops[node->index] = fill_op(*p);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  *e = new CUgraphExec_st{g->ops};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  LOCK;
  for (auto& op : e->ops)
    if (auto r = enqueue(s, op)) return r;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  delete g;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
  delete e;
  return cudaSuccess;
}
}
