// The library's C face: every function of the table, with exceptions turned into statuses.
#include "cuda/cuda_table.h"

#include <cstdio>
#include <exception>

#include "core/error.h"
#include "cuda/gemm/gemm.h"
#include "cuda/op_bodies.h"
#include "cuda/stream.h"

struct TkCudaEvent {
  TkCudaStream* stream;
  cudaEvent_t event;
};

namespace {

thread_local char g_error[512] = "";

void set_error(const char* call, cudaError_t status) {
  std::snprintf(g_error, sizeof g_error, "%s: %s (%s, code %d)", call, cudaGetErrorString(status), cudaGetErrorName(status),
                int(status));
}

// Keeps call, code and text of a failure and clears CUDA's own record, so that the next call starts clean.
bool failed(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return false;
  set_error(call, status);
  cudaGetLastError();
  return true;
}

// A sticky error comes back from every later call; CUDA offers no other way to tell it from a passing one.
bool is_sticky() {
  cudaGetLastError();
  return cudaGetLastError() != cudaSuccess || cudaFree(nullptr) != cudaSuccess;
}

template <class Body>
int32_t guarded(const Body& body) {
  try {
    return body();
  } catch (const tk::cuda::CudaFailure& failure) {
    set_error(failure.call, failure.status);
    if (failure.status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return TK_CUDA_OUT_OF_MEMORY;
    }
    return is_sticky() ? TK_CUDA_DEVICE_LOST : TK_CUDA_FAILED;
  } catch (const std::exception& error) {
    std::snprintf(g_error, sizeof g_error, "%s", error.what());
    return TK_CUDA_FAILED;
  }
}

int32_t bad_index_status(TkCudaStream* stream) {
  const std::string text = stream->take_bad_index();
  if (text.empty()) return TK_CUDA_OK;
  std::snprintf(g_error, sizeof g_error, "%s", text.c_str());
  return TK_CUDA_BAD_INDEX;
}

int32_t runtime_version() {
  int version = 0;
  return failed(cudaRuntimeGetVersion(&version), "cudaRuntimeGetVersion") ? 0 : version;
}

int32_t driver_version() {
  int version = 0;
  return failed(cudaDriverGetVersion(&version), "cudaDriverGetVersion") ? 0 : version;
}

int32_t device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice) {
    cudaGetLastError();
    return 0;
  }
  return failed(status, "cudaGetDeviceCount") ? -1 : count;
}

