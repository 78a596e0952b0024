// Shared by the parts of the emulator.
#pragma once
#include <functional>
#include <memory>

#include "cuda/emulator/emulator.h"

// Race detection: kernels are instrumented, the emulator is not; but malloc and memmove are intercepted
// everywhere, so emulator code that runs on a fiber is wrapped in a NoRace.  TS_READ/TS_WRITE report the
// accesses that an emulated instruction makes for its thread.
#ifdef TK_EMULATOR_TSAN
extern "C" {
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
void __tsan_read_range(void*, unsigned long);
void __tsan_write_range(void*, unsigned long);
}
#define TS_READ(p, n) __tsan_read_range((void*)(p), n)
#define TS_WRITE(p, n) __tsan_write_range((void*)(p), n)
namespace tk::emulator {

struct NoRace {
  NoRace() { __tsan_ignore_thread_begin(); }
  ~NoRace() { __tsan_ignore_thread_end(); }
};
}  // namespace tk::emulator
#else
#define TS_READ(p, n) ((void)(p))
#define TS_WRITE(p, n) ((void)(p))
namespace tk::emulator {
struct NoRace {
  ~NoRace() {}
};
}  // namespace tk::emulator
#endif
namespace tk::emulator {
constexpr int kMostDevices = 4;
// lose=N in TENSORKILN_EMULATOR: the device of the N-th launch is lost there; 0 never.
extern unsigned g_lose_at;
extern __thread int t_device;  // the current device of a host thread
cudaError_t run_grid(const LaunchInfo& li, const std::function<void()>& kernel);
bool mbar_init_unfenced();
void report(const char* text);  // records a kernel error, from outside a kernel
// Without ASan, known bytes behind each allocation tell of writes past its end.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t TAIL = 0;
#else
constexpr size_t TAIL = 64;
#endif
inline void set_tail(void* p, size_t n) {
  for (size_t i = 0; i < TAIL; i++) ((unsigned char*)p)[n + i] = 0xA5;
}
inline bool tail_ok(const void* p, size_t n) {
  for (size_t i = 0; i < TAIL; i++)
    if (((const unsigned char*)p)[n + i] != 0xA5) return false;
  return true;
}
void hb_release_block();  // everything this thread did happens before what wait_until() returns to
}  // namespace tk::emulator
