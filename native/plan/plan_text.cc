#include "plan/plan_text.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace tk {
namespace {

std::string float_text(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  return buffer;
}

std::string value_text(const CallOperand& operand) {
  return "%" + std::to_string(operand.handle) + ": " + dtype_name(operand.dtype) + shape_text(operand.dims, operand.rank);
}

// "name=value" pairs; the last name of an open list takes all remaining values.
template <class Value, class Print>
void print_attrs(const AttrSpec& spec, const std::vector<Value>& values, const Print& print, std::string& text) {
  for (size_t i = 0; i < spec.names.size(); ++i) {
    text += (text.empty() ? "" : ", ") + spec.names[i] + "=";
    if (spec.open && i + 1 == spec.names.size()) {
      text += "[";
      for (size_t j = i; j < values.size(); ++j) text += (j == i ? "" : ",") + print(values[j]);
      text += "]";
    } else {
      text += print(values[i]);
    }
  }
}

// Reads one line of the text form.
class LineParser {
 public:
  LineParser(const std::string& line, int number) : line_(line), number_(number) {}

  [[noreturn]] void fail(const std::string& expected) const {
    throw Error("E_DATA", "op call text, line " + std::to_string(number_) + ", column " + std::to_string(position_ + 1) +
                              ": expected " + expected);
  }
  bool at_end() {
    skip_blanks();
    return position_ >= line_.size();
  }
  bool accept(char c) {
    skip_blanks();
    if (position_ >= line_.size() || line_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("'") + c + "'");
  }
  std::string word() {
    skip_blanks();
    const size_t start = position_;
    while (position_ < line_.size() &&
           (std::isalnum(static_cast<unsigned char>(line_[position_])) || line_[position_] == '_')) {
      ++position_;
    }
    if (position_ == start) fail("a name");
    return line_.substr(start, position_ - start);
  }
  std::string value_name() {
    expect('%');
    return "%" + word();
  }
  double number() {
    skip_blanks();
    char* end = nullptr;
    const double value = std::strtod(line_.c_str() + position_, &end);
    if (end == line_.c_str() + position_) fail("a number");
    position_ = size_t(end - line_.c_str());
    return value;
  }
  int64_t integer() {
    skip_blanks();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(line_.data() + position_, line_.data() + line_.size(), value);
    if (error != std::errc()) fail("a whole number");
    position_ = size_t(end - line_.data());
    return value;
  }
  // ": dtype[dims]"
  void type_of(CallOperand& operand) {
    expect(':');
    const std::string dtype = word();
    int found = -1;
    for (int i = 0; i < kNumDTypes; ++i) {
      if (dtype == dtype_name(DType(i))) found = i;
    }
    if (found < 0) fail("a storage dtype");
    operand.dtype = DType(found);
    expect('[');
    while (!accept(']')) {
      if (operand.rank > 0) expect(',');
      if (operand.rank == kMaxRank) fail("at most 8 dimensions");
      operand.dims[operand.rank++] = integer();
    }
  }

 private:
  void skip_blanks() {
    while (position_ < line_.size() && line_[position_] == ' ') ++position_;
  }
  const std::string& line_;
  const int number_;
  size_t position_ = 0;
};

class TextRunner {
 public:
  TextRunner(Environment& environment, const std::map<std::string, HandleId>& inputs)
      : environment_(environment), values_(inputs) {}

  ~TextRunner() {
    for (const auto& [name, handle] : made_) environment_.release(handle);
  }

  std::map<std::string, HandleId> take() { return std::exchange(made_, {}); }

  void run_line(const std::string& line, int number) {
    LineParser parser(line, number);
    std::vector<std::pair<std::string, CallOperand>> results;
    if (line[0] == '%') {
      do {
        CallOperand operand;
        const std::string name = parser.value_name();
        if (values_.count(name) != 0) parser.fail("a new name, " + name + " exists already");
        if (line.find('=') > line.find(':')) parser.type_of(operand);
        results.emplace_back(name, operand);
      } while (parser.accept(','));
      parser.expect('=');
    }
    const std::string op = parser.word();
    if (op == "alias") return run_alias(parser, results);
    if (op == "assign") return run_assign(parser);
    run_call(parser, op, results);
  }

