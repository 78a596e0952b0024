// A list of op calls that is prepared once and then runs as one entry of a stream's queue: shapes, attributes and the places of
// all buffers are fixed, only the addresses of the bases (variables, arguments, outputs, the arena) come with each run.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "dispatch/op_table.h"

namespace tk {

class CallRunner;

// Where an operand lies: `offset` bytes into a base. Base kTileScratch: into the scratch memory of the running thread.
struct ProgramPlace {
  int32_t base = 0;
  int64_t offset = 0;
};
constexpr int32_t kTileScratch = -1;
constexpr int32_t kNoBase = -2;  // operands of 0 elements

// How an operand of a tiled call follows the tile of rows [r, r + n) of a domain [rows, cols].
enum class TileKind : uint8_t {
  full,    // [rows, cols]: the tile's part
  column,  // [rows] or [rows, 1]: the tile's part
  row,     // [cols]: the same for every tile
  scalar   // one element
};

struct ProgramOperand {
  Operand shape;  // data is null
  ProgramPlace place;
  TileKind tile = TileKind::full;
};

struct ProgramCall {
  uint16_t op = 0;
  int32_t star_count = 0;
  int32_t first_operand = 0, num_operands = 0;
  int32_t first_int = 0, num_ints = 0;
  int32_t first_float = 0, num_floats = 0;
  int64_t workspace_offset = 0, workspace_bytes = 0;  // in the arena
};

// One call, or a chain of calls that runs tile by tile so that what passes between them stays in the cache. A headed chain
// begins with a call that runs as a whole, a product or convolution: the others take its rows as soon as they are complete.
struct ProgramStep {
  int32_t first_call = 0, num_calls = 1;
  bool tiled = false, headed = false;
  int64_t rows = 0, cols = 0, tile_rows = 0;
  int64_t grain = 1;                                   // tiles that make a unit of parallel work
  int64_t scratch_offset = 0, scratch_per_thread = 0;  // in the arena
};

struct ProgramBuffer {
  int64_t size = 0;  // elements
  DType dtype = DType::f32;
};

// Bases: the externals, then the outputs, then the arena.
struct Program {
  std::vector<ProgramOperand> operands;
  std::vector<ProgramCall> calls;
  std::vector<ProgramStep> steps;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<bool> written;           // per external: a call writes into it
  std::vector<ProgramBuffer> outputs;  // made afresh by each run
  int64_t arena_bytes = 0;
  int num_threads = 1;     // what workspaces and scratch were sized for
  double nanoseconds = 0;  // estimate of the whole

  // Of the arena and the outputs: what a run takes.
  int64_t bytes() const {
    int64_t sum = arena_bytes;
    for (const ProgramBuffer& output : outputs) sum += output.size * dtype_bytes(output.dtype);
    return sum;
  }
};

// Runs a program's steps on the CPU or a device. One run at a time per program: a stream runs its queue in order.
class ProgramRun {
 public:
  ProgramRun(const Program& program, std::vector<void*> bases);

  const Program& program() const { return program_; }
  // Where each base of the program lies in this run.
  const std::vector<void*>& bases() const { return bases_; }
  // The op call of a plain step, or of the head of a chain, with its addresses; valid until the next call of this function.
  OpCall plain_call(const ProgramStep& step);
  // Runs the calls of a tiled step, but for its head; context is the caller's for the whole step.
  void run_tiles(const ProgramStep& step, const CpuOp* ops, CpuContext& context) const;
  // The same for rows [begin, end) of the domain, on the thread that calls.
  void run_rows(const ProgramStep& step, const CpuOp* ops, CpuContext& context, int64_t begin, int64_t end, int thread) const;

 private:
  void* address(const ProgramPlace& place) const {
    return place.base == kNoBase ? nullptr : static_cast<char*>(bases_[size_t(place.base)]) + place.offset;
  }
  void fill_call(const ProgramCall& call, OpCall& target) const;
  char* arena() const { return static_cast<char*>(bases_.back()); }

  const Program& program_;
  std::vector<void*> bases_;
  std::vector<Operand> operands_;  // of the plain call under way
};

}  // namespace tk
