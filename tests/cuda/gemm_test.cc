// Matrix products through the C table: every kernel, transpose, ragged sizes, misaligned operands, types, epilogues, and what the
// choice of the kernel depends on. Runs in the emulator.
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cuda/gemm/gemm_choice.h"
#include "op_session.h"

using tk::DType;
using tk::cuda::GemmChoice;
using tk::cuda::GemmKernel;
using tk::cuda::GemmShape;

namespace {

class Device {
 public:
  Device() {
    if (table().open_stream(0, uint64_t(256) << 20, &stream_) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
  }
  ~Device() {
    for (void* data : owned_) table().free(stream_, data);
    table().close_stream(stream_);
  }
  Device(const Device&) = delete;
  TkCudaStream* stream() { return stream_; }
  void* bytes(int64_t count) {
    void* data = nullptr;
    if (table().allocate(stream_, uint64_t(count), &data) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
    owned_.push_back(data);
    return data;
  }
  // `skip` elements in front make the operand misaligned.
  void* put(DType type, const std::vector<float>& values, int64_t skip = 0) {
    const int64_t size = tk::dtype_bytes(type);
    std::vector<unsigned char> raw = bytes_of(type, values);
    raw.insert(raw.begin(), size_t(skip * size), 0);
    char* data = static_cast<char*>(bytes(int64_t(raw.size())));
    CHECK(table().write(stream_, data, raw.data(), raw.size()) == TK_CUDA_OK);
    return data + skip * size;
  }
  float* floats(const std::vector<float>& values) { return static_cast<float*>(put(DType::f32, values)); }
  std::vector<float> get(DType type, const void* data, int64_t count) {
    std::vector<unsigned char> raw(size_t(count * tk::dtype_bytes(type)));
    CHECK(table().read(stream_, data, raw.data(), raw.size()) == TK_CUDA_OK);
    return floats_of(type, raw);
  }

 private:
  TkCudaStream* stream_ = nullptr;
  std::vector<void*> owned_;
};

struct Case {
  int64_t m, n, k, batch = 1;
  bool transpose_a = false, transpose_b = false;
  DType type = DType::f32, y_type = DType::f32;
  int kernel = -1;
  bool tf32 = false;
  int64_t skip = 0;       // elements that a and b begin late
  bool broadcast = false;  // one b for all of the batch
  int splits = 1;          // of K, with a given kernel
};

struct Errors {
  double norm, worst;  // of the difference, against the norm of the result; against the sum of the products' sizes
  double mean;         // of the signed difference, against the mean size of the result
};

struct Setup {
  std::vector<float> a, b;
  TkCudaGemm g;
};

Setup set_up(Device& device, const Case& c, const std::vector<float>* given_a = nullptr, const std::vector<float>* given_b = nullptr) {
  Setup s;
  s.a = given_a != nullptr ? *given_a : normal_values(c.batch * c.m * c.k, 1);
  s.b = given_b != nullptr ? *given_b : normal_values((c.broadcast ? 1 : c.batch) * c.k * c.n, 2);
  for (float& v : s.a) v = rounded(c.type, v);
  for (float& v : s.b) v = rounded(c.type, v);
  TkCudaGemm g = {};
  g.m = c.m, g.n = c.n, g.k = c.k, g.batch = c.batch;
  g.type = int32_t(c.type), g.y_type = int32_t(c.y_type), g.tf32 = c.tf32, g.kernel = c.kernel, g.splits = c.splits;
  g.a = device.put(c.type, s.a, c.skip);
  g.b = device.put(c.type, s.b, c.skip);
  g.a_row = c.transpose_a ? 1 : c.k, g.a_col = c.transpose_a ? c.m : 1, g.a_batch = c.m * c.k;
  g.b_row = c.transpose_b ? 1 : c.n, g.b_col = c.transpose_b ? c.k : 1, g.b_batch = c.broadcast ? 0 : c.k * c.n;
  g.y_row = c.n, g.y_batch = c.m * c.n;
  // Poisoned: what a kernel leaves unwritten is NaN.
  g.y = device.put(c.y_type, std::vector<float>(size_t(c.batch * c.m * c.n), NAN));
  s.g = g;
  return s;
}

std::vector<float> run(Device& device, const TkCudaGemm& g) {
  const int64_t bytes = table().gemm_workspace(&g);
  void* workspace = bytes > 0 ? device.bytes(bytes) : nullptr;
  const int32_t status = table().gemm(device.stream(), &g, workspace);
  if (status != TK_CUDA_OK) throw std::runtime_error(table().last_error());
  return device.get(DType(g.y_type), g.y, g.batch * g.m * g.n);
}

// Element (i, j) of matrix z in double, and the sum of the sizes of its products.
std::pair<double, double> reference(const Setup& s, int64_t z, int64_t i, int64_t j) {
  const TkCudaGemm& g = s.g;
  double sum = 0, size = 0;
  for (int64_t k = 0; k < g.k; ++k) {
    const double term = double(s.a[z * g.a_batch + i * g.a_row + k * g.a_col]) * double(s.b[z * g.b_batch + k * g.b_row + j * g.b_col]);
    sum += term;
    size += std::fabs(term);
  }
  return {sum, size};
}

Errors errors_of(const Setup& s, const std::vector<float>& y) {
  const TkCudaGemm& g = s.g;
  double difference = 0, norm = 0, worst = 0, towards = 0, sizes = 0;
  for (int64_t z = 0; z < g.batch; ++z) {
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        const auto [expected, size] = reference(s, z, i, j);
        const double d = double(y[size_t((z * g.m + i) * g.n + j)]) - expected;
        difference += d * d;
        norm += expected * expected;
        towards += d * (expected < 0 ? -1 : 1);
        sizes += std::fabs(expected);
        const double share = size == 0 ? std::fabs(d) : std::fabs(d) / size;
        if (!(share <= worst)) worst = share != share ? INFINITY : share;
      }
    }
  }
  return {norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm), worst, sizes == 0 ? 0 : towards / sizes};
}

