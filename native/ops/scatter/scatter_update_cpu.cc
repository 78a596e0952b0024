#include "ops/common/runs.h"
#include "ops/scatter/scatter.h"

TK_BEGIN_LEVEL
namespace {

struct Update {
  const char *x, *updates;
  char* y;
  const int32_t* ids;
  int64_t k, row_bytes, element;
  bool one_x, one_update;
};

// One element everywhere in [to, to + bytes).
TK_INLINE void spread(char* to, const char* element, int64_t bytes, int64_t element_bytes) {
  if (element_bytes == 4) {
    uint32_t value;
    std::memcpy(&value, element, 4);
    fill_run(reinterpret_cast<uint32_t*>(to), bytes / 4, value);
  } else {
    std::memset(to, *reinterpret_cast<const uint8_t*>(element), size_t(bytes));
  }
}

// Rows [first, last) of y: reads all ids and writes what falls there, in order.
void update_rows(const Update& u, int64_t first, int64_t last) {
  char* to = u.y + first * u.row_bytes;
  const int64_t bytes = (last - first) * u.row_bytes;
  if (u.one_x) {
    spread(to, u.x, bytes, u.element);
  } else {
    std::memcpy(to, u.x + first * u.row_bytes, size_t(bytes));
  }
  for (int64_t i = 0; i < u.k; ++i) {
    const int64_t id = u.ids[i];
    if (id < first || id >= last) continue;
    char* row = u.y + id * u.row_bytes;
    if (u.one_update) {
      spread(row, u.updates, u.row_bytes, u.element);
    } else {
      copy_run(row, u.updates + i * u.row_bytes, u.row_bytes);
    }
  }
}

}  // namespace

void scatter_update_cpu(const OpCall& call, CpuContext& context) {
  const Operand &x = call[0], &ids = call[1], &updates = call[2], &y = call[3];
  TK_CHECK_EQ(y.rank, 2);
  const int64_t rows = y.dims[0], inner = y.dims[1], k = ids.size, element = dtype_bytes(y.dtype);
  TK_CHECK(x.size == y.size || x.size == 1);
  TK_CHECK(updates.size == k * inner || updates.size == 1);
  for (int64_t i = 0; i < k; ++i)
    if (ids.i32()[i] >= rows) context.report_index(ids.i32()[i], rows);
  if (y.size == 0) return;
  const Update update{static_cast<const char*>(x.data),
                      static_cast<const char*>(updates.data),
                      static_cast<char*>(y.data),
                      ids.i32(),
                      k,
                      inner * element,
                      element,
                      x.size != y.size,
                      updates.size != k * inner};
  // Every unit reads all ids, so there are no more units than threads, and one when there is little to write.
  const int64_t threads = y.bytes() + k * inner * element < 2 * kMoveGrainBytes ? 1 : context.num_threads();
  const int64_t parts = threads < rows ? threads : rows, rows_per_part = (rows + parts - 1) / parts;
  context.parallel_for(parts, 1, [&](int64_t begin, int64_t end, int) {
    const int64_t last = end * rows_per_part;
    update_rows(update, begin * rows_per_part < rows ? begin * rows_per_part : rows, last < rows ? last : rows);
  });
}

TK_END_LEVEL
