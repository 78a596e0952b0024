// The CUDA library through its C table, as the engine uses it: memory, copies, op calls, errors. Runs in the emulator; what an
// op computes is compared with the CPU's by the tests of the package.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/op_call.h"
#include "cuda/cuda_table.h"
#include "cuda/device_pool.h"
#include "test.h"

using tk::DType;
using tk::OpCall;
using tk::Operand;

namespace {

enum : uint16_t {
#define TK_OP(name, ...) k_##name,
#include "ops/ops.def"
};

const TkCudaTable& table() {
  const TkCudaTable* found = tensorkiln_cuda_table(TK_CUDA_TABLE_VERSION);
  if (found == nullptr) throw std::runtime_error("the library does not know this version of the table");
  return *found;
}

// A stream and the operands of one call.
class Session {
 public:
  explicit Session(uint64_t limit = uint64_t(64) << 20) {
    if (table().open_stream(0, limit, &stream_) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
  }
  ~Session() { table().close_stream(stream_); }
  Session(const Session&) = delete;

  template <class T>
  Operand operand(const std::vector<int64_t>& dims, DType dtype, const std::vector<T>& values) {
    Operand result;
    result.dtype = dtype;
    result.size = 1;
    for (int64_t dim : dims) {
      result.dims[result.rank++] = dim;
      result.size *= dim;
    }
    CHECK(table().allocate(stream_, uint64_t(result.bytes()), &result.data) == TK_CUDA_OK);
    if (!values.empty()) CHECK(table().write(stream_, result.data, values.data(), values.size() * sizeof(T)) == TK_CUDA_OK);
    return result;
  }
  Operand floats(const std::vector<int64_t>& dims, const std::vector<float>& values = {}) {
    return operand(dims, DType::f32, values);
  }

  int32_t run(uint16_t op, const std::vector<Operand>& operands, const std::vector<int64_t>& ints = {},
              const std::vector<double>& numbers = {}) {
    OpCall call;
    call.op = op;
    call.operands = operands.data();
    call.num_operands = int32_t(operands.size());
    call.ints = ints.data();
    call.num_ints = int32_t(ints.size());
    call.floats = numbers.data();
    call.num_floats = int32_t(numbers.size());
    call.workspace_bytes = table().workspace(stream_, &call);
    if (call.workspace_bytes > 0) table().allocate(stream_, uint64_t(call.workspace_bytes), &call.workspace);
    const int32_t status = table().run(stream_, &call);
    if (call.workspace != nullptr) table().free(stream_, call.workspace);
    return status;
  }

  template <class T>
  std::vector<T> read(const Operand& operand, int32_t expected = TK_CUDA_OK) {
    std::vector<T> values(size_t(operand.size));
    CHECK(table().read(stream_, operand.data, values.data(), uint64_t(operand.bytes())) == expected);
    return values;
  }
  TkCudaStream* stream() { return stream_; }

 private:
  TkCudaStream* stream_ = nullptr;
};

std::vector<float> ramp(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(float((i * 37) % 101) / 16.0f - 3.0f);
  return values;
}

class CountingSource final : public tk::cuda::SegmentSource {
 public:
  void* allocate(int64_t bytes) override {
    ++segments;
    return std::aligned_alloc(512, size_t(bytes));
  }
  void free(void* data) override {
    --segments;
    std::free(data);
  }
  int segments = 0;
};

}  // namespace

TEST(pool_reuses_and_joins_blocks) {
  CountingSource source;
  {
    tk::cuda::DevicePool pool(source, int64_t(8) << 20);
    void *a = pool.allocate(1000), *b = pool.allocate(1), *c = pool.allocate(70000);
    CHECK(source.segments == 1 && pool.live_bytes() == 1024 + 512 + 70144);
    CHECK(reinterpret_cast<uintptr_t>(b) % 512 == 0);
    pool.free(b);
    CHECK(pool.allocate(512) == b);
    pool.free(a), pool.free(b), pool.free(c);
    // The pieces are one block again: a request that none of them could hold needs no new segment.
    CHECK(pool.largest_free() == 2 << 20);
    CHECK(pool.allocate(1 << 20) == a && source.segments == 1);
    pool.free(a);
    CHECK(pool.trim() == 2 << 20 && pool.held_bytes() == 0 && source.segments == 0);
    CHECK(pool.peak_bytes() == 1 << 20);
  }
}

TEST(pool_keeps_its_limit) {
  CountingSource source;
  {
    tk::cuda::DevicePool pool(source, int64_t(3) << 20);
    // A segment for 3 MiB would have 20: near the limit it gets what it asks for.
    void* all = pool.allocate(3 << 20);
    CHECK(all != nullptr && pool.held_bytes() == 3 << 20);
    CHECK(pool.allocate(1) == nullptr);
    pool.free(all);
    CHECK(pool.allocate(4 << 20) == nullptr);
    CHECK(pool.allocate(1) != nullptr);
    CHECK_THROWS(pool.free(static_cast<char*>(all) + 512 * 7), "E_INTERNAL");
  }
  CHECK(source.segments == 0);
}

TEST(out_of_memory_leaves_the_stream_usable) {
  Session session(4 << 20);
  void* data = nullptr;
  CHECK(table().allocate(session.stream(), uint64_t(5) << 20, &data) == TK_CUDA_OUT_OF_MEMORY);
  const Operand x = session.floats({4}, {1, -2, 3, -4}), y = session.floats({4});
  CHECK(session.run(k_relu, {x, y}) == TK_CUDA_OK);
  CHECK((session.read<float>(y) == std::vector<float>{1, 0, 3, 0}));
}

TEST(copies_longer_than_the_staging_memory) {
  Session session;
  const std::vector<float> values = ramp((5 << 20) / 4 + 3);
  const Operand x = session.floats({int64_t(values.size())}, values);
  CHECK(session.read<float>(x) == values);
}

TEST(reductions_repeat_and_agree_with_double) {
  Session session;
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{3, 1000, 1}, {2, 50, 7}, {1, 100000, 1}, {1, 0, 3}}) {
    const std::vector<float> values = ramp(dims[0] * dims[1] * dims[2]);
    const Operand x = session.floats(dims, values), y = session.floats({dims[0], dims[2]});
    CHECK(session.run(k_reduce_sum, {x, y}) == TK_CUDA_OK);
    const std::vector<float> sums = session.read<float>(y);
    CHECK(session.run(k_reduce_sum, {x, y}) == TK_CUDA_OK);
    CHECK(session.read<float>(y) == sums);
    for (int64_t outer = 0; outer < dims[0]; ++outer) {
      for (int64_t inner = 0; inner < dims[2]; ++inner) {
        double expected = 0;
        for (int64_t i = 0; i < dims[1]; ++i) expected += double(values[size_t((outer * dims[1] + i) * dims[2] + inner)]);
        // The values are multiples of 1/16 and the sum is formed in double: only the last rounding is left.
        CHECK(sums[size_t(outer * dims[2] + inner)] == float(expected));
      }
    }
  }
}