Errors errors_of(const Case& c) {
  Device device;
  const Setup s = set_up(device, c);
  return errors_of(s, run(device, s.g));
}

constexpr bool kBoth[] = {false, true};
constexpr double kUnit = 1.0 / (1 << 24);  // of f32

const int kHopper128 = int(GemmKernel::hopper_128), kHopper256 = int(GemmKernel::hopper_256);

}  // namespace

TEST(gemm_choice_at_its_boundaries) {
  const auto kernel = [](int64_t m, int64_t n, int64_t k, int64_t batch, bool half, bool aligned = true, bool wgmma = true) {
    return tk::cuda::choose_gemm({m, n, k, batch, half, true, aligned, wgmma}).kernel;
  };
  const auto splits = [](int64_t m, int64_t n, int64_t k) {
    return tk::cuda::choose_gemm({m, n, k, 1, false, true, true, true}).splits;
  };
  CHECK(kernel(1, 1, 1, 1, false) == GemmKernel::elements);
  CHECK(kernel(32, 32, 64, 1, false) == GemmKernel::elements);
  CHECK(kernel(33, 32, 64, 1, false) == GemmKernel::simt);
  CHECK(kernel(8, 4096, 4096, 1, false) == GemmKernel::skinny && kernel(4096, 8, 4096, 1, true) == GemmKernel::skinny);
  CHECK(kernel(9, 4096, 4096, 1, false) == GemmKernel::tiles_64);
  CHECK(kernel(1, 64, 63, 1, false) == GemmKernel::elements && kernel(1, 64, 64, 1, false) == GemmKernel::skinny);
  CHECK(kernel(128, 128, 255, 1, false) == GemmKernel::simt && kernel(128, 128, 256, 1, false) == GemmKernel::tiles_64);
  CHECK(kernel(1408, 1408, 64, 1, false) == GemmKernel::tiles_64 && kernel(1536, 1408, 64, 1, false) == GemmKernel::tiles_128);
  CHECK(kernel(4096, 4096, 4096, 1, false) == GemmKernel::tiles_128);
  CHECK(kernel(4096, 4096, 4096, 1, true) == GemmKernel::hopper_256);
  CHECK(kernel(4096, 4096, 4096, 1, true, false) == GemmKernel::tiles_128);
  CHECK(kernel(4096, 4096, 4096, 1, true, true, false) == GemmKernel::tiles_128);
  CHECK(kernel(1024, 1024, 1024, 1, true) == GemmKernel::hopper_128);
  CHECK(kernel(127, 4096, 4096, 1, true) == GemmKernel::tiles_64);
  CHECK(kernel(4096, 4096, 63, 1, true) == GemmKernel::tiles_128);
  CHECK(kernel(256, 256, 64, 63, true) == GemmKernel::hopper_128 && kernel(256, 256, 64, 64, true) == GemmKernel::hopper_256);
  CHECK(tk::cuda::choose_gemm({4096, 4096, 64, 1, true, false, true, true}).kernel == GemmKernel::elements);
  // Long sums with few tiles are cut on Hopper too, in parts of 1024.
  const GemmChoice cut = tk::cuda::choose_gemm({256, 256, 16384, 1, true, true, true, true});
  CHECK(cut.kernel == GemmKernel::hopper_128 && cut.splits == 16);
  CHECK(tk::cuda::choose_gemm({256, 256, 2047, 1, true, true, true, true}).kernel == GemmKernel::tiles_64);
  // f32 goes there when it may be rounded and both operands run along K.
  CHECK(tk::cuda::choose_gemm({4096, 4096, 4096, 1, false, true, true, true, true}).kernel == GemmKernel::hopper_256);
  CHECK(tk::cuda::choose_gemm({4096, 4096, 4096, 1, false, true, true, false, true}).kernel == GemmKernel::tiles_128);
  // Long sums with few tiles are cut; each part keeps 512 of K.
  CHECK(splits(64, 64, 1023) == 1 && splits(64, 64, 1024) == 2 && splits(64, 64, 100000) == 64);
  CHECK(splits(4096, 4096, 8192) == 1);
}

