// A leg: one library in a process of its own that answers the harness line by line on standard input and output.
//   prepare name=<op> ints=<a,b> floats=<x,y> operands=<role:dtype:fill:dims;...> result=<operand> at=<i,j>
//       makes the operands, runs the op once; {"size":n,"finite":true,"values":[...]}: the result at the given places
//   time <seconds> <clock>    runs for at least that long; {"seconds":x,"calls":n}: time of one call on the clock named, `wall`
//       or `cpu`: processor time of the process, which what others use does not add to
//   limits            GFLOP/s and GB/s of the machine with the threads of this leg
// {"unsupported":"why"} for an op the library lacks, {"error":"..."} for everything that went wrong. The process ends with its
// standard input. Fills: u<seed> values in [-1, 1), p<seed> in (0, 1], i<seed>m<n> whole numbers below n, c<value> that value,
// l<a>/<b>/... those values, z zeros, none for a tensor of 0 elements. bench/harness/fill.ts makes the same numbers.
#pragma once
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace tkbench {

struct Unsupported : std::exception {};

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  std::istringstream stream(text);
  while (std::getline(stream, part, separator)) parts.push_back(part);
  return parts;
}

// Memory of one operand, at a multiple of 64 bytes.
struct Array {
  std::string role, dtype, fill;
  std::vector<int64_t> dims;
  int64_t size = 1;
  void* data = nullptr;
  float* f32() const { return static_cast<float*>(data); }
  int32_t* i32() const { return static_cast<int32_t*>(data); }
};

// Wellons 2018, "Prospecting for Hash Functions", lowbias32.
inline uint32_t hash32(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ x >> 16;
}

inline void fill(Array& array) {
  const std::string& text = array.fill;
  const int64_t bytes = array.size * (array.dtype == "b" ? 1 : 4);
  array.data = std::aligned_alloc(64, size_t(bytes + 127) / 64 * 64);
  const uint32_t seed = text.size() > 1 ? uint32_t(std::atof(text.c_str() + 1)) : 0;
  const size_t limit = text.find('m');
  const std::vector<std::string> list = split(text.substr(1), '/');
  for (int64_t i = 0; i < array.size; ++i) {
    const uint32_t hash = hash32(uint32_t(i) + seed * 0x9e3779b9u);
    double value = 0;
    switch (text[0]) {
      case 'u': value = double(hash >> 8) / 8388608.0 - 1.0; break;
      case 'p': value = double((hash >> 8) + 1) / 16777216.0; break;
      case 'i': value = double(hash % uint32_t(std::atoi(text.c_str() + limit + 1))); break;
      case 'c': value = std::atof(text.c_str() + 1); break;
      case 'l': value = std::atof(list.at(size_t(i)).c_str()); break;
      default: break;
    }
    if (array.dtype == "f") {
      array.f32()[i] = float(value);
    } else if (array.dtype == "i") {
      array.i32()[i] = int32_t(value);
    } else {
      static_cast<uint8_t*>(array.data)[i] = uint8_t(value);
    }
  }
}

struct Request {
  std::string name;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<Array> arrays;
  size_t result = 0;
  std::vector<int64_t> at;

