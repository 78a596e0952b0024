#include "ops/multi/multi.h"

#include "ops/common/rows.h"

TK_BEGIN_LEVEL
namespace {

constexpr int64_t kChunk = 16384;  // elements, some 10 us

// The members cut into chunks: chunk numbers of all members run through.
TK_INLINE int64_t chunks_of(const Operand& member) { return (member.size + kChunk - 1) / kChunk; }

int64_t count_chunks(const OpCall& call, int first) {
  int64_t count = 0;
  for (int i = 0; i < call.star_count; ++i) count += chunks_of(call[first + i]);
  return count;
}

// Chunks that make up a unit of parallel work: one, or as many as hold so many elements where members are small.
int64_t chunk_grain(const OpCall& call, int first) {
  int64_t elements = 1;
  for (int i = 0; i < call.star_count; ++i) elements += call[first + i].size;
  const int64_t grain = kChunk * count_chunks(call, first) / elements;
  return grain < 1 ? 1 : grain;
}

// Calls body(member, begin, end, chunk) for every chunk.
template <class Body>
TK_INLINE void for_each_member_chunk(const OpCall& call, int first, CpuContext& context, const Body& body) {
  context.parallel_for(count_chunks(call, first), chunk_grain(call, first), [&](int64_t begin, int64_t end, int) {
    int64_t start = 0;
    for (int i = 0; i < call.star_count && start < end; ++i) {
      const Operand& member = call[first + i];
      const int64_t count = chunks_of(member);
      for (int64_t c = begin > start ? begin : start; c < end && c < start + count; ++c) {
        const int64_t from = (c - start) * kChunk;
        body(i, from, from + kChunk < member.size ? from + kChunk : member.size, c);
      }
      start += count;
    }
  });
}

// y = f(x) for all members; y follows x in the operands.
template <class F>
TK_INLINE void map_members(const OpCall& call, int first, CpuContext& context, const F& f) {
  const int second = first + call.star_count;
  TK_CHECK_EQ(call.num_operands, second + call.star_count);
  for (int i = 0; i < call.star_count; ++i) TK_CHECK_EQ(call[second + i].size, call[first + i].size);
  for_each_member_chunk(call, first, context, [&](int i, int64_t begin, int64_t end, int64_t) {
    map_row(call[first + i].f32() + begin, call[second + i].f32() + begin, end - begin,
            [&](VecF v, int64_t, int) { return f(v); });
  });
}

// Sum of squares of each chunk of the members, in double, and whether something in it is not finite (1, else 0).
void square_chunks(const OpCall& call, int first, double* sums, double* bad, CpuContext& context) {
  for_each_member_chunk(call, first, context, [&](int i, int64_t begin, int64_t end, int64_t chunk) {
    const float* x = call[first + i].f32() + begin;
    double sum = sum_row(end - begin, [&](int64_t j, int k) {
      const VecF v = load_row(x + j, k, 0.0f);
      return v * v;
    });
    bad[chunk] = 0;
    if (!(sum <= 1e37 && sum >= 1e-30)) {
      // Squares left the range of f32, or there is nothing, or something is not finite: once more in double.
      sum = 0;
      for (int64_t j = 0; j < end - begin; ++j) {
        sum += double(x[j]) * double(x[j]);
        if (!(::fabsf(x[j]) < INFINITY)) bad[chunk] = 1;
      }
    }
    sums[chunk] = sum;
  });
}

// What brings a norm under a limit; 1 where it is already, or NaN.
TK_INLINE float clip_factor(float norm, float limit) {
  const float ratio = float(double(limit) / (double(norm) + 1e-6));
  return ratio < 1.0f ? ratio : 1.0f;
}

}  // namespace

int64_t multi_norm_workspace(const OpCall& call, int) { return count_chunks(call, 0) * int64_t(2 * sizeof(double)); }

void multi_norm_cpu(const OpCall& call, CpuContext& context) {
  const Operand &norm = call[call.star_count], &finite = call[call.star_count + 1];
  TK_CHECK_EQ(norm.size, 1);
  TK_CHECK_EQ(finite.size, 1);
  double *sums = static_cast<double*>(call.workspace), *bad = sums + count_chunks(call, 0);
  square_chunks(call, 0, sums, bad, context);
  double total = 0, wrong = 0;
  for (int64_t chunk = 0; chunk < count_chunks(call, 0); ++chunk) {
    total += sums[chunk];
    wrong += bad[chunk];
  }
  norm.f32()[0] = float(::sqrt(total));
  finite.u8()[0] = wrong == 0;
}

void multi_scale_cpu(const OpCall& call, CpuContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  const VecF factor = set1(call[0].f32()[0]);
  map_members(call, 1, context, [&](VecF v) { return v * factor; });
}

void multi_clip_norm_cpu(const OpCall& call, CpuContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  TK_CHECK_EQ(call[1].size, 1);
  const VecF factor = set1(clip_factor(call[0].f32()[0], call[1].f32()[0]));
  map_members(call, 2, context, [&](VecF v) { return v * factor; });
}

int64_t multi_clip_each_workspace(const OpCall& call, int) { return count_chunks(call, 1) * int64_t(2 * sizeof(double)); }

void multi_clip_each_cpu(const OpCall& call, CpuContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  const int first = 1, second = first + call.star_count;
  for (int i = 0; i < call.star_count; ++i) TK_CHECK_EQ(call[second + i].size, call[first + i].size);
  double *sums = static_cast<double*>(call.workspace), *bad = sums + count_chunks(call, first);
  square_chunks(call, first, sums, bad, context);
  // The factor of a member, put where each of its chunks had its sum.
  int64_t chunk = 0;
  for (int i = 0; i < call.star_count; ++i) {
    const int64_t last = chunk + chunks_of(call[first + i]);
    double total = 0;
    for (int64_t c = chunk; c < last; ++c) total += sums[c];
    const double factor = clip_factor(float(::sqrt(total)), call[0].f32()[0]);
    for (; chunk < last; ++chunk) sums[chunk] = factor;
  }
  for_each_member_chunk(call, first, context, [&](int i, int64_t begin, int64_t end, int64_t c) {
    const VecF factor = set1(float(sums[c]));
    map_row(call[first + i].f32() + begin, call[second + i].f32() + begin, end - begin,
            [&](VecF v, int64_t, int) { return v * factor; });
  });
}

void multi_clamp_cpu(const OpCall& call, CpuContext& context) {
  TK_CHECK_EQ(call[0].size, 1);
  const VecF high = set1(call[0].f32()[0]), low = vneg(high);
  map_members(call, 1, context, [&](VecF v) { return select(v > high, high, select(v < low, low, v)); });
}

TK_END_LEVEL
