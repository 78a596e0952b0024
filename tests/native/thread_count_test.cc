// How many threads a process gets: TENSORKILN_THREADS, else the processors it may use. Each case runs in a process of its own,
// since the pool reads its environment once.
#include "cpu/thread_pool.h"
#include "test.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace {

constexpr int kFailed = 255;

// What `count` gives in a child process.
int in_child(const std::function<int()>& count) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(count());
    } catch (...) {
      _exit(kFailed);
    }
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kFailed;
  return WEXITSTATUS(status);
}

// Keeps the calling process on the first `count` of the processors that it may use; how many that are.
int restrict_to(int count) {
  cpu_set_t allowed, kept;
  CPU_ZERO(&allowed);
  CPU_ZERO(&kept);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&kept) < count; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &kept);
  }
  return sched_setaffinity(0, sizeof kept, &kept) == 0 ? CPU_COUNT(&kept) : 0;
}

int pool_threads() { return tk::ThreadPool::instance().num_threads(); }

TEST(threads_follow_the_affinity_mask) {
  unsetenv("TENSORKILN_THREADS");
  // One processor is within any quota.
  CHECK(in_child([] { return restrict_to(1) == 1 ? pool_threads() : kFailed; }) == 1);
  const int all = tk::available_processors();
  CHECK(in_child([] { return pool_threads(); }) == all);
  if (all >= 2) CHECK(in_child([] { return restrict_to(2) == 2 ? pool_threads() : kFailed; }) == 2);
}

TEST(threads_asked_for_win_over_the_processors) {
  for (const char* count : {"1", "3", "250"}) {
    setenv("TENSORKILN_THREADS", count, 1);
    CHECK(in_child([] { return restrict_to(1) == 1 ? pool_threads() : kFailed; }) == std::atoi(count));
  }
  for (const char* wrong : {"0", "257", "two", "1.5", "-1"}) {
    setenv("TENSORKILN_THREADS", wrong, 1);
    CHECK(in_child([] { return pool_threads(); }) == kFailed);
  }
  unsetenv("TENSORKILN_THREADS");
}

}  // namespace
#endif

TEST(there_is_a_processor) { CHECK(tk::available_processors() >= 1); }

TEST_MAIN
