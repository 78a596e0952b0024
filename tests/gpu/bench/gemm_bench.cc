// Matrix products of the CUDA library beside cuBLAS, one line of JSON per shape as it finishes. Opens both at run time: the
// library by its path, cuBLAS from what the machine has; without cuBLAS our own times stand alone.
//   gemm_bench LIBRARY [--dry] [--skip NAME]...
// A leg is timed over as many launches as take 20 ms, by the clock round a wait for the device; legs alternate A B B A, on sets of
// random operands that together exceed the L2 cache. Each line gives the median of the paired ratios and the spread of our times.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/half.h"
#include "cuda/cuda_table.h"

using tk::DType;

namespace {

const TkCudaTable* g_table;
TkCudaStream* g_stream;

[[noreturn]] void fail(const std::string& text) { throw std::runtime_error(text); }
void check(int32_t status) {
  if (status != TK_CUDA_OK) fail(g_table->last_error());
}

struct Shape {
  const char* type;  // bf16, f16, tf32, f32
  int64_t m, n, k, batch;
  bool transpose_a, transpose_b;
};

std::string name_of(const Shape& s) {
  char text[128];
  std::snprintf(text, sizeof text, "gemm %s %lldx%lldx%lld%s %c%c", s.type, static_cast<long long>(s.m),
                static_cast<long long>(s.n), static_cast<long long>(s.k),
                s.batch == 1 ? "" : (" batch " + std::to_string(s.batch)).c_str(), s.transpose_a ? 'T' : 'N',
                s.transpose_b ? 'T' : 'N');
  return text;
}

// The squares the targets speak of, and layers: attention, feed-forward and classifier of a 768-wide and a 4096-wide model with
// their gradients, small and skinny ones.
std::vector<Shape> shapes(bool dry) {
  if (dry) {
    return {{"bf16", 130, 136, 72, 1, false, false}, {"tf32", 70, 64, 48, 2, false, true}, {"f32", 65, 66, 40, 1, true, false}};
  }
  std::vector<Shape> list;
  for (const char* type : {"bf16", "tf32", "f32"}) {
    for (const int64_t n : {1024, 2048, 4096, 8192}) list.push_back({type, n, n, n, 1, false, false});
  }
  const int64_t layers[][3] = {{4096, 2304, 768},  {4096, 768, 768},    {4096, 3072, 768},   {4096, 768, 3072},
                               {2048, 12288, 4096}, {2048, 4096, 11008}, {512, 10, 2048},     {1, 4096, 4096},
                               {8, 4096, 4096},    {128, 1000, 2048},   {1024, 1024, 8192},  {256, 256, 65536}};
  for (const auto& layer : layers) {
    for (const char* type : {"bf16", "f32"}) {
      list.push_back({type, layer[0], layer[1], layer[2], 1, false, false});
      list.push_back({type, layer[0], layer[2], layer[1], 1, false, true});
      list.push_back({type, layer[2], layer[1], layer[0], 1, true, false});
    }
  }
  list.push_back({"bf16", 512, 512, 64, 192, false, true});
  list.push_back({"f32", 64, 64, 64, 4096, false, false});
  return list;
}

// ---- cuBLAS, by its C interface
struct Cublas {
  using Create = int (*)(void**);
  using GemmEx = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, long long, const void*, int, int,
                         long long, const void*, void*, int, int, long long, int, int, int);
  void* handle = nullptr;
  GemmEx gemm = nullptr;
  std::string version;

  Cublas() {
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"}) {
      void* library = dlopen(name, RTLD_NOW);
      if (library == nullptr) continue;
      const auto create = reinterpret_cast<Create>(dlsym(library, "cublasCreate_v2"));
      gemm = reinterpret_cast<GemmEx>(dlsym(library, "cublasGemmStridedBatchedEx"));
      const auto get_version = reinterpret_cast<int (*)(void*, int*)>(dlsym(library, "cublasGetVersion_v2"));
      if (create == nullptr || gemm == nullptr || create(&handle) != 0) continue;
      int number = 0;
      if (get_version != nullptr) get_version(handle, &number);
      version = std::string(name) + " " + std::to_string(number);
      return;
    }
    gemm = nullptr;
  }
  // Row-major y = op(a) op(b) is column-major y^T = op(b)^T op(a)^T.
  void run(const Shape& s, const TkCudaGemm& g) const {
    constexpr int kF32 = 0, kF16 = 2, kBf16 = 14, kCompute32 = 68, kComputeTf32 = 77;
    const float one = 1, zero = 0;
    const int type = g.type == int(DType::f32) ? kF32 : g.type == int(DType::f16) ? kF16 : kBf16;
    const int y_type = g.y_type == int(DType::f32) ? kF32 : type;
    const int status = gemm(handle, s.transpose_b, s.transpose_a, int(s.n), int(s.m), int(s.k), &one, g.b, type,
                            int(s.transpose_b ? s.k : s.n), g.b_batch, g.a, type, int(s.transpose_a ? s.m : s.k), g.a_batch, &zero,
                            g.y, y_type, int(s.n), g.y_batch, int(s.batch),
                            std::strcmp(s.type, "tf32") == 0 ? kComputeTf32 : kCompute32, -1);
    if (status != 0) fail("cublasGemmStridedBatchedEx: status " + std::to_string(status));
  }
};

