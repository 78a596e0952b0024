// A few lines of test framework, and device buffers.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

inline int g_fail = 0, g_checks = 0;
#define CHECK(c)                                          \
  do {                                                    \
    g_checks++;                                           \
    if (!(c)) {                                           \
      g_fail++;                                           \
      printf("FAIL %s:%d: %s\n", __FILE__, __LINE__, #c); \
    }                                                     \
  } while (0)
#define OK(e)                                                                           \
  do {                                                                                  \
    cudaError_t e_ = (e);                                                               \
    g_checks++;                                                                         \
    if (e_) {                                                                           \
      g_fail++;                                                                         \
      printf("FAIL %s:%d: %s -> %s\n", __FILE__, __LINE__, #e, cudaGetErrorString(e_)); \
    }                                                                                   \
  } while (0)

template <class T>
struct Dev {
  T* p = nullptr;
  size_t n;
  explicit Dev(size_t n) : n(n) { OK(cudaMalloc((void**)&p, n * sizeof(T))); }
  explicit Dev(const std::vector<T>& v) : Dev(v.size()) { OK(cudaMemcpy(p, v.data(), n * sizeof(T), cudaMemcpyHostToDevice)); }
  ~Dev() { cudaFree(p); }
  Dev(const Dev&) = delete;
  std::vector<T> get() const {
    std::vector<T> v(n);
    OK(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }
  operator T*() const { return p; }
};
inline std::mt19937 g_rng(7);
inline std::vector<float> randv(size_t n, float lo = -1, float hi = 1) {
  std::uniform_real_distribution<float> d(lo, hi);
  std::vector<float> v(n);
  for (auto& x : v) x = d(g_rng);
  return v;
}
template <class T>
T conv(float f);
template <>
inline float conv<float>(float f) {
  return f;
}
template <>
inline __half conv<__half>(float f) {
  return __float2half(f);
}
template <>
inline __nv_bfloat16 conv<__nv_bfloat16>(float f) {
  return __float2bfloat16(f);
}
inline float val(float f) { return f; }
inline float val(__half f) { return __half2float(f); }
inline float val(__nv_bfloat16 f) { return __bfloat162float(f); }
template <class T>
std::vector<T> randt(size_t n) {
  auto f = randv(n);
  std::vector<T> v(n);
  for (size_t i = 0; i < n; i++) v[i] = conv<T>(f[i]);
  return v;
}
// largest |a-b| / (1 + |b|); NaN counts as infinite
template <class A, class B>
double diff(const std::vector<A>& a, const std::vector<B>& b) {
  double m = 0;
  if (a.size() != b.size()) return INFINITY;
  for (size_t i = 0; i < a.size(); i++) {
    double d = std::fabs(double(val(a[i])) - double(val(b[i]))) / (1 + std::fabs(double(val(b[i]))));
    if (!(d <= m)) m = std::isnan(d) ? INFINITY : d;
  }
  return m;
}
inline double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
