#include "ops/reduce/reduce.h"

#include "ops/reduce/reduce_driver.h"

TK_BEGIN_LEVEL
namespace {

// All is Any of what is false, negated: the loops gather "some element is false" or "some element is true".
template <bool kAll>
TK_INLINE uint8_t hit(uint8_t x) {
  return kAll ? x == 0 : x != 0;
}

template <bool kAll>
void rows_of(const void* x_data, int64_t n, int64_t count, void* out_data) {
  const uint8_t* x = static_cast<const uint8_t*>(x_data);
  uint8_t* out = static_cast<uint8_t*>(out_data);
  constexpr int64_t kBlock = 4096;  // looked at as a whole; the rest is skipped once the answer is known
  for (int64_t row = 0; row < count; ++row, x += n) {
    uint8_t found = 0;
    for (int64_t begin = 0; begin < n && found == 0; begin += kBlock) {
      const int64_t end = n - begin < kBlock ? n : begin + kBlock;
      for (int64_t i = begin; i < end; ++i) found |= hit<kAll>(x[i]);
    }
    out[row] = kAll ? found == 0 : found;
  }
}

template <bool kAll>
void columns_of(const void* x_data, int64_t stride, int64_t rows, int64_t columns, void* out_data) {
  const uint8_t* x = static_cast<const uint8_t*>(x_data);
  uint8_t* out = static_cast<uint8_t*>(out_data);
  uint8_t hits[kTileColumns] = {};
  for (int64_t r = 0; r < rows; ++r, x += stride)
    for (int64_t j = 0; j < columns; ++j) hits[j] |= hit<kAll>(x[j]);
  for (int64_t j = 0; j < columns; ++j) out[j] = kAll ? hits[j] == 0 : hits[j];
}

void combine_all(void* into, const void* part, int64_t count) {
  for (int64_t i = 0; i < count; ++i) static_cast<uint8_t*>(into)[i] &= static_cast<const uint8_t*>(part)[i];
}
void combine_any(void* into, const void* part, int64_t count) {
  for (int64_t i = 0; i < count; ++i) static_cast<uint8_t*>(into)[i] |= static_cast<const uint8_t*>(part)[i];
}

}  // namespace

void reduce_all_cpu(const OpCall& call, CpuContext& context) {
  run_reduction(call, context, {1, 1, &rows_of<true>, &columns_of<true>, &combine_all, nullptr});
}
void reduce_any_cpu(const OpCall& call, CpuContext& context) {
  run_reduction(call, context, {1, 1, &rows_of<false>, &columns_of<false>, &combine_any, nullptr});
}

TK_END_LEVEL
