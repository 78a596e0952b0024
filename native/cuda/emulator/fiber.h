// A fiber: a stack of its own, and the switch from one to another. Each thread of an emulated block runs on one.
// Under -fsanitize=thread the emulator is compiled WITHOUT the flag (TK_EMULATOR_TSAN is defined instead): it moves between
// fibers on purpose; only the kernels should be instrumented.
#pragma once
#include <cstddef>
#ifdef TK_EMULATOR_UCONTEXT
#include <ucontext.h>
#endif

namespace tk::emulator {
struct Fiber {
  void* sp = nullptr;
  char* stack = nullptr;
  size_t size = 0;
  bool fresh = true;  // needs an initial frame
  void* asan_fake = nullptr;
  void* tsan = nullptr;
#ifdef TK_EMULATOR_UCONTEXT
  ucontext_t uc;
#endif
};
constexpr size_t STACK = 256 << 10, GUARD = 4096;

// Maps a stack behind a page that may not be touched.
void map_stack(Fiber& fiber);
void unmap_stack(Fiber& fiber);
// The next switch to the fiber enters `run`, which never returns.
void init_fiber(Fiber& fiber, void (*run)());
// Makes the calling thread's own stack a fiber.
void adopt_stack(Fiber& fiber);
void switch_fiber(Fiber& from, Fiber& to);
}  // namespace tk::emulator
