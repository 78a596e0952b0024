#include "dispatch/cuda_device.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include <unordered_map>

#include "core/error.h"
#include "cuda/cuda_table.h"
#include "dispatch/program.h"

namespace tk {
namespace {

class CudaDevice final : public Device {
 public:
  CudaDevice(const TkCudaTable& table, int index, int64_t limit_bytes)
      : table_(table), place_("[cuda:" + std::to_string(index) + "] ") {
    const int32_t status = table.open_stream(index, uint64_t(limit_bytes), &stream_);
    if (status == TK_CUDA_OK) return;
    throw Error("E_DEVICE", place_ + table.last_error() + ".");
  }
  ~CudaDevice() override { table_.close_stream(stream_); }

  const char* name() const override { return "tensorkiln-cuda"; }

  void* allocate(int64_t bytes) override {
    void* data = nullptr;
    const int32_t status = table_.allocate(stream_, uint64_t(bytes), &data);
    if (status == TK_CUDA_OUT_OF_MEMORY) return nullptr;
    check(status);
    return data;
  }
  void free(void* data) override { table_.free(stream_, data); }
  int64_t trim() override { return int64_t(table_.trim(stream_)); }
  MemoryUse memory() const override {
    TkCudaMemory memory;
    table_.memory(stream_, &memory);
    return {int64_t(memory.live), int64_t(memory.cached), int64_t(memory.peak), int64_t(memory.limit)};
  }
  void reset_peak() override { table_.reset_peak(stream_); }
  void set_budget(int64_t bytes) override { table_.set_limit(stream_, uint64_t(bytes)); }

  bool has_op(uint16_t op) const override { return table_.has_op(op) != 0; }
  bool takes_half(const OpCall& call) const override { return table_.takes_half(&call) != 0; }
  int64_t workspace(const OpCall& call) override { return table_.workspace(stream_, &call); }

  void run(const OpCall& call) override { check(table_.run(stream_, &call)); }
  void run_program(const std::shared_ptr<const Program>& program, ProgramRun& run) override {
    const std::vector<void*>& bases = run.bases();
    int32_t known = 0;
    check(table_.begin_program(stream_, number_of(program), bases.data(), int32_t(bases.size()), &known));
    if (known != 0) return;
    for (const ProgramStep& step : program->steps) {
      const OpCall call = run.plain_call(step);
      check(table_.add_call(stream_, &call));
    }
    check(table_.finish_program(stream_));
  }
  void write(void* target, const void* source, int64_t bytes) override {
    check(table_.write(stream_, target, source, uint64_t(bytes)));
  }
  void read(const void* source, void* target, int64_t bytes) override {
    check(table_.read(stream_, source, target, uint64_t(bytes)));
  }
  void wait() override { check(table_.wait(stream_)); }

 private:
  void check(int32_t status) const {
    if (status == TK_CUDA_OK) return;
    const std::string text = table_.last_error();
    switch (status) {
      case TK_CUDA_BAD_INDEX: throw Error("E_INDEX", text);
      case TK_CUDA_OUT_OF_MEMORY: throw Error("E_OUT_OF_MEMORY", place_ + text);
      case TK_CUDA_DEVICE_LOST:
        throw Error("E_DEVICE_LOST", place_ + "the device is lost for this process: " + text +
                                         ". Tensors on the CPU are unharmed; go on in a new process.");
      default: throw Error("E_INTERNAL", place_ + text);
    }
  }

  // The number by which the library knows a program. An address may come again, so programs that are gone are forgotten first.
  uint64_t number_of(const std::shared_ptr<const Program>& program) {
    const auto found = programs_.find(program.get());
    if (found != programs_.end() && !found->second.alive.expired()) return found->second.number;
    for (auto known = programs_.begin(); known != programs_.end();) {
      if (!known->second.alive.expired()) {
        ++known;
        continue;
      }
      check(table_.forget_program(stream_, known->second.number));
      known = programs_.erase(known);
    }
    programs_[program.get()] = {program, ++last_number_};
    return last_number_;
  }

  struct KnownProgram {
    std::weak_ptr<const Program> alive;
    uint64_t number = 0;
  };

  const TkCudaTable& table_;
  const std::string place_;
  TkCudaStream* stream_ = nullptr;
  std::unordered_map<const Program*, KnownProgram> programs_;
  uint64_t last_number_ = 0;
};

}  // namespace

std::unique_ptr<Device> open_cuda_device(const std::string& library_path, int index, int64_t limit_bytes) {
  const std::string place = "[cuda:" + std::to_string(index) + "] ";
#if defined(_WIN32)
  throw Error("E_DEVICE", place + "CUDA is not supported on Windows yet; " + library_path + " was not opened.");
#else
  // Never closed: the driver's threads and the library's kernels live as long as the process.
  void* library = dlopen(library_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw Error("E_DEVICE",
                place + "the CUDA library cannot be opened: " + std::string(reason != nullptr ? reason : library_path));
  }
  using Entry = const TkCudaTable* (*)(uint32_t);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "tensorkiln_cuda_table"));
  const TkCudaTable* table = entry == nullptr ? nullptr : entry(TK_CUDA_TABLE_VERSION);
  if (table == nullptr || table->ops_fingerprint != cuda_ops_fingerprint()) {
    throw Error("E_NATIVE_VERSION", place + library_path + " belongs to another build than the addon. Build both again.");
  }
  return std::make_unique<CudaDevice>(*table, index, limit_bytes);
#endif
}

}  // namespace tk
