// One pool of threads for the process. N threads means N runnable in total: whoever runs calls (a stream's thread, or the
// JavaScript thread in dataSync) holds one of N run tokens, and a parallel region takes further tokens only while some are
// free.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/context.h"

namespace tk {

class ThreadPool {
 public:
  // The process's pool, never destroyed: its threads sleep until the process ends. First use reads TENSORKILN_THREADS.
  static ThreadPool& instance();

  int num_threads() const { return num_threads_.load(std::memory_order_relaxed); }
  // 1..256; takes effect for calls that start afterwards. Threads above the number stay asleep.
  void set_num_threads(int count);

  // Run tokens: acquire before running calls, release afterwards. Fair enough: a waiter gets the next free token.
  void acquire();
  bool try_acquire();
  void release();
  bool has_waiters() const { return waiters_.load(std::memory_order_relaxed) > 0; }

  // Runs body over [0, n) in units of grain with the calling thread and up to num_threads - 1 helpers. One region at a time:
  // when another one is running, the caller does all the work itself. The caller must hold a token.
  void run(int64_t n, int64_t grain, int max_threads, RangeBody body, void* state);

 private:
  struct Region {
    int64_t n = 0, grain = 1, chunk = 1;
    RangeBody body = nullptr;
    void* state = nullptr;
    std::atomic<int64_t> next{0};
  };

  ThreadPool();
  void helper_main();
  void work(int thread);
  // Starts helpers until there are `count`; returns how many there are, fewer when the system gives no more threads.
  int start_helpers(int count);

  std::atomic<int> num_threads_;
  std::mutex token_mutex_;
  std::condition_variable token_free_;
  int tokens_used_ = 0;
  std::atomic<int> waiters_{0};

  std::mutex region_mutex_;  // held by the thread that owns the region
  Region region_;
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> ticket_{0};  // region number << 24 | helpers that may still join << 12 | next thread index
  std::atomic<int> joined_{0};       // helpers that have finished their part of the present region
  std::vector<std::thread> helpers_;
};

// Number of processors this process may use: affinity mask and cgroup quota, at least 1.
int available_processors();

}  // namespace tk