int32_t describe_device(int32_t index, TkCudaDevice* device) {
  cudaDeviceProp properties;
  if (failed(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties")) return TK_CUDA_FAILED;
  std::snprintf(device->name, sizeof device->name, "%.127s", properties.name);
  device->compute_major = properties.major;
  device->compute_minor = properties.minor;
  device->multiprocessors = properties.multiProcessorCount;
  device->memory_bytes = properties.totalGlobalMem;
  return TK_CUDA_OK;
}

const char* last_error() { return g_error; }

#if defined(__CUDACC__)
// What every kernel needs is that there is code for the chip, so one stands for all.
__global__ void probe_kernel() {}

bool has_code_for_device() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  if (status != cudaSuccess) cudaGetLastError();
  return status == cudaSuccess;
}
#else
bool has_code_for_device() { return true; }
#endif

// TK_CUDA_OK, or TK_CUDA_NO_DEVICE with the reason and the way out.
int32_t check_device(int32_t index) {
  const int32_t driver = driver_version(), runtime = runtime_version();
  if (driver == 0) {
    std::snprintf(
        g_error, sizeof g_error,
        "no NVIDIA driver was found. Install the driver (nvidia-smi must list the GPU); the CUDA toolkit is not needed");
    return TK_CUDA_NO_DEVICE;
  }
  // Within one major version any driver runs any runtime.
  if (driver / 1000 < runtime / 1000) {
    std::snprintf(g_error, sizeof g_error,
                  "the NVIDIA driver is too old: it supports CUDA %d.%d, this build needs %d.0 or newer. Update the driver",
                  driver / 1000, driver % 1000 / 10, runtime / 1000);
    return TK_CUDA_NO_DEVICE;
  }
  const int32_t count = device_count();
  if (count < 0) return TK_CUDA_NO_DEVICE;
  if (index < 0 || index >= count) {
    if (count == 0) {
      std::snprintf(g_error, sizeof g_error, "the driver finds no GPU. CUDA_VISIBLE_DEVICES may hide it");
    } else {
      std::snprintf(g_error, sizeof g_error, "there is no GPU number %d: expected 0 to %d", index, count - 1);
    }
    return TK_CUDA_NO_DEVICE;
  }
  TkCudaDevice device;
  if (describe_device(index, &device) != TK_CUDA_OK) return TK_CUDA_NO_DEVICE;
  if (failed(cudaSetDevice(index), "cudaSetDevice")) return TK_CUDA_NO_DEVICE;
  if (!has_code_for_device()) {
    std::snprintf(g_error, sizeof g_error,
                  "GPU %d (%s, compute capability %d.%d) is not supported by this build, which has code for %s. Build with "
                  "TENSORKILN_CUDA_ARCHITECTURES=%d%d",
                  index, device.name, device.compute_major, device.compute_minor, TK_CUDA_ARCHITECTURES, device.compute_major,
                  device.compute_minor);
    return TK_CUDA_NO_DEVICE;
  }
  return TK_CUDA_OK;
}

int32_t open_stream(int32_t device, uint64_t limit_bytes, TkCudaStream** stream) {
  return guarded([&]() -> int32_t {
    const int32_t status = check_device(device);
    if (status != TK_CUDA_OK) return status;
    *stream = new TkCudaStream(device, limit_bytes);
    return TK_CUDA_OK;
  });
}

void close_stream(TkCudaStream* stream) { delete stream; }

int32_t allocate(TkCudaStream* stream, uint64_t bytes, void** data) {
  return guarded([&]() -> int32_t {
    stream->enter();
    *data = stream->pool().allocate(int64_t(bytes));
    if (*data != nullptr) return TK_CUDA_OK;
    std::snprintf(g_error, sizeof g_error, "out of device memory");
    return TK_CUDA_OUT_OF_MEMORY;
  });
}

void free_memory(TkCudaStream* stream, void* data) { stream->pool().free(data); }

uint64_t trim(TkCudaStream* stream) {
  stream->enter();
  return uint64_t(stream->pool().trim());
}

void memory(TkCudaStream* stream, TkCudaMemory* memory) {
  const tk::cuda::DevicePool& pool = stream->pool();
  memory->live = uint64_t(pool.live_bytes());
  memory->cached = uint64_t(pool.held_bytes() - pool.live_bytes());
  memory->peak = uint64_t(pool.peak_bytes());
  memory->limit = uint64_t(pool.limit());
  memory->largest_free = uint64_t(pool.largest_free());
}

void reset_peak(TkCudaStream* stream) { stream->pool().reset_peak(); }

void set_limit(TkCudaStream* stream, uint64_t bytes) { stream->pool().set_limit(int64_t(bytes)); }

int32_t write(TkCudaStream* stream, void* target, const void* source, uint64_t bytes) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->write(target, source, bytes);
    return TK_CUDA_OK;
  });
}

int32_t read(TkCudaStream* stream, const void* source, void* target, uint64_t bytes) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->read(source, target, bytes);
    return bad_index_status(stream);
  });
}

int32_t has_op(uint32_t op) { return op < tk::cuda::kNumCudaOps && tk::cuda::kCudaOps[op].body != nullptr; }

int32_t takes_half(const tk::OpCall* call) {
  const auto takes = tk::cuda::kCudaOps[call->op].takes_half;
  return takes != nullptr && takes(*call);
}

int64_t workspace(TkCudaStream*, const tk::OpCall* call) {
  const auto body = tk::cuda::kCudaOps[call->op].workspace;
  return body == nullptr ? 0 : body(*call);
}

int32_t run(TkCudaStream* stream, const tk::OpCall* call) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->run(*call);
    return TK_CUDA_OK;
  });
}

int32_t begin_program(TkCudaStream* stream, uint64_t program, const void* const* addresses, int32_t count, int32_t* known) {
  return guarded([&]() -> int32_t {
    stream->enter();
    *known = stream->programs().begin(program, addresses, count) ? 1 : 0;
    return TK_CUDA_OK;
  });
}

