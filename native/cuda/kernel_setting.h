// Settings by which tests and measurements reach each of several kernels whatever the size of the problem.
#pragma once
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace tk::cuda {

struct KernelName {
  const char* name;
  int kernel;
};

// The kernel that `text`, the value of an environment variable, names; -1 when there is none and the size decides. Throws
// std::invalid_argument for another value.
inline int read_kernel_setting(const char* variable, const char* text, std::initializer_list<KernelName> names) {
  if (text == nullptr || *text == 0) return -1;
  std::string expected;
  for (const KernelName& each : names) {
    if (std::strcmp(text, each.name) == 0) return each.kernel;
    expected += std::string(each.name) + ", ";
  }
  throw std::invalid_argument(std::string(variable) + " is '" + text + "': expected " + expected +
                              "or nothing to let the size decide");
}

}  // namespace tk::cuda
