// Elementwise work over operands that broadcast to y (numpy's rules), for up to three inputs. The axes are collapsed first;
// what remains has an innermost axis over which each input is either dense or constant, so one loop per op serves every
// pattern: a constant input is read from a vector-sized buffer that does not advance. Where the innermost axis is short, inputs
// that are not dense over the whole of y are expanded block by block into buffers on the stack.
#pragma once

#include "ops/common/elementwise.h"

TK_BEGIN_LEVEL

constexpr int kMaxInputs = 3;

// Applies a formula to n elements. steps[i] is 1 where inputs[i] is dense, 0 where it points to kSplatBytes bytes of one
// repeated value. stream: y is aligned to kSplatBytes and may be written past the caches.
using BroadcastLoop = void (*)(const void* const* inputs, const int64_t* steps, void* y, int64_t n, bool stream);

constexpr int64_t kSplatBytes = 64;

struct BroadcastPlan {
  int num_inputs = 0;
  int rank = 0;  // at least 1
  int64_t total = 0;
  int64_t dims[kMaxRank] = {};
  int64_t strides[kMaxInputs][kMaxRank] = {};  // elements; 0 where the input repeats
  bool dense[kMaxInputs] = {};                 // has y's own strides
  int64_t period[kMaxInputs] = {};             // dense but for leading repeated axes: elements until it repeats; else 0
};

// The last operand of the call is y, those before it the inputs.
inline BroadcastPlan plan_broadcast(const OpCall& call) {
  BroadcastPlan plan;
  plan.num_inputs = call.num_operands - 1;
  TK_CHECK(plan.num_inputs <= kMaxInputs);
  const Operand& y = call[plan.num_inputs];
  plan.total = y.size;
  int64_t running[kMaxInputs] = {1, 1, 1};
  // Built from the innermost axis outwards, in reverse order.
  int64_t dims[kMaxRank], strides[kMaxInputs][kMaxRank];
  int rank = 0;
  for (int axis = 0; axis < y.rank; ++axis) {
    const int64_t dim = y.dims[y.rank - 1 - axis];
    int64_t stride[kMaxInputs] = {};
    bool merges = rank > 0;
    for (int i = 0; i < plan.num_inputs; ++i) {
      const Operand& input = call[i];
      const int64_t own = axis < input.rank ? input.dims[input.rank - 1 - axis] : 1;
      TK_CHECK(own == dim || own == 1);
      stride[i] = own == 1 ? 0 : running[i];
      running[i] *= own;
      if (rank > 0 && stride[i] != strides[i][rank - 1] * dims[rank - 1]) merges = false;
    }
    if (dim == 1) continue;
    if (merges) {
      dims[rank - 1] *= dim;
    } else {
      dims[rank] = dim;
      for (int i = 0; i < plan.num_inputs; ++i) strides[i][rank] = stride[i];
      ++rank;
    }
  }
  for (int i = 0; i < plan.num_inputs; ++i) TK_CHECK_EQ(running[i], call[i].size);  // no axes but those of y
  if (rank == 0) {
    dims[0] = 1;
    for (int i = 0; i < plan.num_inputs; ++i) strides[i][0] = 1;
    rank = 1;
  }
  plan.rank = rank;
  for (int axis = 0; axis < rank; ++axis) {
    plan.dims[axis] = dims[rank - 1 - axis];
    for (int i = 0; i < plan.num_inputs; ++i) plan.strides[i][axis] = strides[i][rank - 1 - axis];
  }
  for (int i = 0; i < plan.num_inputs; ++i) {
    int64_t expected = 1;
    int axis = rank - 1;
    for (; axis >= 0 && plan.strides[i][axis] == expected; --axis) expected *= plan.dims[axis];
    plan.dense[i] = axis < 0;
    int repeated = axis;
    while (repeated >= 0 && plan.strides[i][repeated] == 0) --repeated;
    plan.period[i] = repeated < 0 && axis >= 0 ? expected : 0;
  }
  return plan;
}

