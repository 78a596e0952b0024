#include "ops/common/gemm.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kDirectRows = 8 * kTileRows;     // with fewer rows of A, packing B costs more than it saves
constexpr int64_t kDirectFloats = 4 * 1024;        // a B of at most 16 KB stays in L1 as it is
constexpr int64_t kDirectColumns = 4 * kTileCols;  // with fewer columns of B, packing A costs more than it saves
constexpr int64_t kSerialWork = 2 * 1024 * 1024;   // multiply-adds of a product that one thread does alone, given others
constexpr int64_t kSerialBatchWork = 32 << 20;     // the same when the batch is large
constexpr int64_t kSerialColumns = 512;            // columns of B that one thread packs for itself at a time
constexpr int64_t kGemmUnitWork = 512 * 1024;      // multiply-adds of the smallest piece worth handing to a thread
constexpr int64_t kLongBlocks = 8;                 // blocks of k from which a product with a small result is summed in parts
constexpr int64_t kPartBlocks = 3;                 // about as many blocks make a part; fewer would cost more passes over C
constexpr int64_t kMostParts = 16;

// Brings the next panel of B nearer while the tiles of the present one are computed, a piece with each.
class PanelFetch {
 public:
  TK_INLINE PanelFetch(const float* panel, int64_t floats, int64_t tiles)
      : at_(panel), end_(panel == nullptr ? nullptr : panel + floats), piece_(round_up(ceil_div(floats, tiles), kLine)) {}
  TK_INLINE void step() {
#if defined(__GNUC__)
    const float* stop = end_ - at_ < piece_ ? end_ : at_ + piece_;
    for (; at_ < stop; at_ += kLine) __builtin_prefetch(at_, 0, 2);
#endif
  }

 private:
  static constexpr int64_t kLine = 16;  // floats
  const float *at_, *end_;
  int64_t piece_;
};

// While a block of k is multiplied: brings the next block's rows of A and B nearer, a few with each tile. Only for operands
// whose rows of k lie side by side, as those of a gradient by weights do.
struct BlockFetch {
  const float *a = nullptr, *b = nullptr;
  int64_t a_row = 0, b_row = 0, a_floats = 0, b_floats = 0;
  int64_t rows = 0, rows_per_tile = 0;

  TK_INLINE static void fetch([[maybe_unused]] const float* row, [[maybe_unused]] int64_t floats) {
#if defined(__GNUC__)
    for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(row + i, 0, 2);
#endif
  }
  TK_INLINE void step() {
    for (const int64_t stop = max64(0, rows - rows_per_tile); rows > stop; --rows, a += a_row, b += b_row) {
      fetch(a, a_floats);
      fetch(b, b_floats);
    }
  }
};

// How one product is done; a function of its shape and strides only.
struct Plan {
  bool direct_b;  // read B where it lies
  bool pack_a;
  bool serial;    // tiles need nothing from each other: each thread packs for itself
  bool in_parts;  // k is cut into shares, each summed by one thread into a C of its own
  int64_t parts;
};

// A batch of rows times one B is one tall product.
GemmArgs fold_batch(GemmArgs args) {
  if (args.batch > 1 && args.b_batch == 0 && args.a.col == 1 && args.a_batch == args.m * args.a.row) {
    args.m *= args.batch;
    args.batch = 1;
  }
  return args;
}

Plan make_plan(const GemmArgs& args) {
  Plan plan;
  const int64_t work = args.m * args.n * args.k;
  plan.direct_b = args.b.col == 1 && (args.m <= kDirectRows || (args.n * args.k <= kDirectFloats));
  // Rows of A that lie apart share few cache sets when the distance is a power of two; transposed A uses part of each line.
  plan.pack_a = args.n > kDirectColumns || (args.a.col != 1 && args.m > kDirectRows);
  if (args.a.col == 1 ? args.k <= kBlockK && args.a.row == args.k : args.m * args.k <= kDirectFloats) plan.pack_a = false;
  plan.serial = plan.direct_b || (args.batch > 1 && work <= kSerialWork) || (args.batch >= 16 && work <= kSerialBatchWork);
  plan.parts = 1;
  const KBlocks k = cut_k(1, args.k);
  plan.in_parts = !plan.serial && k.count() >= kLongBlocks && args.m <= kBlockPanels * kTileRows && args.n <= kSerialColumns;
  if (plan.in_parts) {
    plan.parts = min64(kMostParts, round_up(k.count() / kPartBlocks, 2));  // even, so that two threads get as much each
  } else if (!plan.serial) {
    plan.parts = choose_parts(ceil_div(args.m, kTileRows), args.n, k);
  }
  return plan;
}

