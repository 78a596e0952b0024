// Calls with f16 or bf16 operands to ops that do not take them: the door casts inputs to f32 and the result back.
#pragma once
#include "dispatch/environment.h"

namespace tk {

// Whether an operand has one of the 16-bit storage dtypes.
bool has_half(const CallRequest& request);

// Whether the CPU's body takes these 16-bit operands as they are, beyond the dtypes that ops.def lists for every device:
// products whose large operands have one 16-bit dtype.
bool cpu_takes_half(const CallRequest& request);

// Dispatches the call with f32 in place of each half: inputs are cast first, an operand that is named twice once; outputs are
// cast afterwards. Each cast is a call of its own, so recorded steps repeat it. In-place operands cannot be halves.
// Throws as Environment::dispatch; nothing is left behind then.
void dispatch_widened(Environment& environment, CallRequest& request, const OpInfo& info, int star_count);

}  // namespace tk
