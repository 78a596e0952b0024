// The door: handles are identities, storages are values; what cannot be done is refused and loses nothing.
#include <thread>

#include "core/error.h"
#include "dispatch/environment.h"
#include "test.h"

using tk::CallOperand;
using tk::CallRequest;
using tk::DType;
using tk::Environment;
using tk::HandleId;
using tk::MemoryBudget;

namespace {

CallOperand operand(HandleId handle, DType dtype, std::vector<int64_t> shape) {
  CallOperand result;
  result.handle = handle;
  result.dtype = dtype;
  result.rank = uint8_t(shape.size());
  std::copy(shape.begin(), shape.end(), result.dims);
  return result;
}

CallRequest request(const char* op, std::vector<CallOperand> operands, std::vector<int64_t> ints = {},
                    std::vector<double> floats = {}) {
  CallRequest result;
  result.op = uint16_t(tk::find_op(op));
  result.operands = std::move(operands);
  result.ints = std::move(ints);
  result.floats = std::move(floats);
  return result;
}

HandleId vector_of(Environment& engine, const std::vector<float>& values) {
  return engine.create(DType::f32, values.data(), int64_t(values.size()));
}

std::vector<float> values_of(Environment& engine, HandleId handle) {
  std::vector<float> values(size_t(engine.size_of(handle)));
  engine.read_sync(handle, values.data(), int64_t(values.size()));
  return values;
}

HandleId unary(Environment& engine, const char* op, HandleId x) {
  const int64_t n = engine.size_of(x);
  CallRequest call = request(op, {operand(x, DType::f32, {n}), operand(tk::kNewHandle, DType::f32, {n})});
  engine.dispatch(call);
  return call.operands[1].handle;
}

// One step of plain gradient descent on a parameter, in place.
void descend(Environment& engine, HandleId hyper, HandleId parameter, HandleId gradient) {
  const int64_t n = engine.size_of(parameter);
  CallRequest call = request(
      "sgd", {operand(hyper, DType::f32, {3}), operand(parameter, DType::f32, {n}), operand(gradient, DType::f32, {n})});
  engine.dispatch(call);
}

using Values = std::vector<float>;

}  // namespace

TEST(calls_flow_through_buffers) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, -2, 3});
  const HandleId y = unary(engine, "neg", x), z = unary(engine, "square", y);
  CHECK(values_of(engine, y) == (Values{-1, 2, -3}));
  CHECK(values_of(engine, z) == (Values{1, 4, 9}));
}

TEST(create_copies_the_callers_array) {
  Environment engine;
  std::vector<float> mine(100000, 1.0f);
  std::vector<HandleId> handles;
  for (int i = 0; i < 20; ++i) {
    std::fill(mine.begin(), mine.end(), float(i));
    handles.push_back(vector_of(engine, mine));
    engine.release(unary(engine, "neg", handles.back()));
  }
  for (int i = 0; i < 20; ++i) CHECK(values_of(engine, handles[size_t(i)]).back() == float(i));
}

TEST(in_place_call_copies_a_shared_storage_and_no_other) {
  Environment engine;
  const HandleId hyper = vector_of(engine, {1, 0, 0});
  const HandleId parameter = vector_of(engine, {1, 2, 3, 4});
  const HandleId gradient = vector_of(engine, {1, 1, 1, 1});
  const HandleId clone = engine.alias(parameter, 0, 4);
  const HandleId slice = engine.alias(parameter, 1, 2);
  CHECK(engine.sharers_of(parameter) == 3);
  descend(engine, hyper, parameter, gradient);
  CHECK(engine.copies_on_write() == 1);
  descend(engine, hyper, parameter, gradient);
  CHECK(engine.copies_on_write() == 1);
  CHECK(values_of(engine, parameter) == (Values{-1, 0, 1, 2}));
  CHECK(values_of(engine, clone) == (Values{1, 2, 3, 4}));
  CHECK(values_of(engine, slice) == (Values{2, 3}));
  CHECK(engine.sharers_of(parameter) == 1);
  // Writing through a slice leaves the others alone, too.
  const float nines[] = {9, 9};
  engine.write(slice, nines, 2);
  CHECK(values_of(engine, slice) == (Values{9, 9}));
  CHECK(values_of(engine, clone) == (Values{1, 2, 3, 4}));
}

