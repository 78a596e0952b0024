// How a reduction [outer, n, inner] -> [outer, inner] is cut into units of work: tiles of columns, and chunks of n where there
// would be too few units otherwise. The cut depends on the shape alone; partial results of chunks are combined in a fixed
// order.
#pragma once

#include "cpu/kernel.h"

TK_BEGIN_LEVEL

constexpr int64_t kTileColumns = 1024;  // a row of a tile is a page; its accumulators stay in the first-level cache
// Room for a tile whose last vector may be partly used.
constexpr int64_t kTileRoom = kTileColumns + kVecWidth;
constexpr int64_t kEnoughUnits = 32;      // no chunks of n from here on
constexpr int64_t kMinChunk = 16384;      // elements in a chunk, at least
constexpr int64_t kChunkMultiple = 1024;  // chunks are whole blocks of the row reduction
constexpr int64_t kMaxPartials = 16384;   // partial results of all chunks, on the stack
constexpr int64_t kUnitElements = 32768;  // elements in a unit of parallel work, some 10 us

struct ReduceGeometry {
  int64_t outer, n, inner;
  int64_t tiles, chunks, chunk_rows;
  TK_INLINE int64_t units() const { return outer * tiles * chunks; }
};

struct ReduceUnit {
  int64_t outer, chunk, first_row, rows, first_column, columns;
};

inline ReduceGeometry reduce_geometry(const OpCall& call) {
  const Operand& x = call[0];
  const Operand& y = call[1];
  TK_CHECK_EQ(x.rank, 3);
  ReduceGeometry g;
  g.outer = x.dims[0];
  g.n = x.dims[1];
  g.inner = x.dims[2];
  TK_CHECK_EQ(y.size, g.outer * g.inner);
  g.tiles = (g.inner + kTileColumns - 1) / kTileColumns;
  g.chunks = 1;
  g.chunk_rows = g.n;
  const int64_t units = g.outer * g.tiles;
  if (units > 0 && units < kEnoughUnits) {
    const int64_t columns = g.inner < kTileColumns ? g.inner : kTileColumns;
    const int64_t wanted = (kEnoughUnits + units - 1) / units;
    const int64_t worthwhile = g.n * columns / kMinChunk;
    const int64_t room = kMaxPartials / (g.outer * g.inner);
    const int64_t possible = worthwhile < room ? worthwhile : room;
    const int64_t chunks = wanted < possible ? wanted : possible;
    if (chunks > 1) {
      const int64_t rows = (g.n + chunks - 1) / chunks;
      const int64_t multiple = g.inner == 1 ? kChunkMultiple : 64;
      g.chunk_rows = (rows + multiple - 1) / multiple * multiple;
      g.chunks = (g.n + g.chunk_rows - 1) / g.chunk_rows;
    }
  }
  return g;
}
TK_INLINE ReduceUnit reduce_unit(const ReduceGeometry& g, int64_t index) {
  ReduceUnit u;
  u.chunk = index % g.chunks;
  const int64_t tile = index / g.chunks % g.tiles;
  u.outer = index / (g.chunks * g.tiles);
  u.first_row = u.chunk * g.chunk_rows;
  u.rows = g.n - u.first_row < g.chunk_rows ? g.n - u.first_row : g.chunk_rows;
  u.first_column = tile * kTileColumns;
  u.columns = g.inner - u.first_column < kTileColumns ? g.inner - u.first_column : kTileColumns;
  return u;
}

TK_INLINE VecF splat(float x) { return set1(x); }
TK_INLINE VecI splat(int32_t x) { return set1i(x); }

// Units that make up one unit of parallel work.
TK_INLINE int64_t reduce_grain(const ReduceGeometry& g) {
  const int64_t columns = g.inner < kTileColumns ? g.inner : kTileColumns;
  const int64_t elements = g.chunk_rows * columns + 16;  // 16: what a call costs even when n is tiny
  return elements >= kUnitElements ? 1 : kUnitElements / elements;
}

// How one kind of reduction works on its elements. All pointers are to elements of the given sizes.
struct Reducer {
  int64_t in_bytes, out_bytes;
  // count results of n elements each, one row after the other: inner == 1.
  void (*reduce_rows)(const void* x, int64_t n, int64_t count, void* out);
  // columns results of `rows` elements each, row r at x + r * stride.
  void (*reduce_columns)(const void* x, int64_t stride, int64_t rows, int64_t columns, void* out);
  void (*combine)(void* into, const void* part, int64_t count);
  // Last step over results of n elements each; may be null.
  void (*finish)(void* out, int64_t count, int64_t n);
};

inline void run_reduction(const OpCall& call, CpuContext& context, const Reducer& reducer) {
  const ReduceGeometry g = reduce_geometry(call);
  const char* x = static_cast<const char*>(call[0].data);
  char* y = static_cast<char*>(call[1].data);
  alignas(64) char partials[kMaxPartials * 4];
  context.parallel_for(g.units(), reduce_grain(g), [&](int64_t begin, int64_t end, int) {
    if (g.inner == 1 && g.chunks == 1) {
      char* to = y + begin * reducer.out_bytes;
      reducer.reduce_rows(x + begin * g.n * reducer.in_bytes, g.n, end - begin, to);
      if (reducer.finish != nullptr) reducer.finish(to, end - begin, g.n);
      return;
    }
    for (int64_t index = begin; index < end; ++index) {
      const ReduceUnit u = reduce_unit(g, index);
      const char* from = x + ((u.outer * g.n + u.first_row) * g.inner + u.first_column) * reducer.in_bytes;
      const int64_t row = g.chunks == 1 ? u.outer : u.outer * g.chunks + u.chunk;
      char* to = (g.chunks == 1 ? y : partials) + (row * g.inner + u.first_column) * reducer.out_bytes;
      if (g.inner == 1) {
        reducer.reduce_rows(from, u.rows, 1, to);
      } else {
        reducer.reduce_columns(from, g.inner, u.rows, u.columns, to);
      }
      if (g.chunks == 1 && reducer.finish != nullptr) reducer.finish(to, u.columns, g.n);
    }
  });
  if (g.chunks == 1) return;
  const int64_t row_bytes = g.inner * reducer.out_bytes;
  for (int64_t o = 0; o < g.outer; ++o) {
    char* part = partials + o * g.chunks * row_bytes;
    for (int64_t step = 1; step < g.chunks; step *= 2) {
      for (int64_t c = 0; c + step < g.chunks; c += 2 * step) {
        reducer.combine(part + c * row_bytes, part + (c + step) * row_bytes, g.inner);
      }
    }
    std::memcpy(y + o * row_bytes, part, size_t(row_bytes));
    if (reducer.finish != nullptr) reducer.finish(y + o * row_bytes, g.inner, g.n);
  }
}

TK_END_LEVEL
