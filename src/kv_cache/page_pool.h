// The memory of cache 3: one pool of pages in three sizes, reserved once as address space and taken from the
// system only where pages are in use.
//
// The unit is the small page; a half page is two aligned units, a large one kLargeUnits. A page's id is its
// first unit, so all sizes share ids, addresses and reference counts. A free large slot is split when a
// smaller page needs room, and is whole again when its last page goes.
//
// Invariants:
//   1. A page is free, or has a reference count >= 1; its memory is never moved.
//   2. Large pages come from the lowest granule (2 MiB) that has a free one, others from the lowest split
//      slot with room (small ones from one without room for a half page, if there is any), so that use stays dense
//      and high granules empty out.
//   3. A granule with no used page gives its memory back to the system, save for a few kept warm.
//   4. A page handed out again is zeroed, so that no request reads another's keys or values, and the kernels
//      never meet a NaN in rows past a sequence's end.
// Thread-safety: one owner thread allocates and releases; stats() may be called from any thread.
// Errors: allocate says kUnavailable when the pool is full and changes nothing.
// Cost: two reference counts and a free-list link a page (12 B).
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

enum class PageSize { kSmall, kHalf, kLarge };

/// On whose behalf a page is held: a request that runs, or a prefix kept for requests to come.
enum class Holder : std::uint8_t { kRequest, kPrefix };

class PagePool {
 public:
  static constexpr std::size_t kLargeUnits = 4;

  /// `bytes_max` is rounded down to whole granules, at least one. Errors: kIo when the address space is
  /// refused.
  static base::Result<std::unique_ptr<PagePool>> create(std::size_t large_page_bytes, std::size_t bytes_max);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  base::Result<PageId> allocate(PageSize size);
  /// One more holder of a page that is in use.
  void add_reference(PageId page, Holder holder = Holder::kRequest);
  /// One holder less; the last one frees the page.
  void release(PageId page, Holder holder = Holder::kRequest);
  std::uint32_t references(PageId page) const { return references_[page.value]; }

  std::byte* data(PageId page) { return base_ + unit_bytes_ * page.value; }
  const std::byte* data(PageId page) const { return base_ + unit_bytes_ * page.value; }
  const std::byte* base() const { return base_; }
  /// Bytes of a small page; page ids count in these.
  std::size_t unit_bytes() const { return unit_bytes_; }
  static constexpr std::size_t units_of(PageSize size) {
    return size == PageSize::kSmall ? 1 : size == PageSize::kHalf ? kLargeUnits / 2 : kLargeUnits;
  }
  std::size_t bytes_of(PageSize size) const { return unit_bytes_ * units_of(size); }
  /// In large pages. What split slots still have room for is not counted: pages_free() large pages, or twice
  /// as many half ones, or kLargeUnits times as many small ones, can be had for certain.
  std::size_t pages_max() const { return slots_.size(); }
  std::size_t pages_free() const { return slots_.size() - slots_used_.load(std::memory_order_relaxed); }

  struct Stats {
    std::size_t pages_used = 0;           // large ones, and slots split for smaller ones
    std::size_t bytes_used = 0;           // in used pages
    std::size_t bytes_prefixes = 0;       // of those: held by prefixes
    std::size_t bytes_prefixes_only = 0;  // of those: held by nobody else
    std::size_t bytes_resident = 0;       // in granules taken from the system and not given back
    std::size_t bytes_max = 0;
  };
  Stats stats() const;

 private:
  /// Room for one large page, or for smaller ones: then it is split.
  struct Slot {
    std::uint8_t used = 0;    // a bit a unit; 0: not split
    std::uint8_t halves = 0;  // the units where a half page begins
  };
  struct Granule {
    std::vector<std::uint32_t> free;  // slots
    bool resident = false;
  };

  PagePool(std::byte* base, std::size_t reserved_bytes, std::size_t large_page_bytes, std::size_t granules);
  std::size_t take_slot();
  void give_slot(std::size_t slot);
  base::Error full() const;
  PageId handed_out(std::size_t unit, PageSize size);
  PageSize size_of(PageId page) const;
  /// Takes or gives the units of a small or half page in a slot, and lists the slot by what it then has room
  /// for.
  void mark(std::size_t unit, PageSize size, bool used);
  void give_back(std::size_t granule);
  /// Adds `step` holders, 1 or -1, and keeps the bytes that prefixes hold up to date.
  void count_holder(PageId page, Holder holder, int step);

  std::byte* base_;
  std::size_t reserved_bytes_;
  std::size_t unit_bytes_;
  std::size_t slots_per_granule_;
  std::vector<std::uint32_t> references_;         // [units]
  std::vector<std::uint32_t> prefix_references_;  // [units], of those
  std::vector<Slot> slots_;
  std::vector<Granule> granules_;
  std::set<std::size_t> with_free_;  // granules that have a free slot
  std::set<std::size_t> with_half_;  // split slots that have room for a half page
  std::set<std::size_t> with_unit_;  // split slots that have room for a small page only
  std::size_t empty_resident_ = 0;   // resident granules with no used slot
  std::atomic<std::size_t> slots_used_{0};
  std::atomic<std::size_t> units_used_{0};
  std::atomic<std::size_t> resident_granules_{0};
  std::atomic<std::size_t> bytes_prefixes_{0}, bytes_prefixes_only_{0};
};

}  // namespace pmt::kv_cache