TEST(matrix_products_of_every_transpose) {
  Session session;
  const int64_t m = 70, n = 66, k = 300;
  const std::vector<float> a = ramp(m * k), b = ramp(k * n);
  for (int transposes = 0; transposes < 4; ++transposes) {
    const bool ta = transposes & 1, tb = transposes & 2;
    const Operand da = session.floats(ta ? std::vector<int64_t>{1, k, m} : std::vector<int64_t>{1, m, k}, a);
    const Operand db = session.floats(tb ? std::vector<int64_t>{1, n, k} : std::vector<int64_t>{1, k, n}, b);
    const Operand y = session.floats({1, m, n});
    CHECK(session.run(k_matmul, {da, db, y}, {ta, tb}) == TK_CUDA_OK);
    const std::vector<float> got = session.read<float>(y);
    double worst = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double expected = 0;
        for (int64_t d = 0; d < k; ++d) {
          expected += double(a[size_t(ta ? d * m + i : i * k + d)]) * double(b[size_t(tb ? j * k + d : d * n + j)]);
        }
        worst = std::max(worst, std::fabs(expected - double(got[size_t(i * n + j)])));
      }
    }
    // Products up to 10.5, 300 of them: partial sums below 4096 with a unit in the last place of 2^-12, two such roundings.
    CHECK(worst <= 0x1p-11);
  }
}

TEST(bad_index_is_reported_once_and_clamped) {
  Session session;
  const Operand x = session.floats({1, 3, 1}, {10, 20, 30});
  const Operand indices = session.operand<int32_t>({2}, DType::i32, {1, 7});
  const Operand y = session.floats({1, 2, 1});
  CHECK(session.run(k_gather, {x, indices, y}) == TK_CUDA_OK);
  CHECK((session.read<float>(y, TK_CUDA_BAD_INDEX) == std::vector<float>{20, 30}));
  CHECK(std::string(table().last_error()) == "[gather] index out of range: expected 0 to 2, got 7");
  CHECK((session.read<float>(y) == std::vector<float>{20, 30}));
}

TEST(no_device_of_that_number) {
  TkCudaStream* stream = nullptr;
  CHECK(table().open_stream(5, 0, &stream) == TK_CUDA_NO_DEVICE);
  CHECK(std::string(table().last_error()) == "there is no GPU number 5: expected 0 to 0");
}

TEST(unknown_setting_is_refused) {
  setenv("TENSORKILN_TF32", "maybe", 1);
  TkCudaStream* stream = nullptr;
  CHECK(table().open_stream(0, 0, &stream) == TK_CUDA_FAILED);
  CHECK(std::string(table().last_error()).find("TENSORKILN_TF32 is 'maybe'") == 0);
  unsetenv("TENSORKILN_TF32");
}

TEST_MAIN
