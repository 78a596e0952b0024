#include "ops/image/resize.h"
#include "ops/image/resize_axis.h"

TK_BEGIN_LEVEL
namespace {

// First o in [0, count) with value(o) >= wanted, value rising; count when there is none.
template <class Value>
TK_INLINE int64_t first_reaching(int64_t count, int64_t wanted, const Value& value) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (value(middle) >= wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// For each row of dx: collect(row, dy of its image, sum) adds up the rows of dy that read it, spread(sum, dx row) shares the
// sum out along the row. So each row of dx belongs to one thread, and its sums have one order.
template <class Collect, class Spread>
TK_INLINE void for_each_source_row(const OpCall& call, const ResizeGeometry& g, int64_t table_bytes, CpuContext& context,
                                   const Collect& collect, const Spread& spread) {
  const int64_t source_row = g.w * g.c, result_row = g.ow * g.c;
  const float* dy = call[0].f32();
  float* dx = call[1].f32();
  if (call[0].size == 0) {
    std::memset(dx, 0, size_t(call[1].bytes()));
    return;
  }
  const int64_t rows_read = 2 * (g.oh / g.h + 1);
  context.parallel_for(g.n * g.h, image_grain(source_row + result_row * rows_read),
                       [&](int64_t begin, int64_t end, int thread) {
                         float* sum = scratch_row(call, table_bytes, result_row, thread);
                         for (int64_t row = begin; row < end; ++row) {
                           std::memset(sum, 0, size_t(result_row) * sizeof(float));
                           collect(row % g.h, dy + row / g.h * g.oh * result_row, sum);
                           float* target = dx + row * source_row;
                           std::memset(target, 0, size_t(source_row) * sizeof(float));
                           spread(sum, target);
                         }
                       });
}

template <class Columns>
int64_t gradient_workspace(const OpCall& call, int num_threads) {
  const Operand& dy = call[0];
  return Columns::bytes(dy.dims[2]) + num_threads * aligned_bytes(dy.dims[2] * dy.dims[3], sizeof(float));
}

}  // namespace

int64_t resize_bilinear_grad_workspace(const OpCall& call, int num_threads) {
  return gradient_workspace<LinearColumns>(call, num_threads);
}

void resize_bilinear_grad_cpu(const OpCall& call, CpuContext& context) {
  const ResizeGeometry g = read_resize(call, call[1], call[0]);
  if (call[1].size == 0) return;
  const LinearColumns columns(g, call.workspace);
  const int64_t result_row = g.ow * g.c;
  for_each_source_row(
      call, g, LinearColumns::bytes(g.ow), context,
      [&](int64_t row, const float* dy, float* sum) {
        int64_t o = first_reaching(g.oh, row, [&](int64_t at) { return linear_tap(g.rows, at).high; });
        for (; o < g.oh; ++o) {
          const LinearTap tap = linear_tap(g.rows, o);
          if (tap.low > row) break;
          const float weight = tap.low == tap.high ? 1.0f : tap.low == row ? 1.0f - tap.fraction : tap.fraction;
          add_scaled(dy + o * result_row, weight, sum, result_row);
        }
      },
      [&](const float* sum, float* dx) {
        for (int64_t column = 0; column < g.ow; ++column, sum += g.c) {
          float *low = dx + columns.low[column], *high = dx + columns.high[column];
          const float t = columns.fraction[column];
          if (low == high) {
            add_scaled(sum, 1.0f, low, g.c);
          } else {
            add_scaled(sum, 1.0f - t, low, g.c);
            add_scaled(sum, t, high, g.c);
          }
        }
      });
}

int64_t resize_nearest_grad_workspace(const OpCall& call, int num_threads) {
  return gradient_workspace<NearestColumns>(call, num_threads);
}

void resize_nearest_grad_cpu(const OpCall& call, CpuContext& context) {
  const ResizeGeometry g = read_resize(call, call[1], call[0]);
  if (call[1].size == 0) return;
  const NearestColumns columns(g, call.workspace);
  const int64_t result_row = g.ow * g.c;
  for_each_source_row(
      call, g, NearestColumns::bytes(g.ow), context,
      [&](int64_t row, const float* dy, float* sum) {
        int64_t o = first_reaching(g.oh, row, [&](int64_t at) { return nearest_tap(g.rows, at); });
        for (; o < g.oh && nearest_tap(g.rows, o) == row; ++o) add_scaled(dy + o * result_row, 1.0f, sum, result_row);
      },
      [&](const float* sum, float* dx) {
        for (int64_t column = 0; column < g.ow; ++column, sum += g.c) add_scaled(sum, 1.0f, dx + columns.offset[column], g.c);
      });
}

TK_END_LEVEL
