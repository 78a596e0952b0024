// Streams and the thread pool: order, waiting, closing, tokens.
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#if defined(__GLIBC__)
#include <pthread.h>
#endif

#include "core/error.h"
#include "cpu/thread_pool.h"
#include "dispatch/stream.h"
#include "test.h"

using tk::Command;
using tk::Stream;
using tk::ThreadPool;

namespace {

// Runs a function when the stream reaches it.
class Action final : public tk::Completion {
 public:
  explicit Action(std::function<void(const tk::Error*)> body) : body_(std::move(body)) {}
  void done(const tk::Error* error) override { body_(error); }

 private:
  std::function<void(const tk::Error*)> body_;
};

uint64_t enqueue_action(Stream& stream, std::function<void(const tk::Error*)> body, bool negligible = false) {
  std::unique_ptr<Command> command = stream.new_command();
  command->kind = Command::Kind::marker;
  command->completion = std::make_unique<Action>(std::move(body));
  return stream.enqueue(std::move(command), negligible);
}

std::unique_ptr<Command> call(Stream& stream, const char* name, std::vector<tk::Operand> operands,
                              std::vector<int64_t> ints = {}, std::vector<double> floats = {}) {
  std::unique_ptr<Command> command = stream.new_command();
  command->kind = Command::Kind::call;
  command->op = uint16_t(tk::find_op(name));
  command->operands = std::move(operands);
  command->ints = std::move(ints);
  command->floats = std::move(floats);
  command->num_threads = ThreadPool::instance().num_threads();
  return command;
}

tk::Operand vector_operand(std::vector<float>& values) {
  tk::Operand operand;
  operand.data = values.data();
  operand.size = operand.dims[0] = int64_t(values.size());
  operand.rank = 1;
  return operand;
}

#if defined(__GLIBC__)
// While it lives, every new thread asks for a stack that no system has.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t(1) << 46);
    pthread_setattr_default_np(&huge);
    pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_;
};
#endif

void pause(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

}  // namespace

TEST(commands_run_in_order) {
  Stream stream(tk::active_level());
  std::vector<int> seen;
  for (int i = 0; i < 20000; ++i)
    enqueue_action(
        stream, [&seen, i](const tk::Error*) { seen.push_back(i); }, i % 3 == 0);
  stream.wait_idle();
  CHECK(seen.size() == 20000);
  bool ordered = true;
  for (int i = 0; i < int(seen.size()); ++i) ordered = ordered && seen[size_t(i)] == i;
  CHECK(ordered);
  CHECK(stream.completed() == stream.enqueued());
}

TEST(negligible_command_runs_at_once_when_idle) {
  Stream stream(tk::active_level());
  std::thread::id ran_on;
  enqueue_action(
      stream, [&](const tk::Error*) { ran_on = std::this_thread::get_id(); }, true);
  CHECK(ran_on == std::this_thread::get_id());
  CHECK(stream.inlined() == 1);
}

TEST(negligible_command_keeps_its_turn) {
  Stream stream(tk::active_level());
  std::atomic<bool> go{false};
  std::vector<int> seen;
  enqueue_action(stream, [&](const tk::Error*) {
    while (!go) pause(1);
    seen.push_back(1);
  });
  pause(20);
  enqueue_action(
      stream, [&](const tk::Error*) { seen.push_back(2); }, true);
  CHECK(stream.inlined() == 0);
  go = true;
  stream.wait_idle();
  CHECK(seen == (std::vector<int>{1, 2}));
}

TEST(waiting_thread_runs_the_queue) {
  Stream stream(tk::active_level());
  std::atomic<int> on_waiter{0};
  const std::thread::id waiter = std::this_thread::get_id();
  for (int i = 0; i < 200; ++i) {
    enqueue_action(stream, [&](const tk::Error*) {
      if (std::this_thread::get_id() == waiter) ++on_waiter;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    });
  }
  stream.wait_idle();
  CHECK(stream.completed() == 200);
  CHECK(on_waiter > 0);
}

