// OpenBLAS, BLIS or another CBLAS, loaded by path: blas_leg <library>. Needs no headers at build time.
#include <dlfcn.h>

#include <memory>

#include "leg.h"

namespace {

// cblas.h: row-major 101, no transpose 111, transpose 112.
using Sgemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a, int lda,
                       const float* b, int ldb, float beta, float* c, int ldc);
using Sgemv = void (*)(int order, int trans, int m, int n, float alpha, const float* a, int lda, const float* x, int incx,
                       float beta, float* y, int incy);
constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;

template <class F>
F symbol(void* library, const char* name) {
  return reinterpret_cast<F>(dlsym(library, name));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::printf("{\"error\":\"usage: blas_leg <path of a CBLAS library>\"}\n");
    return 2;
  }
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    std::printf("{\"missing\":%s}\n", tkbench::quoted(dlerror()).c_str());
    return 0;
  }
  const auto sgemm = symbol<Sgemm>(library, "cblas_sgemm");
  const auto sgemv = symbol<Sgemv>(library, "cblas_sgemv");
  if (sgemm == nullptr || sgemv == nullptr) {
    std::printf("{\"missing\":\"no cblas_sgemm in it\"}\n");
    return 0;
  }
  const int threads = tkbench::wanted_threads();
  if (const auto set = symbol<void (*)(int)>(library, "openblas_set_num_threads")) set(threads);
  if (const auto set = symbol<void (*)(long)>(library, "bli_thread_set_num_threads")) set(threads);
  std::string version = argv[1];
  if (const auto config = symbol<char* (*)()>(library, "openblas_get_config")) version = config();
  if (const auto number = symbol<const char* (*)()>(library, "bli_info_get_version_str")) {
    version = std::string("BLIS ") + number();
  }

  const auto make = [=](tkbench::Request& request) -> std::function<void()> {
    if (request.name != "gemm") throw tkbench::Unsupported();
    const int batch = int(request.ints.at(0)), m = int(request.ints.at(1)), n = int(request.ints.at(2)),
              k = int(request.ints.at(3));
    const bool ta = request.ints.at(4) != 0, tb = request.ints.at(5) != 0;
    const float *a = request.arrays.at(0).f32(), *b = request.arrays.at(1).f32();
    float* c = request.arrays.at(2).f32();
    // The call a BLAS is made for: a product with a vector is sgemv.
    if (batch == 1 && m == 1) {
      return [=] { sgemv(kRowMajor, tb ? kNoTrans : kTrans, tb ? n : k, tb ? k : n, 1, b, tb ? k : n, a, 1, 0, c, 1); };
    }
    if (batch == 1 && n == 1) {
      return [=] { sgemv(kRowMajor, ta ? kTrans : kNoTrans, ta ? k : m, ta ? m : k, 1, a, ta ? m : k, b, 1, 0, c, 1); };
    }
    return [=] {
      for (int i = 0; i < batch; ++i) {
        sgemm(kRowMajor, ta ? kTrans : kNoTrans, tb ? kTrans : kNoTrans, m, n, k, 1, a + int64_t(i) * m * k, ta ? m : k,
              b + int64_t(i) * k * n, tb ? k : n, 0, c + int64_t(i) * m * n, n);
      }
    };
  };
  return tkbench::serve(make, nullptr, version);
}
