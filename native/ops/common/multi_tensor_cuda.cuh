// One launch over many tensors: their addresses travel as a kernel parameter, cut into chunks that are shared out to blocks.
#pragma once
#include "cuda/block_reduce.cuh"

namespace tk::cuda {

// A launch takes at most 32,764 bytes of parameters, and a short table is quicker to send.
constexpr int kShortTable = 16, kLongTable = 480;

// Members of kGroups starred groups, member by member: data[group][member].
template <int kGroups, int kTensors>
struct TensorTable {
  float* data[kGroups][kTensors];
  int64_t size[kTensors];
  int32_t first_chunk[kTensors + 1];  // chunks are numbered through
  int32_t count;
  int64_t chunk;  // elements of a chunk; no chunk has parts of two members

  __device__ int member_of(int32_t number) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_chunk[middle] <= number) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

// Address of the value behind `count` hyper-parameters, which leaves the call without effect when it is 0 (optim.h); null where
// there is none.
inline const float* active_value(const OpCall& call, int64_t count) {
  if (call[0].size == count + 1) return call[0].f32() + count;
  TK_CHECK_EQ(call[0].size, count);
  return nullptr;
}
__device__ inline bool is_active(const float* active) { return active == nullptr || *active != 0; }

struct alignas(16) FourFloats {
  float of[4];
};

// Update: kGroups, kReads and kWrites as bits by group, and `void operator()(float (&value)[kGroups]) const` for one element.
template <class Update, int kTensors>
__global__ void __launch_bounds__(kThreads)
    update_kernel(const TensorTable<Update::kGroups, kTensors> table, Update update, const float* active) {
  constexpr int kGroups = Update::kGroups;
  if (!is_active(active)) return;
  update.prepare();
  for (int32_t number = int32_t(blockIdx.x); number < table.first_chunk[table.count]; number += int32_t(gridDim.x)) {
    const int member = table.member_of(number);
    const int64_t begin = int64_t(number - table.first_chunk[member]) * table.chunk;
    const int64_t end = begin + table.chunk < table.size[member] ? begin + table.chunk : table.size[member];
    uintptr_t addresses = 0;
    for (int g = 0; g < kGroups; ++g) {
      if ((Update::kReads | Update::kWrites) >> g & 1) addresses |= reinterpret_cast<uintptr_t>(table.data[g][member]);
    }
    const int64_t vector_end = addresses % 16 == 0 ? begin + (end - begin) / 4 * 4 : begin;
    for (int64_t i = begin + int64_t(threadIdx.x) * 4; i < vector_end; i += int64_t(blockDim.x) * 4) {
      FourFloats four[kGroups] = {};
      for (int g = 0; g < kGroups; ++g) {
        if (Update::kReads >> g & 1) four[g] = *reinterpret_cast<const FourFloats*>(table.data[g][member] + i);
      }
      for (int lane = 0; lane < 4; ++lane) {
        float value[kGroups];
        for (int g = 0; g < kGroups; ++g) value[g] = four[g].of[lane];
        update(value);
        for (int g = 0; g < kGroups; ++g) four[g].of[lane] = value[g];
      }
      for (int g = 0; g < kGroups; ++g) {
        if (Update::kWrites >> g & 1) *reinterpret_cast<FourFloats*>(table.data[g][member] + i) = four[g];
      }
    }
    for (int64_t i = vector_end + threadIdx.x; i < end; i += blockDim.x) {
      float value[kGroups];
      for (int g = 0; g < kGroups; ++g) value[g] = Update::kReads >> g & 1 ? table.data[g][member][i] : 0.0f;
      update(value);
      for (int g = 0; g < kGroups; ++g) {
        if (Update::kWrites >> g & 1) table.data[g][member][i] = value[g];
      }
    }
  }
}

// Fills a table from members [begin, begin + count) of the groups that begin at operand `first`, and gives the number of
// chunks.
template <int kGroups, int kTensors>
int64_t fill_table(const OpCall& call, int first, int begin, int count, int64_t chunk, TensorTable<kGroups, kTensors>* table) {
  int64_t chunks = 0;
  table->count = count;
  table->chunk = chunk;
  for (int i = 0; i < count; ++i) {
    const int64_t size = call[first + begin + i].size;
    table->size[i] = size;
    table->first_chunk[i] = int32_t(chunks);
    chunks += (size + chunk - 1) / chunk;
    TK_CHECK(chunks <= INT32_MAX);
    for (int g = 0; g < kGroups; ++g) table->data[g][i] = call[first + g * call.star_count + begin + i].f32();
  }
  table->first_chunk[count] = int32_t(chunks);
  return chunks;
}

inline int64_t elements_of(const OpCall& call, int first) {
  int64_t total = 0;
  for (int i = 0; i < call.star_count; ++i) total += call[first + i].size;
  return total;
}

// Members of group g, whose first one is at operand `first`, have the sizes of group 0; groups outside `mask` may be empty.
inline void check_members(const OpCall& call, int first, int groups, unsigned mask) {
  TK_CHECK_EQ(call.num_operands, first + groups * call.star_count);
  for (int g = 1; g < groups; ++g) {
    if ((mask >> g & 1) == 0) continue;
    for (int i = 0; i < call.star_count; ++i) TK_CHECK_EQ(call[first + g * call.star_count + i].size, call[first + i].size);
  }
}

template <int kTensors, class Update>
void launch_updates(const OpCall& call, const CudaContext& context, int first, int64_t chunk, const Update& update,
                    const float* active) {
  TensorTable<Update::kGroups, kTensors> table;
  for (int begin = 0; begin < call.star_count; begin += kTensors) {
    const int count = call.star_count - begin < kTensors ? call.star_count - begin : kTensors;
    const int64_t chunks = fill_table(call, first, begin, count, chunk, &table);
    if (chunks == 0) continue;
    int64_t largest = 0;
    for (int i = 0; i < count; ++i) largest = table.size[i] > largest ? table.size[i] : largest;
    const int64_t lanes = (largest + 3) / 4;
    const int threads = lanes >= kThreads ? kThreads : int((lanes + 31) / 32 * 32);
    const int64_t resident = int64_t(context.multiprocessors()) * 16;
    context.launch(update_kernel<Update, kTensors>, dim3(unsigned(chunks < resident ? chunks : resident)),
                   dim3(unsigned(threads)), 0, table, update, active);
  }
}

// Runs the update over all members of the groups that begin at operand `first`.
template <class Update>
void update_members(const OpCall& call, const CudaContext& context, int first, const Update& update,
                    const float* active = nullptr) {
  check_members(call, first, Update::kGroups, Update::kReads | Update::kWrites);
  // Small enough that all multiprocessors get work, large enough that finding the member does not count.
  const int64_t wanted = elements_of(call, first) / (int64_t(context.multiprocessors()) * 8) / 1024 * 1024;
  const int64_t chunk = wanted < 1024 ? 1024 : wanted > 65536 ? 65536 : wanted;
  if (call.star_count <= kShortTable) {
    launch_updates<kShortTable>(call, context, first, chunk, update, active);
  } else {
    launch_updates<kLongTable>(call, context, first, chunk, update, active);
  }
}

// Chunks whose sums are put together in order: their size is part of the result.
constexpr int64_t kSumChunk = 16384;

inline int64_t count_sum_chunks(const OpCall& call, int first) {
  int64_t count = 0;
  for (int i = 0; i < call.star_count; ++i) count += (call[first + i].size + kSumChunk - 1) / kSumChunk;
  return count;
}

// Fold: kGroups, kSums, kWrites, `void operator()(float (&value)[kGroups], double* sums) const`, and
// `void prepare(first, end, shared)` with the numbers of the member's chunks, called by all threads. A block per chunk;
// sums[chunk * kSums + s], chunks numbered through all members, of which this launch has those from `base` on.
template <class Fold, int kTensors>
__global__ void __launch_bounds__(kThreads)
    fold_kernel(const TensorTable<Fold::kGroups, kTensors> table, int64_t base, double* sums, Fold fold, const float* active) {
  __shared__ double shared[kThreads / kWarp];
  if (!is_active(active)) return;
  const int member = table.member_of(int32_t(blockIdx.x));
  const int64_t begin = int64_t(int32_t(blockIdx.x) - table.first_chunk[member]) * table.chunk;
  const int64_t end = begin + table.chunk < table.size[member] ? begin + table.chunk : table.size[member];
  fold.prepare(base + table.first_chunk[member], base + table.first_chunk[member + 1], shared);
  double mine[Fold::kSums > 0 ? Fold::kSums : 1] = {};
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    float value[Fold::kGroups];
    for (int g = 0; g < Fold::kGroups; ++g) value[g] = table.data[g][member][i];
    fold(value, mine);
    for (int g = 0; g < Fold::kGroups; ++g) {
      if (Fold::kWrites >> g & 1) table.data[g][member][i] = value[g];
    }
  }
  for (int s = 0; s < Fold::kSums; ++s) {
    const double total = block_reduce(mine[s], shared, [](double a, double b) { return a + b; });
    if (threadIdx.x == 0) sums[(base + int64_t(blockIdx.x)) * Fold::kSums + s] = total;
  }
}

