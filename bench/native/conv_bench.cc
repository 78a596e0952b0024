// Convolution and its gradients against the multiply-add peak of the same machine, measured in the same run.
//   conv_bench [substring of a case name]
#include <cstring>
#include <string>

#include "bench.h"

namespace {

struct Case {
  const char* name;
  int64_t n, h, w, c, kernel, cout, stride;
};

const Case kCases[] = {
    {"56x56 64->64 3x3", 8, 56, 56, 64, 3, 64, 1},
    {"28x28 128->128 3x3", 8, 28, 28, 128, 3, 128, 1},
    {"14x14 256->256 3x3", 8, 14, 14, 256, 3, 256, 1},
    {"7x7 512->512 3x3", 8, 7, 7, 512, 3, 512, 1},
    {"56x56 64->256 1x1", 8, 56, 56, 64, 1, 256, 1},
    {"56x56 64->128 3x3 stride 2", 8, 56, 56, 64, 3, 128, 2},
    {"28x28 1->32 5x5 batch 64", 64, 28, 28, 1, 5, 32, 1},
    {"14x14 32->64 5x5 batch 64", 64, 14, 14, 32, 5, 64, 1},
    {"112x112 3->64 7x7 stride 2", 8, 224, 224, 3, 7, 64, 2},
};

}  // namespace

int main(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  std::printf("level %s; batch 8 unless said; padding as in \"same\"; padding taps count as work\n",
              tk::level_name(tk::active_level()));
  std::printf("%-28s %-12s %7s %10s %18s %9s %8s\n", "image, channels, window", "", "threads", "median ms", "10..90 % ms",
              "GFLOP/s", "share");
  for (const Case& c : kCases) {
    if (std::strstr(c.name, wanted) == nullptr) continue;
    const int64_t oh = (c.h + c.stride - 1) / c.stride, ow = (c.w + c.stride - 1) / c.stride;
    const int64_t pad = std::max<int64_t>(0, (oh - 1) * c.stride + c.kernel - c.h) / 2;
    const std::vector<int64_t> x = {c.n, c.h, c.w, c.c}, filter = {c.kernel, c.kernel, c.c, c.cout}, y = {c.n, oh, ow, c.cout};
    const std::vector<int64_t> attributes = {c.stride, c.stride, 1, 1, pad, pad};
    const struct {
      const char* name;
      const char* op;
      std::vector<std::vector<int64_t>> shapes;
    } passes[] = {{"forward", "conv2d", {x, filter, y}},
                  {"input grad", "conv2d_input_grad", {y, filter, x}},
                  {"filter grad", "conv2d_filter_grad", {x, y, filter}}};
    for (const auto& pass : passes) {
      tkbench::BenchOp op(pass.op, pass.shapes, attributes);
      for (int threads : {1, 2}) {
        const double peak = tkbench::peak_gflops();
        const tkbench::Timing t = op.time(threads, 9);
        const double gflops = 2.0 * double(c.n * oh * ow * c.cout * c.c * c.kernel * c.kernel) / t.median / 1e9;
        std::printf("%-28s %-12s %7d %10.2f %8.2f..%-8.2f %9.1f", c.name, pass.name, threads, t.median * 1e3, t.low * 1e3,
                    t.high * 1e3, gflops);
        if (peak > 0) std::printf(" %7.1f%%", 100 * gflops / (peak * threads));
        std::printf("\n");
      }
    }
  }
  return 0;
}
