// CUDA graphs of recorded programs: through the C table, as the engine replays plans, and alone, for the calls that no graph
// holds. What a graph computes is compared bit for bit with the calls made one by one. Runs in the emulator.
#include "cuda/program_graphs.h"
// Not exported by the library.
#include "cuda/program_graphs.cu"

#include <cstring>
#include <vector>

#include "core/op_call.h"
#include "cuda/cuda_table.h"
#include "test.h"

using tk::DType;
using tk::OpCall;
using tk::Operand;

namespace {

enum : uint16_t {
#define TK_OP(name, ...) k_##name,
#include "ops/ops.def"
};

const TkCudaTable& table() { return *tensorkiln_cuda_table(TK_CUDA_TABLE_VERSION); }

// A call and what it points to.
struct Call {
  uint16_t op;
  std::vector<Operand> operands;
  std::vector<int64_t> ints;
  std::vector<double> numbers;
  void* workspace = nullptr;
  OpCall view() const {
    OpCall call;
    call.op = op;
    call.operands = operands.data(), call.num_operands = int32_t(operands.size());
    call.ints = ints.data(), call.num_ints = int32_t(ints.size());
    call.floats = numbers.data(), call.num_floats = int32_t(numbers.size());
    call.workspace = workspace;
    return call;
  }
};

// Buffers of one set of addresses, and a program of a few kinds of launches on them: y = softmax(relu(a b) copied) and back.
class Program {
 public:
  static constexpr int64_t kRows = 40, kInner = 70, kCols = 50;
  explicit Program(TkCudaStream* stream) : stream_(stream) {
    a = buffer({1, kRows, kInner}), b = buffer({1, kInner, kCols});
    product = buffer({1, kRows, kCols}), positive = buffer({1, kRows, kCols}), copied = buffer({1, kRows, kCols});
    y = buffer({kRows, kCols});
    calls.push_back({k_matmul, {a, b, product}, {0, 0}, {}});
    calls.push_back({k_relu, {product, positive}, {}, {}});
    calls.push_back({k_copy, {positive, copied}, {}, {}});
    Operand rows = copied;
    rows.rank = 2, rows.dims[0] = kRows, rows.dims[1] = kCols;
    calls.push_back({k_softmax, {rows, y}, {}, {}});
    for (Call& call : calls) {
      const OpCall view = call.view();
      const int64_t bytes = table().workspace(stream_, &view);
      if (bytes > 0) CHECK(table().allocate(stream_, uint64_t(bytes), &call.workspace) == TK_CUDA_OK);
    }
  }
  void fill(float scale) {
    for (const Operand* x : {&a, &b}) {
      std::vector<float> values(size_t(x->size));
      for (size_t i = 0; i < values.size(); ++i) values[i] = scale * (float((i * 37) % 101) / 16.0f - 3.0f);
      CHECK(table().write(stream_, x->data, values.data(), values.size() * sizeof(float)) == TK_CUDA_OK);
    }
    const std::vector<float> poison(size_t(y.size), NAN);
    CHECK(table().write(stream_, y.data, poison.data(), poison.size() * sizeof(float)) == TK_CUDA_OK);
  }
  void run() {
    for (const Call& call : calls) {
      const OpCall view = call.view();
      CHECK(table().run(stream_, &view) == TK_CUDA_OK);
    }
  }
  // As program number `number`; whether it was known at these addresses.
  bool replay(uint64_t number) {
    const void* addresses[] = {a.data, b.data, y.data, product.data, calls[0].workspace};
    int32_t known = -1;
    CHECK(table().begin_program(stream_, number, addresses, 5, &known) == TK_CUDA_OK);
    if (known == 1) return true;
    for (const Call& call : calls) {
      const OpCall view = call.view();
      CHECK(table().add_call(stream_, &view) == TK_CUDA_OK);
    }
    CHECK(table().finish_program(stream_) == TK_CUDA_OK);
    return false;
  }
  std::vector<float> result() {
    std::vector<float> values(size_t(y.size));
    CHECK(table().read(stream_, y.data, values.data(), values.size() * sizeof(float)) == TK_CUDA_OK);
    return values;
  }

