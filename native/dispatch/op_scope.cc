#include "dispatch/op_scope.h"

#if TENSORKILN_CHECK_OPS
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
thread_local int g_depth = 0;
thread_local int g_allocations = 0;

void* counted_allocate(std::size_t size, std::size_t align) {
  if (g_depth > 0) ++g_allocations;
  if (size == 0) size = 1;
  void* p =
      align <= alignof(std::max_align_t) ? std::malloc(size) : std::aligned_alloc(align, (size + align - 1) / align * align);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

// Replaces the global operators in checked builds only (native tests), to see allocations made by op bodies.
void* operator new(std::size_t size) { return counted_allocate(size, 0); }
void* operator new[](std::size_t size) { return counted_allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t align) { return counted_allocate(size, std::size_t(align)); }
void* operator new[](std::size_t size, std::align_val_t align) { return counted_allocate(size, std::size_t(align)); }
// std::stable_sort and the like ask this way, and free through the operators below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (g_depth > 0) ++g_allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace tk {

bool inside_op() { return g_depth > 0; }
OpScope::OpScope() : before_(g_allocations) { ++g_depth; }
OpScope::~OpScope() { --g_depth; }
int OpScope::allocations() const { return g_allocations - before_; }
OpPause::OpPause() : depth_(g_depth), allocations_(g_allocations) { g_depth = 0; }
OpPause::~OpPause() {
  g_depth = depth_;
  g_allocations = allocations_;
}

}  // namespace tk
#endif
