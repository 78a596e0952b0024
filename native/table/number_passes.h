// Passes over columns of numbers, each with the bits of its counterpart in ts/data (row-numbers.ts, profile.ts): sums are taken
// in the order of the rows.
#pragma once
#include <cstdint>

#include "core/error.h"

namespace tk {

// The cells of some rows of a column; a missing one, NaN, counts as `fill`, and not at all where `fill` is NaN.
struct RowNumbers {
  const double* values;
  int64_t length;
  const int32_t* rows;
  int64_t count;
  double fill;

  // Throws E_INTERNAL for a row that is not of the column.
  double cell(int64_t index) const {
    const int32_t row = rows[index];
    if (row < 0 || row >= length) throw Error("E_INTERNAL", "a row is not of the column");
    return values[row];
  }
};

struct NumberRange {
  int64_t missing;
  double minimum, maximum;  // of the numbers that are not missing; infinity and -infinity without any
};

NumberRange range_of(const RowNumbers& numbers);

// The sum of the cells less `shift`, or of the squares of that.
double sum_of(const RowNumbers& numbers, double shift);
double squares_of(const RowNumbers& numbers, double shift);

// Where a number lies: bucket 0 for what overflows.
struct BucketPlace {
  double minimum, factor;
};

// Adds the cells to the counters of their buckets, 0 to `buckets`, and those that do not count to that of `nowhere`.
void count_buckets(const RowNumbers& numbers, const BucketPlace& place, int32_t buckets, int32_t nowhere, int32_t* counts);

// The numbers of one bucket, missing cells left out; returns how many. `taken` has room for `size`.
int64_t take_bucket(const RowNumbers& numbers, const BucketPlace& place, int32_t buckets, int32_t wanted, double* taken,
                    int64_t size);

// Of all cells of a column: the range, and how many numbers are integers.
NumberRange profile_numbers(const double* values, int64_t count, int64_t& integers);

}  // namespace tk
