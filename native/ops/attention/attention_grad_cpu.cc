#include "ops/attention/attention.h"

#include "ops/attention/attention_blocks.h"

TK_BEGIN_LEVEL
namespace {

// With P = e^(score - log_sum), D the factors of dropout (1 without) and delta_i = dy_i . y_i:
//   dv_j = sum_i D_ij P_ij dy_i;   dS_ij = P_ij (D_ij dy_i . v_j - delta_i) scale;   dq_i = sum_j dS_ij k_j;   dk_j = sum_i
//   dS_ij q_i
// Where there are heads enough for all threads, a thread owns a head of the keys with its query heads and makes all three in
// one pass over the blocks. Else two passes that share nothing: one owns blocks of queries and makes dq, the other blocks of
// keys and makes dk and dv; each computes P and dS, two products of seven more than one pass needs, for which no sum has two
// owners. Either way a sum gets the same terms in the same order.
constexpr int64_t kHeadsPerThread = 4;  // so that the last ones to finish do not wait long for each other

struct AttentionGrad {
  Attention a;
  Heads dy, dq, dk, dv;
  const float* log_sum;
  float* delta;  // [B, NH, Tq]

  TK_INLINE int64_t row_of(int64_t batch, int64_t head, int64_t query) const {
    return (batch * a.q.heads + head) * a.q.places + query;
  }
};

AttentionGrad read_grad(const OpCall& call) {
  const Operand &q = call[1], &k = call[2], &v = call[3];
  AttentionGrad g = {};
  g.a =
      read_attention(q, k, v, call[4], call[5], TK_INT(call, attention_grad, causal) != 0, TK_INT(call, attention_grad, shift),
                     TK_FLOAT(call, attention_grad, scale), TK_FLOAT(call, attention_grad, rate));
  TK_CHECK_EQ(call[0].size, g.a.batch * g.a.q.places * g.a.q.heads * g.a.v.size);
  TK_CHECK_EQ(call[6].size, call[0].size);
  TK_CHECK_EQ(call[7].size, g.a.batch * g.a.q.heads * g.a.q.places);
  TK_CHECK_EQ(call[8].size, q.size);
  TK_CHECK_EQ(call[9].size, k.size);
  TK_CHECK_EQ(call[10].size, v.size);
  g.dy = {call[0].f32(), g.a.q.places, g.a.q.heads, g.a.v.size};
  g.dq = {call[8].f32(), g.a.q.places, g.a.q.heads, g.a.q.size};
  g.dk = {call[9].f32(), g.a.k.places, g.a.k.heads, g.a.q.size};
  g.dv = {call[10].f32(), g.a.k.places, g.a.k.heads, g.a.v.size};
  g.log_sum = call[7].f32();
  g.delta = static_cast<float*>(call.workspace);
  return g;
}

int64_t delta_floats(const Attention& a) { return round_up(a.batch * a.q.heads * a.q.places, 16); }

// Panel, P, dS, and the sums of a block: dq, or dk and dv.
int64_t thread_floats(const Attention& a) {
  const int64_t sums = max64(kQueryBlock * a.q.size, kKeyBlock * (a.q.size + a.v.size));
  return round_up(panel_floats(a) + 2 * kQueryBlock * kKeyBlock + sums, 16);
}

// D P and dS of one block; rows kKeyBlock apart.
void block_gradients(const AttentionGrad& g, const ScoreBlock& s, float* p, float* ds, float* panel) {
  const Attention& a = g.a;
  const int64_t keys = s.j1 - s.j0;
  masked_scores(a, s, p, panel);
  block_product<false>(g.dy.at(s.batch, s.i0, s.head), g.dy.row(), s.i1 - s.i0,
                       transposed(a.v.at(s.batch, s.j0, s.head / a.group()), a.v.row()), a.v.size, keys, ds, kKeyBlock, false,
                       panel);
  const PhiloxKeys random_keys(a.dropout.philox.key);
  float factors[kKeyBlock];
  for (int64_t i = s.i0; i < s.i1; ++i) {
    float *p_row = p + (i - s.i0) * kKeyBlock, *ds_row = ds + (i - s.i0) * kKeyBlock;
    const int64_t at = g.row_of(s.batch, s.head, i);
    if (g.log_sum[at] == -INFINITY) {
      for (int64_t j = 0; j < keys; ++j) p_row[j] = ds_row[j] = 0.0f;
      continue;
    }
    const VecF log_sum = set1(g.log_sum[at]), delta = set1(g.delta[at]), scale = set1(a.scale);
    if (a.dropout.on) {
      dropout_factors(a, random_keys, s, i, factors);
      map_row(ds_row, ds_row, keys, [&](VecF dp, int64_t j, int n) {
        const VecF share = vexp_flush(vmin(zero(), load_row(p_row + j, n, 0.0f) - log_sum));
        const VecF factor = load_row(factors + j, n, 0.0f);
        store_row(p_row + j, drop_lanes(share, factor), n);
        return select(share == zero(), zero(), share * (drop_lanes(dp, factor) - delta) * scale);
      });
      continue;
    }
    map_row(ds_row, ds_row, keys, [&](VecF dp, int64_t j, int n) {
      const VecF share = vexp_flush(vmin(zero(), load_row(p_row + j, n, 0.0f) - log_sum));
      store_row(p_row + j, share, n);
      return select(share == zero(), zero(), share * (dp - delta) * scale);
    });
  }
}

void store_rows(const float* from, int64_t rows, int64_t size, float* to, int64_t to_row) {
  for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * to_row, from + i * size, size_t(size) * sizeof(float));
}

