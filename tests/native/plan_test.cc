// Recording and plain replay, and the text form of op calls.
#include "core/error.h"
#include "plan/plan_text.h"
#include "plan/recorder.h"
#include "test.h"

using tk::CallOperand;
using tk::CallRequest;
using tk::DType;
using tk::Environment;
using tk::HandleId;
using tk::Plan;
using tk::Recorder;

namespace {

using Values = std::vector<float>;

CallOperand operand(HandleId handle, std::vector<int64_t> shape, DType dtype = DType::f32) {
  CallOperand result;
  result.handle = handle;
  result.dtype = dtype;
  result.rank = uint8_t(shape.size());
  std::copy(shape.begin(), shape.end(), result.dims);
  return result;
}

HandleId run(Environment& engine, const char* op, std::vector<HandleId> inputs, std::vector<double> floats = {}) {
  CallRequest call;
  call.op = uint16_t(tk::find_op(op));
  const int64_t n = inputs.empty() ? 4 : engine.size_of(inputs[0]);
  for (HandleId input : inputs) call.operands.push_back(operand(input, {engine.size_of(input)}));
  call.operands.push_back(operand(tk::kNewHandle, {n}));
  call.floats = std::move(floats);
  engine.dispatch(call);
  return call.operands.back().handle;
}

void sgd(Environment& engine, HandleId hyper, HandleId parameter, HandleId gradient) {
  CallRequest call;
  call.op = uint16_t(tk::find_op("sgd"));
  const int64_t n = engine.size_of(parameter);
  call.operands = {operand(hyper, {3}), operand(parameter, {n}), operand(gradient, {n})};
  engine.dispatch(call);
}

HandleId vector_of(Environment& engine, const Values& values) {
  return engine.create(DType::f32, values.data(), int64_t(values.size()));
}

Values values_of(Environment& engine, HandleId handle) {
  Values values(size_t(engine.size_of(handle)));
  engine.read_sync(handle, values.data(), int64_t(values.size()));
  return values;
}

// loss = (w * x)^2 kept per element; w -= rate * 2 w x^2 (as 2 * (w x) * x), all through the door.
HandleId step(Environment& engine, HandleId hyper, HandleId w, HandleId x) {
  const HandleId product = run(engine, "mul", {w, x});
  const HandleId loss = run(engine, "square", {product});
  const HandleId half = run(engine, "mul", {product, x});
  const HandleId gradient = run(engine, "add", {half, half});
  const HandleId kept = engine.alias(w, 0, engine.size_of(w));  // as autograd keeps its inputs
  const HandleId touched = run(engine, "mul", {kept, x});
  for (HandleId handle : {product, half, touched}) engine.release(handle);
  engine.release(kept);
  sgd(engine, hyper, w, gradient);
  engine.release(gradient);
  return loss;
}

}  // namespace

TEST(replay_equals_eager_bit_for_bit) {
  Environment engine;
  const HandleId hyper = vector_of(engine, {0.01f, 0, 0});
  const HandleId eager = vector_of(engine, {1, 2, -3, 0.5f}), replayed = vector_of(engine, {1, 2, -3, 0.5f});
  const HandleId x = vector_of(engine, {0.3f, 0.7f, 1.1f, -2});
  engine.release(step(engine, hyper, eager, x));
  std::unique_ptr<Plan> plan;
  {
    Recorder recorder(engine);
    const HandleId loss = step(engine, hyper, replayed, x);
    plan = recorder.finish({x}, {loss});
    engine.release(loss);
  }
  const int64_t handles = engine.living_handles();
  for (int i = 0; i < 100; ++i) {
    const HandleId fresh = vector_of(engine, {0.3f + float(i), 0.7f, 1.1f, -2 + 0.01f * float(i)});
    const float rate[] = {0.01f / float(i + 1), 0, 0};
    engine.write(hyper, rate, 3);
    const HandleId a = step(engine, hyper, eager, fresh);
    const std::vector<HandleId> b = plan->replay({fresh});
    CHECK(b.size() == 1);
    CHECK(values_of(engine, a) == values_of(engine, b[0]));
    CHECK(values_of(engine, eager) == values_of(engine, replayed));
    for (HandleId handle : {fresh, a, b[0]}) engine.release(handle);
  }
  CHECK(engine.living_handles() == handles);
}

