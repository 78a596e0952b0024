// Two GPUs in one process: each stream has the memory, the errors and the kernels' settings of its own device, whichever thread
// asks. Runs in the emulator, which refuses launches and events of another device and ends the process where a kernel reaches
// another device's memory.
#include <thread>

#include "op_session.h"

using tk::DType;
using tk::Operand;

namespace {

// Before the emulator reads its settings, at its first call.
[[maybe_unused]] const bool has_two_devices = [] {
  const char* given = std::getenv("TENSORKILN_EMULATOR");
  return setenv("TENSORKILN_EMULATOR", (std::string(given == nullptr ? "" : given) + " devices=2 protect quiet").c_str(), 1) == 0;
}();

// Attention by the kernel for Hopper, which asks for more shared memory than a device gives unasked.
std::vector<float> attention_on(OpSession& session, unsigned seed) {
  const std::vector<int64_t> dims = {1, 128, 1, 64};
  std::vector<Operand> operands;
  for (unsigned i = 0; i < 3; ++i) {
    operands.push_back(session.operand(dims, DType::bf16, normal_values(128 * 64, seed + i, DType::bf16)));
  }
  const Operand none = session.operand({0}, DType::f32), y = session.operand(dims, DType::bf16);
  for (const Operand& x : {none, none, y, session.operand({1, 1, 128}, DType::f32)}) operands.push_back(x);
  session.run(k_attention, operands, {0, 0}, {0.125, 0});
  return session.read(y);
}

}  // namespace

TEST(devices_are_counted_and_described) {
  CHECK(table().device_count() == 2);
  TkCudaDevice device;
  CHECK(table().describe_device(1, &device) == TK_CUDA_OK && device.compute_major == 9);
  CHECK(table().describe_device(2, &device) != TK_CUDA_OK);
  TkCudaStream* stream = nullptr;
  CHECK(table().open_stream(2, 0, &stream) == TK_CUDA_NO_DEVICE);
  CHECK(std::string(table().last_error()).find("there is no GPU number 2: expected 0 to 1") != std::string::npos);
}

TEST(streams_of_two_devices_take_turns) {
  OpSession first(0), second(1);
  const std::vector<float> alone = attention_on(first, 1);
  CHECK(attention_on(second, 1) == alone);
  CHECK(attention_on(first, 5) == attention_on(second, 5));
  CHECK(attention_on(second, 9) == attention_on(first, 9));
}

TEST(a_call_runs_on_the_device_of_its_stream) {
  OpSession first(0), second(1);
  const std::vector<float> values = normal_values(1000, 1);
  const Operand x = first.operand({1000}, DType::f32, values), y = first.operand({1000}, DType::f32),
                other = second.operand({1000}, DType::f32, values), z = second.operand({1000}, DType::f32);
  // The thread has used the second device last, then the first.
  first.run(k_relu, {x, y});
  second.run(k_relu, {other, z});
  const std::vector<float> got = first.read(y);
  CHECK(got[0] == (values[0] > 0 ? values[0] : 0.0f) && second.read(z) == got);
}

TEST(streams_of_two_devices_on_two_threads) {
  OpSession first(0), second(1);
  std::vector<float> one, two;
  std::thread other([&] { two = attention_on(second, 3); });
  one = attention_on(first, 3);
  other.join();
  CHECK(one == two);
}

TEST(memory_is_counted_and_limited_per_device) {
  OpSession first(0, uint64_t(8) << 20), second(1, uint64_t(64) << 20);
  TkCudaMemory before, after;
  table().memory(second.stream(), &before);
  const Operand kept = first.operand({1 << 20}, DType::f32);
  CHECK(kept.data != nullptr);
  table().memory(second.stream(), &after);
  CHECK(after.live == before.live && after.cached == before.cached);
  void* more = nullptr;
  CHECK(table().allocate(first.stream(), uint64_t(8) << 20, &more) == TK_CUDA_OUT_OF_MEMORY);
  CHECK(table().allocate(second.stream(), uint64_t(8) << 20, &more) == TK_CUDA_OK);
  table().free(second.stream(), more);
}

TEST_MAIN
