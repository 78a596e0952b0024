// oneDNN: onednn_leg [nhwc]. Without an argument each primitive chooses the layouts of its operands, and bringing them there
// is not part of the time; with nhwc operands lie as users of this library hold them.
#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "dnnl.hpp"
#include "leg.h"

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using tag = dnnl::memory::format_tag;
constexpr auto f32 = dnnl::memory::data_type::f32;

struct Engine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

// One primitive with its operands; inputs are brought into its layouts at once, the result on demand.
struct Job {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> args;
};

memory place(Engine& e, const memory::desc& wanted, const memory::desc& plain, void* data, bool input) {
  if (wanted == plain) return memory(plain, e.engine, data);
  memory own(wanted, e.engine);
  if (input) {
    memory from(plain, e.engine, data);
    dnnl::reorder(from, own).execute(e.stream, from, own);
    e.stream.wait();
  }
  return own;
}

std::function<void()> runner(Engine& e, std::shared_ptr<Job> job, int result, const memory::desc& plain, void* data) {
  // The first run is the checked one: its result goes back to the plain layout.
  auto first = std::make_shared<bool>(true);
  return [&e, job, result, plain, data, first] {
    job->primitive.execute(e.stream, job->args);
    e.stream.wait();
    if (!*first) return;
    *first = false;
    memory own = job->args.at(result);
    if (own.get_data_handle() == data) return;
    memory to(plain, e.engine, data);
    dnnl::reorder(own, to).execute(e.stream, own, to);
    e.stream.wait();
  };
}

std::function<void()> make_gemm(Engine& e, tkbench::Request& r) {
  const int64_t batch = r.ints.at(0), m = r.ints.at(1), n = r.ints.at(2), k = r.ints.at(3);
  const bool ta = r.ints.at(4) != 0, tb = r.ints.at(5) != 0;
  const auto desc = [&](int64_t rows, int64_t cols, bool transposed) {
    if (batch == 1) return memory::desc({rows, cols}, f32, transposed ? tag::ba : tag::ab);
    return memory::desc({batch, rows, cols}, f32, transposed ? tag::acb : tag::abc);
  };
  const memory::desc a = desc(m, k, ta), b = desc(k, n, tb), c = desc(m, n, false);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc pd(e.engine, a, b, c);
#else
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, b, c), e.engine);
#endif
  auto job = std::make_shared<Job>();
  job->primitive = dnnl::matmul(pd);
  job->args = {{DNNL_ARG_SRC, memory(a, e.engine, r.arrays.at(0).data)},
               {DNNL_ARG_WEIGHTS, memory(b, e.engine, r.arrays.at(1).data)},
               {DNNL_ARG_DST, memory(c, e.engine, r.arrays.at(2).data)}};
  return runner(e, job, DNNL_ARG_DST, c, r.arrays.at(2).data);
}

