// Calls that do not fit, through the door: every op must refuse them or work inside its operands, whatever they are.
//   fuzz_test [calls per op] [seed]     without arguments as many as fit a test run
// What an op may not do shows as a signal, or under AddressSanitizer, which sees every byte behind an operand; in a build
// that checks ops the bytes round each block tell writes. The call under way is printed when the process dies.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include "core/error.h"
#include "dispatch/environment.h"
#include "test.h"

namespace {

using tk::CallOperand;
using tk::CallRequest;
using tk::DType;

const char* const kCalls[] = {
#include "op_calls.inc"
};
constexpr char kLetters[] = "fibhg";
constexpr int64_t kMaxElements = 1 << 16;  // of one operand, so that thousands of calls take a second

char g_current[4096] = "";

void name_call() {
  std::fputs("\nFAIL the process died in: ", stdout);
  std::puts(g_current);
  std::fflush(stdout);
}

void on_signal(int number) {
  name_call();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

CallOperand parse_operand(const std::string& text) {
  CallOperand operand;
  operand.dtype = DType(std::strchr(kLetters, text[0]) - kLetters);
  const std::string dims = text.substr(2, text.size() - 3);
  if (dims.empty()) return operand;
  for (const std::string& dim : split(dims, ',')) operand.dims[operand.rank++] = std::atoll(dim.c_str());
  return operand;
}

CallRequest parse_call(const std::string& text) {
  const std::vector<std::string> fields = split(text, ';');
  CallRequest request;
  const auto words = [](const std::string& field) {
    std::vector<std::string> list;
    for (const std::string& word : split(field, ' '))
      if (!word.empty()) list.push_back(word);
    return list;
  };
  const int op = tk::find_op(words(fields[0])[0]);
  if (op < 0) throw std::runtime_error("op_calls.inc names an op that is gone: run make_op_calls.mjs. " + text);
  request.op = uint16_t(op);
  for (const std::string& word : words(fields[1])) request.operands.push_back(parse_operand(word));
  for (const std::string& word : words(fields[2])) request.ints.push_back(std::atoll(word.c_str()));
  for (const std::string& word : words(fields[3])) request.floats.push_back(std::strtod(word.c_str(), nullptr));
  return request;
}

std::string call_text(const CallRequest& request) {
  std::string text = tk::op_infos()[request.op].name + " ;";
  for (const CallOperand& operand : request.operands) {
    text += std::string(" ") + kLetters[int(operand.dtype)] + tk::shape_text(operand.dims, operand.rank);
  }
  text += " ;";
  for (int64_t value : request.ints) text += " " + std::to_string(value);
  text += " ;";
  for (double value : request.floats) text += " " + std::to_string(value);
  return text;
}

class Fuzzer {
 public:
  explicit Fuzzer(uint32_t seed) : random_(seed) {}

  // A call of an op that has none in op_calls.inc: shapes and attributes out of the air.
  CallRequest invent(int op) {
    const tk::OpInfo& info = tk::op_infos()[size_t(op)];
    CallRequest request;
    request.op = uint16_t(op);
    const std::string& letters = info.dtypes[pick(info.dtypes.size())];
    const int stars = 1 + int(pick(3)), rank = int(pick(5));
    CallOperand shared;
    for (int i = 0; i < rank; ++i) shared.dims[shared.rank++] = small_dim();
    for (size_t spec = 0; spec < info.operands.size(); ++spec) {
      for (int i = 0; i < (info.operands[spec].star ? stars : 1); ++i) {
        CallOperand operand = shared;
        const char letter = letters[spec];
        operand.dtype = letter == '?' ? DType(pick(3)) : DType(std::strchr(kLetters, letter) - kLetters);
        if (one_in(4)) change_shape(operand);
        // The state of a random generator.
        if (letter == 'i' && one_in(2)) operand.rank = 1, operand.dims[0] = 4;
        request.operands.push_back(operand);
      }
    }
    for (size_t i = 0; i < info.ints.names.size() + (info.ints.open ? pick(4) : 0); ++i) request.ints.push_back(any_int());
    for (size_t i = 0; i < info.floats.names.size() + (info.floats.open ? pick(4) : 0); ++i) {
      request.floats.push_back(any_float());
    }
    return request;
  }

  void spoil(CallRequest& request) {
    const tk::OpInfo& info = tk::op_infos()[request.op];
    for (size_t changes = 1 + pick(3); changes > 0; --changes) {
      const size_t what = pick(10);
      if (what < 5) {
        change_shape(request.operands[pick(request.operands.size())]);
      } else if (what < 8 && !request.ints.empty()) {
        request.ints[pick(request.ints.size())] = any_int();
      } else if (what == 8 && !request.floats.empty()) {
        request.floats[pick(request.floats.size())] = any_float();
      } else if (info.ints.open && one_in(2)) {
        request.ints.push_back(any_int());
      } else if (!request.ints.empty() && one_in(4)) {
        request.ints.pop_back();
      } else if (one_in(3)) {
        request.operands.insert(request.operands.begin() + int64_t(pick(request.operands.size())), request.operands[0]);
      } else if (request.operands.size() > 1) {
        change_dtype(info, request);
      }
    }
  }

  // Sends the call; what the engine says about it.
  void run(tk::Environment& engine, CallRequest request) {
    const tk::OpInfo& info = tk::op_infos()[request.op];
    for (const CallOperand& operand : request.operands) {
      if (tk::count_elements(operand.dims, operand.rank) > kMaxElements) return;
    }
    const std::string text = call_text(request);
    std::snprintf(g_current, sizeof g_current, "%s", text.c_str());
    const int stars = info.num_starred == 0 ? 0 : (int(request.operands.size()) - info.num_fixed) / info.num_starred;
    std::vector<tk::HandleId> handles;
    size_t position = 0;
    for (const tk::OperandSpec& spec : info.operands) {
      for (int i = 0; i < (spec.star ? stars : 1) && position < request.operands.size(); ++i, ++position) {
        CallOperand& operand = request.operands[position];
        if (spec.role != tk::Role::out) handles.push_back(operand.handle = filled(engine, operand));
      }
    }
    try {
      engine.dispatch(request);
      for (const CallOperand& operand : request.operands) {
        if (std::find(handles.begin(), handles.end(), operand.handle) == handles.end()) handles.push_back(operand.handle);
      }
      engine.sync();
      ++ran;
    } catch (const tk::Error& error) {
      ++refused;
      const std::string message = error.what();
      // Guard bytes were overwritten, or the body allocated.
      if (message.find("host_allocator") != std::string::npos || message.find("must not") != std::string::npos) {
        tktest::report(text.c_str(), 0, message);
      }
    }
    for (tk::HandleId handle : handles) engine.release(handle);
    // The next call gets fresh blocks, of which a sanitizer knows exactly how many bytes are its own.
    engine.trim();
    ++tktest::g_checks;
    if (engine.living_handles() != 0) tktest::report(text.c_str(), 0, "left a handle behind");
  }

  int ran = 0, refused = 0;

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }
  bool one_in(size_t count) { return pick(count) == 0; }
  int64_t small_dim() {
    static constexpr int64_t kDims[] = {0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 9, 16, 17};
    return kDims[pick(std::size(kDims))];
  }
  int64_t any_int() {
    static constexpr int64_t kInts[] = {0, 0, 1, 1, 2, 3, 4, 5, 7, -1, -1, -2, -7, 100, INT32_MAX, INT32_MIN, 1 << 16, 1 << 30};
    return kInts[pick(std::size(kInts))];
  }
  double any_float() {
    static constexpr double kFloats[] = {0, 1, -1, 0.5, -2.5, 1e-30, 1e30, -1e30, 1e300, 4e9, NAN, INFINITY, -INFINITY};
    return kFloats[pick(std::size(kFloats))];
  }

  void change_shape(CallOperand& operand) {
    const size_t what = pick(8);
    if (what == 0 && operand.rank > 0) {
      --operand.rank;
    } else if (what == 1 && operand.rank < tk::kMaxRank) {
      operand.dims[operand.rank++] = small_dim();
    } else if (what == 2 && operand.rank > 1) {
      std::swap(operand.dims[0], operand.dims[operand.rank - 1]);
    } else if (operand.rank > 0) {
      operand.dims[pick(operand.rank)] = small_dim();
    }
  }

  static void change_dtype_of(CallOperand& operand, char letter) {
    if (letter != '?') operand.dtype = DType(std::strchr(kLetters, letter) - kLetters);
  }
  void change_dtype(const tk::OpInfo& info, CallRequest& request) {
    if (one_in(3)) {
      request.operands[pick(request.operands.size())].dtype = DType(pick(tk::kNumDTypes));
      return;
    }
    if (info.num_starred > 0) return;
    const std::string& letters = info.dtypes[pick(info.dtypes.size())];
    for (size_t i = 0; i < request.operands.size() && i < letters.size(); ++i) {
      change_dtype_of(request.operands[i], letters[i]);
    }
  }

  // Small values mostly, so that indices are right, a little outside, and far outside.
  tk::HandleId filled(tk::Environment& engine, const CallOperand& operand) {
    const int64_t size = tk::count_elements(operand.dims, operand.rank);
    std::vector<uint8_t> bytes(size_t(size * tk::dtype_bytes(operand.dtype)));
    const bool mild = one_in(2);
    for (int64_t i = 0; i < size; ++i) {
      if (operand.dtype == DType::f32) {
        reinterpret_cast<float*>(bytes.data())[i] = mild ? float(pick(9)) * 0.5f - 1.0f : float(any_float());
      } else if (operand.dtype == DType::i32) {
        reinterpret_cast<int32_t*>(bytes.data())[i] = mild ? int32_t(pick(5)) : int32_t(any_int());
      } else {
        bytes[size_t(i)] = uint8_t(pick(2));
      }
    }
    return engine.create(operand.dtype, bytes.data(), size);
  }

  std::mt19937 random_;
};

int g_calls_per_op = 100;
uint32_t g_seed = 20240607;
std::string g_only;

}  // namespace

