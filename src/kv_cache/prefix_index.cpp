#include "kv_cache/prefix_index.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace pmt::kv_cache {
namespace {

int common(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return static_cast<int>(end - a.begin());
}

}  // namespace

std::optional<SequenceKv> PrefixIndex::find(std::span<const std::int32_t> tokens, int tokens_max,
                                            double ratio) {
  auto best = entries_.end();
  int most = kTokensMin - 1;
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->ratio != ratio) continue;
    const int shared = std::min(common(tokens, it->tokens), tokens_max);
    if (shared <= most || shared < it->sequence.compressed_tokens()) continue;
    most = shared;
    best = it;
  }
  if (best == entries_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, best);
  SequenceKv fork = best->sequence.fork();
  fork.truncate(std::min(most, fork.tokens()));
  return fork;
}

void PrefixIndex::insert(std::span<const std::int32_t> tokens, const SequenceKv& sequence, double ratio) {
  const auto count = static_cast<std::size_t>(sequence.tokens());
  if (sequence.tokens() < kTokensMin || count > tokens.size() || bytes_max_ <= 0) return;
  const auto read = tokens.first(count);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto shared = static_cast<std::size_t>(common(read, it->tokens));
    if (it->ratio == ratio && shared == read.size()) {  // known already, and perhaps more
      entries_.splice(entries_.begin(), entries_, it);
      return;
    }
    it = it->ratio == ratio && shared == it->tokens.size() ? entries_.erase(it) : std::next(it);
  }
  entries_.push_front({{read.begin(), read.end()}, sequence.fork(), ratio});
  while (bytes_held() > bytes_max_) entries_.pop_back();
}

std::int64_t PrefixIndex::bytes_held() const {
  return sum([](std::uint32_t, std::uint32_t) { return true; });
}

std::int64_t PrefixIndex::bytes() const {
  return sum([](std::uint32_t references, std::uint32_t held_here) { return references == held_here; });
}

std::int64_t PrefixIndex::sum(const std::function<bool(std::uint32_t, std::uint32_t)>& counts) const {
  struct Seen {
    const SequenceKv* by;
    std::uint32_t times;
  };
  std::unordered_map<std::uint32_t, Seen> pages;
  for (const Entry& entry : entries_) {
    for (const auto& table : entry.sequence.tables()) {
      for (const PageId page : table)
        ++pages.try_emplace(page.value, Seen{&entry.sequence, 0}).first->second.times;
    }
  }
  std::int64_t total = 0;
  for (const auto& [page, seen] : pages) {
    if (counts(seen.by->references(PageId(page)), seen.times))
      total += static_cast<std::int64_t>(seen.by->page_bytes());
  }
  return total;
}

bool PrefixIndex::drop_one() {
  if (entries_.empty()) return false;
  entries_.pop_back();
  return true;
}

}  // namespace pmt::kv_cache
