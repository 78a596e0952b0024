#include "table/plain_block.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

namespace tk {
namespace {

// Up to this many digits a decimal is an exact integer divided by an exact power of ten: one rounding, so the nearest double
// (Clinger 1990, How to read floating point numbers accurately).
constexpr int kExactDigits = 15;
constexpr double kPowers[kExactDigits + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

bool is_digit(uint8_t byte) { return uint8_t(byte - '0') <= 9; }

// Cells are looked at eight bytes at a time, the first in the lowest: their lengths vary, so that a branch for each byte would
// be foreseen too seldom.
static_assert(std::endian::native == std::endian::little);
constexpr uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;

uint64_t repeat(int byte) { return kOnes * uint8_t(byte); }

// The highest bit of each byte that is zero, exact up to and with the first such.
uint64_t zero_bytes(uint64_t word) { return (word - kOnes) & ~word & kHighs; }

// How many bytes come before the first whose highest bit is set; 8 without any.
int bytes_before(uint64_t highs) { return highs == 0 ? 8 : std::countr_zero(highs) >> 3; }

// The highest bit of each byte that is no digit, of a word less "00000000"; exact up to and with the first such.
uint64_t other_bytes(uint64_t word) { return ((word + 0x7676767676767676) | word) & kHighs; }

// The number that the first `count` bytes, 0 to 8, of a word less "00000000" spell (Lemire, Parsing series of integers with
// SIMD: pairs, then fours, then eight digits by multiplications).
uint64_t digits_in(uint64_t word, int count) {
  // Zeros come in from below, in front of the digits. In two steps, since a shift by 64 would be one by 0.
  word = word << 4 * (8 - count) << 4 * (8 - count);
  word = word * 10 + (word >> 8);
  return ((word & 0x000000ff000000ff) * 0x000f424000000064 + (word >> 16 & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
}

// Distinct cells of a text column, by open addressing with linear probing. Half the slots stay free.
class DistinctCells {
 public:
  DistinctCells(const PlainBlock& block, PlainColumn& column) : block_(block), column_(column), slots_(256, -1) {}

  int32_t find(int32_t start, int32_t stop) {
    uint64_t hash = uint64_t(stop - start);
    int32_t at = start;
    for (; stop - at > 8; at += 8) hash = mix(hash ^ load(at, 8));
    const uint64_t end = load(at, stop - at);
    hash = mix(hash ^ end);
    for (uint64_t slot = hash & mask();; slot = (slot + 1) & mask()) {
      const int32_t index = slots_[slot];
      if (index < 0) return add(slot, {hash, end}, start, stop);
      const Entry& entry = entries_[size_t(index)];
      if (entry.hash == hash && entry.end == end && equals(index, start, stop)) return index;
    }
  }

 private:
  struct Entry {
    uint64_t hash, end;  // the last eight bytes or fewer: all of a short cell
  };

  uint64_t mask() const { return slots_.size() - 1; }

  static uint64_t mix(uint64_t word) {
    word *= 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)
    return word ^ word >> 32;
  }

  // Up to eight bytes, zeros behind them.
  uint64_t load(int32_t at, int32_t count) const {
    uint64_t word = 0;
    if (block_.size - at < 8) {
      std::memcpy(&word, block_.bytes + at, size_t(count));
      return word;
    }
    std::memcpy(&word, block_.bytes + at, 8);
    // By halves, since a shift by 64 would be one by 0.
    const int half = 4 * (8 - count);
    return word << half << half >> half >> half;
  }

  bool equals(int32_t entry, int32_t start, int32_t stop) const {
    const int32_t other = column_.starts[size_t(entry)], length = stop - start;
    if (column_.stops[size_t(entry)] - other != length) return false;
    return length <= 8 || std::memcmp(block_.bytes + start, block_.bytes + other, size_t(length)) == 0;
  }

  int32_t add(uint64_t slot, const Entry& entry, int32_t start, int32_t stop) {
    const auto index = int32_t(entries_.size());
    slots_[slot] = index;
    entries_.push_back(entry);
    column_.starts.push_back(start);
    column_.stops.push_back(stop);
    if (2 * entries_.size() > slots_.size()) widen();
    return index;
  }

  void widen() {
    slots_.assign(2 * slots_.size(), -1);
    for (size_t index = 0; index < entries_.size(); ++index) {
      uint64_t slot = entries_[index].hash & mask();
      while (slots_[slot] >= 0) slot = (slot + 1) & mask();
      slots_[slot] = int32_t(index);
    }
  }

  const PlainBlock& block_;
  PlainColumn& column_;
  std::vector<int32_t> slots_;
  std::vector<Entry> entries_;
};

// Rows that are written at once.
constexpr int32_t kTile = 64;

class PlainParser {
 public:
  explicit PlainParser(PlainBlock& block)
      : block_(block),
        bytes_(block.bytes),
        delimiters_(repeat(block.delimiter)),
        // Without a decimal sign a byte that no cell holds.
        decimals_(repeat(block.decimal < 0 ? block.delimiter : block.decimal)) {
    distinct_.reserve(block.columns.size());
    for (PlainColumn& column : block.columns) distinct_.emplace_back(block, column);
    tiles_.resize(block.columns.size());
  }

  bool parse() {
    const auto width = int32_t(block_.columns.size());
    while (at_ < block_.size) {
      if (is_line_end(bytes_[at_])) {  // an empty line is no record
        end_line();
        continue;
      }
      for (int32_t column = 0;; ++column) {
        if (column == width) return false;
        skip_blanks();
        if (bytes_[at_] == block_.quote) return false;
        switch (block_.columns[size_t(column)].kind) {
          case CellKind::numeric: parse_number(column); break;
          case CellKind::text: parse_text(column); break;
          case CellKind::skip: skip_cell(); break;
        }
        if (bytes_[at_] != block_.delimiter) {
          if (column + 1 != width) return false;
          break;
        }
        ++at_;
      }
      if (++block_.rows % kTile == 0) write_tiles(kTile);
      end_line();
    }
    write_tiles(block_.rows % kTile);
    return true;
  }

 private:
  static bool is_line_end(uint8_t byte) { return byte == '\n' || byte == '\r'; }
  bool is_end(uint8_t byte) const { return byte == block_.delimiter || is_line_end(byte); }
  bool is_blank(uint8_t byte) const { return byte == ' ' || (byte == '\t' && block_.delimiter != '\t'); }

  // The last `count` rows go to their columns.
  void write_tiles(int32_t count) {
    const int32_t from = block_.rows - count;
    for (size_t i = 0; i < tiles_.size(); ++i) {
      const PlainColumn& column = block_.columns[i];
      if (column.kind == CellKind::numeric) std::copy_n(tiles_[i].numbers, count, column.numbers + from);
      if (column.kind == CellKind::text) std::copy_n(tiles_[i].codes, count, column.codes + from);
    }
  }

  void end_line() {
    const bool both = bytes_[at_] == '\r' && at_ + 1 < block_.size && bytes_[at_ + 1] == '\n';
    at_ += both ? 2 : 1;
    ++block_.lines;
  }

  void skip_blanks() {
    while (is_blank(bytes_[at_])) ++at_;
  }

  void skip_cell() {
    while (block_.size - at_ >= 8) {
      uint64_t word;
      std::memcpy(&word, bytes_ + at_, 8);
      const uint64_t ends = ends_in(word);
      at_ += bytes_before(ends);
      if (ends != 0) return;
    }
    while (!is_end(bytes_[at_])) ++at_;
  }

  // Goes on to what is no digit; the digits' number follows those of `integer`, which wraps beyond 19.
  uint64_t read_digits(uint64_t integer) {
    static constexpr uint64_t kTens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    while (block_.size - at_ >= 8) {
      uint64_t word;
      std::memcpy(&word, bytes_ + at_, 8);
      word ^= repeat('0');
      const int count = bytes_before(other_bytes(word));
      integer = integer * kTens[count] + digits_in(word, count);
      at_ += count;
      if (count < 8) return integer;
    }
    for (; is_digit(bytes_[at_]); ++at_) integer = integer * 10 + uint64_t(bytes_[at_] - '0');
    return integer;
  }

  // Where the cell ends that was read up to `at_`, without the blanks behind it.
  int32_t trim_end(int32_t start) const {
    int32_t stop = at_;
    while (stop > start && (bytes_[stop - 1] == ' ' || bytes_[stop - 1] == '\t')) --stop;
    return stop;
  }

  void parse_text(int32_t index) {
    const int32_t start = at_;
    skip_cell();
    const int32_t stop = trim_end(start);
    tiles_[size_t(index)].codes[block_.rows % kTile] = distinct_[size_t(index)].find(start, stop);
  }

  // The highest bit of each byte of a word that ends a cell, exact up to and with the first such.
  uint64_t ends_in(uint64_t word) const {
    return zero_bytes(word ^ delimiters_) | zero_bytes(word ^ repeat('\n')) | zero_bytes(word ^ repeat('\r'));
  }

  // A cell of up to eight bytes that is a plain number, all of it in one word: where it ends does not wait for what it spells,
  // so that several cells are read at once. False, and nothing done, for any other.
  bool parse_short_number(int32_t index) {
    if (block_.size - at_ < 8) return false;
    uint64_t word;
    std::memcpy(&word, bytes_ + at_, 8);
    const uint64_t ends = ends_in(word);
    int length = bytes_before(ends);
    if (length == 0 || (ends == 0 && !is_end(bytes_[at_ + 8]))) return false;
    const int32_t end = at_ + length;
    const int minus = uint8_t(word) == '-';
    word >>= 8 * minus;
    length -= minus;
    const int point = std::min(bytes_before(zero_bytes(word ^ decimals_)), length);
    const int has_point = point < length;
    const int digits = length - has_point;
    if (digits <= 0) return false;
    // The fraction moves over the point. By halves, since a shift by 64 would be one by 0.
    const uint64_t whole = word & ((uint64_t(1) << 4 * point << 4 * point) - 1);
    const uint64_t fraction = has_point ? word >> 4 * (point + 1) >> 4 * (point + 1) << 4 * point << 4 * point : 0;
    const uint64_t bare = ((whole | fraction) ^ repeat('0')) << 4 * (8 - digits) << 4 * (8 - digits);
    if (other_bytes(bare) != 0) return false;
    PlainColumn& column = block_.columns[size_t(index)];
    column.leading_zeros += !has_point && digits > 1 && uint8_t(word) == '0';
    const double value = double(int64_t(digits_in(bare, 8))) / kPowers[length - point - has_point];
    tiles_[size_t(index)].numbers[block_.rows % kTile] = or_missing(std::copysign(value, minus ? -1.0 : 1.0));
    at_ = end;
    return true;
  }

  void parse_number(int32_t index) {
    if (parse_short_number(index)) return;
    PlainColumn& column = block_.columns[size_t(index)];
    const int32_t start = at_;
    // Signs come and go from cell to cell.
    const bool minus = bytes_[at_] == '-';
    at_ += int32_t(minus) + int32_t(bytes_[at_] == '+');
    const int32_t whole = at_;
    uint64_t integer = read_digits(0);
    int32_t digits = at_ - whole, scale = 0;
    const bool has_point = bytes_[at_] == block_.decimal;
    if (has_point) {
      const int32_t fraction = ++at_;
      integer = read_digits(integer);
      scale = at_ - fraction;
      digits += scale;
    }
    const int32_t stop = at_;
    skip_blanks();
    double& cell = tiles_[size_t(index)].numbers[block_.rows % kTile];
    if (is_end(bytes_[at_])) {
      if (digits > 0 && digits <= kExactDigits) {
        const double value = std::copysign(double(int64_t(integer)) / kPowers[scale], minus ? -1.0 : 1.0);
        if (!has_point && digits > 1 && bytes_[whole] == '0') ++column.leading_zeros;
        cell = or_missing(value);
        return;
      }
      if (at_ == start && block_.empty_is_missing) {
        cell = std::numeric_limits<double>::quiet_NaN();
        return;
      }
    }
    at_ = stop;
    skip_cell();
    const int32_t end = trim_end(start);
    if (!parse_long_number(start, end, cell)) block_.left.push_back({block_.rows, index, block_.lines, start, end});
  }

  // Numbers with a point or an exponent and any number of digits: the nearest double. What has neither may be an identifier,
  // and what is out of range is not for a number alone to say.
  bool parse_long_number(int32_t start, int32_t stop, double& cell) const {
#if defined(__cpp_lib_to_chars)
    if (block_.decimal != '.') return false;
    if (start < stop && bytes_[start] == '+') {
      ++start;
      if (start < stop && bytes_[start] == '-') return false;
    }
    bool is_float = false;
    for (int32_t at = start; at < stop; ++at) {
      const uint8_t byte = bytes_[at];
      if (byte == '.' || byte == 'e' || byte == 'E') {
        is_float = true;
      } else if (!is_digit(byte) && byte != '+' && byte != '-') {
        return false;
      }
    }
    if (!is_float) return false;
    const char* first = reinterpret_cast<const char*>(bytes_ + start);
    const char* last = reinterpret_cast<const char*>(bytes_ + stop);
    double value = 0;
    const auto [end, error] = std::from_chars(first, last, value);
    if (error != std::errc() || end != last) return false;
    cell = or_missing(value);
    return true;
#else
    return false;
#endif
  }

  double or_missing(double value) const {
    for (double missing : block_.missing) {
      if (value == missing) return std::numeric_limits<double>::quiet_NaN();
    }
    return value;
  }

  PlainBlock& block_;
  const uint8_t* bytes_;
  const uint64_t delimiters_, decimals_;
  int32_t at_ = 0;
  std::vector<DistinctCells> distinct_;
  // Rows on their way: columns of one length begin at like places of their pages, and writing to all of them in turn would
  // throw each other's lines out of the first-level cache.
  struct Tile {
    double numbers[kTile];
    int32_t codes[kTile];
  };
  std::vector<Tile> tiles_;
};

}  // namespace

int32_t count_line_ends(const uint8_t* bytes, int32_t size) {
  if (size == 0) return 0;  // there need not be any memory then
  const uint8_t* end = bytes + size;
  int32_t count = 0;
  const auto find = [&](const uint8_t* from, int sign) {
    return static_cast<const uint8_t*>(std::memchr(from, sign, size_t(end - from)));
  };
  for (const uint8_t* at = find(bytes, '\n'); at != nullptr; at = find(at + 1, '\n')) ++count;
  for (const uint8_t* at = find(bytes, '\r'); at != nullptr; at = find(at + 1, '\r')) {
    if (at + 1 == end || at[1] != '\n') ++count;
  }
  return count;
}

bool parse_plain_block(PlainBlock& block) { return PlainParser(block).parse(); }

}  // namespace tk