int32_t add_call(TkCudaStream* stream, const tk::OpCall* call) {
  return guarded([&]() -> int32_t {
    stream->programs().add(*call);
    return TK_CUDA_OK;
  });
}

int32_t finish_program(TkCudaStream* stream) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->programs().finish();
    return TK_CUDA_OK;
  });
}

int32_t forget_program(TkCudaStream* stream, uint64_t program) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->programs().forget(program);
    return TK_CUDA_OK;
  });
}

void graphs(TkCudaStream* stream, TkCudaGraphs* counts) { *counts = stream->programs().counts(); }

int32_t wait(TkCudaStream* stream) {
  return guarded([&]() -> int32_t {
    stream->enter();
    stream->wait();
    return bad_index_status(stream);
  });
}

TkCudaEvent* create_event(TkCudaStream* stream) {
  cudaEvent_t event;
  if (failed(cudaEventCreate(&event), "cudaEventCreate")) return nullptr;
  return new TkCudaEvent{stream, event};
}

void destroy_event(TkCudaEvent* event) {
  cudaEventDestroy(event->event);
  delete event;
}

int32_t record_event(TkCudaStream* stream, TkCudaEvent* event) {
  return guarded([&]() -> int32_t {
    stream->enter();
    tk::cuda::check_cuda(cudaEventRecord(event->event, stream->stream()), "cudaEventRecord");
    return TK_CUDA_OK;
  });
}

double elapsed(TkCudaEvent* begin, TkCudaEvent* end) {
  float milliseconds = 0;
  if (failed(cudaEventSynchronize(end->event), "cudaEventSynchronize")) return -1;
  if (failed(cudaEventElapsedTime(&milliseconds, begin->event, end->event), "cudaEventElapsedTime")) return -1;
  return double(milliseconds);
}

tk::cuda::Gemm gemm_of(const TkCudaGemm& g) {
  tk::cuda::Gemm p;
  p.m = g.m, p.n = g.n, p.k = g.k, p.batch = g.batch;
  p.type = tk::DType(g.type), p.y_type = tk::DType(g.y_type);
  p.precision = g.tf32 != 0 ? tk::cuda::GemmPrecision::tf32 : tk::cuda::GemmPrecision::accurate;
  p.a = {g.a, g.a_row, g.a_col, g.a_batch};
  p.b = {g.b, g.b_row, g.b_col, g.b_batch};
  p.y = g.y, p.y_row = g.y_row, p.y_batch = g.y_batch;
  p.epilogue = {g.bias, g.residual, g.saved, g.activation, g.gradient_at, tk::DType::f32};
  p.forced_kernel = g.kernel, p.forced_splits = g.splits > 1 ? g.splits : 1;
  return p;
}

int64_t gemm_workspace(const TkCudaGemm* problem) { return tk::cuda::gemm_workspace(gemm_of(*problem)); }

int32_t gemm(TkCudaStream* stream, const TkCudaGemm* problem, void* workspace) {
  return guarded([&]() -> int32_t {
    stream->enter();
    tk::cuda::gemm(stream->context(), gemm_of(*problem), workspace);
    return TK_CUDA_OK;
  });
}

const char* gemm_kernel(TkCudaStream* stream, const TkCudaGemm* problem) {
  return tk::cuda::gemm_kernel(stream->context(), gemm_of(*problem));
}

const TkCudaTable kTable = {
    TK_CUDA_TABLE_VERSION,
    runtime_version,
    driver_version,
    device_count,
    describe_device,
    last_error,
    TK_CUDA_ARCHITECTURES,
    tk::cuda_ops_fingerprint(),
    open_stream,
    close_stream,
    allocate,
    free_memory,
    trim,
    memory,
    reset_peak,
    set_limit,
    write,
    read,
    has_op,
    takes_half,
    workspace,
    run,
    begin_program,
    add_call,
    finish_program,
    forget_program,
    graphs,
    wait,
    create_event,
    destroy_event,
    record_event,
    elapsed,
    gemm_workspace,
    gemm,
    gemm_kernel,
};

}  // namespace

const TkCudaTable* tensorkiln_cuda_table(uint32_t version) { return version == TK_CUDA_TABLE_VERSION ? &kTable : nullptr; }
