#include "core/error.h"

namespace tk {

void fail_check(const char* file, int line, const char* condition, int64_t left, int64_t right) {
  std::string text = std::string("broken internal promise at ") + file + ":" + std::to_string(line) + ": " + condition;
  if (left != right) text += " (" + std::to_string(left) + " and " + std::to_string(right) + ")";
  throw Error("E_INTERNAL",
              text + ". This is a defect of tensorkiln; please report it with the output of 'tensorkiln inspect'.");
}

}  // namespace tk
