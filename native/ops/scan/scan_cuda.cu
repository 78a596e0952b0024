#include "cuda/context.h"
// context.h first.
#include "ops/scan/scan.h"

TK_BEGIN_CUDA
namespace {

// A thread per line, in order: the accumulation in double is then the CPU's, bit for bit.
template <class Sum, class T, bool kProduct>
void scan_lines_of(const OpCall& call, const CudaContext& context, bool exclusive, bool reverse) {
  TK_CHECK(call[0].rank == 3 && call[1].rank == 3);
  TK_CHECK_EQ(call[0].size, call[1].size);
  const int64_t n = call[0].dims[1], inner = call[0].dims[2];
  if (call[0].size == 0) return;
  const T* x = static_cast<const T*>(call[0].data);
  T* y = static_cast<T*>(call[1].data);
  for_each(
      context, call[0].dims[0] * inner,
      [=] __device__(int64_t line) {
        const int64_t start = line / inner * n * inner + line % inner;
        Sum sum = kProduct ? 1 : 0;
        for (int64_t j = 0; j < n; ++j) {
          const int64_t at = start + (reverse ? n - 1 - j : j) * inner;
          const Sum value = Sum(x[at]), next = kProduct ? sum * value : sum + value;
          y[at] = T(exclusive ? sum : next);
          sum = next;
        }
      },
      1);
}

template <bool kProduct>
void scan_of(const OpCall& call, const CudaContext& context, bool exclusive, bool reverse) {
  call[0].dtype == DType::f32 ? scan_lines_of<double, float, kProduct>(call, context, exclusive, reverse)
                              : scan_lines_of<uint32_t, int32_t, kProduct>(call, context, exclusive, reverse);
}

}  // namespace

void cumsum_cuda(const OpCall& call, CudaContext& context) {
  scan_of<false>(call, context, TK_INT(call, cumsum, exclusive) != 0, TK_INT(call, cumsum, reverse) != 0);
}
void cumprod_cuda(const OpCall& call, CudaContext& context) {
  scan_of<true>(call, context, TK_INT(call, cumprod, exclusive) != 0, TK_INT(call, cumprod, reverse) != 0);
}

TK_END_CUDA
