#include "cuda/stream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "cuda/attention_choice.h"
#include "cuda/conv_setting.h"
#include "cuda/op_bodies.h"

namespace tk::cuda {

void* DriverSegments::allocate(int64_t bytes) {
  void* data = nullptr;
  if (cudaMalloc(&data, size_t(bytes)) == cudaSuccess) return data;
  cudaGetLastError();  // out of memory is an answer here, not a failure to be found by the next call
  return nullptr;
}

void DriverSegments::free(void* data) { cudaFree(data); }

namespace {

// TENSORKILN_TF32: 0 or 1.
bool read_tf32_setting() {
  const char* text = std::getenv("TENSORKILN_TF32");
  if (text == nullptr || *text == 0 || std::strcmp(text, "0") == 0) return false;
  if (std::strcmp(text, "1") == 0) return true;
  throw std::invalid_argument(std::string("TENSORKILN_TF32 is '") + text +
                              "': expected 1 (matrix products round f32 operands to TF32) or 0 (they do not)");
}

int64_t pool_limit(int32_t device, uint64_t limit_bytes) {
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return int64_t(limit_bytes != 0 ? limit_bytes : free / 10 * 9);
}

}  // namespace
}  // namespace tk::cuda

using tk::cuda::check_cuda;

TkCudaStream::TkCudaStream(int32_t device, uint64_t limit_bytes)
    : device_(device), pool_(segments_, tk::cuda::pool_limit(device, limit_bytes)) {
  check_cuda(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  int major = 0;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  settings_.has_wgmma = major == 9;
  settings_.tf32 = tk::cuda::read_tf32_setting();
  tk::cuda::read_conv_setting();
  tk::cuda::read_attention_setting();
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check_cuda(cudaMallocHost(reinterpret_cast<void**>(&pinned_), kPieces * kPieceBytes + sizeof *report_copy_),
             "cudaMallocHost");
  report_copy_ = reinterpret_cast<tk::cuda::IndexReport*>(pinned_ + kPieces * kPieceBytes);
  std::memset(static_cast<void*>(report_copy_), 0, sizeof *report_copy_);
  for (cudaEvent_t& event : passed_) {
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  check_cuda(cudaMalloc(reinterpret_cast<void**>(&report_), sizeof *report_), "cudaMalloc");
  check_cuda(cudaMemsetAsync(report_, 0, sizeof *report_, stream_), "cudaMemsetAsync");
  programs_ = std::make_unique<tk::cuda::ProgramGraphs>(
      stream_,
      [this](const tk::OpCall& call, tk::cuda::LaunchList& list) {
        tk::cuda::CudaContext listing = context(call.op, &list);
        tk::cuda::kCudaOps[call.op].body(call, listing);
      },
      [this](const tk::OpCall& call) { run(call); });
}

TkCudaStream::~TkCudaStream() {
  // Nothing here can be reported any more, and on a lost device every call fails.
  cudaSetDevice(device_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  programs_.reset();
  for (cudaEvent_t event : passed_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (report_ != nullptr) cudaFree(report_);
  if (pinned_ != nullptr) cudaFreeHost(pinned_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void TkCudaStream::enter() const { check_cuda(cudaSetDevice(device_), "cudaSetDevice"); }

char* TkCudaStream::next_piece(cudaEvent_t* passed) {
  turn_ = (turn_ + 1) % kPieces;
  *passed = passed_[turn_];
  check_cuda(cudaEventSynchronize(*passed), "cudaEventSynchronize");
  return pinned_ + uint64_t(turn_) * kPieceBytes;
}

void TkCudaStream::write(void* target, const void* source, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes; done += kPieceBytes) {
    const uint64_t count = std::min(kPieceBytes, bytes - done);
    cudaEvent_t passed;
    char* piece = next_piece(&passed);
    std::memcpy(piece, static_cast<const char*>(source) + done, count);
    check_cuda(cudaMemcpyAsync(static_cast<char*>(target) + done, piece, count, cudaMemcpyHostToDevice, stream_),
               "cudaMemcpyAsync to the device");
    check_cuda(cudaEventRecord(passed, stream_), "cudaEventRecord");
  }
}

void TkCudaStream::read(const void* source, void* target, uint64_t bytes) {
  // All pieces but one are under way while the oldest is copied out.
  struct {
    char* piece = nullptr;
    cudaEvent_t passed = nullptr;
    uint64_t done = 0, count = 0;
  } waiting[kPieces];
  uint64_t started = 0, finished = 0;
  const uint64_t pieces = (bytes + kPieceBytes - 1) / kPieceBytes;
  fetch_report();
  while (finished < pieces) {
    for (; started < pieces && started - finished < kPieces - 1; ++started) {
      auto& slot = waiting[started % kPieces];
      slot.done = started * kPieceBytes;
      slot.count = std::min(kPieceBytes, bytes - slot.done);
      slot.piece = next_piece(&slot.passed);
      check_cuda(cudaMemcpyAsync(slot.piece, static_cast<const char*>(source) + slot.done, slot.count, cudaMemcpyDeviceToHost,
                                 stream_),
                 "cudaMemcpyAsync from the device");
      check_cuda(cudaEventRecord(slot.passed, stream_), "cudaEventRecord");
    }
    auto& oldest = waiting[finished++ % kPieces];
    check_cuda(cudaEventSynchronize(oldest.passed), "cudaEventSynchronize");
    std::memcpy(static_cast<char*>(target) + oldest.done, oldest.piece, oldest.count);
  }
  if (pieces == 0) check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

void TkCudaStream::run(const tk::OpCall& call) {
  tk::cuda::CudaContext launches = context(call.op);
  tk::cuda::kCudaOps[call.op].body(call, launches);
}

void TkCudaStream::fetch_report() {
  check_cuda(cudaMemcpyAsync(report_copy_, report_, sizeof *report_, cudaMemcpyDeviceToHost, stream_),
             "cudaMemcpyAsync of the index report");
}

void TkCudaStream::wait() {
  fetch_report();
  check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

std::string TkCudaStream::take_bad_index() {
  if (report_copy_->op_plus_1 == 0) return "";
  static const char* const names[] = {
#define TK_OP(name, ...) #name,
#include "ops/ops.def"
  };
  std::string text = std::string("[") + names[report_copy_->op_plus_1 - 1] + "] index out of range: expected 0 to " +
                     std::to_string(report_copy_->limit - 1) + ", got " + std::to_string(report_copy_->index);
  std::memset(static_cast<void*>(report_copy_), 0, sizeof *report_copy_);
  check_cuda(cudaMemsetAsync(report_, 0, sizeof *report_, stream_), "cudaMemsetAsync");
  return text;
}
