// Compiled once per level: the CPU bodies of that level. An op of ops.def without a body fails at link time by name.
#include "dispatch/op_table.h"

#ifndef TK_LEVEL
#define TK_LEVEL baseline
#endif

namespace tk {
namespace TK_LEVEL {

#define TK_WORKSPACE_none(name)
#define TK_WORKSPACE_own(name) int64_t name##_workspace(const OpCall&, int);
#define TK_OP(name, operands, ints, floats, dtypes, kind, cost, workspace) \
  void name##_cpu(const OpCall&, CpuContext&);                             \
  TK_WORKSPACE_##workspace(name)
#include "ops/ops.def"
#undef TK_WORKSPACE_none
#undef TK_WORKSPACE_own

#define TK_WORKSPACE_none(name) nullptr
#define TK_WORKSPACE_own(name) name##_workspace
extern const CpuOp kCpuOps[];
const CpuOp kCpuOps[] = {
#define TK_OP(name, operands, ints, floats, dtypes, kind, cost, workspace) {name##_cpu, TK_WORKSPACE_##workspace(name)},
#include "ops/ops.def"
};

}  // namespace TK_LEVEL
}  // namespace tk
