#include "dispatch/program.h"

#include <algorithm>

#include "core/error.h"
#include "dispatch/op_scope.h"

namespace tk {
namespace {

constexpr int kMaxTileOperands = 8;

// The calls of a tile run on the thread that has the tile.
class TileContext final : public CpuContext {
 public:
  explicit TileContext(CpuContext& outer) : outer_(outer) { num_threads_ = 1; }
  void run_parallel(int64_t n, int64_t, RangeBody body, void* state) override { body(0, n, 0, state); }
  void report_index(int64_t index, int64_t limit) override { outer_.report_index(index, limit); }

 private:
  CpuContext& outer_;
};

// The part of an operand that belongs to rows [first, first + n).
void cut_operand(const ProgramOperand& whole, char* data, const ProgramStep& step, int64_t first, int64_t n, Operand& part) {
  part = whole.shape;
  const int64_t bytes = dtype_bytes(part.dtype);
  const bool in_scratch = whole.place.base == kTileScratch;
  switch (whole.tile) {
    case TileKind::full:
      if (!in_scratch) data += first * step.cols * bytes;
      part.size = n * step.cols;
      break;
    case TileKind::column:
      if (!in_scratch) data += first * bytes;
      part.size = n;
      break;
    case TileKind::row:
    case TileKind::scalar: break;
  }
  part.data = data;
  // The leading dimension of what moves with the tile is its number of rows.
  if (whole.tile == TileKind::full || whole.tile == TileKind::column) part.dims[0] = n * part.dims[0];
}

}  // namespace

ProgramRun::ProgramRun(const Program& program, std::vector<void*> bases) : program_(program), bases_(std::move(bases)) {}

void ProgramRun::fill_call(const ProgramCall& call, OpCall& target) const {
  target.op = call.op;
  target.num_operands = call.num_operands;
  target.star_count = call.star_count;
  target.num_ints = call.num_ints;
  target.num_floats = call.num_floats;
  target.ints = program_.ints.data() + call.first_int;
  target.floats = program_.floats.data() + call.first_float;
}

OpCall ProgramRun::plain_call(const ProgramStep& step) {
  const ProgramCall& call = program_.calls[size_t(step.first_call)];
  operands_.resize(size_t(call.num_operands));
  for (int i = 0; i < call.num_operands; ++i) {
    const ProgramOperand& from = program_.operands[size_t(call.first_operand + i)];
    operands_[size_t(i)] = from.shape;
    operands_[size_t(i)].data = from.shape.size > 0 ? address(from.place) : nullptr;
  }
  OpCall result;
  fill_call(call, result);
  result.operands = operands_.data();
  result.workspace = call.workspace_bytes > 0 ? arena() + call.workspace_offset : nullptr;
  result.workspace_bytes = call.workspace_bytes;
  return result;
}

void ProgramRun::run_rows(const ProgramStep& step, const CpuOp* ops, CpuContext& context, int64_t begin, int64_t end,
                          int thread) const {
  TileContext inner(context);
  char* scratch = arena() + step.scratch_offset + int64_t(thread) * step.scratch_per_thread;
  Operand operands[kMaxTileOperands];
  for (int64_t first = begin; first < end; first += step.tile_rows) {
    const int64_t n = std::min(step.tile_rows, end - first);
    for (int32_t c = step.first_call + (step.headed ? 1 : 0); c < step.first_call + step.num_calls; ++c) {
      const ProgramCall& planned = program_.calls[size_t(c)];
      for (int i = 0; i < planned.num_operands; ++i) {
        const ProgramOperand& whole = program_.operands[size_t(planned.first_operand + i)];
        char* data = whole.place.base == kTileScratch ? scratch + whole.place.offset : static_cast<char*>(address(whole.place));
        if (data == nullptr) {
          operands[i] = whole.shape;  // an optional operand that is not given
        } else {
          cut_operand(whole, data, step, first, n, operands[i]);
        }
      }
      OpCall call;
      fill_call(planned, call);
      call.operands = operands;
      ops[planned.op].body(call, inner);
    }
  }
}

void ProgramRun::run_tiles(const ProgramStep& step, const CpuOp* ops, CpuContext& context) const {
  const int64_t tiles = (step.rows + step.tile_rows - 1) / step.tile_rows;
  context.parallel_for(tiles, step.grain, [&](int64_t begin, int64_t end, int thread) {
    run_rows(step, ops, context, begin * step.tile_rows, std::min(end * step.tile_rows, step.rows), thread);
  });
}

}  // namespace tk
