// matmul against the multiply-add peak of the same machine, measured in the same run.
//   gemm_bench [substring of a case name]
#include <cstring>
#include <string>

#include "bench.h"

namespace {

struct Case {
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
  std::string name() const {
    return (batch > 1 ? std::to_string(batch) + " x " : "") + std::to_string(m) + "x" + std::to_string(k) + "x" +
           std::to_string(n) + (transpose_a ? " ta" : "") + (transpose_b ? " tb" : "");
  }
};

const Case kCases[] = {
    {1, 64, 64, 64, false, false},    {1, 128, 128, 128, false, false},    {1, 256, 256, 256, false, false},
    {1, 512, 512, 512, false, false}, {1, 1024, 1024, 1024, false, false}, {1, 512, 512, 512, true, false},
    {1, 512, 512, 512, false, true},  {1, 512, 512, 512, true, true},      {1, 1, 1024, 1024, false, false},
    {1, 1, 1024, 1024, false, true},  {1, 1024, 1, 1024, false, false},    {1, 4, 1024, 1024, false, false},
    {1, 32, 256, 784, false, false},  {1, 784, 256, 32, true, false},      {1, 32, 784, 256, false, true},
    {1, 128, 512, 512, false, false}, {1, 128, 10, 256, false, false},     {1, 2048, 2048, 64, false, false},
    {1, 64, 64, 65536, true, false},  {96, 128, 128, 64, false, false},    {96, 128, 128, 64, false, true},
};

}  // namespace

int main(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  std::printf("level %s; the peak of one thread is measured before each line; 1 thread: processor time, 2: wall clock\n",
              tk::level_name(tk::active_level()));
  std::printf("%-26s %7s %10s %18s %9s %8s %8s\n", "m x k x n", "threads", "median us", "10..90 % us", "GFLOP/s", "peak",
              "share");
  for (const Case& c : kCases) {
    if (std::strstr(c.name().c_str(), wanted) == nullptr) continue;
    tkbench::BenchOp op("matmul",
                        {{c.batch, c.transpose_a ? c.k : c.m, c.transpose_a ? c.m : c.k},
                         {c.batch, c.transpose_b ? c.n : c.k, c.transpose_b ? c.k : c.n},
                         {c.batch, c.m, c.n}},
                        {c.transpose_a, c.transpose_b});
    for (int threads : {1, 2}) {
      const double peak = tkbench::peak_gflops();
      const tkbench::Timing t = op.time(threads);
      const double gflops = 2.0 * double(c.batch * c.m * c.n * c.k) / t.median / 1e9;
      std::printf("%-26s %7d %10.1f %8.1f..%-8.1f %9.1f", c.name().c_str(), threads, t.median * 1e6, t.low * 1e6, t.high * 1e6,
                  gflops);
      if (peak > 0) std::printf(" %8.1f %7.1f%%", peak * threads, 100 * gflops / (peak * threads));
      std::printf("\n");
    }
  }
  return 0;
}
