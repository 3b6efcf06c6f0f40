#include "rlm/read_ranges.h"

#include <algorithm>
#include <string>

namespace pmt::rlm {
namespace {

constexpr std::size_t kBlockBytes = 32;
constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15ULL;
constexpr std::size_t kJoinedEvery = 4096;
// Of a text that stands in many places: how many are compared, and how far.
constexpr int kPlacesTried = 64;
constexpr std::size_t kComparedBytes = 4096;

constexpr std::uint64_t power(std::uint64_t factor, std::size_t times) {
  std::uint64_t out = 1;
  for (std::size_t i = 0; i < times; ++i) out *= factor;
  return out;
}
constexpr std::uint64_t kFactorOfFirst = power(kFactor, kBlockBytes - 1);

std::uint64_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]) + 1ULL;
}

std::uint64_t hash_of(std::string_view block) {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < kBlockBytes; ++i) hash = hash * kFactor + byte_at(block, i);
  return hash;
}

}  // namespace

ReadRanges::ReadRanges(const nlohmann::json& context) : whole_(context.is_string()) {
  std::size_t bytes = 0;
  const auto take = [&](const nlohmann::json& text) {
    parts_.emplace_back(text.get_ref<const std::string&>());
    bytes += parts_.back().size();
  };
  if (whole_) {
    take(context);
  } else {
    for (const nlohmann::json& part : context) take(part);
  }
  too_large_ = bytes > kContextBytesMax;
}

void ReadRanges::index() {
  indexed_ = true;
  for (std::uint32_t part = 0; part < parts_.size(); ++part) {
    const std::string_view text = parts_[part];
    for (std::uint32_t i = 0; (std::size_t{i} + 1) * kBlockBytes <= text.size(); ++i)
      blocks_.push_back({hash_of(text.substr(std::size_t{i} * kBlockBytes)), part, i});
  }
  std::sort(blocks_.begin(), blocks_.end());
}

void ReadRanges::add(std::string_view shown) {
  if (too_large_ || shown.size() < kShownBytesMin) return;
  const std::lock_guard lock(mutex_);
  if (!indexed_) index();
  const std::size_t last = shown.size() - kBlockBytes;
  Stretch best;
  std::size_t decided_at = 0;  // by then a block of the best stretch was at its place
  std::uint64_t hash = hash_of(shown);
  for (std::size_t at = 0;; ++at) {
    const bool had_none = best.bytes == 0;
    look_at(shown, at, hash, best);
    if (had_none && best.bytes > 0) decided_at = at + kBlockBytes - 1;
    if (best.bytes > 0 && (at >= decided_at || at == last)) {
      grow(shown, best, shown.size());
      if (best.bytes >= kShownBytesMin) ranges_.push_back({best.part, best.there, best.there + best.bytes});
      at = std::max(at, best.here + best.bytes - 1);
      best = {};
      if (at + 1 > last) break;
      hash = hash_of(shown.substr(at + 1));
      continue;
    }
    if (at == last) break;
    hash = (hash - byte_at(shown, at) * kFactorOfFirst) * kFactor + byte_at(shown, at + kBlockBytes);
  }
  if (ranges_.size() > kJoinedEvery) join();
}

/// `best`: the longest stretch so far; one around a block that stands at `at` takes its place where it is longer.
void ReadRanges::look_at(std::string_view shown, std::size_t at, std::uint64_t hash, Stretch& best) const {
  auto found = std::lower_bound(blocks_.begin(), blocks_.end(), Block{hash, 0, 0});
  for (int tried = 0; tried < kPlacesTried && found != blocks_.end() && found->hash == hash;
       ++tried, ++found) {
    Stretch one{.part = found->part,
                .there = std::size_t{found->index} * kBlockBytes,
                .here = at,
                .bytes = kBlockBytes};
    if (parts_[one.part].substr(one.there, kBlockBytes) != shown.substr(at, kBlockBytes)) continue;
    grow(shown, one, kComparedBytes);
    if (one.bytes > best.bytes) best = one;
  }
}

/// As far as both texts go on alike on both sides, at most to `bytes_max`.
void ReadRanges::grow(std::string_view shown, Stretch& one, std::size_t bytes_max) const {
  const std::string_view text = parts_[one.part];
  while (one.bytes < bytes_max && one.here > 0 && one.there > 0 && shown[one.here - 1] == text[one.there - 1])
    --one.here, --one.there, ++one.bytes;
  while (one.bytes < bytes_max && one.here + one.bytes < shown.size() &&
         one.there + one.bytes < text.size() && shown[one.here + one.bytes] == text[one.there + one.bytes])
    ++one.bytes;
}

/// In order, without overlaps.
void ReadRanges::join() {
  std::sort(ranges_.begin(), ranges_.end());
  std::vector<Range> joined;
  for (const Range& range : ranges_) {
    if (!joined.empty() && joined.back().part == range.part && range.begin <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, range.end);
    } else {
      joined.push_back(range);
    }
  }
  ranges_ = std::move(joined);
}

nlohmann::json ReadRanges::told() {
  if (too_large_) return nullptr;
  const std::lock_guard lock(mutex_);
  join();
  std::size_t bytes = 0;
  nlohmann::json ranges = nlohmann::json::array();
  for (const Range& range : ranges_) {
    bytes += range.end - range.begin;
    if (ranges.size() == kRangesMax) continue;
    nlohmann::json one = {{"begin", range.begin}, {"end", range.end}};
    if (!whole_) one["part"] = range.part;
    ranges.push_back(std::move(one));
  }
  return {{"bytes", bytes}, {"ranges", std::move(ranges)}};
}

}  // namespace pmt::rlm