void wait_device() {
  // Of the driver: waits for cuBLAS's stream as well.
  static const auto synchronize = [] {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    return driver == nullptr ? nullptr : reinterpret_cast<int (*)()>(dlsym(driver, "cuCtxSynchronize"));
  }();
  check(g_table->wait(g_stream));
  if (synchronize != nullptr && synchronize() != 0) fail("cuCtxSynchronize failed");
}

template <class Launch>
double seconds_of(const Launch& launch, int repeats) {
  wait_device();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) launch(i);
  wait_device();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / repeats;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

struct Operands {
  std::vector<void*> owned;
  ~Operands() {
    for (void* data : owned) g_table->free(g_stream, data);
  }
  void* random(int64_t count, DType type, unsigned seed, std::vector<float>* kept) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    const int64_t size = tk::dtype_bytes(type);
    std::vector<char> raw(size_t(count * size));
    for (int64_t i = 0; i < count; ++i) {
      float value = normal(generator);
      if (type == DType::f32) {
        std::memcpy(raw.data() + i * 4, &value, 4);
      } else {
        const uint16_t half = type == DType::f16 ? tk::f32_to_f16(value) : tk::f32_to_bf16(value);
        std::memcpy(raw.data() + i * 2, &half, 2);
        value = type == DType::f16 ? tk::f16_to_f32(half) : tk::bf16_to_f32(half);
      }
      if (kept != nullptr) kept->push_back(value);
    }
    void* data = empty(count * size);
    check(g_table->write(g_stream, data, raw.data(), raw.size()));
    return data;
  }
  void* empty(int64_t bytes) {
    void* data = nullptr;
    check(g_table->allocate(g_stream, uint64_t(bytes), &data));
    owned.push_back(data);
    return data;
  }
};

// Relative norm of the difference to double, over some rows.
double error_of(const Shape& s, const TkCudaGemm& g, const std::vector<float>& a, const std::vector<float>& b) {
  const int64_t size = tk::dtype_bytes(DType(g.y_type));
  std::vector<char> raw(size_t(s.m * s.n * size));
  check(g_table->read(g_stream, g.y, raw.data(), raw.size()));
  double difference = 0, norm = 0;
  std::mt19937 pick(3);
  for (int sample = 0; sample < 2000; ++sample) {
    const int64_t i = int64_t(pick() % uint64_t(s.m)), j = int64_t(pick() % uint64_t(s.n));
    double expected = 0;
    for (int64_t k = 0; k < s.k; ++k) expected += double(a[i * g.a_row + k * g.a_col]) * double(b[k * g.b_row + j * g.b_col]);
    float value;
    uint16_t half;
    if (size == 4) {
      std::memcpy(&value, raw.data() + (i * s.n + j) * 4, 4);
    } else {
      std::memcpy(&half, raw.data() + (i * s.n + j) * 2, 2);
      value = g.y_type == int(DType::f16) ? tk::f16_to_f32(half) : tk::bf16_to_f32(half);
    }
    difference += (double(value) - expected) * (double(value) - expected);
    norm += expected * expected;
  }
  return std::sqrt(difference / norm);
}