  Operand a, b, product, positive, copied, y;
  std::vector<Call> calls;

 private:
  Operand buffer(std::vector<int64_t> dims) {
    Operand x;
    x.size = 1;
    for (const int64_t dim : dims) x.dims[x.rank++] = dim, x.size *= dim;
    CHECK(table().allocate(stream_, uint64_t(x.bytes()), &x.data) == TK_CUDA_OK);
    return x;
  }
  TkCudaStream* stream_;
};

bool same_bits(const std::vector<float>& x, const std::vector<float>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
}

class Stream {
 public:
  Stream() {
    if (table().open_stream(0, uint64_t(64) << 20, &stream_) != TK_CUDA_OK) throw std::runtime_error(table().last_error());
  }
  ~Stream() { table().close_stream(stream_); }
  operator TkCudaStream*() const { return stream_; }
  TkCudaGraphs graphs() const {
    TkCudaGraphs counts;
    table().graphs(stream_, &counts);
    return counts;
  }

 private:
  TkCudaStream* stream_ = nullptr;
};

__global__ void add_kernel(float* x, float by) { x[threadIdx.x] += by; }
__global__ void scale_kernel(float* x, float by, int64_t unused) { x[threadIdx.x] *= by + float(unused); }

}  // namespace

TEST(a_graph_computes_what_the_calls_compute) {
  Stream stream;
  Program program(stream);
  for (const float scale : {1.0f, 0.25f, 3.0f}) {
    program.fill(scale);
    program.run();
    const std::vector<float> eager = program.result();
    program.fill(scale);
    CHECK(program.replay(1) == (scale != 1.0f));
    CHECK(same_bits(program.result(), eager));
  }
  const TkCudaGraphs counts = stream.graphs();
  CHECK(counts.built == 1 && counts.launches == 3 && counts.patched_nodes == 0 && counts.single_calls == 0);
}

TEST(new_addresses_are_patched_into_the_graph_unused_longest) {
  Stream stream;
  std::vector<Program> programs;
  for (int i = 0; i < 6; ++i) programs.emplace_back(stream);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 6; ++i) {
      Program& program = programs[size_t(i)];
      program.fill(float(i + 1));
      program.run();
      const std::vector<float> eager = program.result();
      program.fill(float(i + 1));
      CHECK(!program.replay(7));
      CHECK(same_bits(program.result(), eager));
      program.fill(float(i + 1));
      CHECK(program.replay(7));
      CHECK(same_bits(program.result(), eager));
    }
  }
  // Four graphs for four sets of addresses; from then on each new set changes the nodes of one, whose every launch has an
  // address.
  const TkCudaGraphs counts = stream.graphs();
  CHECK(counts.built == 4 && counts.launches == 24);
  CHECK(counts.patched_nodes >= 8 * programs[0].calls.size() && counts.patched_nodes % 8 == 0);
}

TEST(programs_do_not_mix_and_are_forgotten) {
  Stream stream;
  Program program(stream), other(stream);
  other.calls.pop_back();
  program.fill(1), other.fill(1);
  CHECK(!program.replay(1) && !other.replay(2) && program.replay(1) && other.replay(2));
  CHECK(stream.graphs().built == 2);
  CHECK(table().forget_program(stream, 1) == TK_CUDA_OK && table().forget_program(stream, 99) == TK_CUDA_OK);
  CHECK(!program.replay(1) && stream.graphs().built == 3);
  // A program whose calls have changed is not patched but made anew.
  for (int i = 0; i < 5; ++i) {
    Program fresh(stream);
    if (i == 4) fresh.calls.erase(fresh.calls.begin() + 1);
    fresh.fill(1);
    CHECK(!fresh.replay(3));
  }
  CHECK(stream.graphs().built == 8 && stream.graphs().patched_nodes == 0);
}

