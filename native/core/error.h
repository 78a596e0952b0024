// The one exception type of native code. The door turns it into the JavaScript error of the same code.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace tk {

class Error : public std::runtime_error {
 public:
  // code: one of the codes listed in ts/errors.ts, e.g. "E_OUT_OF_MEMORY".
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

// A broken promise between native and TypeScript code (never a user's mistake): throws E_INTERNAL with place and values.
// Out of line so that kernels compiled for one instruction set bring no shared inline code with them.
[[noreturn]] void fail_check(const char* file, int line, const char* condition, int64_t left = 0, int64_t right = 0);

}  // namespace tk

// Checks that run in every build; use at the start of a kernel, not per element. On a GPU a failed one ends the kernel.
#if defined(__CUDA_ARCH__)
#define TK_CHECK(condition)     \
  do {                          \
    if (!(condition)) __trap(); \
  } while (0)
#define TK_CHECK_EQ(left, right) TK_CHECK((left) == (right))
#else
#define TK_CHECK(condition)                                             \
  do {                                                                  \
    if (!(condition)) ::tk::fail_check(__FILE__, __LINE__, #condition); \
  } while (0)
#define TK_CHECK_EQ(left, right)                                                                           \
  do {                                                                                                     \
    const int64_t tk_left = int64_t(left), tk_right = int64_t(right);                                      \
    if (tk_left != tk_right) ::tk::fail_check(__FILE__, __LINE__, #left " == " #right, tk_left, tk_right); \
  } while (0)
#endif
