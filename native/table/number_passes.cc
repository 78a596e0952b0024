#include "table/number_passes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tk {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

int32_t bucket_of(double value, const BucketPlace& place, int32_t buckets) {
  const double position = (value - place.minimum) * place.factor;
  return position >= 0 && position <= buckets ? int32_t(position) : 0;
}

// All doubles from 2^52 on are, infinity among them; NaN is not.
bool is_integer(double value) {
  constexpr double kLimit = 4503599627370496;
  const double size = std::fabs(value);
  return size >= kLimit || (size < kLimit && double(int64_t(value)) == value);
}

template <class Term>
double sum_terms(const RowNumbers& numbers, const Term& term) {
  const bool is_filled = !std::isnan(numbers.fill);
  const double filled = term(numbers.fill);
  double sum = 0;
  for (int64_t i = 0; i < numbers.count; ++i) {
    const double value = numbers.cell(i);
    if (!std::isnan(value)) {
      sum += term(value);
    } else if (is_filled) {
      sum += filled;
    }
  }
  return sum;
}

}  // namespace

NumberRange range_of(const RowNumbers& numbers) {
  NumberRange range{0, kInfinity, -kInfinity};
  for (int64_t i = 0; i < numbers.count; ++i) {
    const double value = numbers.cell(i);
    // NaN is neither less nor more than anything.
    range.minimum = value < range.minimum ? value : range.minimum;
    range.maximum = value > range.maximum ? value : range.maximum;
    range.missing += std::isnan(value);
  }
  return range;
}

double sum_of(const RowNumbers& numbers, double shift) {
  return sum_terms(numbers, [shift](double value) { return value - shift; });
}

double squares_of(const RowNumbers& numbers, double shift) {
  return sum_terms(numbers, [shift](double value) { return (value - shift) * (value - shift); });
}

void count_buckets(const RowNumbers& numbers, const BucketPlace& place, int32_t buckets, int32_t nowhere, int32_t* counts) {
  const int32_t filled = std::isnan(numbers.fill) ? nowhere : bucket_of(numbers.fill, place, buckets);
  for (int64_t i = 0; i < numbers.count; ++i) {
    const double value = numbers.cell(i);
    ++counts[std::isnan(value) ? filled : bucket_of(value, place, buckets)];
  }
}

int64_t take_bucket(const RowNumbers& numbers, const BucketPlace& place, int32_t buckets, int32_t wanted, double* taken,
                    int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < numbers.count; ++i) {
    const double value = numbers.cell(i);
    if (!std::isnan(value) && bucket_of(value, place, buckets) == wanted && count < size) taken[count++] = value;
  }
  return count;
}

NumberRange profile_numbers(const double* values, int64_t count, int64_t& integers) {
  NumberRange range{0, kInfinity, -kInfinity};
  integers = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[i];
    range.minimum = value < range.minimum ? value : range.minimum;
    range.maximum = value > range.maximum ? value : range.maximum;
    range.missing += std::isnan(value);
    integers += is_integer(value);
  }
  return range;
}

}  // namespace tk
