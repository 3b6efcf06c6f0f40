// Memory for the store's nodes: blocks of two cache lines each, side by side in huge pages.
//
// A hit on one of 100,000 entries is a walk through memory that no cache holds, and with pages of 4 KiB every
// node lies on another page: the walk through the page tables then costs about as much as the node itself
// (response_cache_bench: note 0008). Blocks of 2 MiB that the kernel is asked to back by huge pages, where it
// has any, take that away.
//
// One pool for the process, so that a pointer to a block needs no pointer to its pool. A chunk whose blocks
// are all free goes back to the kernel, but for one.
//
// Thread-safety: any thread. Errors: std::bad_alloc. Cost: a lock and a list's end.
// Source: madvise(2), MADV_HUGEPAGE.
#pragma once

#include <cstddef>
#include <new>

namespace pmt::response_cache {

namespace node_pool {

inline constexpr std::size_t kBlockBytes = 128;
inline constexpr std::size_t kChunkBytes = 2 << 20;

/// kBlockBytes, aligned to as many.
void* take();
void give_back(void* block) noexcept;

/// What it holds now, of the kernel and for its users.
struct Stats {
  std::size_t chunks = 0, blocks = 0;
};
Stats stats();

}  // namespace node_pool

/// For std::allocate_shared: the object and its counts in one block.
template <class T>
struct NodeAllocator {
  using value_type = T;
  NodeAllocator() = default;
  template <class Other>
  NodeAllocator(const NodeAllocator<Other>&) {}  // NOLINT(google-explicit-constructor): as allocators are

  T* allocate(std::size_t n) {
    static_assert(sizeof(T) <= node_pool::kBlockBytes && alignof(T) <= node_pool::kBlockBytes);
    if (n != 1) throw std::bad_alloc();
    return static_cast<T*>(node_pool::take());
  }
  void deallocate(T* block, std::size_t) noexcept { node_pool::give_back(block); }
  friend bool operator==(const NodeAllocator&, const NodeAllocator&) { return true; }
};

}  // namespace pmt::response_cache