TEST(gemm_f32_of_every_transpose_and_ragged_size) {
  const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 5}, {63, 65, 33}, {129, 127, 65}, {40, 72, 1000}, {5, 300, 700}, {300, 2, 511}};
  for (const auto& size : sizes) {
    for (const bool transpose_a : kBoth) {
      for (const bool transpose_b : kBoth) {
        const Errors e = errors_of({.m = size[0], .n = size[1], .k = size[2], .transpose_a = transpose_a, .transpose_b = transpose_b});
        CHECK(e.norm < 4e-7 && e.worst < 16 * kUnit);
      }
    }
  }
}

TEST(gemm_f32_on_tensor_cores_is_as_exact_as_f32) {
  for (const GemmKernel kernel : {GemmKernel::tiles_64, GemmKernel::tiles_128}) {
    for (const bool transpose_a : kBoth) {
      for (const bool transpose_b : kBoth) {
        const Errors e = errors_of(
            {.m = 70, .n = 68, .k = 100, .transpose_a = transpose_a, .transpose_b = transpose_b, .kernel = int(kernel)});
        CHECK(e.norm < 2.5e-7 && e.worst < 8 * kUnit);
      }
    }
  }
  // Misaligned operands, and rows that no 16-byte copy can read.
  CHECK(errors_of({.m = 65, .n = 66, .k = 67, .kernel = int(GemmKernel::tiles_64), .skip = 1}).norm < 2.5e-7);
  // The error does not grow with K.
  CHECK(errors_of({.m = 16, .n = 16, .k = 8192, .kernel = int(GemmKernel::tiles_64)}).norm < 4e-7);
}

TEST(gemm_f32_batches_and_splits) {
  CHECK(errors_of({.m = 33, .n = 40, .k = 29, .batch = 5}).norm < 4e-7);
  CHECK(errors_of({.m = 33, .n = 40, .k = 29, .batch = 5, .broadcast = true}).norm < 4e-7);
  CHECK(errors_of({.m = 64, .n = 64, .k = 29, .batch = 3, .kernel = int(GemmKernel::tiles_64), .broadcast = true}).norm < 4e-7);
  CHECK(errors_of({.m = 40, .n = 40, .k = 3000}).norm < 4e-7);
  CHECK(errors_of({.m = 3, .n = 50, .k = 5000, .transpose_b = true}).norm < 4e-7);
  CHECK(errors_of({.m = 50, .n = 3, .k = 5000, .batch = 2}).norm < 4e-7);
}

TEST(gemm_of_nothing_is_the_epilogue_of_zero) {
  Device device;
  for (const int64_t m : {int64_t(5), int64_t(40)}) {
    Setup s = set_up(device, {.m = m, .n = 40, .k = 0});
    s.g.bias = device.floats(std::vector<float>(40, 2.5f));
    for (const float v : run(device, s.g)) CHECK(v == 2.5f);
  }
}

TEST(gemm_tf32_rounds_its_operands) {
  for (const GemmKernel kernel : {GemmKernel::tiles_64, GemmKernel::tiles_128}) {
    const Errors e = errors_of({.m = 64, .n = 64, .k = 512, .transpose_b = true, .kernel = int(kernel), .tf32 = true});
    // Rounding costs 2.9e-4; cutting off would cost 7.7e-4 and make every result 0.07 % too small.
    CHECK(e.norm > 1.5e-4 && e.norm < 4e-4 && std::fabs(e.mean) < 1e-4);
  }
}

