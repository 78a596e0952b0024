#include "ops/attention/attention.h"

#include "ops/attention/attention_blocks.h"

TK_BEGIN_LEVEL
namespace {

Attention read_forward(const OpCall& call) {
  const Attention a =
      read_attention(call[0], call[1], call[2], call[3], call[4], TK_INT(call, attention, causal) != 0,
                     TK_INT(call, attention, shift), TK_FLOAT(call, attention, scale), TK_FLOAT(call, attention, rate));
  TK_CHECK_EQ(call[5].size, a.batch * a.q.places * a.q.heads * a.v.size);
  TK_CHECK_EQ(call[6].size, a.batch * a.q.heads * a.q.places);
  return a;
}

int64_t forward_floats(const Attention& a) {
  return round_up(panel_floats(a) + kQueryBlock * kKeyBlock + kQueryBlock * a.v.size + 2 * kQueryBlock, 16);
}

// Turns a row of scores into e^(score - maximum), brings sum and y to the new maximum. A row of -inf only adds nothing.
TK_INLINE void softmax_step(float* row, int64_t keys, float* maximum, float* sum, float* y, int64_t size) {
  VecF largest = set1(*maximum);
  int64_t j = 0;
  for (; j + kVecWidth <= keys; j += kVecWidth) largest = vmax(load(row + j), largest);
  if (j < keys) largest = vmax(load_part(row + j, int(keys - j), -INFINITY), largest);
  const float next = max_lanes(largest), base = next == -INFINITY ? 0.0f : next;
  const double added = sum_row(keys, [&](int64_t i, int n) {
    const VecF e = vexp_flush(load_row(row + i, n, -INFINITY) - set1(base));
    store_row(row + i, e, n);
    return e;
  });
  if (next != *maximum) {
    const VecF shrink = vexp_flush(set1(*maximum) - set1(base));
    map_row(y, y, size, [&](VecF v, int64_t, int) { return v * shrink; });
    *sum *= first_lane(shrink);
  }
  *sum = float(double(*sum) + added);
  *maximum = next;
}

// Drops among the weights of a block, of which the sums of all weights are already taken.
void drop_weights(const Attention& a, const ScoreBlock& s, float* weights) {
  const PhiloxKeys keys(a.dropout.philox.key);
  float factors[kKeyBlock];
  for (int64_t i = s.i0; i < s.i1; ++i) {
    dropout_factors(a, keys, s, i, factors);
    float* row = weights + (i - s.i0) * kKeyBlock;
    map_row(row, row, s.j1 - s.j0, [&](VecF v, int64_t j, int n) { return drop_lanes(v, load_row(factors + j, n, 0.0f)); });
  }
}

// One block of queries of one head against all its keys.
void attend(const Attention& a, int64_t batch, int64_t head, int64_t i0, int64_t i1, const Heads& y, float* log_sum,
            float* scratch) {
  const int64_t rows = i1 - i0, size = a.v.size, key_head = head / a.group();
  float *panel = scratch, *scores = panel + panel_floats(a), *sums = scores + kQueryBlock * kKeyBlock;
  float *maximum = sums + kQueryBlock * size, *total = maximum + kQueryBlock;
  for (int64_t i = 0; i < rows * size; ++i) sums[i] = 0.0f;
  for (int64_t i = 0; i < rows; ++i) {
    maximum[i] = -INFINITY;
    total[i] = 0.0f;
  }
  const int64_t keys = a.key_end(i1);
  for (int64_t j0 = 0; j0 < keys; j0 += kKeyBlock) {
    const int64_t j1 = min64(j0 + kKeyBlock, keys);
    const ScoreBlock block = {batch, head, i0, i1, j0, j1};
    masked_scores(a, block, scores, panel);
    for (int64_t i = 0; i < rows; ++i) {
      softmax_step(scores + i * kKeyBlock, j1 - j0, maximum + i, total + i, sums + i * size, size);
    }
    if (a.dropout.on) drop_weights(a, block, scores);
    block_product<false>(scores, kKeyBlock, rows, {a.v.at(batch, j0, key_head), a.v.row(), 1}, j1 - j0, size, sums, size, true,
                         panel);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const bool sees = total[i] != 0.0f;
    const VecF factor = set1(sees ? float(1.0 / double(total[i])) : 0.0f);
    map_row(sums + i * size, y.at(batch, i0 + i, head), size, [&](VecF v, int64_t, int) { return sees ? v * factor : zero(); });
    log_sum[i] = sees ? float(double(maximum[i]) + ::log(double(total[i]))) : -INFINITY;
  }
}

}  // namespace

int64_t attention_workspace(const OpCall& call, int num_threads) {
  return num_threads * forward_floats(read_forward(call)) * int64_t(sizeof(float));
}

void attention_cpu(const OpCall& call, CpuContext& context) {
  Attention a = read_forward(call);
  begin_dropout(a, call[4]);
  const Heads y = {call[5].f32(), a.q.places, a.q.heads, a.v.size};
  float *log_sum = call[6].f32(), *workspace = static_cast<float*>(call.workspace);
  const int64_t blocks = ceil_div(a.q.places, kQueryBlock), floats = forward_floats(a);
  const int64_t unit_work = kQueryBlock * max64(1, a.k.places) * (a.q.size + a.v.size + 8);
  context.parallel_for(a.batch * a.q.heads * blocks, 1 + 400000 / unit_work, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t i0 = unit % blocks * kQueryBlock, head = unit / blocks % a.q.heads, batch = unit / blocks / a.q.heads;
      attend(a, batch, head, i0, min64(i0 + kQueryBlock, a.q.places), y, log_sum + (batch * a.q.heads + head) * a.q.places + i0,
             workspace + thread * floats);
    }
  });
}

TK_END_LEVEL
