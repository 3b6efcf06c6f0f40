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

base::Result<std::unique_ptr<PagePool>> PagePool::create(std::size_t page_bytes, std::size_t bytes_max) {
  CHECK(page_bytes > 0 && page_bytes <= kGranuleBytes);
  const std::size_t pages_per_granule = kGranuleBytes / page_bytes;
  const std::size_t stride = pages_per_granule * page_bytes;
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
      new PagePool(static_cast<std::byte*>(memory), bytes, page_bytes, granules));
}

PagePool::PagePool(std::byte* base, std::size_t reserved_bytes, std::size_t page_bytes, std::size_t granules)
    : base_(base),
      reserved_bytes_(reserved_bytes),
      page_bytes_(page_bytes),
      pages_per_granule_(kGranuleBytes / page_bytes),
      references_(granules * pages_per_granule_, 0),
      granules_(granules) {
  for (std::size_t g = 0; g < granules; ++g) {
    auto& free = granules_[g].free;
    free.reserve(pages_per_granule_);
    // Descending, so that pop_back hands out the lowest address first.
    for (std::size_t i = pages_per_granule_; i > 0; --i) {
      free.push_back(static_cast<std::uint32_t>(g * pages_per_granule_ + i - 1));
    }
    with_free_.insert(with_free_.end(), g);
  }
}

PagePool::~PagePool() {
  munmap(base_, reserved_bytes_);
}

base::Result<PageId> PagePool::allocate() {
  if (with_free_.empty()) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("the KV page pool is full ({} pages of {} bytes)", references_.size(), page_bytes_)};
  }
  const std::size_t g = *with_free_.begin();
  Granule& granule = granules_[g];
  if (granule.free.size() == pages_per_granule_) {
    if (granule.resident) {
      --empty_resident_;
    } else {
      granule.resident = true;
      resident_granules_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const PageId page(granule.free.back());
  granule.free.pop_back();
  if (granule.free.empty()) with_free_.erase(with_free_.begin());
  references_[page.value] = 1;
  used_.fetch_add(1, std::memory_order_relaxed);
  std::memset(data(page), 0, page_bytes_);
  return page;
}

void PagePool::add_reference(PageId page) {
  CHECK(references_[page.value] > 0);
  ++references_[page.value];
}

void PagePool::release(PageId page) {
  CHECK(references_[page.value] > 0);
  if (--references_[page.value] > 0) return;
  used_.fetch_sub(1, std::memory_order_relaxed);
  const std::size_t g = granule_of(page);
  Granule& granule = granules_[g];
  granule.free.push_back(page.value);
  if (granule.free.size() == 1) with_free_.insert(g);
  if (granule.free.size() == pages_per_granule_) {
    if (empty_resident_ < kWarmGranules) {
      ++empty_resident_;
    } else {
      give_back(g);
    }
  }
}

void PagePool::give_back(std::size_t granule) {
  madvise(base_ + granule * pages_per_granule_ * page_bytes_, pages_per_granule_ * page_bytes_,
          MADV_DONTNEED);
  granules_[granule].resident = false;
  resident_granules_.fetch_sub(1, std::memory_order_relaxed);
}

PagePool::Stats PagePool::stats() const {
  Stats stats;
  stats.pages_used = used_.load(std::memory_order_relaxed);
  stats.pages_max = references_.size();
  stats.bytes_used = stats.pages_used * page_bytes_;
  stats.bytes_resident =
      resident_granules_.load(std::memory_order_relaxed) * pages_per_granule_ * page_bytes_;
  stats.bytes_max = references_.size() * page_bytes_;
  return stats;
}

}  // namespace pmt::kv_cache