TEST(calls_that_do_not_fit_are_refused_or_harmless) {
  for (int number : {SIGSEGV, SIGFPE, SIGILL, SIGABRT}) std::signal(number, on_signal);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(name_call);
#endif
  std::vector<std::vector<CallRequest>> seeds(tk::op_infos().size());
  for (const char* text : kCalls) {
    const CallRequest request = parse_call(text);
    seeds[request.op].push_back(request);
  }
  int ran = 0, refused = 0;
  for (size_t op = 0; op < seeds.size(); ++op) {
    if (!g_only.empty() && tk::op_infos()[op].name != g_only) continue;
    // A list that grows by a line elsewhere leaves the calls of this op as they were.
    std::seed_seq name(tk::op_infos()[op].name.begin(), tk::op_infos()[op].name.end());
    uint32_t mixed[1];
    name.generate(mixed, mixed + 1);
    Fuzzer fuzzer(g_seed ^ mixed[0]);
    tk::Environment engine;
    for (const CallRequest& seed : seeds[op]) {
      const int before = fuzzer.ran;
      fuzzer.run(engine, seed);
      CHECK(fuzzer.ran + fuzzer.refused > before);
    }
    for (int i = 0; i < g_calls_per_op; ++i) {
      const std::vector<CallRequest>& list = seeds[op];
      CallRequest request = list.empty() ? fuzzer.invent(int(op)) : list[size_t(i) % list.size()];
      if (!list.empty()) fuzzer.spoil(request);
      fuzzer.run(engine, request);
    }
    ran += fuzzer.ran;
    refused += fuzzer.refused;
  }
  g_current[0] = 0;
  std::printf("%d calls ran, %d were refused\n", ran, refused);
  // Both kinds must be there: otherwise the calls are too wild to come past the first check, or not wild enough.
  if (g_only.empty()) {
    CHECK(ran > 1000);
    CHECK(refused > 1000);
  }
}

int main(int argc, char** argv) {
  if (argc > 1) g_calls_per_op = std::atoi(argv[1]);
  if (argc > 2) g_seed = uint32_t(std::atoll(argv[2]));
  if (argc > 3) g_only = argv[3];
  return tktest::run(1, argv);
}
