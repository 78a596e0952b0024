#include "dispatch/op_table.h"

#include <cstdlib>
#include <unordered_map>

#include "core/error.h"
#include "cpu/cpu_info.h"

namespace tk {

#define TK_DECLARE_LEVEL(level) \
  namespace level {             \
  extern const CpuOp kCpuOps[]; \
  }
#if TK_HAS_baseline
TK_DECLARE_LEVEL(baseline)
#endif
#if TK_HAS_avx2
TK_DECLARE_LEVEL(avx2)
#endif
#if TK_HAS_avx512
TK_DECLARE_LEVEL(avx512)
#endif
#if TK_HAS_neon
TK_DECLARE_LEVEL(neon)
#endif

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    std::string_view part = text.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

AttrSpec parse_attrs(const char* text) {
  AttrSpec spec;
  spec.names = split(text, ' ');
  if (!spec.names.empty() && spec.names.back().back() == '*') {
    spec.names.back().pop_back();
    spec.open = true;
  }
  return spec;
}

OpInfo parse_op(const char* name, const char* operands, const char* ints, const char* floats, const char* dtypes, OpKind kind,
                OpCost cost) {
  OpInfo info;
  info.name = name;
  for (const std::string& operand : split(operands, ',')) {
    const std::vector<std::string> words = split(operand, ' ');
    std::string role = words[0];
    const bool star = role.back() == '*';
    const bool optional = role.back() == '?';
    if (star || optional) role.pop_back();
    info.operands.push_back({words[1], role == "in" ? Role::in : role == "out" ? Role::out : Role::inout, star, optional});
    ++(star ? info.num_starred : info.num_fixed);
  }
  info.ints = parse_attrs(ints);
  info.floats = parse_attrs(floats);
  info.dtypes = split(dtypes, '|');
  info.kind = kind;
  info.cost = cost;
  return info;
}

}  // namespace

const char* level_name(Level level) {
  switch (level) {
    case Level::baseline: return "baseline";
    case Level::avx2: return "avx2";
    case Level::avx512: return "avx512";
    case Level::neon: return "neon";
  }
  return "?";
}

const std::vector<OpInfo>& op_infos() {
  static const std::vector<OpInfo>& infos = *new std::vector<OpInfo>{
#define TK_OP(name, operands, ints, floats, dtypes, kind, cost, workspace) \
  parse_op(#name, operands, ints, floats, dtypes, OpKind::kind, OpCost::cost),
#include "ops/ops.def"
  };
  return infos;
}

int find_op(std::string_view name) {
  static const auto& index = *[] {
    auto* map = new std::unordered_map<std::string_view, int>;
    const auto& infos = op_infos();
    for (size_t i = 0; i < infos.size(); ++i) map->emplace(infos[i].name, int(i));
    return map;
  }();
  const auto found = index.find(name);
  return found == index.end() ? -1 : found->second;
}

const std::vector<Level>& usable_levels() {
  static const std::vector<Level>& levels = *[] {
    auto* list = new std::vector<Level>;
    [[maybe_unused]] const CpuFeatures& cpu = cpu_features();
#if TK_HAS_baseline
    list->push_back(Level::baseline);
#endif
#if TK_HAS_avx2
    if (cpu.avx2 && cpu.fma) list->push_back(Level::avx2);
#endif
#if TK_HAS_avx512
    if (cpu.avx512) list->push_back(Level::avx512);
#endif
#if TK_HAS_neon
    list->push_back(Level::neon);
#endif
    return list;
  }();
  return levels;
}

const CpuOp* cpu_ops(Level level) {
  for (Level usable : usable_levels()) {
    if (usable != level) continue;
    switch (level) {
#if TK_HAS_baseline
      case Level::baseline: return baseline::kCpuOps;
#endif
#if TK_HAS_avx2
      case Level::avx2: return avx2::kCpuOps;
#endif
#if TK_HAS_avx512
      case Level::avx512: return avx512::kCpuOps;
#endif
#if TK_HAS_neon
      case Level::neon: return neon::kCpuOps;
#endif
      default: return nullptr;
    }
  }
  return nullptr;
}

Level active_level() {
  static const Level level = [] {
    bf16_products();  // a wrong setting is told here, not in the middle of a kernel
    const auto& levels = usable_levels();
    const char* wanted = std::getenv("TENSORKILN_LEVEL");
    if (wanted == nullptr || *wanted == 0) return levels.back();
    std::string known;
    for (Level usable : levels) {
      if (std::string_view(wanted) == level_name(usable)) return usable;
      known += (known.empty() ? "" : ", ") + std::string(level_name(usable));
    }
    throw Error("E_CONFIG",
                "TENSORKILN_LEVEL: expected one of " + known + " (the levels this machine can run), got '" + wanted + "'");
  }();
  return level;
}

}  // namespace tk
