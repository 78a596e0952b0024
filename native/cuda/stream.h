// What one engine environment holds on a device: a CUDA stream, a memory pool, pinned staging memory, the index report.
#pragma once
#include <memory>
#include <string>

#include "cuda/context.h"
#include "cuda/cuda_table.h"
#include "cuda/device_pool.h"
#include "cuda/program_graphs.h"

namespace tk::cuda {

class DriverSegments final : public SegmentSource {
 public:
  void* allocate(int64_t bytes) override;
  void free(void* data) override;
};

}  // namespace tk::cuda

// Not thread-safe: its owner's calls come one at a time.
struct TkCudaStream {
 public:
  TkCudaStream(int32_t device, uint64_t limit_bytes);
  ~TkCudaStream();
  TkCudaStream(const TkCudaStream&) = delete;
  TkCudaStream& operator=(const TkCudaStream&) = delete;

  // Makes the device the calling thread's current one; every call comes here first, since any thread may make it.
  void enter() const;
  tk::cuda::DevicePool& pool() { return pool_; }
  void write(void* target, const void* source, uint64_t bytes);
  void read(const void* source, void* target, uint64_t bytes);
  void run(const tk::OpCall& call);
  void wait();
  cudaStream_t stream() const { return stream_; }
  // For launches of op number `op`; with a list they are written down there instead.
  tk::cuda::CudaContext context(uint16_t op = 0, tk::cuda::LaunchList* list = nullptr) const {
    return {stream_, multiprocessors_, settings_, report_, op, list};
  }
  tk::cuda::ProgramGraphs& programs() { return *programs_; }
  // Takes the first bad index reported before the last wait or read; empty when there was none.
  std::string take_bad_index();

 private:
  // Pieces of pinned memory that copies go through, in turn; a piece is free again once its event has passed.
  static constexpr int kPieces = 4;
  static constexpr uint64_t kPieceBytes = uint64_t(1) << 20;

  char* next_piece(cudaEvent_t* passed);
  void fetch_report();

  const int device_;
  int multiprocessors_ = 1;
  tk::cuda::DeviceSettings settings_;
  cudaStream_t stream_ = nullptr;
  tk::cuda::DriverSegments segments_;
  tk::cuda::DevicePool pool_;
  char* pinned_ = nullptr;
  cudaEvent_t passed_[kPieces] = {};
  int turn_ = 0;
  tk::cuda::IndexReport* report_ = nullptr;       // device memory
  tk::cuda::IndexReport* report_copy_ = nullptr;  // pinned
  std::unique_ptr<tk::cuda::ProgramGraphs> programs_;
};