 private:
  using Results = std::vector<std::pair<std::string, CallOperand>>;

  HandleId known(LineParser& parser) {
    const std::string name = parser.value_name();
    const auto found = values_.find(name);
    if (found == values_.end()) parser.fail("a known value, " + name + " is neither an input nor made above");
    return found->second;
  }

  void define(const std::string& name, HandleId handle) {
    values_[name] = handle;
    made_[name] = handle;
  }

  int64_t named_integer(LineParser& parser, const char* name) {
    if (parser.word() != name) parser.fail(name);
    parser.expect('=');
    return parser.integer();
  }

  void run_alias(LineParser& parser, const Results& results) {
    if (results.size() != 1) parser.fail("one result of alias");
    parser.expect('(');
    const HandleId source = known(parser);
    parser.expect(')');
    parser.expect('{');
    const int64_t offset = named_integer(parser, "offset");
    parser.expect(',');
    const int64_t count = named_integer(parser, "count");
    parser.expect('}');
    if (offset < 0 || count < 0 || offset > environment_.size_of(source) - count) parser.fail("a range inside the source");
    define(results[0].first, environment_.alias(source, offset, count));
  }

  void run_assign(LineParser& parser) {
    parser.expect('(');
    const HandleId target = known(parser);
    parser.expect(',');
    const HandleId source = known(parser);
    parser.expect(')');
    environment_.assign(target, source);
  }

  void run_call(LineParser& parser, const std::string& name, const Results& results) {
    const int number = find_op(name);
    if (number < 0) parser.fail("an op, there is no '" + name + "'");
    const OpInfo& info = op_infos()[size_t(number)];
    std::vector<CallOperand> arguments;
    parser.expect('(');
    while (!parser.accept(')')) {
      if (!arguments.empty()) parser.expect(',');
      parser.accept('&');
      CallOperand operand;
      operand.handle = known(parser);
      parser.type_of(operand);
      arguments.push_back(operand);
    }
    CallRequest request;
    request.op = uint16_t(number);
    if (parser.accept('{')) {
      read_attrs(parser, info, request);
      parser.expect('}');
    }
    if (!parser.at_end()) parser.fail("the end of the line");
    const int total = int(arguments.size() + results.size());
    const int star_count = info.num_starred == 0 ? 0 : (total - info.num_fixed) / info.num_starred;
    size_t next_argument = 0, next_result = 0;
    for (const OperandSpec& spec : info.operands) {
      for (int i = 0; i < (spec.star ? star_count : 1); ++i) {
        const bool out = spec.role == Role::out;
        if (out ? next_result >= results.size() : next_argument >= arguments.size()) parser.fail("more operands for " + name);
        request.operands.push_back(out ? results[next_result++].second : arguments[next_argument++]);
      }
    }
    if (next_argument != arguments.size() || next_result != results.size()) parser.fail("fewer operands for " + name);
    environment_.dispatch(request);
    next_result = 0;
    size_t position = 0;
    for (const OperandSpec& spec : info.operands) {
      for (int i = 0; i < (spec.star ? star_count : 1); ++i, ++position) {
        if (spec.role == Role::out) define(results[next_result++].first, request.operands[position].handle);
      }
    }
  }

  void read_attrs(LineParser& parser, const OpInfo& info, CallRequest& request) {
    bool first = true;
    const auto read = [&](const AttrSpec& spec, const auto& one) {
      for (size_t i = 0; i < spec.names.size(); ++i) {
        if (!first) parser.expect(',');
        first = false;
        if (parser.word() != spec.names[i]) parser.fail(spec.names[i]);
        parser.expect('=');
        if (spec.open && i + 1 == spec.names.size()) {
          parser.expect('[');
          for (bool more = false; !parser.accept(']'); more = true) {
            if (more) parser.expect(',');
            one();
          }
        } else {
          one();
        }
      }
    };
    read(info.ints, [&] { request.ints.push_back(parser.integer()); });
    read(info.floats, [&] { request.floats.push_back(parser.number()); });
  }

