// How many threads a process gets: TENSORKILN_THREADS, else the processors it may use by affinity mask and control group. Each
// case runs in a process of its own, since the pool reads its environment once.
#include "cpu/cpu_info.h"
#include "cpu/thread_pool.h"
#include "test.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

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

// A folder that looks like the root of a machine to who reads control groups; gone at the end.
class FakeRoot {
 public:
  explicit FakeRoot(const std::map<std::string, std::string>& files) {
    char path[] = "/tmp/tensorkiln-cgroup-XXXXXX";
    path_ = mkdtemp(path);
    for (const auto& [name, text] : files) {
      const std::filesystem::path file = std::filesystem::path(path_) / name;
      std::filesystem::create_directories(file.parent_path());
      std::ofstream(file) << text << '\n';
    }
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  tk::CgroupLimits limits() const { return tk::cgroup_limits(path_); }

 private:
  std::string path_;
};

TEST(control_groups_grant_the_least_of_all_above) {
  const FakeRoot root({{"proc/self/cgroup", "0::/pod/container"},
                       {"sys/fs/cgroup/pod/container/cpu.max", "max 100000"},
                       {"sys/fs/cgroup/pod/container/memory.max", "1000000"},
                       {"sys/fs/cgroup/pod/cpu.max", "150000 100000"},
                       {"sys/fs/cgroup/pod/memory.max", "max"},
                       {"sys/fs/cgroup/cpu.max", "300000 100000"},
                       {"sys/fs/cgroup/memory.max", "2000000"}});
  CHECK(root.limits().milli_processors == 1500);
  CHECK(root.limits().memory_bytes == 1000000);
}

TEST(control_groups_without_a_limit) {
  const FakeRoot unlimited({{"proc/self/cgroup", "0::/"}, {"sys/fs/cgroup/cpu.max", "max 100000"}});
  CHECK(unlimited.limits().milli_processors == -1 && unlimited.limits().memory_bytes == -1);
  const FakeRoot empty({});
  CHECK(empty.limits().milli_processors == -1 && empty.limits().memory_bytes == -1);
  // A path that is not mounted here, as in a container without a namespace of its own; then what is no number.
  const FakeRoot elsewhere({{"proc/self/cgroup", "0::/not/here"}, {"sys/fs/cgroup/cpu.max", "5 100000"}});
  CHECK(elsewhere.limits().milli_processors == 1);
  const FakeRoot odd({{"proc/self/cgroup", "0::/"}, {"sys/fs/cgroup/cpu.max", "much"}, {"sys/fs/cgroup/memory.max", ""}});
  CHECK(odd.limits().milli_processors == -1 && odd.limits().memory_bytes == -1);
}

TEST(control_groups_of_version_1) {
  const FakeRoot root({{"proc/self/cgroup", "4:cpu,cpuacct:/docker/1"},
                       {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000"},
                       {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"},
                       {"sys/fs/cgroup/memory/memory.limit_in_bytes", "4096"}});
  CHECK(root.limits().milli_processors == 2500 && root.limits().memory_bytes == 4096);
  const FakeRoot unlimited({{"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"}, {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"}});
  CHECK(unlimited.limits().milli_processors == -1);
}

}  // namespace
#endif

TEST(there_is_a_processor) { CHECK(tk::available_processors() >= 1); }

TEST_MAIN
