// The text form of op calls: printed for traces, parsed to run a saved list. Version 1:
//
//     %4: f32[64,10] = matmul(%0: f32[1,64,784], %1: f32[1,784,10]) {transpose_a=0, transpose_b=0}
//     %5 = alias(%4) {offset=0, count=640}
//     assign(%1, %5)
//
// In-place operands carry a leading '&'. Arguments stand in the order of ops.def without the outputs.
#pragma once
#include <map>
#include <string>

#include "plan/plan.h"

namespace tk {

std::string call_text(const CallRequest& request);  // operands' `handle` fields are printed as %N

// Runs the calls of a text through the environment's door. `inputs` names the buffers that the text does not make itself.
// Lines that are empty, or start with '#', "tensorkiln", "argument", "capture", "constant" or "return" are skipped. Returns
// every value the text made; the caller owns the handles. Throws E_DATA with the line number when the text is malformed.
std::map<std::string, HandleId> run_text(Environment& environment, const std::string& text,
                                         const std::map<std::string, HandleId>& inputs);

}  // namespace tk