// A place in y: its index along each axis, and the offset of each input there.
struct BroadcastCursor {
  int64_t index[kMaxRank];
  int64_t offset[kMaxInputs];

  TK_INLINE void seek(const BroadcastPlan& plan, int64_t position) {
    for (int i = 0; i < plan.num_inputs; ++i) offset[i] = 0;
    for (int axis = plan.rank - 1; axis >= 0; --axis) {
      index[axis] = position % plan.dims[axis];
      position /= plan.dims[axis];
      for (int i = 0; i < plan.num_inputs; ++i) offset[i] += index[axis] * plan.strides[i][axis];
    }
  }
  // Moves on by n elements of the innermost axis, at most to its end.
  TK_INLINE void advance(const BroadcastPlan& plan, int64_t n) {
    int axis = plan.rank - 1;
    for (int i = 0; i < plan.num_inputs; ++i) offset[i] += n * plan.strides[i][axis];
    index[axis] += n;
    while (axis > 0 && index[axis] == plan.dims[axis]) {
      index[axis] = 0;
      for (int i = 0; i < plan.num_inputs; ++i) {
        offset[i] += plan.strides[i][axis - 1] - plan.dims[axis] * plan.strides[i][axis];
      }
      ++index[--axis];
    }
  }
};

template <class T>
void fill_splat(void* buffer, const void* value) {
  const T v = *static_cast<const T*>(value);
  for (int64_t i = 0; i < kSplatBytes / int64_t(sizeof(T)); ++i) static_cast<T*>(buffer)[i] = v;
}

// n elements of input `which` from `position` of y on, one after the other.
template <class T>
void expand_input(const BroadcastPlan& plan, int which, const void* data, int64_t position, int64_t n, void* buffer) {
  BroadcastCursor cursor;
  cursor.seek(plan, position);
  const int64_t inner = plan.dims[plan.rank - 1], stride = plan.strides[which][plan.rank - 1];
  T* out = static_cast<T*>(buffer);
  while (n > 0) {
    const int64_t left = inner - cursor.index[plan.rank - 1];
    const int64_t count = left < n ? left : n;
    const T* from = static_cast<const T*>(data) + cursor.offset[which];
    for (int64_t i = 0; i < count; ++i) out[i] = from[i * stride];
    out += count;
    n -= count;
    cursor.advance(plan, count);
  }
}

struct BroadcastJob {
  BroadcastPlan plan;
  BroadcastLoop loop;
  const char* inputs[kMaxInputs];
  int64_t input_bytes[kMaxInputs];  // per element: 4 or 1
  char* y;
  int64_t y_bytes;
  bool stream;
};

// Runs the loop, with the first elements apart where y must be aligned for streaming.
inline void run_loop(const BroadcastJob& job, const void* const* inputs, const int64_t* steps, char* y, int64_t n) {
  if (!job.stream) return job.loop(inputs, steps, y, n, false);
  const int64_t past = int64_t(reinterpret_cast<uintptr_t>(y) % uintptr_t(kSplatBytes));
  const int64_t gap = past == 0 ? 0 : (kSplatBytes - past) / job.y_bytes;
  const int64_t head = gap < n ? gap : n;
  if (head > 0) job.loop(inputs, steps, y, head, false);
  if (head == n) return;
  const void* rest[kMaxInputs];
  for (int i = 0; i < job.plan.num_inputs; ++i) {
    rest[i] = static_cast<const char*>(inputs[i]) + head * steps[i] * job.input_bytes[i];
  }
  job.loop(rest, steps, y + head * job.y_bytes, n - head, true);
}

