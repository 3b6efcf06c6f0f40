#include "response_cache/store/node_pool.h"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>

#include "base/sanitized.h"
#include "response_cache/store/brief_mutex.h"

namespace pmt::response_cache::node_pool {
namespace {

struct Block {
  Block* next;
};

/// At the start of its 2 MiB, in the place of a block.
struct Chunk {
  Chunk* next = nullptr;  // of those with a free block
  Chunk* previous = nullptr;
  Block* freed = nullptr;
  std::uint32_t fresh = 1;  // from here on never given out: their memory is not touched yet
  std::uint32_t used = 0;

  static constexpr std::uint32_t kBlocks = kChunkBytes / kBlockBytes;
  bool full() const { return freed == nullptr && fresh == kBlocks; }
  static Chunk* of(void* block) {
    return reinterpret_cast<Chunk*>(reinterpret_cast<std::uintptr_t>(block) & ~(kChunkBytes - 1));
  }
};
static_assert(sizeof(Chunk) <= kBlockBytes);

/// 2 MiB, aligned to as many: the kernel's huge page.
void* map_chunk() {
  const auto flags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* const mapped = mmap(nullptr, 2 * kChunkBytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  const auto from = reinterpret_cast<std::uintptr_t>(mapped);
  const std::uintptr_t at = (from + kChunkBytes - 1) & ~(kChunkBytes - 1);
  if (at > from) munmap(mapped, at - from);
  munmap(reinterpret_cast<void*>(at + kChunkBytes), from + kChunkBytes - at);
  void* const chunk = reinterpret_cast<void*>(at);
  (void)madvise(chunk, kChunkBytes, MADV_HUGEPAGE);  // refused where the kernel has none: then small pages do
  return chunk;
}

class Pool {
 public:
  void* take() {
    const std::lock_guard lock(mutex_);
    if (open_ == nullptr) {
      link(*new (map_chunk()) Chunk);
      ++chunks_;
    }
    Chunk& chunk = *open_;
    ++chunk.used;
    ++blocks_;
    void* block = chunk.freed;
    if (block != nullptr) {
      chunk.freed = chunk.freed->next;
    } else {
      block = reinterpret_cast<std::byte*>(&chunk) + kBlockBytes * chunk.fresh++;
    }
    if (chunk.full()) unlink(chunk);
    return block;
  }

  void give_back(void* block) {
    const std::lock_guard lock(mutex_);
    Chunk& chunk = *Chunk::of(block);
    if (chunk.full()) link(chunk);
    chunk.freed = new (block) Block{chunk.freed};
    --chunk.used;
    --blocks_;
    if (chunk.used > 0 || chunks_ == 1) return;
    unlink(chunk);
    munmap(&chunk, kChunkBytes);
    --chunks_;
  }

  Stats stats() {
    const std::lock_guard lock(mutex_);
    return {.chunks = chunks_, .blocks = blocks_};
  }

 private:
  void link(Chunk& chunk) {
    chunk.previous = nullptr;
    chunk.next = open_;
    if (open_ != nullptr) open_->previous = &chunk;
    open_ = &chunk;
  }
  void unlink(Chunk& chunk) {
    (chunk.previous != nullptr ? chunk.previous->next : open_) = chunk.next;
    if (chunk.next != nullptr) chunk.next->previous = chunk.previous;
  }

  BriefMutex mutex_;
  Chunk* open_ = nullptr;
  std::size_t chunks_ = 0, blocks_ = 0;
};

/// Never destroyed: a node may outlive every static object.
Pool& pool() {
  static Pool& the = *new Pool;
  return the;
}

}  // namespace

// Under a sanitizer each block is its own: a use after its end, or a race, would not be seen in a pool.
void* take() {
  if constexpr (base::kSanitized) return ::operator new (kBlockBytes, std::align_val_t{kBlockBytes});
  return pool().take();
}
void give_back(void* block) noexcept {
  if constexpr (base::kSanitized) return ::operator delete (block, std::align_val_t{kBlockBytes});
  pool().give_back(block);
}
Stats stats() {
  return pool().stats();
}

}  // namespace pmt::response_cache::node_pool