template <int kTensors, class Fold>
void launch_folds(const OpCall& call, const CudaContext& context, int first, double* sums, const Fold& fold,
                  const float* active) {
  TensorTable<Fold::kGroups, kTensors> table;
  int64_t base = 0;
  for (int begin = 0; begin < call.star_count; begin += kTensors) {
    const int count = call.star_count - begin < kTensors ? call.star_count - begin : kTensors;
    const int64_t chunks = fill_table(call, first, begin, count, kSumChunk, &table);
    if (chunks == 0) continue;
    int64_t largest = 0;
    for (int i = 0; i < count; ++i) largest = table.size[i] > largest ? table.size[i] : largest;
    const int threads = largest >= kThreads ? kThreads : int((largest + 31) / 32 * 32);
    context.launch(fold_kernel<Fold, kTensors>, dim3(unsigned(chunks)), dim3(unsigned(threads)), 0, table, base, sums, fold,
                   active);
    base += chunks;
  }
}

template <class Fold>
void fold_members(const OpCall& call, const CudaContext& context, int first, double* sums, const Fold& fold,
                  const float* active = nullptr) {
  if (call.star_count <= kShortTable) {
    launch_folds<kShortTable>(call, context, first, sums, fold, active);
  } else {
    launch_folds<kLongTable>(call, context, first, sums, fold, active);
  }
}

}  // namespace tk::cuda
