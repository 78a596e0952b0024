// Our op bodies at the native door: the op call that the harness describes, without Node.
#include <memory>

#include "cpu/thread_pool.h"
#include "dispatch/op_table.h"
#include "leg.h"
#include "machine.h"

namespace {

class BenchContext final : public tk::CpuContext {
 public:
  explicit BenchContext(int threads) { num_threads_ = threads; }
  void run_parallel(int64_t n, int64_t grain, tk::RangeBody body, void* state) override {
    tk::ThreadPool::instance().run(n, grain, num_threads_, body, state);
  }
  void report_index(int64_t index, int64_t limit) override {
    throw std::runtime_error("index " + std::to_string(index) + " outside " + std::to_string(limit));
  }
};

struct Prepared {
  std::vector<tk::Operand> operands;
  tk::OpCall call;
  void* workspace = nullptr;
  ~Prepared() { std::free(workspace); }
};

}  // namespace

int main() {
  const int threads = tkbench::wanted_threads();
  tk::ThreadPool& pool = tk::ThreadPool::instance();
  pool.set_num_threads(threads);
  pool.acquire();
  BenchContext context(threads);
  const std::string level = tk::level_name(tk::active_level());

  const auto make = [&](tkbench::Request& request) -> std::function<void()> {
    const int number = tk::find_op(request.name);
    if (number < 0) throw std::runtime_error("no op '" + request.name + "' in ops.def");
    auto prepared = std::make_shared<Prepared>();
    for (const tkbench::Array& array : request.arrays) {
      tk::Operand operand;
      operand.data = array.size == 0 ? nullptr : array.data;
      operand.size = array.size;
      operand.dtype = array.dtype == "f" ? tk::DType::f32 : array.dtype == "i" ? tk::DType::i32 : tk::DType::u8;
      operand.rank = uint8_t(array.dims.size());
      for (size_t d = 0; d < array.dims.size(); ++d) operand.dims[d] = array.dims[d];
      prepared->operands.push_back(operand);
    }
    tk::OpCall& call = prepared->call;
    const tk::OpInfo& info = tk::op_infos()[size_t(number)];
    call.op = uint16_t(number);
    call.operands = prepared->operands.data();
    call.num_operands = int32_t(prepared->operands.size());
    if (info.num_starred > 0) call.star_count = (call.num_operands - info.num_fixed) / info.num_starred;
    call.ints = request.ints.data();
    call.num_ints = int32_t(request.ints.size());
    call.floats = request.floats.data();
    call.num_floats = int32_t(request.floats.size());
    const tk::CpuOp& op = tk::cpu_ops(tk::active_level())[number];
    if (op.workspace != nullptr) call.workspace_bytes = op.workspace(call, threads);
    prepared->workspace = std::aligned_alloc(64, size_t(call.workspace_bytes + 127) / 64 * 64);
    call.workspace = prepared->workspace;
    return [prepared, body = op.body, &context] { body(prepared->call, context); };
  };
  const auto limits = [&] {
    return tkbench::measure_limits(level, threads, [&](const std::function<void(int)>& body) {
      // One unit per thread; a thread that finds no second unit leaves the other one to its neighbour.
      context.parallel_for(threads, 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t unit = begin; unit < end; ++unit) body(int(unit));
      });
    });
  };
  return tkbench::serve(make, limits, "Tensorkiln, level " + level);
}