// Long innermost axis: row by row.
inline void run_rows(const BroadcastJob& job, int64_t begin, int64_t end) {
  const BroadcastPlan& plan = job.plan;
  const int last = plan.rank - 1;
  alignas(64) char splats[kMaxInputs][kSplatBytes];
  const void* inputs[kMaxInputs];
  int64_t steps[kMaxInputs];
  BroadcastCursor cursor;
  cursor.seek(plan, begin);
  while (begin < end) {
    const int64_t left = plan.dims[last] - cursor.index[last];
    const int64_t n = left < end - begin ? left : end - begin;
    for (int i = 0; i < plan.num_inputs; ++i) {
      const char* from = job.inputs[i] + cursor.offset[i] * job.input_bytes[i];
      steps[i] = plan.strides[i][last];
      inputs[i] = from;
      if (steps[i] == 0) {
        job.input_bytes[i] == 4 ? fill_splat<int32_t>(splats[i], from) : fill_splat<uint8_t>(splats[i], from);
        inputs[i] = splats[i];
      }
    }
    run_loop(job, inputs, steps, job.y + begin * job.y_bytes, n);
    begin += n;
    cursor.advance(plan, n);
  }
}

// Short innermost axis: block by block through expanded inputs.
inline void run_blocks(BroadcastJob job, int64_t begin, int64_t end) {
  constexpr int64_t kBlock = 512;
  const BroadcastPlan& plan = job.plan;
  alignas(64) char buffers[kMaxInputs][kBlock * 4];
  // Blocks of whole periods: an input that repeats is then expanded once. Blocks of whole cache lines: y can be streamed.
  int64_t block = kBlock;
  for (int i = 0; i < plan.num_inputs; ++i) {
    int64_t unit = plan.period[i];
    if (unit == 0 || unit > kBlock) continue;
    while (unit % 16 != 0 && unit * 2 <= kBlock) unit *= 2;
    block = kBlock / unit * unit;
    break;
  }
  job.stream = job.stream && block % 16 == 0;
  const void* inputs[kMaxInputs];
  int64_t steps[kMaxInputs];
  const int64_t first = begin;
  for (; begin < end; begin += block) {
    const int64_t n = end - begin < block ? end - begin : block;
    for (int i = 0; i < plan.num_inputs; ++i) {
      steps[i] = 1;
      if (plan.dense[i]) {
        inputs[i] = job.inputs[i] + begin * job.input_bytes[i];
        continue;
      }
      inputs[i] = buffers[i];
      if (begin > first && plan.period[i] > 0 && block % plan.period[i] == 0) continue;
      job.input_bytes[i] == 4 ? expand_input<int32_t>(plan, i, job.inputs[i], begin, n, buffers[i])
                              : expand_input<uint8_t>(plan, i, job.inputs[i], begin, n, buffers[i]);
    }
    run_loop(job, inputs, steps, job.y + begin * job.y_bytes, n);
  }
}

// y[i] = f(inputs[i]) for the last operand of the call, with the inputs before it. y may alias an input of its own shape.
inline void run_broadcast(const OpCall& call, CpuContext& context, BroadcastLoop loop, int64_t grain) {
  BroadcastJob job;
  job.plan = plan_broadcast(call);
  if (job.plan.total == 0) return;
  const Operand& y = call[job.plan.num_inputs];
  job.loop = loop;
  job.y = static_cast<char*>(y.data);
  job.y_bytes = dtype_bytes(y.dtype);
  job.stream = y.bytes() >= kStreamBytes && job.y_bytes == 4;
  for (int i = 0; i < job.plan.num_inputs; ++i) {
    job.inputs[i] = static_cast<const char*>(call[i].data);
    job.input_bytes[i] = dtype_bytes(call[i].dtype);
    if (job.inputs[i] == job.y) job.stream = false;  // the lines are in the cache already
  }

  constexpr int64_t kLongRow = 64;
  const bool rows = job.plan.rank == 1 || job.plan.dims[job.plan.rank - 1] >= kLongRow;
  context.parallel_for(job.plan.total, grain, [&](int64_t begin, int64_t end, int) {
    rows ? run_rows(job, begin, end) : run_blocks(job, begin, end);
    if (job.stream) stream_fence();
  });
}

TK_END_LEVEL
