// tensorkiln-cuda-probe <library>: opens the CUDA library and prints what it finds as one JSON object. A program of its own, so
// that a broken driver can neither crash nor hang the process that asks.
#include <dlfcn.h>

#include <cinttypes>
#include <cstdio>
#include <string>

#include "cuda/cuda_table.h"

namespace {

std::string quoted(const char* text) {
  std::string out = "\"";
  for (const char* c = text; *c != 0; ++c) {
    if (*c == '"' || *c == '\\') out += '\\';
    if (static_cast<unsigned char>(*c) >= 0x20) out += *c;
  }
  return out + "\"";
}

int fail(const char* text) {
  std::printf("{\"error\": %s}\n", quoted(text).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fail("expected the path of the CUDA library");
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(dlerror());
  using Entry = const TkCudaTable* (*)(uint32_t);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "tensorkiln_cuda_table"));
  if (entry == nullptr) return fail("the library has no tensorkiln_cuda_table");
  const TkCudaTable* table = entry(TK_CUDA_TABLE_VERSION);
  if (table == nullptr) return fail("the library belongs to another version");
  const int32_t runtime = table->runtime_version(), driver = table->driver_version();
  std::printf("{\"runtimeVersion\": %d, \"driverVersion\": %d, \"architectures\": %s, \"devices\": [", runtime, driver,
              quoted(table->architectures).c_str());
  const int32_t count = driver == 0 ? 0 : table->device_count();
  for (int32_t i = 0; i < count; ++i) {
    TkCudaDevice device;
    if (table->describe_device(i, &device) != 0) continue;
    std::printf(
        "%s{\"index\": %d, \"name\": %s, \"computeCapability\": \"%d.%d\", \"multiprocessors\": %d, \"memoryBytes\": %" PRIu64
        "}",
        i == 0 ? "" : ", ", i, quoted(device.name).c_str(), device.compute_major, device.compute_minor, device.multiprocessors,
        device.memory_bytes);
  }
  std::printf("], \"error\": %s}\n", *table->last_error() == 0 ? "null" : quoted(table->last_error()).c_str());
  return 0;
}
