#include "plan/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace tk {

constexpr int64_t kArenaAlign = 64;

int64_t plan_arena(std::vector<ArenaRequest>& requests) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return requests[a].bytes > requests[b].bytes; });
  int64_t total = 0;
  std::vector<size_t> placed;  // by offset
  for (size_t index : order) {
    ArenaRequest& request = requests[index];
    request.bytes = (request.bytes + kArenaAlign - 1) / kArenaAlign * kArenaAlign;
    int64_t end = 0, best = -1, best_gap = INT64_MAX;
    for (size_t other : placed) {
      const ArenaRequest& held = requests[other];
      if (held.last < request.first || held.first > request.last) continue;
      const int64_t gap = held.offset - end;
      if (gap >= request.bytes && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
      end = std::max(end, held.offset + held.bytes);
    }
    request.offset = best >= 0 ? best : end;
    total = std::max(total, request.offset + request.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](size_t a, size_t b) { return requests[a].offset < requests[b].offset; }),
                  index);
  }
  return total;
}

}  // namespace tk