void query_gradient(const AttentionGrad& g, int64_t batch, int64_t head, int64_t i0, int64_t i1, float* scratch) {
  const Attention& a = g.a;
  const int64_t size = a.q.size, rows = i1 - i0, keys = a.key_end(i1);
  float *panel = scratch, *p = panel + panel_floats(a), *ds = p + kQueryBlock * kKeyBlock, *sums = ds + kQueryBlock * kKeyBlock;
  for (int64_t i = 0; i < rows * size; ++i) sums[i] = 0.0f;
  for (int64_t j0 = 0; j0 < keys; j0 += kKeyBlock) {
    const int64_t j1 = min64(j0 + kKeyBlock, keys);
    block_gradients(g, {batch, head, i0, i1, j0, j1}, p, ds, panel);
    block_product<false>(ds, kKeyBlock, rows, {a.k.at(batch, j0, head / a.group()), a.k.row(), 1}, j1 - j0, size, sums, size,
                         true, panel);
  }
  store_rows(sums, rows, size, g.dq.at(batch, i0, head), g.dq.row());
}

// with_queries: also adds what these keys give to dq.
void key_gradient(const AttentionGrad& g, int64_t batch, int64_t key_head, int64_t j0, int64_t j1, bool with_queries,
                  float* scratch) {
  const Attention& a = g.a;
  const int64_t size = a.q.size, value_size = a.v.size, keys = j1 - j0;
  float *panel = scratch, *p = panel + panel_floats(a), *ds = p + kQueryBlock * kKeyBlock;
  float *dk = ds + kQueryBlock * kKeyBlock, *dv = dk + kKeyBlock * size;
  for (int64_t i = 0; i < keys * size; ++i) dk[i] = 0.0f;
  for (int64_t i = 0; i < keys * value_size; ++i) dv[i] = 0.0f;
  // Blocks of queries start where they do in the other pass, so that the borders do not depend on the keys.
  const int64_t first = a.query_begin(j0) / kQueryBlock * kQueryBlock;
  for (int64_t head = key_head * a.group(); head < (key_head + 1) * a.group(); ++head) {
    for (int64_t i0 = first; i0 < a.q.places; i0 += kQueryBlock) {
      const int64_t i1 = min64(i0 + kQueryBlock, a.q.places);
      const int64_t seen = min64(j1, a.key_end(i1)) - j0;  // the other keys get nothing from these queries
      if (seen <= 0) continue;
      block_gradients(g, {batch, head, i0, i1, j0, j0 + seen}, p, ds, panel);
      block_product<true>(p, kKeyBlock, seen, {g.dy.at(batch, i0, head), g.dy.row(), 1}, i1 - i0, value_size, dv, value_size,
                          true, panel);
      block_product<true>(ds, kKeyBlock, seen, {a.q.at(batch, i0, head), a.q.row(), 1}, i1 - i0, size, dk, size, true, panel);
      if (with_queries) {
        block_product<false>(ds, kKeyBlock, i1 - i0, {a.k.at(batch, j0, key_head), a.k.row(), 1}, seen, size,
                             g.dq.at(batch, i0, head), g.dq.row(), true, panel);
      }
    }
  }
  store_rows(dk, keys, size, g.dk.at(batch, j0, key_head), g.dk.row());
  store_rows(dv, keys, value_size, g.dv.at(batch, j0, key_head), g.dv.row());
}

