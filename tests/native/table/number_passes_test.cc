#include "table/number_passes.h"

#include <limits>

#include "core/error.h"
#include "test.h"

namespace tktest::number_passes_test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

TEST(passes_count_missing_cells_as_the_fill_or_not_at_all) {
  const double values[] = {4, kNan, -1, 2.5, kNan, 8};
  const int32_t rows[] = {5, 1, 0, 2, 0};
  const tk::RowNumbers left{values, 6, rows, 5, kNan}, filled{values, 6, rows, 5, 3};
  const tk::NumberRange range = tk::range_of(left);
  CHECK(range.missing == 1 && range.minimum == -1 && range.maximum == 8);
  CHECK(tk::sum_of(left, 0) == 15 && tk::sum_of(filled, 0) == 18 && tk::sum_of(filled, 1) == 13);
  CHECK(tk::squares_of(left, 1) == 49 + 9 + 4 + 9 && tk::squares_of(filled, 1) == 49 + 4 + 9 + 4 + 9);
  int32_t counts[6] = {};
  tk::count_buckets(left, {-1, 4 / 9.0}, 4, 5, counts);  // four buckets of 2.25, the greatest number in one of its own
  CHECK(counts[0] == 1 && counts[1] == 0 && counts[2] == 2 && counts[4] == 1 && counts[5] == 1);
  double taken[2] = {};
  CHECK(tk::take_bucket(left, {-1, 4 / 9.0}, 4, 2, taken, 2) == 2 && taken[0] == 4 && taken[1] == 4);
  CHECK(tk::take_bucket(left, {-1, 4 / 9.0}, 4, 2, taken, 1) == 1);
}

TEST(numbers_that_overflow_count_as_of_the_first_bucket) {
  const double most = std::numeric_limits<double>::max();
  const double values[] = {-most, most, kInfinity, -kInfinity, 0};
  const int32_t rows[] = {0, 1, 2, 3, 4};
  int32_t counts[10] = {};
  tk::count_buckets({values, 5, rows, 5, kNan}, {-kInfinity, 0}, 8, 9, counts);
  CHECK(counts[0] == 5);
  tk::count_buckets({values, 5, rows, 5, kNan}, {0, kInfinity}, 8, 9, counts);
  CHECK(counts[0] == 10);
}

TEST(integers_are_told_from_fractions_at_every_size) {
  const double values[] = {0, -0.0, 0.5, 1e15, 1e15 + 0.5, 4503599627370497.0, 1e300, kInfinity, -kInfinity, kNan, -3, -3.25};
  int64_t integers = 0;
  const tk::NumberRange range = tk::profile_numbers(values, 12, integers);
  CHECK(integers == 8 && range.missing == 1 && range.minimum == -kInfinity && range.maximum == kInfinity);
}

TEST(a_row_that_is_not_of_the_column_is_refused) {
  const double values[] = {1, 2};
  for (const int32_t row : {2, -1}) {
    const int32_t rows[] = {0, row};
    CHECK_THROWS(tk::sum_of({values, 2, rows, 2, kNan}, 0), "E_INTERNAL");
  }
}

}  // namespace
}  // namespace tktest::number_passes_test