  Environment& environment_;
  std::map<std::string, HandleId> values_, made_;
};

const char* kind_name(PlanSlot::Kind kind) {
  switch (kind) {
    case PlanSlot::Kind::argument: return "argument";
    case PlanSlot::Kind::capture: return "capture";
    case PlanSlot::Kind::constant: return "constant";
    case PlanSlot::Kind::temporary: return "temporary";
  }
  return "?";
}

}  // namespace

std::string call_text(const CallRequest& request) {
  const OpInfo& info = op_infos()[request.op];
  const int star_count = info.num_starred == 0 ? 0 : (int(request.operands.size()) - info.num_fixed) / info.num_starred;
  std::string results, arguments, attrs;
  size_t position = 0;
  for (const OperandSpec& spec : info.operands) {
    for (int i = 0; i < (spec.star ? star_count : 1); ++i, ++position) {
      std::string& text = spec.role == Role::out ? results : arguments;
      text += (text.empty() ? "" : ", ") + std::string(spec.role == Role::inout ? "&" : "") +
              value_text(request.operands[position]);
    }
  }
  print_attrs(
      info.ints, request.ints, [](int64_t value) { return std::to_string(value); }, attrs);
  print_attrs(info.floats, request.floats, float_text, attrs);
  return (results.empty() ? "" : results + " = ") + info.name + "(" + arguments + ")" +
         (attrs.empty() ? "" : " {" + attrs + "}");
}

std::string Plan::text(bool with_identity) const {
  std::string text = "tensorkiln plan 1\n";
  for (size_t i = 0; i < slots_.size(); ++i) {
    const PlanSlot& slot = slots_[i];
    if (slot.kind == PlanSlot::Kind::temporary) continue;
    text += std::string(kind_name(slot.kind)) + " %" + std::to_string(i) + ": " + dtype_name(slot.dtype) + " x " +
            std::to_string(slot.size);
    if (slot.kind == PlanSlot::Kind::constant) {
      char hash[24];
      std::snprintf(hash, sizeof hash, " #%016llx", static_cast<unsigned long long>(slot.hash));
      text += hash;
    }
    if (with_identity && slot.kind == PlanSlot::Kind::capture) text += " buffer " + std::to_string(slot.handle);
    text += "\n";
  }
  for (const PlanStep& step : steps_) {
    switch (step.kind) {
      case PlanStep::Kind::call: text += call_text(step.call); break;
      case PlanStep::Kind::alias:
        text += "%" + std::to_string(step.target) + " = alias(%" + std::to_string(step.source) +
                ") {offset=" + std::to_string(step.offset) + ", count=" + std::to_string(step.count) + "}";
        break;
      case PlanStep::Kind::assign:
        text += "assign(%" + std::to_string(step.target) + ", %" + std::to_string(step.source) + ")";
        break;
    }
    text += "\n";
  }
  text += "return";
  for (size_t i = 0; i < outputs_.size(); ++i) text += (i == 0 ? " %" : ", %") + std::to_string(outputs_[i]);
  return text + "\n";
}

std::map<std::string, HandleId> run_text(Environment& environment, const std::string& text,
                                         const std::map<std::string, HandleId>& inputs) {
  TextRunner runner(environment, inputs);
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string first = line.substr(0, line.find(' '));
    if (line.empty() || line[0] == '#' || first == "tensorkiln" || first == "argument" || first == "capture" ||
        first == "constant" || first == "return") {
      continue;
    }
    runner.run_line(line, number);
  }
  return runner.take();
}

}  // namespace tk
