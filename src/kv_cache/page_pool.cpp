#include "kv_cache/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

constexpr std::size_t kGranuleBytes = 2ULL << 20;  // one huge page: few TLB entries for the attention's scans
constexpr std::size_t kWarmGranules = 4;  // kept for the next request instead of being faulted in again

}  // namespace

base::Result<std::unique_ptr<PagePool>> PagePool::create(std::size_t large_page_bytes,
                                                         std::size_t bytes_max) {
  CHECK(large_page_bytes > 0 && large_page_bytes <= kGranuleBytes && large_page_bytes % kLargeUnits == 0);
  const std::size_t stride = kGranuleBytes / large_page_bytes * large_page_bytes;
  const std::size_t granules = std::max<std::size_t>(1, bytes_max / stride);
  const std::size_t bytes = granules * stride;
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return base::Error{base::Code::kIo,
                       fmt::format("can't reserve {} MiB of address space for the KV page pool: {}",
                                   bytes >> 20, std::strerror(errno))};
  }
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice only: a refusal costs speed, not correctness
  return std::unique_ptr<PagePool>(
      new PagePool(static_cast<std::byte*>(memory), bytes, large_page_bytes, granules));
}

PagePool::PagePool(std::byte* base, std::size_t reserved_bytes, std::size_t large_page_bytes,
                   std::size_t granules)
    : base_(base),
      reserved_bytes_(reserved_bytes),
      unit_bytes_(large_page_bytes / kLargeUnits),
      slots_per_granule_(kGranuleBytes / large_page_bytes),
      references_(granules * slots_per_granule_ * kLargeUnits, 0),
      prefix_references_(references_.size(), 0),
      slots_(granules * slots_per_granule_),
      granules_(granules) {
  for (std::size_t g = 0; g < granules; ++g) {
    auto& free = granules_[g].free;
    free.reserve(slots_per_granule_);
    // Descending, so that pop_back hands out the lowest address first.
    for (std::size_t i = slots_per_granule_; i > 0; --i) {
      free.push_back(static_cast<std::uint32_t>(g * slots_per_granule_ + i - 1));
    }
    with_free_.insert(with_free_.end(), g);
  }
}

PagePool::~PagePool() {
  munmap(base_, reserved_bytes_);
}

base::Error PagePool::full() const {
  return {base::Code::kUnavailable, fmt::format("the KV page pool is full ({} pages of {} bytes)",
                                                slots_.size(), bytes_of(PageSize::kLarge))};
}

base::Result<PageId> PagePool::allocate(PageSize size) {
  const std::size_t count = units_of(size);
  const bool in_lone_unit = size == PageSize::kSmall && !with_unit_.empty();
  std::size_t unit = 0;
  if (size != PageSize::kLarge && (in_lone_unit || !with_half_.empty())) {
    const std::size_t slot = in_lone_unit ? *with_unit_.begin() : *with_half_.begin();
    const std::size_t mask = (1U << count) - 1;
    while ((slots_[slot].used & mask << unit) != 0) unit += count;
    unit += slot * kLargeUnits;
  } else {
    if (with_free_.empty()) return full();
    unit = take_slot() * kLargeUnits;
  }
  if (size != PageSize::kLarge) mark(unit, size, true);
  return handed_out(unit, size);
}

void PagePool::mark(std::size_t unit, PageSize size, bool used) {
  const std::size_t index = unit / kLargeUnits;
  Slot& slot = slots_[index];
  const std::size_t units = ((1U << units_of(size)) - 1) << unit % kLargeUnits;
  slot.used = static_cast<std::uint8_t>(used ? slot.used | units : slot.used & ~units);
  const std::size_t half = size == PageSize::kHalf ? 1U << unit % kLargeUnits : 0U;
  slot.halves = static_cast<std::uint8_t>(used ? slot.halves | half : slot.halves & ~half);
  const bool split = slot.used != 0;
  const bool has_half = split && ((slot.used & 3U) == 0 || (slot.used & 12U) == 0);
  const bool has_unit = split && !has_half && slot.used != 15;
  const auto list = [&](std::set<std::size_t>& slots, bool member) {
    if (member) {
      slots.insert(index);
    } else {
      slots.erase(index);
    }
  };
  list(with_half_, has_half);
  list(with_unit_, has_unit);
}