  explicit Request(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    while (words >> word) {
      const size_t equals = word.find('=');
      const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
      if (key == "name") name = value;
      if (key == "result") result = size_t(std::atoi(value.c_str()));
      for (const std::string& item : split(value, key == "operands" ? ';' : ',')) {
        if (key == "ints") ints.push_back(std::atoll(item.c_str()));
        if (key == "floats") floats.push_back(std::atof(item.c_str()));
        if (key == "at") at.push_back(std::atoll(item.c_str()));
        if (key == "operands") arrays.push_back(parse(item));
      }
    }
    for (Array& array : arrays) fill(array);
  }
  ~Request() {
    for (Array& array : arrays) std::free(array.data);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  static Array parse(const std::string& text) {
    const std::vector<std::string> parts = split(text, ':');
    Array array;
    array.role = parts.at(0);
    array.dtype = parts.at(1);
    array.fill = parts.at(2);
    if (array.fill == "none") {
      array.size = 0;
      array.dims = {0};
      return array;
    }
    for (const std::string& dim : split(parts.size() > 3 ? parts[3] : "", 'x')) {
      array.dims.push_back(std::atoll(dim.c_str()));
      array.size *= array.dims.back();
    }
    return array;
  }
};

inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

inline double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}
inline double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Seconds of one call, from a run of at least `least` seconds; *calls: how often it was called, and where to begin next time.
inline double time_of(const std::function<void()>& call, double least, double (*clock)(), int64_t* calls) {
  int64_t repeats = *calls < 1 ? 1 : *calls;
  for (;;) {
    const double start = clock();
    for (int64_t i = 0; i < repeats; ++i) call();
    const double seconds = clock() - start;
    if (seconds >= least || repeats >= (int64_t(1) << 30)) {
      *calls = repeats;
      return seconds / double(repeats);
    }
    repeats = seconds < least / 16 ? repeats * 8 : int64_t(double(repeats) * least / seconds * 1.1) + 1;
  }
}

// make: prepares the op of the request and returns what runs it once, or throws Unsupported.
using Make = std::function<std::function<void()>(Request&)>;

inline void answer_result(Request& request) {
  const Array& result = request.arrays.at(request.result);
  bool finite = true;
  if (result.dtype == "f") {
    for (int64_t i = 0; i < result.size && finite; ++i) finite = std::isfinite(result.f32()[i]);
  }
  std::printf("{\"size\":%lld,\"finite\":%s,\"values\":[", static_cast<long long>(result.size), finite ? "true" : "false");
  for (size_t i = 0; i < request.at.size(); ++i) {
    const int64_t at = request.at[i];
    const double value = result.dtype == "f"   ? double(result.f32()[at])
                         : result.dtype == "i" ? double(result.i32()[at])
                                               : double(static_cast<uint8_t*>(result.data)[at]);
    if (std::isfinite(value)) {
      std::printf("%s%.9g", i == 0 ? "" : ",", value);
    } else {
      std::printf("%snull", i == 0 ? "" : ",");
    }
  }
  std::printf("]}\n");
}

inline int serve(const Make& make, const std::function<std::string()>& limits, const std::string& version) {
  std::printf("{\"ready\":%s}\n", quoted(version).c_str());
  std::fflush(stdout);
  std::unique_ptr<Request> request;
  std::function<void()> call;
  int64_t calls = 0;
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      if (line.rfind("prepare ", 0) == 0) {
        call = nullptr;
        request = std::make_unique<Request>(line);
        calls = 0;
        call = make(*request);
        call();
        answer_result(*request);
      } else if (line.rfind("time ", 0) == 0 && call) {
        const auto clock = line.find(" cpu") == std::string::npos ? now : processor_seconds;
        const double seconds = time_of(call, std::atof(line.c_str() + 5), clock, &calls);
        std::printf("{\"seconds\":%.9g,\"calls\":%lld}\n", seconds, static_cast<long long>(calls));
      } else if (line == "limits" && limits) {
        std::printf("%s\n", limits().c_str());
      } else {
        std::printf("{\"error\":\"unknown request\"}\n");
      }
    } catch (const Unsupported&) {
      std::printf("{\"unsupported\":\"no such op\"}\n");
    } catch (const std::exception& error) {
      std::printf("{\"error\":%s}\n", quoted(error.what()).c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}

// Threads asked for by the harness.
inline int wanted_threads() {
  const char* text = std::getenv("TENSORKILN_BENCH_THREADS");
  const int count = text == nullptr ? 1 : std::atoi(text);
  return count < 1 ? 1 : count;
}

}  // namespace tkbench