// ints: pass (0 forward, 1 input gradient, 2 filter gradient), N, H, W, C, Cout, KH, KW, stride, pad, depthwise.
std::function<void()> make_conv(Engine& e, tkbench::Request& r, bool nhwc) {
  const int64_t pass = r.ints.at(0), n = r.ints.at(1), h = r.ints.at(2), w = r.ints.at(3), c = r.ints.at(4), co = r.ints.at(5),
                kh = r.ints.at(6), kw = r.ints.at(7), stride = r.ints.at(8), pad = r.ints.at(9);
  const bool depthwise = r.ints.at(10) != 0;
  const int64_t oh = (h + 2 * pad - kh) / stride + 1, ow = (w + 2 * pad - kw) / stride + 1;
  const memory::dims x_dims = {n, c, h, w}, y_dims = {n, co, oh, ow}, strides = {stride, stride}, pads = {pad, pad};
  const memory::dims f_dims = depthwise ? memory::dims{c, 1, 1, kh, kw} : memory::dims{co, c, kh, kw};
  const tag f_tag = depthwise ? tag::hwigo : tag::hwio;
  const memory::desc x_plain(x_dims, f32, tag::nhwc), y_plain(y_dims, f32, tag::nhwc), f_plain(f_dims, f32, f_tag);
  const auto wanted = [&](const memory::dims& dims, const memory::desc& plain, bool may_choose) {
    return may_choose ? memory::desc(dims, f32, tag::any) : plain;
  };
  // In nhwc the filter is still the primitive's own: frameworks keep it so between steps.
  const memory::desc x = wanted(x_dims, x_plain, !nhwc), y = wanted(y_dims, y_plain, !nhwc), f = wanted(f_dims, f_plain, true);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::convolution_forward::primitive_desc forward(e.engine, prop_kind::forward_training, algorithm::convolution_direct,
                                                          x, f, y, strides, pads, pads);
  const dnnl::convolution_backward_data::primitive_desc dx(e.engine, algorithm::convolution_direct, x, f, y, strides, pads,
                                                           pads, forward);
  const dnnl::convolution_backward_weights::primitive_desc dw(e.engine, algorithm::convolution_direct, x, f, y, strides, pads,
                                                              pads, forward);
#else
  const dnnl::convolution_forward::primitive_desc forward(
      dnnl::convolution_forward::desc(prop_kind::forward_training, algorithm::convolution_direct, x, f, y, strides, pads, pads),
      e.engine);
  const dnnl::convolution_backward_data::primitive_desc dx(
      dnnl::convolution_backward_data::desc(algorithm::convolution_direct, x, f, y, strides, pads, pads), e.engine, forward);
  const dnnl::convolution_backward_weights::primitive_desc dw(
      dnnl::convolution_backward_weights::desc(algorithm::convolution_direct, x, f, y, strides, pads, pads), e.engine, forward);
#endif
  auto job = std::make_shared<Job>();
  void *p0 = r.arrays.at(0).data, *p1 = r.arrays.at(1).data, *p2 = r.arrays.at(2).data;
  if (pass == 0) {
    job->primitive = dnnl::convolution_forward(forward);
    job->args = {{DNNL_ARG_SRC, place(e, forward.src_desc(), x_plain, p0, true)},
                 {DNNL_ARG_WEIGHTS, place(e, forward.weights_desc(), f_plain, p1, true)},
                 {DNNL_ARG_DST, place(e, forward.dst_desc(), y_plain, p2, false)}};
    return runner(e, job, DNNL_ARG_DST, y_plain, p2);
  }
  if (pass == 1) {
    job->primitive = dnnl::convolution_backward_data(dx);
    job->args = {{DNNL_ARG_DIFF_DST, place(e, dx.diff_dst_desc(), y_plain, p0, true)},
                 {DNNL_ARG_WEIGHTS, place(e, dx.weights_desc(), f_plain, p1, true)},
                 {DNNL_ARG_DIFF_SRC, place(e, dx.diff_src_desc(), x_plain, p2, false)}};
    return runner(e, job, DNNL_ARG_DIFF_SRC, x_plain, p2);
  }
  job->primitive = dnnl::convolution_backward_weights(dw);
  job->args = {{DNNL_ARG_SRC, place(e, dw.src_desc(), x_plain, p0, true)},
               {DNNL_ARG_DIFF_DST, place(e, dw.diff_dst_desc(), y_plain, p1, true)},
               {DNNL_ARG_DIFF_WEIGHTS, place(e, dw.diff_weights_desc(), f_plain, p2, false)}};
  return runner(e, job, DNNL_ARG_DIFF_WEIGHTS, f_plain, p2);
}

}  // namespace

int main(int argc, char** argv) {
  const bool nhwc = argc > 1 && std::strcmp(argv[1], "nhwc") == 0;
  Engine engine;
  const auto make = [&](tkbench::Request& request) -> std::function<void()> {
    if (request.name == "gemm" && !nhwc) return make_gemm(engine, request);
    if (request.name == "conv") return make_conv(engine, request, nhwc);
    throw tkbench::Unsupported();
  };
  const dnnl_version_t* v = dnnl_version();
  return tkbench::serve(make, nullptr,
                        "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch));
}
