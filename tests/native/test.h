// A few lines of test framework: TEST(name) { CHECK(...); } and one main per program through TEST_MAIN.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace tktest {

struct Case {
  const char* name;
  const char* file;
  std::function<void()> body;
};
inline std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}
inline int g_checks = 0, g_failed_checks = 0;

struct Register {
  Register(const char* name, const char* file, std::function<void()> body) { cases().push_back({name, file, std::move(body)}); }
};

inline void report(const char* file, int line, const std::string& text) {
  ++g_failed_checks;
  std::printf("FAIL %s:%d: %s\n", file, line, text.c_str());
}

// Runs all cases, or those whose name or file contains the first argument. Prints one closing line; returns the exit code.
inline int run(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const Case& test : cases()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr && std::strstr(test.file, argv[1]) == nullptr) continue;
    const int before = g_failed_checks;
    try {
      test.body();
    } catch (const std::exception& error) {
      report(test.name, 0, std::string("threw ") + error.what());
    }
    const bool ok = g_failed_checks == before;
    ++(ok ? passed : failed);
    if (!ok) std::printf("FAILED %s\n", test.name);
  }
  std::printf("native: %d passed, %d failed (%d checks)\n", passed, failed, g_checks);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace tktest

#define TEST(name)                                                             \
  static void test_##name();                                                   \
  static const tktest::Register register_##name(#name, __FILE__, test_##name); \
  static void test_##name()
#define CHECK(condition)                                              \
  do {                                                                \
    ++tktest::g_checks;                                               \
    if (!(condition)) tktest::report(__FILE__, __LINE__, #condition); \
  } while (0)
#define CHECK_THROWS(expression, expected_code)                                                         \
  do {                                                                                                  \
    ++tktest::g_checks;                                                                                 \
    try {                                                                                               \
      expression;                                                                                       \
      tktest::report(__FILE__, __LINE__, #expression " did not throw");                                 \
    } catch (const tk::Error& error) {                                                                  \
      if (std::string(error.code()) != expected_code) tktest::report(__FILE__, __LINE__, error.what()); \
    }                                                                                                   \
  } while (0)
#define TEST_MAIN \
  int main(int argc, char** argv) { return tktest::run(argc, argv); }
