// Timing of single ops without Node: fills operands, calls the body of the level in use, reports median and spread.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

#include "cpu/thread_pool.h"
#include "dispatch/op_table.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tkbench {

class BenchContext final : public tk::CpuContext {
 public:
  explicit BenchContext(int threads) { num_threads_ = threads; }
  void run_parallel(int64_t n, int64_t grain, tk::RangeBody body, void* state) override {
    tk::ThreadPool::instance().run(n, grain, num_threads_, body, state);
  }
  void report_index(int64_t, int64_t) override {}
};

struct Timing {
  double median = 0, low = 0, high = 0;  // seconds: median, 10th and 90th percentile
};

// Seconds on the processor where the system tells (what other processes take does not count), otherwise of the wall clock.
inline double thread_seconds() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}
inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds per call over `samples` samples of at least 4 ms each, after warm-up. Work of one thread is measured by its processor
// time, work of several by the wall clock.
inline Timing time_calls(const std::function<void()>& call, int threads = 1, int samples = 25) {
  const auto clock = threads == 1 ? thread_seconds : wall_seconds;
  const auto run = [&](int repeats) {
    const double start = clock();
    for (int i = 0; i < repeats; ++i) call();
    return clock() - start;
  };
  run(1);
  int repeats = 1;
  while (run(repeats) < 0.004 && repeats < (1 << 20)) repeats *= 2;
  std::vector<double> seconds;
  for (int i = 0; i < samples; ++i) seconds.push_back(run(repeats) / repeats);
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) { return seconds[size_t(share * double(seconds.size() - 1) + 0.5)]; };
  return {at(0.5), at(0.1), at(0.9)};
}

#if defined(__x86_64__)
// Independent multiply-adds in registers only; returns the number of floating-point operations done.
__attribute__((target("avx2,fma"))) inline double fma_loop_avx2(float* sink) {
  constexpr int kRounds = 20000, kChains = 12;
  __m256 sum[kChains];
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_ps(float(i));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) _mm256_storeu_ps(sink + 8 * i, sum[i]);
  return 2.0 * 8 * kChains * kRounds;
}
__attribute__((target("avx512f"))) inline double fma_loop_avx512(float* sink) {
  constexpr int kRounds = 20000, kChains = 24;
  __m512 sum[kChains];
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(float(i));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) _mm512_storeu_ps(sink + 16 * i, sum[i]);
  return 2.0 * 16 * kChains * kRounds;
}
#endif

// GFLOP/s of one thread that does nothing but multiply and add at the level in use; 0 when there is no such loop for it.
inline double peak_gflops() {
  double (*loop)(float*) = nullptr;
#if defined(__x86_64__)
  if (tk::active_level() == tk::Level::avx2) loop = fma_loop_avx2;
  if (tk::active_level() == tk::Level::avx512) loop = fma_loop_avx512;
#endif
  if (loop == nullptr) return 0;
  float sink[512];
  double flops = 0;
  const Timing timing = time_calls([&] { flops = loop(sink); }, 1, 9);
  return flops / timing.median / 1e9;
}

class BenchOp {
 public:
  BenchOp(const char* name, const std::vector<std::vector<int64_t>>& shapes, std::vector<int64_t> ints)
      : number_(tk::find_op(name)), ints_(std::move(ints)) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    for (const auto& shape : shapes) {
      tk::Operand operand;
      operand.rank = uint8_t(shape.size());
      operand.size = 1;
      for (size_t d = 0; d < shape.size(); ++d) operand.size *= operand.dims[d] = shape[d];
      buffers_.emplace_back(size_t(operand.size));
      for (float& value : buffers_.back()) value = uniform(generator);
      operand.data = buffers_.back().data();
      operands_.push_back(operand);
    }
  }

  Timing time(int threads, int samples = 25) {
    const tk::CpuOp& op = tk::cpu_ops(tk::active_level())[number_];
    tk::OpCall call;
    call.op = uint16_t(number_);
    call.operands = operands_.data();
    call.num_operands = int32_t(operands_.size());
    call.ints = ints_.data();
    call.num_ints = int32_t(ints_.size());
    if (op.workspace != nullptr) call.workspace_bytes = op.workspace(call, threads);
    call.workspace = std::aligned_alloc(64, size_t(call.workspace_bytes + 64) / 64 * 64);
    BenchContext context(threads);
    tk::ThreadPool& pool = tk::ThreadPool::instance();
    pool.set_num_threads(std::max(threads, pool.num_threads()));
    pool.acquire();
    const Timing timing = time_calls([&] { op.body(call, context); }, threads, samples);
    pool.release();
    std::free(call.workspace);
    return timing;
  }

 private:
  int number_;
  std::vector<int64_t> ints_;
  std::vector<std::vector<float>> buffers_;
  std::vector<tk::Operand> operands_;
};

}  // namespace tkbench