// dq, dk and dv of one head of the keys and its query heads.
void head_gradient(const AttentionGrad& g, int64_t batch, int64_t key_head, float* scratch) {
  const Attention& a = g.a;
  for (int64_t i = 0; i < a.q.places; ++i) {
    std::memset(g.dq.at(batch, i, key_head * a.group()), 0, size_t(a.group() * a.q.size) * sizeof(float));
  }
  for (int64_t j0 = 0; j0 < a.k.places; j0 += kKeyBlock) {
    key_gradient(g, batch, key_head, j0, min64(j0 + kKeyBlock, a.k.places), true, scratch);
  }
}

}  // namespace

int64_t attention_grad_workspace(const OpCall& call, int num_threads) {
  const Attention a = read_grad(call).a;
  return (delta_floats(a) + num_threads * thread_floats(a)) * int64_t(sizeof(float));
}

void attention_grad_cpu(const OpCall& call, CpuContext& context) {
  AttentionGrad g = read_grad(call);
  begin_dropout(g.a, call[5]);
  const Attention& a = g.a;
  const Heads y = {call[6].f32(), a.q.places, a.q.heads, a.v.size};
  context.parallel_for(a.batch * a.q.places, 1 + 20000 / (y.row() + 1), [&](int64_t begin, int64_t end, int) {
    for (int64_t place = begin; place < end; ++place) {
      const int64_t batch = place / a.q.places, i = place % a.q.places;
      for (int64_t head = 0; head < a.q.heads; ++head) {
        const float *from = y.at(batch, i, head), *with = g.dy.at(batch, i, head);
        g.delta[g.row_of(batch, head, i)] = float(
            sum_row(a.v.size, [&](int64_t d, int n) { return load_row(from + d, n, 0.0f) * load_row(with + d, n, 0.0f); }));
      }
    }
  });
  float* scratch = g.delta + delta_floats(a);
  const int64_t floats = thread_floats(a);
  const int64_t query_blocks = ceil_div(a.q.places, kQueryBlock), key_blocks = ceil_div(a.k.places, kKeyBlock);
  const int64_t depth = 2 * a.q.size + a.v.size + 16;
  const int64_t threads = context.num_threads();
  if (threads == 1 || a.batch * a.k.heads >= kHeadsPerThread * threads) {
    context.parallel_for(a.batch * a.k.heads, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t unit = begin; unit < end; ++unit) {
        head_gradient(g, unit / a.k.heads, unit % a.k.heads, scratch + thread * floats);
      }
    });
    return;
  }
  context.parallel_for(a.batch * a.q.heads * query_blocks, 1 + 400000 / (kQueryBlock * max64(1, a.k.places) * depth),
                       [&](int64_t begin, int64_t end, int thread) {
                         for (int64_t unit = begin; unit < end; ++unit) {
                           const int64_t i0 = unit % query_blocks * kQueryBlock, row = unit / query_blocks;
                           query_gradient(g, row / a.q.heads, row % a.q.heads, i0, min64(i0 + kQueryBlock, a.q.places),
                                          scratch + thread * floats);
                         }
                       });
  context.parallel_for(a.batch * a.k.heads * key_blocks,
                       1 + 400000 / (kKeyBlock * max64(1, a.q.places * a.group()) * (depth + a.v.size)),
                       [&](int64_t begin, int64_t end, int thread) {
                         for (int64_t unit = begin; unit < end; ++unit) {
                           const int64_t j0 = unit % key_blocks * kKeyBlock, row = unit / key_blocks;
                           key_gradient(g, row / a.k.heads, row % a.k.heads, j0, min64(j0 + kKeyBlock, a.k.places), false,
                                        scratch + thread * floats);
                         }
                       });
}

TK_END_LEVEL
