// What a CPU kernel may use besides its operands: the threads of the pool and the flag for data-dependent errors.
#pragma once
#include <cstdint>

#include "core/op_call.h"

namespace tk {

// Runs body(begin, end, thread, state) over parts of [0, n) whose borders are multiples of grain.
using RangeBody = void (*)(int64_t begin, int64_t end, int thread, void* state);

// Work that a plan has put behind a call: it takes the call's result piece by piece, while a piece is still in the cache.
struct FollowUp {
  void (*run)(void* self, int64_t begin, int64_t end, int thread) = nullptr;  // elements [begin, end) of the result
  void* self = nullptr;
  int64_t multiple = 1;  // pieces begin and end at multiples of it
};

class CpuContext {
 public:
  virtual ~CpuContext() = default;

  // An op that makes its result row by row may hand rows over as soon as they are complete, from the thread that made them; all
  // of them, each once, or none: then what follows runs after the call. Asked with the elements of a row.
  TK_HOST_INLINE bool takes_rows(int64_t row) const { return follow_up_ != nullptr && row % follow_up_->multiple == 0; }
  TK_HOST_INLINE void hand_over(int64_t begin, int64_t end, int thread) const {
    follow_up_->run(follow_up_->self, begin, end, thread);
  }

  // Most threads that parallel_for uses at once; fixed for the whole call. Per-thread scratch is indexed by `thread` below it.
  int num_threads() const { return num_threads_; }

  // Splits [0, n) into units of `grain` and shares them out. The partition may differ from run to run, so the result of a
  // unit must not depend on which units go with it: this is what makes results independent of the number of threads.
  // Returns when all units are done. body must not throw, allocate, or call parallel_for.
  virtual void run_parallel(int64_t n, int64_t grain, RangeBody body, void* state) = 0;

  // body: callable (int64_t begin, int64_t end, int thread). Choose grain so that a unit takes some 20 us or more: work
  // that fits in one unit runs on the calling thread at no cost.
  template <class Body>
  TK_HOST_INLINE void parallel_for(int64_t n, int64_t grain, const Body& body) {
    if (n <= 0) return;
    if (n <= grain || num_threads_ == 1) return body(int64_t(0), n, 0);
    run_parallel(
        n, grain,
        [](int64_t begin, int64_t end, int thread, void* state) { (*static_cast<const Body*>(state))(begin, end, thread); },
        const_cast<Body*>(&body));
  }

  // Reports an index outside [0, limit) found in device data. The kernel clamps and goes on; the first report surfaces as
  // E_INDEX at the next synchronisation. Callable from any thread of the call.
  virtual void report_index(int64_t index, int64_t limit) = 0;

 protected:
  int num_threads_ = 1;
  const FollowUp* follow_up_ = nullptr;
};

}  // namespace tk
