#include "inference/prompt_lookup.h"

#include <algorithm>

namespace pmt::inference {
namespace {

constexpr int kMatchMax = 8;
constexpr int kMatchMin = 2;
constexpr int kMissesMax = 2;
constexpr int kPause = 8;
constexpr int kPauseMax = 128;

}  // namespace

std::vector<std::int32_t> PromptLookup::propose(std::span<const std::int32_t> text, int drafts_max) {
  const int size = static_cast<int>(text.size());
  const int length = std::min(length_, drafts_max);
  if (pause_ > 0 || length < 1) return {};
  const auto at = [&](int i) { return text[static_cast<std::size_t>(i)]; };
  int best = kMatchMin - 1;
  int best_end = -1;  // where what followed begins
  // From the end: of equally long matches the latest is the likeliest.
  for (int end = size - 1; end >= kMatchMin && best < kMatchMax; --end) {
    if (at(end - 1) != at(size - 1)) continue;
    int match = 1;
    while (match < kMatchMax && end - 1 - match >= 0 && at(end - 1 - match) == at(size - 1 - match)) ++match;
    if (match <= best) continue;
    best = match;
    best_end = end;
  }
  if (best_end < 0) return {};
  const auto follow = text.subspan(static_cast<std::size_t>(best_end));
  const auto count = std::min(follow.size(), static_cast<std::size_t>(length));
  return {follow.begin(), follow.begin() + static_cast<std::ptrdiff_t>(count)};
}

void PromptLookup::observe(int drafted, int accepted) {
  if (drafted == 0) {
    pause_ = std::max(0, pause_ - 1);
    return;
  }
  if (accepted == drafted) length_ = std::min(kDraftsMax, length_ * 2);
  if (2 * accepted < drafted) length_ = std::max(1, length_ / 2);
  misses_ = accepted > 0 ? 0 : misses_ + 1;
  if (misses_ >= kMissesMax) pause_ = std::min(kPauseMax, kPause << std::min(8, misses_ - kMissesMax));
}

std::optional<std::string> prompt_lookup_self_test() {
  const std::vector<std::int32_t> repeats{1, 2, 3, 4, 5, 6, 7, 1, 2, 3};
  PromptLookup lookup;
  if (lookup.propose(repeats, kDraftsMax) != std::vector<std::int32_t>{4, 5})
    return "a repetition isn't drafted";
  lookup.observe(2, 2);
  if (lookup.propose(repeats, kDraftsMax).size() != 4) return "drafts don't lengthen when they were right";
  for (int i = 0; i < kMissesMax; ++i) lookup.observe(1, 0);
  if (!lookup.propose(repeats, kDraftsMax).empty()) return "drafting doesn't pause when it was wrong";
  if (!PromptLookup().propose(std::vector<std::int32_t>{1, 2, 3, 4}, kDraftsMax).empty())
    return "something is drafted where nothing repeats";
  return std::nullopt;
}

}  // namespace pmt::inference