// Columns [n0, n1) of one block of B, packed from n0 on or in place; in place, a last panel that is no whole number of vectors
// lies packed in `tail`.
struct BBlock {
  const float* data;
  int64_t direct_stride;  // 0: packed
  const float* tail;
};

// C[m0, m1) x [n0, n1) from one block of k. a_panels: room for packed A, or null to read A in place.
void multiply_block(const GemmArgs& args, const float* a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t k0,
                    int64_t length, const BBlock& b, float* a_panels, float* c, bool accumulate, BlockFetch ahead = {}) {
  const StridedMatrix matrix = {a, args.a.row, args.a.col};
  for (int64_t m = m0; m < m1; m += kBlockPanels * kTileRows) {
    const int64_t m_end = min64(m + kBlockPanels * kTileRows, m1);
    const RowTiles tiles(m_end - m);
    if (a_panels != nullptr) pack_a_panels(matrix, m, m_end, k0, length, a_panels);
    for (int64_t n = n0; n < n1; n += kTileCols) {
      const int cols = int(min64(kTileCols, n1 - n));
      const float* panel = b.data + (n - n0) * length;
      int64_t stride = round_up(cols, kVecWidth);
      if (b.direct_stride != 0) {
        panel = cols % kVecWidth == 0 ? b.data + (n - n0) : b.tail;
        if (cols % kVecWidth == 0) stride = b.direct_stride;
      }
      PanelFetch next(b.direct_stride == 0 ? panel + cols * length : nullptr, length * min64(kTileCols, n1 - n - cols),
                      tiles.count());
      for (int64_t t = 0; t < tiles.count(); ++t) {
        next.step();
        ahead.step();
        const int64_t i = m + tiles.begin(t);
        const int rows = int(tiles.begin(t + 1) - tiles.begin(t));
        float* c_rows[kTileRows];
        for (int r = 0; r < rows; ++r) c_rows[r] = c + (i + r) * args.n;
        const TileOut out = {c_rows, n, cols, accumulate};
        if (a_panels == nullptr && args.a.row != 1) {
          const float* a_rows[kTileRows];
          for (int r = 0; r < rows; ++r) a_rows[r] = a + (i + r) * args.a.row;
          run_row_tile({a_rows, kTileRows, 1, k0 * args.a.col, length, panel, stride}, rows, out);
        } else {
          const bool packed = a_panels != nullptr;
          const ColumnSegment segment = {packed ? a_panels + t * kTileRows * length : a + i + k0 * args.a.col, 0, length};
          run_column_tile({&segment, 1, 0, packed ? kTileRows : args.a.col, panel, stride}, rows, out);
        }
      }
    }
  }
}

// The k of a part of a product in parts: equal shares, so that threads get as much each.
struct PartRange {
  int64_t begin;
  KBlocks k;  // from `begin` on

  PartRange(const GemmArgs& args, const Plan& plan, int64_t part)
      : begin(border(args, plan, part)), k(cut_k(1, border(args, plan, part + 1) - begin)) {}
  static int64_t border(const GemmArgs& args, const Plan& plan, int64_t part) {
    return min64(args.k, round_up(args.k * part / plan.parts, 8));
  }
};

int64_t longest_block(const GemmArgs& args, const Plan& plan) {
  if (!plan.in_parts) return cut_k(1, args.k).max_length();
  int64_t length = 0;
  for (int64_t part = 0; part < plan.parts; ++part) length = max64(length, PartRange(args, plan, part).k.max_length());
  return length;
}

int64_t a_floats(const GemmArgs& args, const Plan& plan) {
  if (!plan.pack_a) return 0;
  const int64_t rows = round_up(min64(args.m, kBlockPanels * kTileRows), kTileRows);
  return round_up(rows * longest_block(args, plan) + kPackSlack, 16);
}

// Packed B of one thread: all columns it works on, or the last panel only.
int64_t serial_b_floats(const GemmArgs& args, const Plan& plan) {
  const int64_t columns = plan.direct_b ? kTileCols : round_up(min64(args.n, kSerialColumns), kVecWidth);
  return round_up(columns * longest_block(args, plan) + kPackSlack, 16);
}

void serial_tile(const GemmArgs& args, const Plan& plan, int64_t batch, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                 float* b_panels, float* a_panels) {
  const KBlocks k = cut_k(1, args.k);
  const float* a = args.a.data + batch * args.a_batch;
  const StridedMatrix b = {args.b.data + batch * args.b_batch, args.b.row, args.b.col};
  float* c = args.c + batch * args.m * args.n;
  for (int64_t n = n0; n < n1; n += kSerialColumns) {
    const int64_t n_end = min64(n + kSerialColumns, n1);
    for (int64_t block = 0; block < k.count(); ++block) {
      const int64_t k0 = k.begin(block), length = k.end(block) - k0;
      BBlock packed = {b_panels, 0, nullptr};
      if (plan.direct_b) {
        const int cols = int((n_end - n) % kTileCols);
        if (cols % kVecWidth != 0) pack_b_panel(b, k0, length, n_end - cols, cols, b_panels);
        packed = {b.data + k0 * b.row + n, b.row, b_panels};
      } else {
        pack_b_panels(b, k0, length, n, n_end - n, b_panels);
      }
      multiply_block(args, a, m0, m1, n, n_end, k0, length, packed, plan.pack_a ? a_panels : nullptr, c, block > 0);
    }
  }
}

