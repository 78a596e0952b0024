#include "cuda/emulator/fiber.h"

#include <pthread.h>
#include <sys/mman.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TK_EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
#endif

// tk_emulator_switch(save, next): push the callee-saved registers, store sp in *save, load next, pop, return.
#if defined(TK_EMULATOR_UCONTEXT)
#include <ucontext.h>
#elif defined(__x86_64__)
asm(R"(.text
.globl tk_emulator_switch
.type tk_emulator_switch,@function
tk_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tk_emulator_switch,.-tk_emulator_switch
)");
#elif defined(__aarch64__)
asm(R"(.text
.globl tk_emulator_switch
.type tk_emulator_switch,%function
tk_emulator_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size tk_emulator_switch,.-tk_emulator_switch
)");
#else
#error "no context switch for this processor: define TK_EMULATOR_UCONTEXT"
#endif
extern "C" void tk_emulator_switch(void** save, void* next);

namespace tk::emulator {
void map_stack(Fiber& f) {
  char* p = (char*)mmap(nullptr, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("CUDA emulator: fiber stack");
    abort();
  }
  mprotect(p, GUARD, PROT_NONE);
  f.stack = p + GUARD;
  f.size = STACK;
}

void unmap_stack(Fiber& f) { munmap(f.stack - GUARD, f.size + GUARD); }

void init_fiber(Fiber& f, void (*run)()) {
  // Stack colouring: without it the hot lines of a thousand page-aligned stacks share a few cache sets.
  size_t colour = ((uintptr_t(f.stack) / (STACK + GUARD)) % 48) * 64;
  uintptr_t top = (uintptr_t(f.stack) + f.size - colour) & ~uintptr_t(63);
#if defined(TK_EMULATOR_UCONTEXT)
  getcontext(&f.uc);
  f.uc.uc_stack.ss_sp = f.stack;
  f.uc.uc_stack.ss_size = top - uintptr_t(f.stack);
  f.uc.uc_link = nullptr;
  makecontext(&f.uc, run, 0);
#elif defined(__x86_64__)
  void** s = (void**)top;
  *--s = nullptr;  // keeps rsp % 16 == 8 at entry
  *--s = (void*)run;
  for (int i = 0; i < 6; i++) *--s = nullptr;
  f.sp = s;
#else
  void** s = (void**)(top - 160);
  memset(s, 0, 160);
  s[11] = (void*)run;  // x30
  f.sp = s;
#endif
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(f.stack, f.size);  // an abandoned run leaves its red zones behind
#endif
#ifdef TK_EMULATOR_TSAN
  if (!f.tsan) f.tsan = __tsan_create_fiber(0);
#endif
  f.asan_fake = nullptr;
  f.fresh = false;
}

void adopt_stack(Fiber& f) {
  pthread_attr_t attributes;
  void* stack;
  size_t size;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &stack, &size);
  pthread_attr_destroy(&attributes);
  f.stack = (char*)stack;
  f.size = size;
  f.fresh = false;
#ifdef TK_EMULATOR_TSAN
  f.tsan = __tsan_get_current_fiber();
#endif
}

void switch_fiber(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.asan_fake, to.stack, to.size);
#endif
#ifdef TK_EMULATOR_TSAN
  __tsan_switch_to_fiber(to.tsan, 1 /* no synchronisation implied */);
#endif
#ifdef TK_EMULATOR_UCONTEXT
  swapcontext(&from.uc, &to.uc);
#else
  tk_emulator_switch(&from.sp, to.sp);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.asan_fake, nullptr, nullptr);
#endif
}
}  // namespace tk::emulator
