#include "ops/common/philox.h"
#include "ops/random/random.h"

TK_BEGIN_LEVEL
namespace {

// Numbers of one unit of parallel work: adding up is short, drawing is a block of Philox and a search.
constexpr int64_t kSumUnit = 16 * 1024;
constexpr int64_t kDrawUnit = 1024;

// First of n rising values that is above u; n when none is.
TK_INLINE int64_t first_above(const double* values, int64_t n, double u) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (values[middle] > u) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

int64_t multinomial_workspace(const OpCall& call, int) { return call[0].size * int64_t(sizeof(double)); }

void multinomial_cpu(const OpCall& call, CpuContext& context) {
  const Operand &probabilities = call[0], &samples = call[1];
  TK_CHECK(probabilities.rank == 2 && samples.rank == 2);
  TK_CHECK_EQ(probabilities.dims[0], samples.dims[0]);
  if (samples.size == 0) return;
  const int64_t rows = probabilities.dims[0], events = probabilities.dims[1], count = samples.dims[1];
  TK_CHECK(events > 0);
  double* const cumulative = static_cast<double*>(call.workspace);
  context.parallel_for(rows, kSumUnit / events + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      // The largest sum so far rises, as the search needs, and passes u where the sum itself first does.
      double sum = 0, largest = 0;
      for (int64_t i = row * events; i < (row + 1) * events; ++i) {
        sum += double(probabilities.f32()[i]);
        if (sum > largest) largest = sum;
        cumulative[i] = largest;
      }
    }
  });
  const uint32_t key[2] = {uint32_t(TK_INT(call, multinomial, seed_low)), uint32_t(TK_INT(call, multinomial, seed_high))};
  context.parallel_for(samples.size, kDrawUnit, [&](int64_t begin, int64_t end, int) {
    uint32_t words[philox::kLanes];
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t at = uint64_t(i) / philox::kLanes;
      if (i == begin || i % philox::kLanes == 0) {
        const uint32_t counter[4] = {uint32_t(at), uint32_t(at >> 32), 0, 0};
        philox::block(counter, key, words);
      }
      const double u = double(words[i % philox::kLanes]) * 0x1p-32;
      samples.i32()[i] = int32_t(first_above(cumulative + i / count * events, events - 1, u));
    }
  });
}

TK_END_LEVEL
