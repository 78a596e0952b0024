// The fast way through a block of a delimited text table: cells without quotes, numbers as tables mostly spell them. What it
// does not take it leaves to the parser in ts/data/csv, which reads everything and says what is wrong: both give the same bits.
#pragma once
#include <cstdint>
#include <vector>

namespace tk {

enum class CellKind : uint8_t { skip = 0, numeric = 1, text = 2 };

// A column of the block: one of the arrays has a place for each row.
struct PlainColumn {
  CellKind kind = CellKind::skip;
  double* numbers = nullptr;  // NaN where the cell is missing
  int32_t* codes = nullptr;   // index of a distinct cell
  int32_t leading_zeros = 0;  // integers written with a leading zero
  // The distinct cells, by the first that holds each: bytes [starts[i], stops[i]) of the block.
  std::vector<int32_t> starts, stops;
};

// A cell of a numeric column that is no plain number: bytes [start, stop), blanks trimmed.
struct LeftCell {
  int32_t row, column, line, start, stop;
};

struct PlainBlock {
  // Whole records; the last byte is a line end.
  const uint8_t* bytes = nullptr;
  int32_t size = 0;
  // Signs as bytes, -1 for none.
  int delimiter = ',', quote = '"', decimal = '.';
  bool empty_is_missing = true;
  // Numbers that stand for a missing cell.
  std::vector<double> missing;
  std::vector<PlainColumn> columns;
  // Results.
  int32_t rows = 0, lines = 0;
  std::vector<LeftCell> left;
};

// Line ends of the block, CR LF being one: no fewer than it has records outside quotes.
int32_t count_line_ends(const uint8_t* bytes, int32_t size);

// Parses the block into its columns, which have room for count_line_ends() rows. False when a cell is quoted or a record has
// another number of cells than there are columns: nothing of the results counts then.
bool parse_plain_block(PlainBlock& block);

}  // namespace tk