TEST(full_queue_makes_enqueue_wait) {
  Stream stream(tk::active_level());
  std::atomic<bool> go{false};
  std::thread opener([&] {
    pause(50);
    go = true;
  });
  enqueue_action(stream, [&](const tk::Error*) {
    while (!go) pause(1);
  });
  int64_t ran = 0;
  for (size_t i = 0; i < Stream::kMaxQueued + 1000; ++i) enqueue_action(stream, [&](const tk::Error*) { ++ran; });
  CHECK(go.load());
  stream.wait_idle();
  CHECK(ran == int64_t(Stream::kMaxQueued + 1000));
  opener.join();
}

TEST(staged_bytes_are_bounded) {
  Stream stream(tk::active_level());
  std::vector<uint8_t> target(64 << 20);
  for (int i = 0; i < 12; ++i) {
    std::unique_ptr<Command> command = stream.new_command();
    command->kind = Command::Kind::write;
    command->staged.assign(target.size(), uint8_t(i));
    command->target = target.data();
    stream.enqueue(std::move(command));
  }
  stream.wait_idle();
  CHECK(target.front() == 11 && target.back() == 11);
}

TEST(spare_commands_hold_on_to_no_large_staged_bytes) {
  std::vector<uint8_t> target(4 << 20);
  Stream stream(tk::active_level());
  for (int i = 0; i < 40; ++i) {
    std::unique_ptr<Command> command = stream.new_command();
    command->kind = Command::Kind::write;
    command->staged.assign(target.size(), uint8_t(i));
    command->target = target.data();
    stream.enqueue(std::move(command));
  }
  stream.wait_idle();
  size_t held = 0;
  std::vector<std::unique_ptr<Command>> spare;
  for (int i = 0; i < 40; ++i) {
    spare.push_back(stream.new_command());
    held += spare.back()->staged.capacity();
  }
  CHECK(held < target.size());
}

#if defined(__GLIBC__)
TEST(without_further_threads_calls_still_run_or_say_so) {
  ThreadPool& pool = ThreadPool::instance();
  // More helpers than earlier tests have started.
  pool.set_num_threads(16);
  const NoThreads no_threads;
  Stream stream(tk::active_level());
  CHECK_THROWS(enqueue_action(stream, [](const tk::Error*) {}), "E_OUT_OF_MEMORY");
  CHECK(stream.enqueued() == 0);
  stream.wait_idle();
  bool ran = false;
  enqueue_action(
      stream, [&](const tk::Error*) { ran = true; }, true);
  CHECK(ran);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> units{0};
    pool.acquire();
    pool.run(
        100, 1, 16,
        [](int64_t begin, int64_t end, int, void* done) { *static_cast<std::atomic<int>*>(done) += int(end - begin); }, &units);
    pool.release();
    CHECK(units == 100);
  }
  // All tokens are back.
  for (int i = 0; i < 16; ++i) CHECK(pool.try_acquire());
  for (int i = 0; i < 16; ++i) pool.release();
  pool.set_num_threads(2);
}
#endif

TEST(error_surfaces_once_at_the_next_completion) {
  Stream stream(tk::active_level());
  std::vector<float> x(4, 1.0f), y(3, 0.0f);
  // gather with an index out of range: clamped, reported.
  std::vector<int32_t> indices{0, 7, 2};
  tk::Operand table = vector_operand(x), ids, out = vector_operand(y);
  table.rank = 3;
  table.dims[0] = 1, table.dims[1] = 4, table.dims[2] = 1;
  out.rank = 3;
  out.dims[0] = 1, out.dims[1] = 3, out.dims[2] = 1;
  ids.data = indices.data();
  ids.size = ids.dims[0] = 3;
  ids.rank = 1;
  ids.dtype = tk::DType::i32;
  stream.enqueue(call(stream, "gather", {table, ids, out}));
  std::string code, text;
  bool second_error = true;
  enqueue_action(stream, [&](const tk::Error* error) {
    if (error != nullptr) code = error->code(), text = error->what();
  });
  enqueue_action(stream, [&](const tk::Error* error) { second_error = error != nullptr; });
  stream.wait_idle();
  CHECK(code == "E_INDEX");
  CHECK(text.find("gather") != std::string::npos && text.find("7") != std::string::npos);
  CHECK(!second_error);
  CHECK(!stream.take_error());
}