TEST(outputs_of_replays_are_fresh_and_kept_values_stay) {
  Environment engine;
  const HandleId hyper = vector_of(engine, {0.1f, 0, 0}), w = vector_of(engine, {1, 2, 3, 4}),
                 x = vector_of(engine, {1, 1, 1, 1});
  std::unique_ptr<Plan> plan;
  {
    Recorder recorder(engine);
    const HandleId loss = step(engine, hyper, w, x);
    plan = recorder.finish({x}, {loss, w, x, loss});
  }
  std::vector<std::vector<HandleId>> kept;
  std::vector<Values> seen;
  for (int i = 0; i < 20; ++i) {
    kept.push_back(plan->replay({x}));
    seen.push_back(values_of(engine, w));
  }
  for (size_t i = 0; i < kept.size(); ++i) {
    CHECK(values_of(engine, kept[i][1]) == seen[i]);
    CHECK(kept[i][0] != kept[i][3]);
    CHECK(values_of(engine, kept[i][0]) == values_of(engine, kept[i][3]));
  }
  CHECK(values_of(engine, x) == (Values{1, 1, 1, 1}));
}

TEST(plan_keeps_what_it_captured_alive) {
  Environment engine;
  std::unique_ptr<Plan> plan;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  {
    const HandleId outside = vector_of(engine, {10, 10, 10, 10});
    Recorder recorder(engine);
    const HandleId constant = vector_of(engine, {1, 0, 1, 0});
    const HandleId sum = run(engine, "add", {x, outside}), y = run(engine, "mul", {sum, constant});
    plan = recorder.finish({x}, {y});
    for (HandleId handle : {outside, constant, sum, y}) engine.release(handle);
  }
  const HandleId y = plan->replay({x})[0];
  CHECK(values_of(engine, y) == (Values{11, 0, 13, 0}));
  engine.release(y);
  plan.reset();
  engine.release(x);
  CHECK(engine.living_handles() == 0);
}

TEST(rebinding_follows_a_reassigned_variable) {
  Environment engine;
  const HandleId w = vector_of(engine, {1, 1, 1, 1}), other = vector_of(engine, {5, 5, 5, 5}),
                 x = vector_of(engine, {1, 2, 3, 4});
  Recorder recorder(engine);
  const HandleId y = run(engine, "mul", {w, x});
  const std::unique_ptr<Plan> plan = recorder.finish({x}, {y});
  CHECK(plan->captures() == std::vector<HandleId>{w});
  plan->rebind(0, other);
  CHECK(values_of(engine, plan->replay({x})[0]) == (Values{5, 10, 15, 20}));
  CHECK_THROWS(plan->rebind(1, other), "E_INTERNAL");
  CHECK_THROWS(plan->rebind(-1, other), "E_INTERNAL");
  CHECK_THROWS(plan->rebind(0, vector_of(engine, {1})), "E_SHAPE");
}

TEST(rebinding_exchanges_two_captures) {
  Environment engine;
  const HandleId a = vector_of(engine, {9, 9, 9, 9}), b = vector_of(engine, {1, 2, 3, 4});
  Recorder recorder(engine);
  const HandleId y = run(engine, "sub", {a, b});
  const std::unique_ptr<Plan> plan = recorder.finish({}, {y});
  plan->rebind(0, b);
  plan->rebind(1, a);
  CHECK(values_of(engine, plan->replay({})[0]) == (Values{-8, -7, -6, -5}));
}

TEST(every_replay_starts_from_the_constants_as_they_were_written) {
  Environment engine;
  const HandleId hyper = vector_of(engine, {1, 0, 0}), gradient = vector_of(engine, {1, 1, 1, 1});
  std::unique_ptr<Plan> plan;
  {
    Recorder recorder(engine);
    const HandleId state = vector_of(engine, {5, 6, 7, 8});
    sgd(engine, hyper, state, gradient);
    sgd(engine, hyper, state, gradient);
    plan = recorder.finish({gradient}, {state});
    CHECK(values_of(engine, state) == (Values{3, 4, 5, 6}));
    engine.release(state);
  }
  for (int i = 0; i < 3; ++i) {
    const HandleId y = plan->replay({gradient})[0];
    CHECK(values_of(engine, y) == (Values{3, 4, 5, 6}));
    engine.release(y);
  }
  plan.reset();
  engine.release(hyper);
  engine.release(gradient);
  CHECK(engine.living_handles() == 0);
}

TEST(recordings_of_one_step_agree_and_others_do_not) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  const auto recorded = [&](float constant, bool extra_clone) {
    Recorder recorder(engine);
    const HandleId c = vector_of(engine, {constant, 1, 1, 1});
    if (extra_clone) engine.release(engine.alias(x, 0, 4));
    const HandleId y = run(engine, "mul", {x, c});
    const std::unique_ptr<Plan> plan = recorder.finish({x}, {y});
    engine.release(c);
    engine.release(y);
    return plan->text(true);
  };
  const std::string first = recorded(1, false);
  CHECK(first == recorded(1, false));
  CHECK(first == recorded(1, true));
  CHECK(first != recorded(2, false));
}

