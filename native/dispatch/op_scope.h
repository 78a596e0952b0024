// Enforcement of the op contract in TENSORKILN_CHECK_OPS builds: while an op runs, its threads may not allocate and may not
// wait for a stream or for memory. Other builds compile all of this to nothing.
#pragma once
#include "core/error.h"

namespace tk {

#if TENSORKILN_CHECK_OPS
// Whether the calling thread is inside an op body.
bool inside_op();

class OpScope {
 public:
  OpScope();
  ~OpScope();
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;
  // Allocations seen on this thread since the scope began.
  int allocations() const;

 private:
  int before_;
};

// Lets the engine's own code allocate in the middle of an op (starting the pool's threads).
class OpPause {
 public:
  OpPause();
  ~OpPause();
  OpPause(const OpPause&) = delete;
  OpPause& operator=(const OpPause&) = delete;

 private:
  int depth_, allocations_;
};

inline void forbid_inside_op(const char* what) {
  if (inside_op()) throw Error("E_INTERNAL", std::string("an op must not ") + what);
}
#else
class OpScope {
 public:
  int allocations() const { return 0; }
};
inline void forbid_inside_op(const char*) {}
#endif

}  // namespace tk
