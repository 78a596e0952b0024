// What the machine can do at most: multiply-adds in registers, and moving memory. x86-64 only; elsewhere nothing is reported.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "leg.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tkbench {

#if defined(__x86_64__)
// Independent multiply-adds in registers only; returns the number of floating-point operations done.
__attribute__((target("avx2,fma"))) inline double fma_loop_avx2(float* sink) {
  constexpr int kRounds = 100000, kChains = 12;
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
  constexpr int kRounds = 100000, kChains = 24;
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
// Copies `floats` elements, a multiple of 8, between aligned arrays.
__attribute__((target("avx2"))) inline void copy_plain(const float* from, float* to, int64_t floats) {
  for (int64_t i = 0; i < floats; i += 8) _mm256_store_ps(to + i, _mm256_load_ps(from + i));
}
__attribute__((target("avx2"))) inline void copy_streamed(const float* from, float* to, int64_t floats) {
  for (int64_t i = 0; i < floats; i += 8) _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
  _mm_sfence();
}
// Reads `floats` elements, a multiple of 32, in four places at once: one alone waits at the start of every page.
__attribute__((target("avx2"))) inline float read_all(const float* from, int64_t floats) {
  __m256 sum[4] = {};
  const int64_t quarter = floats / 4;
  for (int64_t i = 0; i < quarter; i += 8) {
    for (int j = 0; j < 4; ++j) sum[j] = _mm256_add_ps(sum[j], _mm256_load_ps(from + j * quarter + i));
  }
  float out[8];
  _mm256_storeu_ps(out, _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
  return out[0] + out[7];
}
#endif

// parallel(body) calls body(thread) once on each of `threads` threads at the same time.
using Parallel = std::function<void(const std::function<void(int)>&)>;

// {"gflops":..., "copy":..., "streamed":..., "read":...}; empty object where there are no loops for the level.
inline std::string measure_limits([[maybe_unused]] const std::string& level, [[maybe_unused]] int threads,
                                  [[maybe_unused]] const Parallel& parallel) {
#if defined(__x86_64__)
  double (*loop)(float*) = level == "avx512" ? fma_loop_avx512 : level == "avx2" ? fma_loop_avx2 : nullptr;
  if (loop == nullptr) return "{}";
  std::vector<std::vector<float>> sinks(size_t(threads), std::vector<float>(512));
  // The best of several short runs: a limit is what the machine can do, not what it does while disturbed.
  const auto best = [&](const std::function<void(int)>& body) {
    double least = 1e9;
    for (int i = 0; i < 9; ++i) {
      const double start = now();
      parallel(body);
      const double seconds = now() - start;
      if (seconds < least) least = seconds;
    }
    return least;
  };
  std::vector<double> work(static_cast<size_t>(threads));
  const double fma_seconds = best([&](int thread) { work[size_t(thread)] = loop(sinks[size_t(thread)].data()); });
  double flops = 0;
  for (double part : work) flops += part;
  const int64_t floats = int64_t(16) << 20;  // 64 MB each
  float* from = static_cast<float*>(std::aligned_alloc(64, size_t(floats) * 4));
  float* to = static_cast<float*>(std::aligned_alloc(64, size_t(floats) * 4));
  for (int64_t i = 0; i < floats; ++i) from[i] = to[i] = 1;
  const int64_t part = floats / threads / 32 * 32;
  const double copy = best([&](int t) { copy_plain(from + t * part, to + t * part, part); });
  const double streamed = best([&](int t) { copy_streamed(from + t * part, to + t * part, part); });
  const double read = best([&](int t) { sinks[size_t(t)][0] = read_all(from + t * part, part); });
  std::free(from);
  std::free(to);
  const double gigabytes = 4e-9 * double(part * threads);
  std::ostringstream out;
  out << "{\"gflops\":" << flops / fma_seconds / 1e9 << ",\"copy\":" << 2 * gigabytes / copy
      << ",\"streamed\":" << 2 * gigabytes / streamed << ",\"read\":" << gigabytes / read << "}";
  return out.str();
#else
  return "{}";
#endif
}

}  // namespace tkbench
