// Places for buffers that live for a while in one arena.
#pragma once
#include <cstdint>
#include <vector>

namespace tk {

struct ArenaRequest {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;  // steps between which, both included, it must be kept
  int64_t offset = 0;           // filled in; a multiple of 64
};

// Gives each request an offset such that no two overlap in memory while they overlap in time; returns the arena's bytes.
// Largest first, each into the smallest gap that fits it.
int64_t plan_arena(std::vector<ArenaRequest>& requests);

}  // namespace tk
