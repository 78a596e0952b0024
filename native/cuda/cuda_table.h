// The C table through which the engine and the CUDA library talk. Plain C types only: the library is opened at run time, and
// the two halves may come from different compilers. A change of layout raises TK_CUDA_TABLE_VERSION.
//
// A stream belongs to one engine environment: its calls come one at a time, from whichever thread, in the order in which the
// work is to run. Memory of a stream may be handed out again as soon as it has been freed, because all of its users run in
// that order.
#pragma once
#include <stdint.h>

#define TK_CUDA_TABLE_VERSION 4u

#if defined(_WIN32)
#define TK_CUDA_EXPORT __declspec(dllexport)
#else
#define TK_CUDA_EXPORT __attribute__((visibility("default")))
#endif

namespace tk {
struct OpCall;  // core/op_call.h: plain data; both halves are built from the same sources, which ops_fingerprint proves
}

extern "C" {

// What a call of the table returns; for all but TK_CUDA_OK last_error gives the text.
enum TkCudaStatus {
  TK_CUDA_OK = 0,
  TK_CUDA_FAILED = 1,
  TK_CUDA_OUT_OF_MEMORY = 2,
  TK_CUDA_DEVICE_LOST = 3,  // a sticky error: nothing on this device can be used again by this process
  TK_CUDA_BAD_INDEX = 4,    // a kernel met an index outside its range, clamped it and went on
  TK_CUDA_NO_DEVICE = 5,    // no driver, driver too old, no such device, or a chip without code in this library
};

struct TkCudaDevice {
  char name[128];
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  uint64_t memory_bytes;
};

struct TkCudaMemory {
  uint64_t live, cached, peak;  // bytes handed out, kept for reuse, most handed out since the last reset
  uint64_t limit;               // most bytes live + cached may reach
  uint64_t largest_free;        // largest piece that can be handed out without growing
};

// What has been done with the graphs of recorded programs since the stream was opened.
struct TkCudaGraphs {
  uint64_t built, launches;
  uint64_t patched_nodes;  // nodes of a graph that were given new parameters
  uint64_t single_calls;   // calls that no graph could hold
};

struct TkCudaStream;
struct TkCudaEvent;

// A matrix product beyond what ops.def has, as tk::cuda::Gemm (cuda/gemm/gemm.h) in plain C: operands of f16 and bf16, any
// strides in elements, an epilogue. Types are tk::DType; null pointers leave a step of the epilogue out.
struct TkCudaGemm {
  int64_t m, n, k, batch;
  int32_t type, y_type;  // of a and b, of y
  int32_t tf32;          // 1: f32 operands are rounded to TF32
  int32_t kernel;        // -1 to choose, else a tk::cuda::GemmKernel
  int32_t splits;        // of K, with a given kernel; 0 and 1: none
  const void *a, *b;
  void* y;
  int64_t a_row, a_col, a_batch, b_row, b_col, b_batch, y_row, y_batch;
  const float *bias, *residual, *gradient_at;
  float* saved;
  int32_t activation;
};

struct TkCudaTable {
  uint32_t version;
  // Versions as CUDA counts them: 1000 * major + 10 * minor. driver_version is 0 when no driver is installed.
  int32_t (*runtime_version)();
  int32_t (*driver_version)();
  // Number of devices; negative when CUDA reports an error, whose text last_error then returns.
  int32_t (*device_count)();
  // Fills `device`; 0 on success, otherwise last_error returns the text.
  int32_t (*describe_device)(int32_t index, TkCudaDevice* device);
  // Text of the calling thread's last error; never null, valid until its next call.
  const char* (*last_error)();
  // Compute capabilities the kernels were compiled for, e.g. "90a"; "emulated" where they run on the CPU.
  const char* architectures;

  // Hash of the text of ops.def: op numbers, operands and attributes of both halves agree when it does.
  uint64_t ops_fingerprint;

  // limit_bytes: most memory the stream's pool may hold; 0 for 90 % of what is free now.
  int32_t (*open_stream)(int32_t device, uint64_t limit_bytes, TkCudaStream** stream);
  // Waits for the device and frees everything.
  void (*close_stream)(TkCudaStream* stream);

  // Device memory, aligned to 512 bytes. free gives it back to the pool at once.
  int32_t (*allocate)(TkCudaStream* stream, uint64_t bytes, void** data);
  void (*free)(TkCudaStream* stream, void* data);
  // Returns what the pool caches to the device and gives the bytes; call it when no queued work uses freed memory.
  uint64_t (*trim)(TkCudaStream* stream);
  void (*memory)(TkCudaStream* stream, TkCudaMemory* memory);
  void (*reset_peak)(TkCudaStream* stream);
  // New limit in bytes, not below what live and cached are now.
  void (*set_limit)(TkCudaStream* stream, uint64_t bytes);

  // Copies through pinned staging memory. `source` may be reused when write returns; `target` is filled when read returns.
  int32_t (*write)(TkCudaStream* stream, void* target, const void* source, uint64_t bytes);
  int32_t (*read)(TkCudaStream* stream, const void* source, void* target, uint64_t bytes);

  // Whether the library has a kernel for this op number.
  int32_t (*has_op)(uint32_t op);
  // Whether it has a kernel for operands of these shapes and dtypes, some of them of 16 bits, beyond what ops.def lists. The
  // operands need no addresses.
  int32_t (*takes_half)(const tk::OpCall* call);
  // Bytes of scratch memory the call needs.
  int64_t (*workspace)(TkCudaStream* stream, const tk::OpCall* call);
  // Launches the call's kernels; operands and workspace are memory of this stream.
  int32_t (*run)(TkCudaStream* stream, const tk::OpCall* call);
  // A recorded program, whose calls are the same each time but for the addresses of its buffers, as CUDA graphs. begin_program
  // sets *known to 1 when it knows the program at these addresses and has launched it. Else it sets 0: the calls are to be
  // added in their order, and finish_program launches them all. `program` is a number of the caller's own, never given twice;
  // forget_program frees what is kept for it.
  int32_t (*begin_program)(TkCudaStream* stream, uint64_t program, const void* const* addresses, int32_t count, int32_t* known);
  int32_t (*add_call)(TkCudaStream* stream, const tk::OpCall* call);
  int32_t (*finish_program)(TkCudaStream* stream);
  int32_t (*forget_program)(TkCudaStream* stream, uint64_t program);
  void (*graphs)(TkCudaStream* stream, TkCudaGraphs* counts);
  // Waits until everything launched has run. TK_CUDA_BAD_INDEX also from read: the first index reported since the last time.
  int32_t (*wait)(TkCudaStream* stream);

  // Marks a point in the stream; elapsed waits for both and gives the milliseconds between them, negative on failure.
  TkCudaEvent* (*create_event)(TkCudaStream* stream);
  void (*destroy_event)(TkCudaEvent* event);
  int32_t (*record_event)(TkCudaStream* stream, TkCudaEvent* event);
  double (*elapsed)(TkCudaEvent* begin, TkCudaEvent* end);

  // Bytes of scratch memory of a product, its launch, and the name of the kernel that is chosen for it.
  int64_t (*gemm_workspace)(const TkCudaGemm* problem);
  int32_t (*gemm)(TkCudaStream* stream, const TkCudaGemm* problem, void* workspace);
  const char* (*gemm_kernel)(TkCudaStream* stream, const TkCudaGemm* problem);
};

// The library's one entry point; null when it does not know `version`.
TK_CUDA_EXPORT const TkCudaTable* tensorkiln_cuda_table(uint32_t version);
}

namespace tk {

// FNV-1a over the text of ops.def's rows.
constexpr uint64_t hash_text(const char* text, uint64_t hash) {
  for (; *text != 0; ++text) hash = (hash ^ uint64_t(uint8_t(*text))) * 1099511628211u;
  return hash;
}
constexpr uint64_t cuda_ops_fingerprint() {
  uint64_t hash = 14695981039346656037u;
#define TK_OP(name, operands, ints, floats, dtypes, ...) \
  hash = hash_text(#name "|" operands "|" ints "|" floats "|" dtypes ";", hash);
#include "ops/ops.def"
  return hash;
}

}  // namespace tk
