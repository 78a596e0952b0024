// The table of ops made from ops.def: what each op takes, and its CPU body at each instruction-set level.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/op_call.h"
#include "cpu/context.h"

namespace tk {

enum class Role : uint8_t { in, out, inout };
enum class OpKind : uint8_t { stream, host };
enum class OpCost : uint8_t { elements, matmul, conv, transcend };

using CpuBody = void (*)(const OpCall&, CpuContext&);
using WorkspaceBytes = int64_t (*)(const OpCall&, int num_threads);

struct OperandSpec {
  std::string name;
  Role role;
  bool star;
  bool optional;  // an output that may be given as a tensor of 0 elements when nobody wants it
};

struct AttrSpec {
  std::vector<std::string> names;
  bool open = false;  // the last name is a list that takes all remaining values
};

struct OpInfo {
  std::string name;
  std::vector<OperandSpec> operands;
  AttrSpec ints, floats;
  std::vector<std::string> dtypes;  // alternatives, one letter per operand spec
  OpKind kind;
  OpCost cost;
  int num_fixed = 0;    // operands outside starred groups
  int num_starred = 0;  // starred groups
};

struct CpuOp {
  CpuBody body;
  WorkspaceBytes workspace;  // null when the op needs none
};

enum class Level : uint8_t { baseline, avx2, avx512, neon };
const char* level_name(Level level);

// All ops in the order of ops.def; the index is the op number.
const std::vector<OpInfo>& op_infos();
int find_op(std::string_view name);  // -1 when absent

// The levels in this build that this machine can run, best last.
const std::vector<Level>& usable_levels();
// One entry per op; null for a level that is not usable.
const CpuOp* cpu_ops(Level level);
// The level in use: the best usable one, or the one named by TENSORKILN_LEVEL (error E_CONFIG when it cannot run here).
Level active_level();

// Op numbers as constants: tk::op_number::conv2d.
namespace op_number {
enum : uint16_t {
#define TK_OP(name, ...) name,
#include "ops/ops.def"
  kCount
};
}  // namespace op_number

}  // namespace tk