void measure(const Shape& s, const Cublas& cublas, bool dry) {
  const bool single = std::strcmp(s.type, "f32") == 0 || std::strcmp(s.type, "tf32") == 0;
  const DType type = single ? DType::f32 : std::strcmp(s.type, "f16") == 0 ? DType::f16 : DType::bf16;
  const int64_t size = tk::dtype_bytes(type);
  const int64_t a_count = s.batch * s.m * s.k, b_count = s.batch * s.k * s.n, y_count = s.batch * s.m * s.n;
  const int64_t bytes = (a_count + b_count + y_count) * size, l2 = int64_t(60) << 20;
  const int sets = dry ? 1 : int(std::clamp<int64_t>(3 * l2 / bytes + 1, 1, 8));
  Operands operands;
  std::vector<float> a, b;
  std::vector<TkCudaGemm> problems;
  for (int i = 0; i < sets; ++i) {
    TkCudaGemm g = {};
    g.m = s.m, g.n = s.n, g.k = s.k, g.batch = s.batch, g.kernel = -1;
    g.type = g.y_type = int32_t(type);
    g.tf32 = std::strcmp(s.type, "tf32") == 0;
    g.a_row = s.transpose_a ? 1 : s.k, g.a_col = s.transpose_a ? s.m : 1, g.a_batch = s.m * s.k;
    g.b_row = s.transpose_b ? 1 : s.n, g.b_col = s.transpose_b ? s.k : 1, g.b_batch = s.k * s.n;
    g.y_row = s.n, g.y_batch = s.m * s.n;
    g.a = operands.random(a_count, type, unsigned(2 * i + 1), i == 0 ? &a : nullptr);
    g.b = operands.random(b_count, type, unsigned(2 * i + 2), i == 0 ? &b : nullptr);
    g.y = operands.empty(y_count * size);
    problems.push_back(g);
  }
  const int64_t workspace_bytes = g_table->gemm_workspace(&problems[0]);
  void* workspace = workspace_bytes > 0 ? operands.empty(workspace_bytes) : nullptr;
  const auto ours = [&](int i) { check(g_table->gemm(g_stream, &problems[size_t(i % sets)], workspace)); };
  const auto theirs = [&](int i) { cublas.run(s, problems[size_t(i % sets)]); };
  ours(0);
  const double error = error_of(s, problems[0], a, b);
  const double first = seconds_of(ours, 1);
  const int repeats = dry ? 1 : int(std::clamp(0.02 / first, 3.0, 2000.0));
  std::vector<double> times, ratios, other;
  for (int round = 0; round < (dry ? 1 : 3); ++round) {
    const double a1 = seconds_of(ours, repeats);
    times.push_back(a1);
    if (cublas.gemm == nullptr) continue;
    if (round == 0) theirs(0);
    const double b1 = seconds_of(theirs, repeats), b2 = seconds_of(theirs, repeats), a2 = seconds_of(ours, repeats);
    times.push_back(a2);
    other.push_back(b1), other.push_back(b2);
    ratios.push_back(b1 / a1), ratios.push_back(b2 / a2);
  }
  const double seconds = median(times), flops = 2.0 * double(s.batch) * double(s.m) * double(s.n) * double(s.k);
  const double spread = (*std::max_element(times.begin(), times.end()) - *std::min_element(times.begin(), times.end())) / seconds;
  std::printf("{\"name\":\"%s\",\"kernel\":\"%s\",\"microseconds\":%.2f,\"teraflops\":%.2f,\"spread\":%.3f,\"error\":%.3g",
              name_of(s).c_str(), g_table->gemm_kernel(g_stream, &problems[0]), seconds * 1e6, flops / seconds / 1e12, spread, error);
  if (ratios.empty()) {
    std::printf(",\"reference\":null}\n");
  } else {
    std::printf(",\"reference\":\"%s\",\"referenceMicroseconds\":%.2f,\"ratio\":%.3f}\n", cublas.version.c_str(),
                median(other) * 1e6, median(ratios));
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  bool dry = false;
  std::set<std::string> done;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--dry") == 0) dry = true;
    if (std::strcmp(argv[i], "--skip") == 0 && i + 1 < argc) done.insert(argv[++i]);
  }
  try {
    if (argc < 2) fail("usage: gemm_bench LIBRARY [--dry] [--skip NAME]...");
    void* library = dlopen(argv[1], RTLD_NOW);
    if (library == nullptr) fail(dlerror());
    const auto entry = reinterpret_cast<const TkCudaTable* (*)(uint32_t)>(dlsym(library, "tensorkiln_cuda_table"));
    g_table = entry == nullptr ? nullptr : entry(TK_CUDA_TABLE_VERSION);
    if (g_table == nullptr) fail(std::string(argv[1]) + " has another version of the table");
    check(g_table->open_stream(0, 0, &g_stream));
    const Cublas cublas;
    for (const Shape& shape : shapes(dry)) {
      if (done.count(name_of(shape)) == 0) measure(shape, cublas, dry);
    }
    g_table->close_stream(g_stream);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gemm_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
