// The memory of cache 3: one pool of equal pages, reserved once as address space and taken from the system
// only where pages are in use.
//
// Invariants:
//   1. A page is free, or has a reference count >= 1; its memory is never moved.
//   2. Pages are handed out from the lowest granule (2 MiB) that has a free one, so that use stays compact
//   and high
//      granules empty out.
//   3. A granule with no used page gives its memory back to the system, save for a few kept warm.
//   4. A page handed out again is zeroed, so that no request reads another's keys or values, and the kernels
//   never
//      meet a NaN in rows past a sequence's end.
// Thread-safety: one owner thread allocates and releases; stats() may be called from any thread.
// Errors: allocate says kUnavailable when the pool is full and changes nothing.
// Cost: a reference count and a free-list link a page (8 B).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace pmt::kv_cache {

using PageId = base::Id<struct PageTag>;

class PagePool {
 public:
  /// `bytes_max` is rounded down to whole granules, at least one. Errors: kIo when the address space is
  /// refused.
  static base::Result<std::unique_ptr<PagePool>> create(std::size_t page_bytes, std::size_t bytes_max);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  base::Result<PageId> allocate();
  /// One more holder of a page that is in use.
  void add_reference(PageId page);
  /// One holder less; the last one frees the page.
  void release(PageId page);
  std::uint32_t references(PageId page) const { return references_[page.value]; }

  std::byte* data(PageId page) { return base_ + page_bytes_ * page.value; }
  const std::byte* base() const { return base_; }
  std::size_t page_bytes() const { return page_bytes_; }
  std::size_t pages_max() const { return references_.size(); }
  std::size_t pages_free() const { return references_.size() - used_.load(std::memory_order_relaxed); }

  struct Stats {
    std::size_t pages_used = 0;
    std::size_t pages_max = 0;
    std::size_t bytes_used = 0;      // in used pages
    std::size_t bytes_resident = 0;  // in granules taken from the system and not given back
    std::size_t bytes_max = 0;
  };
  Stats stats() const;

 private:
  struct Granule {
    std::vector<std::uint32_t> free;  // page ids
    bool resident = false;
  };

  PagePool(std::byte* base, std::size_t reserved_bytes, std::size_t page_bytes, std::size_t granules);
  std::size_t granule_of(PageId page) const { return page.value / pages_per_granule_; }
  void give_back(std::size_t granule);

  std::byte* base_;
  std::size_t reserved_bytes_;
  std::size_t page_bytes_;
  std::size_t pages_per_granule_;
  std::vector<std::uint32_t> references_;
  std::vector<Granule> granules_;
  std::set<std::size_t> with_free_;  // granules that have a free page
  std::size_t empty_resident_ = 0;   // resident granules with no used page
  std::atomic<std::size_t> used_{0};
  std::atomic<std::size_t> resident_granules_{0};
};

}  // namespace pmt::kv_cache
