// Rough cost of a call, to tell the negligible ones from those worth a thread switch.
#pragma once
#include "dispatch/op_table.h"

namespace tk {

// Estimated run time in nanoseconds on one thread. Deliberately coarse: only its order of magnitude is used.
double estimate_nanoseconds(const OpInfo& info, const Operand* operands, int count);

// Calls below this run at once on an idle stream: about what handing work to another thread and back would cost.
constexpr double kNegligibleNanoseconds = 15000;

}  // namespace tk