TEST(gemm_of_half_types_on_mma) {
  for (const DType type : {DType::bf16, DType::f16}) {
    for (const GemmKernel kernel : {GemmKernel::tiles_64, GemmKernel::tiles_128, GemmKernel::elements}) {
      for (const bool transpose_a : kBoth) {
        for (const bool transpose_b : kBoth) {
          // Products of rounded operands are exact in f32, so only the sums differ.
          const Errors e = errors_of({.m = 70,
                                      .n = 72,
                                      .k = 104,
                                      .transpose_a = transpose_a,
                                      .transpose_b = transpose_b,
                                      .type = type,
                                      .kernel = int(kernel)});
          CHECK(e.norm < 4e-7 && e.worst < 16 * kUnit);
        }
      }
    }
    CHECK(errors_of({.m = 65, .n = 63, .k = 67, .type = type, .kernel = int(GemmKernel::tiles_64), .skip = 1}).norm < 4e-7);
    CHECK(errors_of({.m = 4, .n = 100, .k = 400, .type = type}).norm < 4e-7);
    const double unit = type == DType::bf16 ? 1.0 / 256 : 1.0 / 2048;
    const Errors e = errors_of({.m = 66, .n = 64, .k = 64, .type = type, .y_type = type, .kernel = int(GemmKernel::tiles_64)});
    CHECK(e.norm < unit && e.norm > unit / 16);
  }
}

TEST(gemm_of_half_types_on_wgmma) {
  for (const DType type : {DType::bf16, DType::f16}) {
    for (const bool transpose_a : kBoth) {
      for (const bool transpose_b : kBoth) {
        Case c = {.m = 136, .n = 200, .k = 200, .transpose_a = transpose_a, .transpose_b = transpose_b, .type = type};
        c.kernel = kHopper128;
        CHECK(errors_of(c).norm < 4e-7);
        c.kernel = kHopper256;
        c.n = 264;
        CHECK(errors_of(c).norm < 4e-7);
      }
    }
  }
  // More tiles than blocks, so that a block goes on to a second one; one b for all.
  CHECK(errors_of({.m = 128, .n = 128, .k = 64, .batch = 40, .type = DType::bf16, .kernel = kHopper128, .broadcast = true}).norm < 4e-7);
}

TEST(gemm_of_half_types_on_wgmma_in_clusters) {
  // Two blocks share each tile of B: an odd number of row tiles, several tiles to a cluster, batches, one b for all.
  CHECK(errors_of({.m = 300, .n = 264, .k = 136, .type = DType::bf16, .kernel = kHopper256}).norm < 4e-7);
  CHECK(errors_of({.m = 520, .n = 520, .k = 72, .batch = 2, .type = DType::f16, .kernel = kHopper256, .broadcast = true}).norm < 4e-7);
  CHECK(errors_of({.m = 8, .n = 16, .k = 8, .transpose_a = true, .type = DType::bf16, .kernel = kHopper256}).norm < 4e-7);
}

TEST(gemm_on_wgmma_cut_along_k) {
  for (const int kernel : {kHopper128, kHopper256}) {
    CHECK(errors_of({.m = 130, .n = 136, .k = 520, .batch = 2, .type = DType::bf16, .kernel = kernel, .splits = 3}).norm < 4e-7);
    // More parts than there is work for.
    CHECK(errors_of({.m = 64, .n = 64, .k = 136, .type = DType::f16, .kernel = kernel, .splits = 5}).norm < 4e-7);
  }
}

TEST(gemm_tf32_on_wgmma) {
  for (const int kernel : {kHopper128, kHopper256}) {
    const Errors e = errors_of({.m = 140, .n = 264, .k = 200, .transpose_b = true, .kernel = kernel, .tf32 = true});
    CHECK(e.norm > 1.5e-4 && e.norm < 4e-4 && std::fabs(e.mean) < 1e-4);
    CHECK(errors_of({.m = 130, .n = 68, .k = 4000, .transpose_b = true, .kernel = kernel, .tf32 = true, .splits = 2}).norm < 4e-4);
  }
}