TEST(pending_read_keeps_the_value_of_its_time) {
  Environment engine;
  const HandleId hyper = vector_of(engine, {1, 0, 0});
  const HandleId parameter = vector_of(engine, std::vector<float>(50000, 5.0f));
  const HandleId gradient = vector_of(engine, std::vector<float>(50000, 1.0f));
  std::vector<std::vector<float>> seen(30, std::vector<float>(50000));
  for (std::vector<float>& target : seen) {
    engine.read(parameter, target.data(), 50000, nullptr);
    descend(engine, hyper, parameter, gradient);
  }
  engine.sync();
  for (size_t i = 0; i < seen.size(); ++i) CHECK(seen[i][0] == 5.0f - float(i) && seen[i][49999] == 5.0f - float(i));
}

TEST(write_takes_its_turn) {
  Environment engine;
  const HandleId x = vector_of(engine, std::vector<float>(200000, 1.0f));
  std::vector<HandleId> results;
  std::vector<float> values(200000);
  for (int i = 0; i < 10; ++i) {
    std::fill(values.begin(), values.end(), float(i));
    engine.write(x, values.data(), 200000);
    results.push_back(unary(engine, "neg", x));
  }
  for (int i = 0; i < 10; ++i) CHECK(values_of(engine, results[size_t(i)])[777] == -float(i));
}

TEST(assign_shares_the_value) {
  Environment engine;
  const HandleId a = vector_of(engine, {1, 2}), b = vector_of(engine, {3, 4});
  engine.assign(a, b);
  CHECK(values_of(engine, a) == (Values{3, 4}));
  const float ones[] = {1, 1};
  engine.write(b, ones, 2);
  CHECK(values_of(engine, a) == (Values{3, 4}));
  engine.assign(a, a);
  CHECK(values_of(engine, a) == (Values{3, 4}));
}

TEST(released_handles_are_refused_and_memory_comes_back) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3});
  const HandleId y = engine.alias(x, 0, 3);
  engine.retain(x);
  engine.release(x);
  CHECK(values_of(engine, x) == (Values{1, 2, 3}));
  engine.release(x);
  CHECK_THROWS(engine.size_of(x), "E_DISPOSED");
  CHECK_THROWS(unary(engine, "neg", x), "E_DISPOSED");
  CHECK(values_of(engine, y) == (Values{1, 2, 3}));
  engine.release(y);
  CHECK(engine.living_handles() == 0);
  CHECK(engine.memory().live == 0);
}

TEST(broken_calls_are_refused_whole) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  const auto refused = [&](CallRequest call, const char* code) {
    CHECK_THROWS(engine.dispatch(call), code);
    CHECK(engine.living_handles() == 1);
  };
  const CallOperand out = operand(tk::kNewHandle, DType::f32, {4});
  refused(request("neg", {operand(x, DType::f32, {4})}), "E_INTERNAL");
  refused(request("neg", {operand(x, DType::f32, {5}), out}), "E_INTERNAL");
  refused(request("neg", {operand(x, DType::i32, {4}), out}), "E_INTERNAL");
  refused(request("neg", {operand(x, DType::f32, {4}), out}, {1}), "E_INTERNAL");
  refused(request("neg", {operand(x, DType::f32, {-4}), out}), "E_SHAPE");
  refused(request("neg", {operand(x, DType::f32, {4}), operand(x, DType::f32, {4})}), "E_INTERNAL");
  refused(request("fill", {operand(tk::kNewHandle, DType::f32, {1 << 20, 1 << 20, 1 << 20})}, {}, {0}), "E_SHAPE");
  CHECK(values_of(engine, x) == (Values{1, 2, 3, 4}));
}

