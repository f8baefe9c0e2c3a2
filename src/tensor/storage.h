// Memory of tensors: pooled by size class, 64-byte aligned, huge pages for what is large.
//
// A training step allocates the same sizes again and again; after the second step every request is served
// from the free lists and the operating system is not asked. Blocks are never cleared. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lyceum {

struct PoolStatistics {
  uint64_t in_use_bytes = 0;    // handed out now, in whole size classes
  uint64_t peak_bytes = 0;      // the most that was handed out at once
  uint64_t reserved_bytes = 0;  // taken from the operating system
  uint64_t system_calls = 0;    // how often the operating system was asked
};
PoolStatistics pool_statistics();
void reset_pool_peak();

namespace detail {
// Memory of at least `bytes`; throws kOutOfMemory with the size and what is free.
void* pool_take(size_t bytes);
// The same, all zero: what comes from the operating system is so already and is not touched here, so that
// whoever fills it, on all threads, is the first.
void* pool_take_zeros(size_t bytes);
void pool_give(void* memory, size_t bytes);
}  // namespace detail

// Lets standard containers live in the pool: what a step builds and drops costs no call of the system.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(detail::pool_take(n * sizeof(T))); }
  void deallocate(T* p, size_t n) { detail::pool_give(p, n * sizeof(T)); }
  bool operator==(const PoolAllocator&) const { return true; }
};
template <class T>
using PoolVector = std::vector<T, PoolAllocator<T>>;

}  // namespace lyceum
