#include "table/plain_block.h"

#include <limits>
#include <memory>
#include <random>
#include <string>

#include "test.h"

namespace tktest::plain_block_test {
namespace {

// A parsed text; bytes and columns are of exactly the size that is asked for, so that a sanitizer sees what lies beyond.
struct Parsed {
  std::unique_ptr<uint8_t[]> bytes;
  std::vector<std::unique_ptr<double[]>> numbers;
  std::vector<std::unique_ptr<int32_t[]>> codes;
  tk::PlainBlock block;
  bool taken = false;

  Parsed(const std::string& text, const std::vector<tk::CellKind>& kinds) : bytes(new uint8_t[text.size()]) {
    std::memcpy(bytes.get(), text.data(), text.size());
    block.bytes = bytes.get();
    block.size = int32_t(text.size());
    const auto rows = size_t(tk::count_line_ends(block.bytes, block.size));
    for (const tk::CellKind kind : kinds) {
      tk::PlainColumn column;
      column.kind = kind;
      numbers.emplace_back(kind == tk::CellKind::numeric ? new double[rows] : nullptr);
      codes.emplace_back(kind == tk::CellKind::text ? new int32_t[rows] : nullptr);
      column.numbers = numbers.back().get();
      column.codes = codes.back().get();
      block.columns.push_back(column);
    }
  }

  void parse() { taken = tk::parse_plain_block(block); }
};

constexpr auto kNumeric = tk::CellKind::numeric, kText = tk::CellKind::text, kSkip = tk::CellKind::skip;

TEST(numbers_of_every_length_are_the_nearest_doubles) {
  const char* cells[] = {"0",
                         "-0",
                         "7",
                         "+7",
                         "-1.5",
                         ".5",
                         "5.",
                         "0.1",
                         "12345678",
                         "-1234567",
                         "1234567.",
                         "123456789",
                         "-385.235",
                         "99999.999",
                         "0.00001234",
                         "-12345678.5",
                         "1e5",
                         "-2.5E-3",
                         "12345678e-9",
                         "1.7e308",
                         "4.9e-324",
                         "0.12345678901234567",
                         "3.141592653589793238462643",
                         "1000000000000.25",
                         "9007199254740.993"};
  std::string text;
  for (const char* cell : cells) text += std::string(cell) + "\n";
  Parsed parsed(text, {kNumeric});
  parsed.parse();
  CHECK(parsed.taken && parsed.block.left.empty());
  CHECK(parsed.block.rows == int32_t(std::size(cells)) && parsed.block.lines == parsed.block.rows);
  for (size_t i = 0; i < std::size(cells); ++i) {
    const double expected = std::strtod(cells[i], nullptr);
    CHECK(parsed.numbers[0][i] == expected && std::signbit(parsed.numbers[0][i]) == std::signbit(expected));
  }
}

TEST(what_is_no_plain_number_is_left_with_its_place) {
  Parsed parsed("1, abc ,x\r\n\n,-,y\r0123,1 2,z\n12345678901234567890,1e999,w\n-999,+-1e5,v\n", {kNumeric, kNumeric, kSkip});
  parsed.block.missing = {-999};
  parsed.parse();
  CHECK(parsed.taken && parsed.block.rows == 5 && parsed.block.lines == 6);
  const double* first = parsed.numbers[0].get();
  CHECK(first[0] == 1 && std::isnan(first[1]) && first[2] == 123 && std::isnan(first[4]));
  CHECK(parsed.block.columns[0].leading_zeros == 1);
  std::string left;
  for (const tk::LeftCell& cell : parsed.block.left) {
    left += std::to_string(cell.row) + "/" + std::to_string(cell.column) + "/" + std::to_string(cell.line) + "=" +
            std::string(reinterpret_cast<const char*>(parsed.bytes.get()) + cell.start, size_t(cell.stop - cell.start)) + ";";
  }
  CHECK(left == "0/1/0=abc;1/1/2=-;2/1/3=1 2;3/0/4=12345678901234567890;3/1/4=1e999;4/1/5=+-1e5;");
}

TEST(distinct_texts_get_one_code_each) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += " category-" + std::to_string(i * 7 % 1009) + "\t\n";
  Parsed parsed(text, {kText});
  parsed.parse();
  CHECK(parsed.taken && parsed.block.columns[0].starts.size() == 1009);
  for (int i = 1009; i < 3000; ++i) CHECK(parsed.codes[0][size_t(i)] == parsed.codes[0][size_t(i - 1009)]);
}

TEST(quotes_and_records_of_another_width_are_not_taken) {
  for (const char* text : {"1,\"a\"\n", "1\n", "1,2,3\n", "1,2\n3,4,5\n", "1,2\n3\n"}) {
    Parsed parsed(text, {kNumeric, kText});
    parsed.parse();
    CHECK(!parsed.taken);
  }
}

TEST(line_ends_are_counted_once) {
  CHECK(tk::count_line_ends(nullptr, 0) == 0);
  const std::string text = "a\r\nb\nc\rd\r\r\n";
  CHECK(tk::count_line_ends(reinterpret_cast<const uint8_t*>(text.data()), int32_t(text.size())) == 5);
}

TEST(no_byte_beyond_the_block_is_read) {
  std::mt19937 random(5);
  const std::string signs = "0123456789..,,,--+eE \t\r\na\"\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t length = random() % 40; text.size() < length;)
      text += signs[random() % (signs.size() - (round % 2 == 0 ? 2 : 0))];
    text += round % 3 == 0 ? "\r" : "\n";
    Parsed parsed(text, {kNumeric, kText, kSkip});
    parsed.block.columns.resize(1 + random() % 3);
    parsed.block.decimal = round % 5 == 0 ? -1 : '.';
    parsed.parse();
    CHECK(!parsed.taken || parsed.block.rows <= tk::count_line_ends(parsed.block.bytes, parsed.block.size));
  }
}

}  // namespace
}  // namespace tktest::plain_block_test