TEST(out_of_memory_names_the_call_and_loses_nothing) {
  MemoryBudget& budget = MemoryBudget::instance();
  const int64_t before = budget.limit();
  {
    Environment engine;
    const HandleId x = vector_of(engine, std::vector<float>(1 << 20, 2.0f));
    budget.set_limit(budget.held() + (8 << 20));
    std::vector<HandleId> kept;
    std::string message;
    try {
      for (int i = 0; i < 100; ++i) kept.push_back(unary(engine, "neg", x));
    } catch (const tk::Error& error) {
      CHECK(std::string(error.code()) == "E_OUT_OF_MEMORY");
      message = error.what();
    }
    CHECK(!kept.empty() && kept.size() < 4);
    for (const char* part : {"neg", "[1048576]", "4194304", "budget"}) CHECK(message.find(part) != std::string::npos);
    CHECK(values_of(engine, kept.back())[12345] == -2.0f);
    // What is released can be used at once, without waiting for the queue by hand.
    for (HandleId handle : kept) engine.release(handle);
    for (int i = 0; i < 200; ++i) engine.release(unary(engine, "neg", x));
    CHECK(values_of(engine, unary(engine, "neg", x))[1] == -2.0f);
    // The cache of other sizes is given back when it stands in the way.
    const HandleId small = unary(engine, "neg", vector_of(engine, std::vector<float>(300000, 1.0f)));
    CHECK(values_of(engine, small)[299999] == -1.0f);
  }
  budget.set_limit(before);
}

TEST(index_error_surfaces_at_synchronisation) {
  Environment engine;
  const HandleId table = vector_of(engine, {1, 2, 3});
  const int32_t wrong[] = {5};
  const HandleId ids = engine.create(DType::i32, wrong, 1);
  CallRequest call = request("gather", {operand(table, DType::f32, {1, 3, 1}), operand(ids, DType::i32, {1}),
                                        operand(tk::kNewHandle, DType::f32, {1, 1, 1})});
  engine.dispatch(call);
  CHECK_THROWS(engine.sync(), "E_INDEX");
  engine.sync();
  CHECK(values_of(engine, call.operands[2].handle) == (Values{3}));
}

TEST(empty_tensors_pass) {
  Environment engine;
  const HandleId x = vector_of(engine, {});
  CHECK(values_of(engine, unary(engine, "neg", x)).empty());
  const HandleId y = engine.alias(x, 0, 0);
  engine.write(y, nullptr, 0);
  CHECK(values_of(engine, y).empty());
}

TEST(alias_outside_its_source_is_refused) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  constexpr int64_t kHuge = 9000000000000000000;
  for (const auto& [offset, count] : std::vector<std::pair<int64_t, int64_t>>{
           {-1, 2}, {0, -1}, {1, 4}, {5, 0}, {kHuge, kHuge}, {kHuge, 1}, {1, kHuge}, {INT64_MIN, 4}}) {
    CHECK_THROWS(engine.alias(x, offset, count), "E_INTERNAL");
  }
  CHECK(engine.living_handles() == 1);
  CHECK(values_of(engine, engine.alias(x, 4, 0)).empty());
}

TEST(stale_handle_is_not_taken_for_a_newer_one) {
  Environment engine;
  const HandleId stale = vector_of(engine, {1});
  engine.release(stale);
  // Far more handles than an entry has generations.
  for (int i = 0; i < 5000; ++i) {
    const HandleId other = vector_of(engine, {2});
    CHECK_THROWS(engine.size_of(stale), "E_DISPOSED");
    engine.release(other);
  }
}

TEST(close_frees_everything_and_refuses_further_use) {
  const int64_t before = MemoryBudget::instance().held();
  Environment engine;
  const HandleId x = vector_of(engine, std::vector<float>(1 << 20, 1.0f));
  for (int i = 0; i < 50; ++i) unary(engine, "exp", x);
  engine.close();
  CHECK(MemoryBudget::instance().held() == before);
  CHECK_THROWS(engine.size_of(x), "E_CLOSED");
  CHECK_THROWS(vector_of(engine, {1}), "E_CLOSED");
  engine.release(x);
}

TEST(environments_on_several_threads_are_independent) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int round = 0; round < 10; ++round) {
        Environment engine;
        HandleId x = vector_of(engine, std::vector<float>(70000, float(t + 1)));
        for (int i = 0; i < 20; ++i) {
          const HandleId y = unary(engine, "neg", x);
          engine.release(x);
          x = y;
        }
        if (round % 3 != 0 && values_of(engine, x)[69999] != float(t + 1)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_MAIN
