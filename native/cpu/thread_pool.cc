#include "cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>

#include "core/error.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace tk {
namespace {

constexpr int kMaxThreads = 256;
constexpr auto kSpin = std::chrono::microseconds(20);

// Parts of ticket_. Twelve bits: with eight, the index after the last of 255 helpers would run over into the places.
constexpr int kPlacesShift = 12, kNumberShift = 24;
constexpr uint64_t kPartMask = 0xfff;
static_assert(kMaxThreads < int(kPartMask));

uint64_t places_of(uint64_t ticket) { return ticket >> kPlacesShift & kPartMask; }

void pause_cpu() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int initial_threads() {
  const char* wanted = std::getenv("TENSORKILN_THREADS");
  if (wanted == nullptr || *wanted == 0) return available_processors();
  char* end = nullptr;
  const long count = std::strtol(wanted, &end, 10);
  if (*end != 0 || count < 1 || count > kMaxThreads) {
    throw Error("E_CONFIG", std::string("TENSORKILN_THREADS: expected a whole number from 1 to 256, got '") + wanted + "'");
  }
  return int(count);
}

}  // namespace

ThreadPool& ThreadPool::instance() {
  static ThreadPool& pool = *new ThreadPool;
  return pool;
}

ThreadPool::ThreadPool() : num_threads_(initial_threads()) {}

void ThreadPool::set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads) {
    throw Error("E_CONFIG", "number of threads: expected a whole number from 1 to 256, got " + std::to_string(count));
  }
  {
    std::lock_guard lock(token_mutex_);
    num_threads_.store(count, std::memory_order_relaxed);
  }
  token_free_.notify_all();
}

void ThreadPool::acquire() {
  std::unique_lock lock(token_mutex_);
  waiters_.fetch_add(1, std::memory_order_relaxed);
  token_free_.wait(lock, [&] { return tokens_used_ < num_threads(); });
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  ++tokens_used_;
}

bool ThreadPool::try_acquire() {
  std::lock_guard lock(token_mutex_);
  if (tokens_used_ >= num_threads() || has_waiters()) return false;
  ++tokens_used_;
  return true;
}

void ThreadPool::release() {
  {
    std::lock_guard lock(token_mutex_);
    --tokens_used_;
  }
  if (has_waiters()) token_free_.notify_one();
}

void ThreadPool::work(int thread) {
  Region& region = region_;
  for (;;) {
    const int64_t begin = region.next.fetch_add(region.chunk, std::memory_order_relaxed);
    if (begin >= region.n) return;
    region.body(begin, std::min(begin + region.chunk, region.n), thread, region.state);
  }
}

int ThreadPool::start_helpers(int count) {
  try {
    while (int(helpers_.size()) < count) {
      helpers_.emplace_back([this] { helper_main(); });
      helpers_.back().detach();
    }
  } catch (const std::system_error&) {
    // The region is done by those there are.
  }
  return std::min(count, int(helpers_.size()));
}

void ThreadPool::run(int64_t n, int64_t grain, int max_threads, RangeBody body, void* state) {
  const int64_t units = (n + grain - 1) / grain;
  int helpers = int(std::min<int64_t>({units, int64_t(max_threads), int64_t(num_threads())})) - 1;
  if (helpers <= 0) return body(0, n, 0, state);
  std::unique_lock region(region_mutex_, std::try_to_lock);
  if (!region.owns_lock()) return body(0, n, 0, state);
  helpers = start_helpers(helpers);
  {
    // Further tokens only while some are free: runnable threads never exceed num_threads.
    std::lock_guard lock(token_mutex_);
    helpers = has_waiters() ? 0 : std::min(helpers, num_threads() - tokens_used_);
    if (helpers > 0) tokens_used_ += helpers;
  }
  if (helpers <= 0) {
    region.unlock();
    return body(0, n, 0, state);
  }
  region_.n = n;
  region_.grain = grain;
  // About four chunks per thread: enough to even out, few enough that the counter is not contended.
  region_.chunk = std::max<int64_t>(1, units / (int64_t(helpers + 1) * 4)) * grain;
  region_.body = body;
  region_.state = state;
  region_.next.store(0, std::memory_order_relaxed);
  joined_.store(0, std::memory_order_relaxed);
  const uint64_t number = (ticket_.load(std::memory_order_relaxed) >> kNumberShift) + 1;
  {
    std::lock_guard lock(wake_mutex_);
    ticket_.store(number << kNumberShift | uint64_t(helpers) << kPlacesShift | 1, std::memory_order_release);
  }
  wake_.notify_all();
  work(0);
  // Close the door: no helper joins from here on. Those inside are waited for.
  const uint64_t closed = ticket_.exchange(number << kNumberShift, std::memory_order_acq_rel);
  const int inside = helpers - int(places_of(closed));
  while (joined_.load(std::memory_order_acquire) < inside) pause_cpu();
  {
    std::lock_guard lock(token_mutex_);
    tokens_used_ -= helpers;
  }
  if (has_waiters()) token_free_.notify_all();
}

void ThreadPool::helper_main() {
  for (;;) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    const auto spin_end = std::chrono::steady_clock::now() + kSpin;
    while (places_of(ticket) == 0) {
      for (int i = 0; i < 32; ++i) pause_cpu();
      ticket = ticket_.load(std::memory_order_acquire);
      if (places_of(ticket) == 0 && std::chrono::steady_clock::now() > spin_end) {
        std::unique_lock lock(wake_mutex_);
        wake_.wait(lock, [&] { return places_of(ticket_.load(std::memory_order_acquire)) != 0; });
        ticket = ticket_.load(std::memory_order_acquire);
      }
    }
    // Take a place in the region: one helper fewer wanted, next thread index up.
    const uint64_t taken = ticket - (uint64_t(1) << kPlacesShift) + 1;
    if (!ticket_.compare_exchange_weak(ticket, taken, std::memory_order_acq_rel)) continue;
    work(int(ticket & kPartMask));
    joined_.fetch_add(1, std::memory_order_release);
  }
}

}  // namespace tk
