// The blocked product: the loop nest shared by matmul, convolution and its gradients.
//
// C[rows, n] = sum over k of A[rows, k] B[k, n], with k cut into blocks whose borders depend on the problem only. B is packed
// once per super-block (what fits in the last level of cache) by all threads; then tiles of C are shared out, each thread
// reading or packing its own part of A. How A and B are found in memory is left to the callbacks.
//
// Order of summation: within a block as in gemm_kernel.h; blocks of one part in rising order; parts (block number modulo
// `parts`) are summed by the caller in rising order. None of it depends on the number of threads.
#pragma once
#include "ops/common/gemm_pack.h"

TK_BEGIN_LEVEL

// How k is cut: it consists of `segments` segments of `length`. A block is segments_per_block whole segments, or, when segments
// are long, one of pieces_per_segment pieces of a segment.
struct KBlocks {
  int64_t segments = 0, length = 0;
  int64_t segments_per_block = 1;
  int64_t pieces_per_segment = 1, piece_length = 0;

  TK_INLINE int64_t total() const { return segments * length; }
  TK_INLINE int64_t count() const {
    return pieces_per_segment > 1 ? segments * pieces_per_segment : ceil_div(segments, segments_per_block);
  }
  TK_INLINE int64_t max_length() const {
    return min64(pieces_per_segment > 1 ? piece_length : segments_per_block * length, total());
  }
  TK_INLINE int64_t begin(int64_t block) const {
    if (pieces_per_segment == 1) return min64(block * segments_per_block * length, total());
    return block / pieces_per_segment * length + block % pieces_per_segment * piece_length;
  }
  TK_INLINE int64_t end(int64_t block) const { return begin(block + 1); }
};
// Cuts into blocks of about kBlockK; segments and length must be positive.
KBlocks cut_k(int64_t segments, int64_t length);

// What is done with rows of a product as soon as they are complete: called once for each row, with ranges of rows, by the
// thread that made them while they are in its cache, or after the product. May be empty.
struct RowsDone {
  void (*run)(void* self, int64_t begin, int64_t end, int thread) = nullptr;
  void* self = nullptr;
};
// body: callable (int64_t begin, int64_t end, int thread); must outlive the product.
template <class Body>
TK_INLINE RowsDone rows_done(const Body& body) {
  return {[](void* self, int64_t begin, int64_t end, int thread) { (*static_cast<const Body*>(self))(begin, end, thread); },
          const_cast<Body*>(&body)};
}

// Hands complete rows of a call's result over to what a plan has put behind the call.
struct RowsOver {
  const CpuContext& context;
  int64_t length;  // of a row

  TK_INLINE void operator()(int64_t begin, int64_t end, int thread) const {
    context.hand_over(begin * length, end * length, thread);
  }
  TK_INLINE RowsDone done() const { return context.takes_rows(length) ? rows_done(*this) : RowsDone(); }
};

// `done` for all of `rows` rows of `length` elements, by all threads.
inline void finish_all_rows(const RowsDone& done, int64_t rows, int64_t length, CpuContext& context) {
  if (done.run == nullptr) return;
  context.parallel_for(rows, 1 + 8192 / (length + 1),
                       [&](int64_t begin, int64_t end, int thread) { done.run(done.self, begin, end, thread); });
}

struct BlockedTile {
  int64_t block;           // block of k
  int64_t panel0, panel1;  // row panels of A
  int64_t n0, n1;          // columns; n0 is a multiple of kTileCols
  const float* b;          // packed panels from column n0 on; each is round_up(cols, kVecWidth) wide and block-length deep
  int64_t part;
  bool accumulate;
  int thread;
};

struct BlockedProblem {
  int64_t panels;  // row panels; the callbacks know how many rows each has
  int64_t n;
  KBlocks k;
  int64_t parts = 1;
  void* self;
  // Packs B[k0, k1) x [n0, n0+cols) into panels of kTileCols columns, one after the other; the last one is round_up(..,
  // kVecWidth) of what is left wide.
  void (*pack_b)(void* self, int64_t k0, int64_t k1, int64_t n0, int64_t cols, float* dst);
  // Called before the first block of a tile within one super-block; may be null.
  void (*begin_tile)(void* self, int64_t panel0, int64_t panel1, int thread);
  void (*compute)(void* self, const BlockedTile& tile);
  // Called once for each row panel, with ranges, when all its columns are complete; may be null, and is when there are parts.
  void (*finish)(void* self, int64_t panel0, int64_t panel1, int thread) = nullptr;
};

// Floats of workspace for packed B; the memory passed to run_blocked must start at a multiple of 64 bytes.
int64_t blocked_workspace(const BlockedProblem& problem);
void run_blocked(const BlockedProblem& problem, float* packed_b, CpuContext& context);

// Parts to cut k into so that some 16 tiles exist even when C is small: depends on the problem only.
int64_t choose_parts(int64_t panels, int64_t n, const KBlocks& k);
// c[i] = sum over parts p of parts[p * size + i], in rising order of p.
void sum_parts(const float* parts, int64_t num_parts, int64_t size, float* c, CpuContext& context);

TK_END_LEVEL
