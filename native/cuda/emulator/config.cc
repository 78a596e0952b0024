// Switches of TENSORKILN_EMULATOR, counters, and the last error of a kernel.
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include "cuda/emulator/emulator.h"
#include "cuda/emulator/internal.h"

namespace tk::emulator {
unsigned g_lose_at = 0;

namespace {
// Sets what one word of TENSORKILN_EMULATOR says, e.g. "seed=2"; false for a word that is not known.
bool set_switch(Config& c, const std::string& word) {
  const size_t equal = word.find('=');
  const std::string name = word.substr(0, equal);
  char* end = nullptr;
  const unsigned value = equal == std::string::npos ? 1 : unsigned(strtoul(word.c_str() + equal + 1, &end, 10));
  if (end != nullptr && (*end != 0 || end == word.c_str() + equal + 1)) return false;
  if (name == "seed")
    c.seed = value;
  else if (name == "devices") {
    if (value < 1 || value > unsigned(kMostDevices)) return false;
    c.devices = int(value);
  } else if (name == "threads")
    c.threads = std::max(1, int(value));
  else if (name == "poison")
    c.poison = value;
  else if (name == "poison_static")
    c.poison_static = value;
  else if (name == "protect")
    c.protect = value;
  else if (name == "lazy")
    c.lazy_streams = value;
  else if (name == "fences")
    c.check_fences = value;
  else if (name == "abort")
    c.abort_on_error = value;
  else if (name == "quiet")
    c.quiet = value;
  else if (name == "lose")
    g_lose_at = value;
  else
    return false;
  return true;
}
}  // namespace
Config& config() {
  static Config& shared = *[] {
    auto* c = new Config;
    std::istringstream words(getenv("TENSORKILN_EMULATOR") != nullptr ? getenv("TENSORKILN_EMULATOR") : "");
    for (std::string word; words >> word;) {
      if (!set_switch(*c, word)) fprintf(stderr, "TENSORKILN_EMULATOR: '%s' is not known and has no effect\n", word.c_str());
    }
    return c;
  }();
  return shared;
}

Stats& stats() {
  static Stats counted;
  return counted;
}

static std::mutex g_errMutex;
static std::string g_lastError;
const char* last_error() { return g_lastError.c_str(); }

void report(const char* text) {
  {
    std::lock_guard<std::mutex> l(g_errMutex);
    g_lastError = text;
  }
  if (!config().quiet) fprintf(stderr, "CUDA emulator: %s\n", text);
  if (config().abort_on_error) abort();
}
}  // namespace tk::emulator