TEST(recording_refuses_reads_and_rewrites) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  float target[4];
  Recorder recorder(engine);
  CHECK_THROWS(engine.read_sync(x, target, 4), "E_RECORDING");
  CHECK_THROWS(engine.write(x, target, 4), "E_RECORDING");
  CHECK_THROWS(Recorder{engine}, "E_RECORDING");
}

TEST(dropped_recording_leaves_nothing_behind) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4});
  {
    Recorder recorder(engine);
    engine.release(run(engine, "neg", {x}));
    engine.release(vector_of(engine, {1, 2}));
  }
  CHECK(engine.observer() == nullptr);
  engine.release(x);
  CHECK(engine.living_handles() == 0);
}

TEST(wrong_arguments_of_a_replay_are_refused) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4}), small = vector_of(engine, {1});
  Recorder recorder(engine);
  const HandleId y = run(engine, "neg", {x});
  const std::unique_ptr<Plan> plan = recorder.finish({x}, {y});
  const int64_t handles = engine.living_handles();
  CHECK_THROWS(plan->replay({}), "E_SHAPE");
  CHECK_THROWS(plan->replay({small}), "E_SHAPE");
  CHECK(engine.living_handles() == handles);
}

TEST(failed_replay_leaves_no_temporaries) {
  Environment engine;
  const HandleId x = vector_of(engine, Values(1 << 18, 1.0f));
  std::unique_ptr<Plan> plan;
  {
    Recorder recorder(engine);
    const HandleId a = run(engine, "neg", {x}), b = run(engine, "neg", {a}), c = run(engine, "neg", {b});
    plan = recorder.finish({x}, {a, b, c});
    for (HandleId handle : {a, b, c}) engine.release(handle);
  }
  tk::MemoryBudget& budget = tk::MemoryBudget::instance();
  const int64_t before = budget.limit(), handles = engine.living_handles();
  engine.sync();
  engine.trim();
  budget.set_limit(budget.held() + (2 << 20) + (1 << 19));
  CHECK_THROWS(plan->replay({x}), "E_OUT_OF_MEMORY");
  CHECK(engine.living_handles() == handles);
  budget.set_limit(before);
  CHECK(values_of(engine, plan->replay({x})[2])[5] == -1.0f);
}

TEST(text_form_round_trips) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2, 3, 4, 5, 6});
  std::string text;
  Values expected;
  {
    Recorder recorder(engine);
    CallRequest transpose;
    transpose.op = uint16_t(tk::find_op("transpose"));
    transpose.operands = {operand(x, {2, 3}), operand(tk::kNewHandle, {3, 2})};
    transpose.ints = {1, 0};
    engine.dispatch(transpose);
    const HandleId y = transpose.operands[1].handle;
    const HandleId clipped = run(engine, "clip", {y}, {1.5, 1e300});
    const HandleId tail = engine.alias(clipped, 2, 4);
    CallRequest concat;
    concat.op = uint16_t(tk::find_op("concat"));
    concat.operands = {operand(tail, {1, 4, 1}), operand(y, {1, 6, 1}), operand(tk::kNewHandle, {1, 10, 1})};
    engine.dispatch(concat);
    const std::unique_ptr<Plan> plan = recorder.finish({x}, {concat.operands[2].handle});
    text = plan->text(false);
  }
  CHECK(text.find("transpose(%0: f32[2,3]) {perm=[1,0]}") != std::string::npos);
  const auto made = tk::run_text(engine, text, {{"%0", x}});
  const std::string last = text.substr(text.rfind('%'), text.size() - text.rfind('%') - 1);
  CHECK(values_of(engine, made.at(last)) == (Values{2, 5, 3, 6, 1, 4, 2, 5, 3, 6}));
}

TEST(malformed_text_names_line_and_column) {
  Environment engine;
  const HandleId x = vector_of(engine, {1, 2});
  const int64_t handles = engine.living_handles();
  for (const char* text :
       {"%1: f32[2] = neg(%0: f32[2]", "%1: f32[2] = nag(%0: f32[2])", "%1: f32[2] = neg(%7: f32[2])",
        "%1: f99[2] = neg(%0: f32[2])", "%1: f32[2] = neg(%0: f32[2], %0: f32[2])", "%1: f32[2] = clip(%0: f32[2]) {min=1}",
        "%1 = alias(%0) {offset=1, count=5}", "%0: f32[2] = neg(%0: f32[2])"}) {
    const std::string whole = std::string("# a comment\n") + text;
    try {
      tk::run_text(engine, whole, {{"%0", x}});
      CHECK(false);
    } catch (const tk::Error& error) {
      CHECK(std::string(error.code()) == "E_DATA");
      CHECK(std::string(error.what()).find("line 2, column") != std::string::npos);
    }
    CHECK(engine.living_handles() == handles);
  }
}

TEST_MAIN