TEST(gemm_keeps_infinities_and_nan_where_they_belong) {
  constexpr int64_t kM = 64, kN = 64, kK = 48;
  Device device;
  std::vector<float> a(kM * kK, 1.0f), b(kK * kN, 0.5f);
  a[3 * kK + 7] = INFINITY;
  a[5 * kK + 1] = NAN;
  a[9 * kK + 2] = 3.4028235e38f;  // rounds to infinity in TF32
  a[9 * kK + 3] = -3.4028235e38f;
  b[11 * kN + 13] = -INFINITY;
  for (const GemmKernel kernel : {GemmKernel::tiles_64, GemmKernel::tiles_128, GemmKernel::simt}) {
    const Setup s = set_up(device, {.m = kM, .n = kN, .k = kK, .kernel = int(kernel)}, &a, &b);
    const std::vector<float> y = run(device, s.g);
    CHECK(y[0] == 24.0f && y[3 * kN] == INFINITY && std::isnan(y[5 * kN + 4]) && y[13] == -INFINITY);
    CHECK(std::isnan(y[3 * kN + 13]) && y[3 * kN + 14] == INFINITY);
    CHECK(std::fabs(y[9 * kN] - 23.0f) <= 1.0f);
  }
}

TEST(gemm_of_tiny_and_huge_values) {
  constexpr int64_t kM = 32, kN = 48, kK = 64;
  Device device;
  for (const float scale : {1e-30f, 1e15f}) {
    std::vector<float> a = normal_values(kM * kK, 5), b = normal_values(kK * kN, 6);
    for (float& v : a) v *= scale;
    const Setup s = set_up(device, {.m = kM, .n = kN, .k = kK, .kernel = int(GemmKernel::tiles_64)}, &a, &b);
    CHECK(errors_of(s, run(device, s.g)).norm < 2.5e-7);
  }
}

TEST(gemm_epilogues) {
  Device device;
  struct Kernel {
    int kernel;
    DType type;
  };
  const Kernel kernels[] = {{int(GemmKernel::elements), DType::f32}, {int(GemmKernel::simt), DType::f32},
                            {int(GemmKernel::tiles_64), DType::f32}, {int(GemmKernel::tiles_128), DType::bf16},
                            {kHopper128, DType::bf16}, {kHopper256, DType::f16}};
  for (const Kernel& kernel : kernels) {
    const int64_t m = 40, n = 72, k = 24;
    Setup s = set_up(device, {.m = m, .n = n, .k = k, .type = kernel.type, .kernel = kernel.kernel});
    const std::vector<float> bias = normal_values(n, 3), residual = normal_values(m * n, 4);
    float* saved = device.floats(std::vector<float>(size_t(m * n), NAN));
    s.g.bias = device.floats(bias);
    s.g.residual = device.floats(residual);
    s.g.saved = saved;
    s.g.activation = 1;  // relu
    const std::vector<float> y = run(device, s.g), before = device.get(DType::f32, saved, m * n);
    s.g.gradient_at = device.floats(residual);
    s.g.saved = nullptr;
    const std::vector<float> gradient = run(device, s.g);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const size_t at = size_t(i * n + j);
        const double sum = reference(s, 0, i, j).first + double(bias[size_t(j)]) + double(residual[at]);
        CHECK(std::fabs(double(before[at]) - sum) < 1e-5);
        CHECK(y[at] == (before[at] > 0 ? before[at] : 0.0f));
        CHECK(gradient[at] == (residual[at] > 0 ? before[at] : 0.0f));
      }
    }
  }
  // A split product applies it once, after the parts have been added.
  Setup s = set_up(device, {.m = 40, .n = 40, .k = 2048});
  s.g.bias = device.floats(std::vector<float>(40, 1000.0f));
  CHECK(table().gemm_workspace(&s.g) > 0);
  CHECK(std::fabs(double(run(device, s.g)[0]) - 1000.0 - reference(s, 0, 0, 0).first) < 1e-3);
}

TEST(gemm_gives_the_same_bits_again) {
  Device device;
  for (const Case& c : {Case{.m = 70, .n = 50, .k = 3000}, Case{.m = 130, .n = 136, .k = 200, .type = DType::bf16, .kernel = kHopper128},
                        Case{.m = 260, .n = 264, .k = 520, .type = DType::bf16, .kernel = kHopper256, .splits = 2}}) {
    const Setup s = set_up(device, c);
    const std::vector<float> first = run(device, s.g), second = run(device, s.g);
    CHECK(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) == 0);
  }
}

TEST_MAIN