PageSize PagePool::size_of(PageId page) const {
  const Slot& slot = slots_[page.value / kLargeUnits];
  if (slot.used == 0) return PageSize::kLarge;
  return (slot.halves >> page.value % kLargeUnits & 1U) != 0 ? PageSize::kHalf : PageSize::kSmall;
}

PageId PagePool::handed_out(std::size_t unit, PageSize size) {
  const PageId page(static_cast<std::uint32_t>(unit));
  references_[unit] = 1;
  units_used_.fetch_add(units_of(size), std::memory_order_relaxed);
  std::memset(data(page), 0, bytes_of(size));
  return page;
}

std::size_t PagePool::take_slot() {
  const std::size_t g = *with_free_.begin();
  Granule& granule = granules_[g];
  if (granule.free.size() == slots_per_granule_) {
    if (granule.resident) {
      --empty_resident_;
    } else {
      granule.resident = true;
      resident_granules_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const std::size_t slot = granule.free.back();
  granule.free.pop_back();
  if (granule.free.empty()) with_free_.erase(with_free_.begin());
  slots_used_.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

void PagePool::give_slot(std::size_t slot) {
  slots_used_.fetch_sub(1, std::memory_order_relaxed);
  const std::size_t g = slot / slots_per_granule_;
  Granule& granule = granules_[g];
  granule.free.push_back(static_cast<std::uint32_t>(slot));
  if (granule.free.size() == 1) with_free_.insert(g);
  if (granule.free.size() < slots_per_granule_) return;
  if (empty_resident_ < kWarmGranules) {
    ++empty_resident_;
  } else {
    give_back(g);
  }
}

void PagePool::count_holder(PageId page, Holder holder, int step) {
  std::uint32_t& all = references_[page.value];
  std::uint32_t& prefixes = prefix_references_[page.value];
  const bool held = prefixes > 0;
  const bool only = held && prefixes == all;
  all += static_cast<std::uint32_t>(step);
  if (holder == Holder::kPrefix) prefixes += static_cast<std::uint32_t>(step);
  CHECK(prefixes <= all);
  const std::size_t bytes = bytes_of(size_of(page));
  const auto follow = [&](std::atomic<std::size_t>& total, bool before, bool now) {
    if (now && !before) total.fetch_add(bytes, std::memory_order_relaxed);
    if (before && !now) total.fetch_sub(bytes, std::memory_order_relaxed);
  };
  follow(bytes_prefixes_, held, prefixes > 0);
  follow(bytes_prefixes_only_, only, prefixes > 0 && prefixes == all);
}

void PagePool::add_reference(PageId page, Holder holder) {
  CHECK(references_[page.value] > 0);
  count_holder(page, holder, 1);
}

void PagePool::release(PageId page, Holder holder) {
  CHECK(references_[page.value] > 0);
  count_holder(page, holder, -1);
  if (references_[page.value] > 0) return;
  const PageSize size = size_of(page);
  units_used_.fetch_sub(units_of(size), std::memory_order_relaxed);
  const std::size_t slot = page.value / kLargeUnits;
  if (size != PageSize::kLarge) mark(page.value, size, false);
  if (slots_[slot].used == 0) give_slot(slot);
}

void PagePool::give_back(std::size_t granule) {
  const std::size_t bytes = slots_per_granule_ * bytes_of(PageSize::kLarge);
  madvise(base_ + granule * bytes, bytes, MADV_DONTNEED);
  granules_[granule].resident = false;
  resident_granules_.fetch_sub(1, std::memory_order_relaxed);
}

PagePool::Stats PagePool::stats() const {
  Stats stats;
  stats.pages_used = slots_used_.load(std::memory_order_relaxed);
  stats.bytes_used = units_used_.load(std::memory_order_relaxed) * unit_bytes_;
  stats.bytes_prefixes = bytes_prefixes_.load(std::memory_order_relaxed);
  stats.bytes_prefixes_only = bytes_prefixes_only_.load(std::memory_order_relaxed);
  stats.bytes_resident =
      resident_granules_.load(std::memory_order_relaxed) * slots_per_granule_ * bytes_of(PageSize::kLarge);
  stats.bytes_max = slots_.size() * bytes_of(PageSize::kLarge);
  return stats;
}

}  // namespace pmt::kv_cache