TEST(a_call_that_fails_while_it_is_listed_changes_nothing) {
  Stream stream;
  Program program(stream);
  program.fill(1);
  const std::vector<float> before = program.result();
  const void* addresses[] = {program.a.data};
  int32_t known = 1;
  CHECK(table().begin_program(stream, 1, addresses, 1, &known) == TK_CUDA_OK && known == 0);
  const OpCall first = program.calls[0].view();
  CHECK(table().add_call(stream, &first) == TK_CUDA_OK);
  program.calls[0].operands[0].rank = 2;
  const OpCall wrong = program.calls[0].view();
  CHECK(table().add_call(stream, &wrong) == TK_CUDA_FAILED);
  program.calls[0].operands[0].rank = 3;
  CHECK(same_bits(program.result(), before));
  CHECK(!program.replay(1));
  CHECK(stream.graphs().built == 1);
}

TEST(a_call_that_no_graph_holds_runs_between_two) {
  cudaStream_t stream;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  float *x = nullptr, *other = nullptr;
  for (float** to : {&x, &other}) CHECK(cudaMalloc(reinterpret_cast<void**>(to), 32 * sizeof(float)) == cudaSuccess);
  const auto list = [](const OpCall& call, tk::cuda::LaunchList& into) {
    float* data = call[0].f32();
    // What was listed before the call turns out not to be listable does not count.
    into.add_kernel(add_kernel, dim3(1), dim3(32), 0, data, float(call.floats[0]));
    if (call.op == 1) throw tk::cuda::NotListable{};
    into.add_kernel(scale_kernel, dim3(1), dim3(32), 0, data, 2, 0);
    if (call.op == 2) into.add_zero(data, 4 * sizeof(float));
  };
  int alone = 0;
  const auto run = [&](const OpCall& call) {
    ++alone;
    CHECK(call.op == 1 && call.floats[0] == 10);
    CHECK(tk::cuda::launch_kernel(add_kernel, dim3(1), dim3(32), 0, stream, call[0].f32(), 100.0f) == cudaSuccess);
  };
  {
    tk::cuda::ProgramGraphs graphs(stream, list, run);
    const auto replay = [&](float* data, uint64_t program) {
      Operand operand;
      operand.data = data, operand.size = 32, operand.rank = 1, operand.dims[0] = 32;
      const double addends[] = {1, 10, 5};
      const void* addresses[] = {data};
      if (graphs.begin(program, addresses, 1)) return true;
      for (uint16_t op = 0; op < 3; ++op) {
        OpCall call;
        call.op = op;
        call.operands = &operand, call.num_operands = 1;
        call.floats = addends + op, call.num_floats = 1;
        graphs.add(call);
      }
      graphs.finish();
      return false;
    };
    const auto value = [&](const float* data, int i) {
      float values[32];
      CHECK(cudaMemcpyAsync(values, data, sizeof values, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
      CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
      return values[i];
    };
    CHECK(cudaMemsetAsync(x, 0, 32 * sizeof(float), stream) == cudaSuccess);
    CHECK(!replay(x, 1));
    // ((0 + 1) * 2 + 100 + 5) * 2
    CHECK(value(x, 31) == 214 && value(x, 0) == 0 && alone == 1);
    CHECK(replay(x, 1) && value(x, 31) == 2 * (2 * 215 + 100 + 5) && alone == 2);
    CHECK(graphs.counts().built == 2 && graphs.counts().launches == 4 && graphs.counts().single_calls == 2);
    // The call keeps its own operands: at other addresses it works there, in a graph that has been patched too.
    float* places[5];
    for (float*& place : places) CHECK(cudaMalloc(reinterpret_cast<void**>(&place), 32 * sizeof(float)) == cudaSuccess);
    for (float* place : places) {
      CHECK(cudaMemsetAsync(place, 0, 32 * sizeof(float), stream) == cudaSuccess);
      CHECK(!replay(place, 1) && value(place, 31) == 214);
    }
    CHECK(graphs.counts().built == 8 && graphs.counts().patched_nodes == 2 * 5);
    for (float* place : places) CHECK(cudaFree(place) == cudaSuccess);
  }
  for (float* data : {x, other}) CHECK(cudaFree(data) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_MAIN