// Whether it has called `done`.
bool run_serial(const GemmArgs& args, const Plan& plan, float* workspace, CpuContext& context) {
  const int64_t b_floats = serial_b_floats(args, plan), thread_floats = b_floats + a_floats(args, plan);
  // Cut single products along the longer side; where each thread packs B for itself, the batch alone is shared out.
  int64_t tile_m = args.m, tile_n = args.n;
  const int64_t work = max64(1, args.m * args.n * args.k);
  const int64_t wanted = min64(work / kGemmUnitWork, ceil_div(4 * context.num_threads(), args.batch));
  if (plan.direct_b && context.num_threads() > 1 && wanted > 1) {
    if (args.m > args.n) {
      tile_m = round_up(ceil_div(args.m, wanted), kTileRows);
    } else {
      tile_n = round_up(ceil_div(args.n, wanted), kTileCols);
    }
  }
  const int64_t down = ceil_div(args.m, tile_m), across = ceil_div(args.n, tile_n);
  const int64_t grain = max64(1, kGemmUnitWork / max64(1, tile_m * tile_n * args.k));
  const bool finishes = args.done.run != nullptr && across == 1;
  context.parallel_for(args.batch * down * across, grain, [&](int64_t begin, int64_t end, int thread) {
    float* scratch = workspace + thread * thread_floats;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t batch = unit / (down * across), m0 = unit / across % down * tile_m, n0 = unit % across * tile_n;
      const int64_t m1 = min64(m0 + tile_m, args.m);
      serial_tile(args, plan, batch, m0, m1, n0, min64(n0 + tile_n, args.n), scratch, scratch + b_floats);
      if (finishes) args.done.run(args.done.self, batch * args.m + m0, batch * args.m + m1, thread);
    }
  });
  return finishes;
}

// A result small enough for one thread's cache, and a long k: its parts are shared out, and added up in their order. So A and B
// are read from memory once, by whoever multiplies them, while the block before is multiplied.
void run_in_parts(const GemmArgs& args, const Plan& plan, float* workspace, CpuContext& context) {
  const int64_t size = args.m * args.n, b_floats = serial_b_floats(args, plan);
  const int64_t thread_floats = b_floats + a_floats(args, plan);
  float* scratch = workspace + round_up(plan.parts * size, 16);
  for (int64_t batch = 0; batch < args.batch; ++batch) {
    const float* a = args.a.data + batch * args.a_batch;
    const StridedMatrix b = {args.b.data + batch * args.b_batch, args.b.row, args.b.col};
    context.parallel_for(plan.parts, 1, [&](int64_t begin, int64_t end, int thread) {
      float *b_panels = scratch + thread * thread_floats, *a_panels = plan.pack_a ? b_panels + b_floats : nullptr;
      for (int64_t part = begin; part < end; ++part) {
        const PartRange range(args, plan, part);
        for (int64_t block = 0; block < range.k.count(); ++block) {
          const int64_t k0 = range.begin + range.k.begin(block), length = range.k.end(block) - range.k.begin(block);
          BlockFetch ahead;
          if (block + 1 < range.k.count() && args.a.row == 1 && b.col == 1) {
            ahead = {a + (k0 + length) * args.a.col, b.data + (k0 + length) * b.row, args.a.col, b.row, args.m, args.n};
            ahead.rows = range.k.end(block + 1) - range.k.end(block);
            ahead.rows_per_tile = ceil_div(ahead.rows, ceil_div(args.m, kTileRows) * ceil_div(args.n, kTileCols));
          }
          pack_b_panels(b, k0, length, 0, args.n, b_panels);
          multiply_block(args, a, 0, args.m, 0, args.n, k0, length, {b_panels, 0, nullptr}, a_panels, workspace + part * size,
                         block > 0, ahead);
        }
      }
    });
    sum_parts(workspace, plan.parts, size, args.c + batch * size, context);
  }
}

// One product by all threads; `self` of the callbacks.
struct Shared {
  const GemmArgs* args;
  const float* a;
  StridedMatrix b;
  float* c;        // of part 0
  int64_t c_part;  // floats from part to part
  KBlocks k;
  bool pack_a;
  float* a_panels;
  int64_t thread_floats;
  int64_t first_row;  // of this batch

