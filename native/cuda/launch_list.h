// Launches written down instead of made: what the bodies of a program's calls would launch, so that a CUDA graph can hold it.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "cuda/launch.cuh"

namespace tk::cuda {

// A call asked for the stream itself while its launches were being listed: it runs on its own, between two graphs.
struct NotListable {};

struct ListedLaunch {
  enum class Kind : uint8_t { kernel, copy, zero };
  Kind kind = Kind::kernel;
  // kernel: parameters by value, parameter i at bytes[offsets[i]]
  const void* function = nullptr;
  dim3 grid, block;
  unsigned shared_bytes = 0;
  std::vector<unsigned char> bytes;
  std::vector<uint32_t> offsets;
  // copy on the device, or filling with 0
  void* to = nullptr;
  const void* from = nullptr;
  size_t size = 0;

  // Whether a graph's node for the other can be made to do this by new parameters.
  bool is_like(const ListedLaunch& other) const {
    return kind == other.kind && function == other.function && bytes.size() == other.bytes.size();
  }
  bool operator==(const ListedLaunch& other) const {
    return is_like(other) && grid.x == other.grid.x && grid.y == other.grid.y && grid.z == other.grid.z &&
           block.x == other.block.x && block.y == other.block.y && block.z == other.block.z &&
           shared_bytes == other.shared_bytes && bytes == other.bytes && to == other.to && from == other.from &&
           size == other.size;
  }
};

class LaunchList {
 public:
  template <class... Params, class... Args>
  void add_kernel(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, Args&&... args) {
#if !defined(__CUDACC__)
    tk::emulator::register_kernel(kernel);
#endif
    ListedLaunch launch;
    launch.function = reinterpret_cast<const void*>(kernel);
    launch.grid = grid, launch.block = block, launch.shared_bytes = unsigned(shared_bytes);
    (add_parameter<std::decay_t<Params>>(launch, std::forward<Args>(args)), ...);
    launches.push_back(std::move(launch));
  }
  void add_copy(void* to, const void* from, size_t size) { add_transfer(ListedLaunch::Kind::copy, to, from, size); }
  void add_zero(void* to, size_t size) { add_transfer(ListedLaunch::Kind::zero, to, nullptr, size); }

  std::vector<ListedLaunch> launches;

 private:
  template <class T, class Arg>
  static void add_parameter(ListedLaunch& launch, Arg&& arg) {
    const T value(std::forward<Arg>(arg));
    const size_t at = (launch.bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    launch.offsets.push_back(uint32_t(at));
    launch.bytes.resize(at + sizeof(T));
    std::memcpy(launch.bytes.data() + at, static_cast<const void*>(&value), sizeof(T));
  }
  void add_transfer(ListedLaunch::Kind kind, void* to, const void* from, size_t size) {
    ListedLaunch launch;
    launch.kind = kind, launch.to = to, launch.from = from, launch.size = size;
    launches.push_back(std::move(launch));
  }
};

}  // namespace tk::cuda