TEST(close_cancels_the_queue_and_waits_for_the_running_command) {
  std::atomic<bool> started{false}, finished{false};
  std::atomic<int> others{0};
  Stream stream(tk::active_level());
  enqueue_action(stream, [&](const tk::Error*) {
    started = true;
    pause(50);
    finished = true;
  });
  for (int i = 0; i < 100; ++i) enqueue_action(stream, [&](const tk::Error*) { ++others; });
  while (!started) pause(1);
  stream.close();
  CHECK(finished.load());
  CHECK(others.load() == 0);
  CHECK_THROWS(enqueue_action(stream, [](const tk::Error*) {}), "E_CLOSED");
  stream.wait_idle();  // returns at once
}

TEST(many_streams_at_once_are_each_right) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int round = 0; round < 20; ++round) {
        std::vector<float> a(100000, float(t)), b(100000);
        Stream stream(tk::active_level());  // closed before the vectors go
        for (int i = 0; i < 10; ++i) {
          stream.enqueue(call(stream, "neg", {vector_operand(a), vector_operand(b)}));
          stream.enqueue(call(stream, "neg", {vector_operand(b), vector_operand(a)}));
        }
        if (round % 2 == 0) stream.wait_idle();
        if (round % 2 == 0 && (a[0] != float(t) || a[99999] != float(t) || b[5] != -float(t))) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST(pool_covers_every_unit_once_and_splits_at_the_grain) {
  ThreadPool& pool = ThreadPool::instance();
  pool.set_num_threads(3);
  for (int64_t n : {1, 7, 64, 1000, 12345}) {
    for (int64_t grain : {1, 3, 64}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
      struct Shared {
        std::vector<std::atomic<int>>* hits;
        int64_t grain;
        std::atomic<int> misplaced{0};
      } shared{&hits, grain, {}};
      pool.acquire();
      pool.run(
          n, grain, 3,
          [](int64_t begin, int64_t end, int thread, void* opaque) {
            auto& s = *static_cast<Shared*>(opaque);
            if (begin % s.grain != 0 || thread < 0 || thread >= 3) ++s.misplaced;
            for (int64_t i = begin; i < end; ++i) ++(*s.hits)[size_t(i)];
          },
          &shared);
      pool.release();
      bool once = true;
      for (const auto& hit : hits) once = once && hit == 1;
      CHECK(once);
      CHECK(shared.misplaced == 0);
    }
  }
  pool.set_num_threads(2);
}

TEST(region_ends_after_its_last_unit_with_any_number_of_threads) {
  constexpr int64_t kUnits = 4096;
  ThreadPool& pool = ThreadPool::instance();
  for (int threads : {2, 17, 256}) {
    pool.set_num_threads(threads);
    for (int round = 0; round < 3; ++round) {
      std::atomic<int64_t> done{0};
      pool.acquire();
      pool.run(
          kUnits, 1, threads,
          [](int64_t begin, int64_t end, int, void* opaque) {
            for (int64_t i = begin; i < end; ++i) {
              // Long enough that every helper joins, and the last unit long after the others.
              std::this_thread::sleep_for(std::chrono::microseconds(i + 1 == kUnits ? 50000 : 100));
              ++*static_cast<std::atomic<int64_t>*>(opaque);
            }
          },
          &done);
      pool.release();
      CHECK(done == kUnits);
      pause(60);  // a helper that is late would still write to `done`
    }
  }
  pool.set_num_threads(2);
}

TEST(runnable_threads_never_exceed_the_number_of_threads) {
  ThreadPool& pool = ThreadPool::instance();
  pool.set_num_threads(2);
  static std::atomic<int> inside{0}, most{0};
  inside = most = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 5; ++t) {
    threads.emplace_back([&pool] {
      for (int i = 0; i < 200; ++i) {
        pool.acquire();
        pool.run(
            64, 1, 2,
            [](int64_t, int64_t, int, void*) {
              const int now = ++inside;
              int seen = most.load();
              while (now > seen && !most.compare_exchange_weak(seen, now)) {}
              --inside;
            },
            nullptr);
        pool.release();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(most >= 1 && most <= 2);
}

TEST(bad_thread_counts_are_refused) {
  CHECK_THROWS(ThreadPool::instance().set_num_threads(0), "E_CONFIG");
  CHECK_THROWS(ThreadPool::instance().set_num_threads(257), "E_CONFIG");
}

TEST_MAIN