  static void pack_b(void* self, int64_t k0, int64_t k1, int64_t n0, int64_t cols, float* dst) {
    pack_b_panels(static_cast<const Shared*>(self)->b, k0, k1 - k0, n0, cols, dst);
  }
  static void compute(void* self, const BlockedTile& tile) {
    const Shared& s = *static_cast<const Shared*>(self);
    const int64_t k0 = s.k.begin(tile.block), length = s.k.end(tile.block) - k0;
    multiply_block(*s.args, s.a, tile.panel0 * kTileRows, min64(tile.panel1 * kTileRows, s.args->m), tile.n0, tile.n1, k0,
                   length, {tile.b, 0, nullptr}, s.pack_a ? s.a_panels + tile.thread * s.thread_floats : nullptr,
                   s.c + tile.part * s.c_part, tile.accumulate);
  }
  static void finish(void* self, int64_t panel0, int64_t panel1, int thread) {
    const Shared& s = *static_cast<const Shared*>(self);
    const RowsDone& done = s.args->done;
    done.run(done.self, s.first_row + panel0 * kTileRows, s.first_row + min64(panel1 * kTileRows, s.args->m), thread);
  }
};

BlockedProblem shared_problem(const GemmArgs& args, const Plan& plan, Shared* shared) {
  BlockedProblem problem;
  problem.panels = ceil_div(args.m, kTileRows);
  problem.n = args.n;
  problem.k = cut_k(1, args.k);
  problem.parts = plan.parts;
  problem.self = shared;
  problem.pack_b = Shared::pack_b;
  problem.begin_tile = nullptr;
  problem.compute = Shared::compute;
  problem.finish = args.done.run != nullptr && plan.parts == 1 ? Shared::finish : nullptr;
  return problem;
}

// Whether it has called `done`.
bool run_shared(const GemmArgs& args, const Plan& plan, float* workspace, CpuContext& context) {
  Shared shared = {};
  const BlockedProblem problem = shared_problem(args, plan, &shared);
  float* parts = workspace + round_up(blocked_workspace(problem), 16);
  const int64_t size = args.m * args.n;
  shared.args = &args;
  shared.k = problem.k;
  shared.pack_a = plan.pack_a;
  shared.a_panels = parts + (plan.parts > 1 ? round_up(plan.parts * size, 16) : 0);
  shared.thread_floats = a_floats(args, plan);
  shared.c_part = size;
  for (int64_t batch = 0; batch < args.batch; ++batch) {
    float* c = args.c + batch * size;
    shared.a = args.a.data + batch * args.a_batch;
    shared.b = {args.b.data + batch * args.b_batch, args.b.row, args.b.col};
    shared.c = plan.parts > 1 ? parts : c;
    shared.first_row = batch * args.m;
    run_blocked(problem, workspace, context);
    if (plan.parts > 1) sum_parts(parts, plan.parts, size, c, context);
  }
  return problem.finish != nullptr;
}

}  // namespace

int64_t gemm_workspace(const GemmArgs& original, int num_threads) {
  const GemmArgs args = fold_batch(original);
  if (args.k == 0 || args.batch * args.m * args.n == 0) return 0;
  if (is_skinny(args)) return gemm_skinny_workspace(args) * int64_t(sizeof(float));
  const Plan plan = make_plan(args);
  int64_t floats = num_threads * a_floats(args, plan);
  if (plan.serial || plan.in_parts) {
    floats += num_threads * serial_b_floats(args, plan);
    if (plan.in_parts) floats += round_up(plan.parts * args.m * args.n, 16);
  } else {
    floats += round_up(blocked_workspace(shared_problem(args, plan, nullptr)), 16);
    if (plan.parts > 1) floats += round_up(plan.parts * args.m * args.n, 16);
  }
  return floats * int64_t(sizeof(float));
}

void gemm(const GemmArgs& original, void* workspace, CpuContext& context) {
  const GemmArgs args = fold_batch(original);
  const int64_t size = args.batch * args.m * args.n;
  if (size == 0) return;
  float* scratch = static_cast<float*>(workspace);
  bool finished = false;
  if (args.k == 0) {
    std::memset(args.c, 0, size_t(size) * sizeof(float));
  } else if (is_skinny(args)) {
    gemm_skinny(args, scratch, context);
  } else {
    const Plan plan = make_plan(args);
    if (plan.in_parts) {
      run_in_parts(args, plan, scratch, context);
    } else {
      finished = plan.serial ? run_serial(args, plan, scratch, context) : run_shared(args, plan, scratch, context);
    }
  }
  if (!finished) finish_all_rows(args.done, args.batch * args.m, args.n, context);
}

TK_END_LEVEL
