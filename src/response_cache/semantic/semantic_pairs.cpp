#include "response_cache/semantic/semantic_pairs.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace pmt::response_cache {

std::optional<bool> SemanticPair::same() const {
  if (verdict != Verdict::kNone) return verdict == Verdict::kSame;
  if (outcome == Outcome::kServed) return std::nullopt;
  return outcome == Outcome::kAgreed;
}

const char* to_string(SemanticPair::Outcome outcome) {
  switch (outcome) {
    case SemanticPair::Outcome::kServed:
      return "served";
    case SemanticPair::Outcome::kAgreed:
      return "agreed";
    case SemanticPair::Outcome::kDisagreed:
      break;
  }
  return "disagreed";
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "";
    case Verdict::kSame:
      return "same";
    case Verdict::kDifferent:
      break;
  }
  return "different";
}

void SemanticPairs::add(SemanticPair pair) {
  constexpr std::size_t kTextBytes = 1200;
  for (std::string* text : {&pair.question, &pair.nearest, &pair.answer, &pair.computed})
    *text = std::string(base::cut_utf8(*text, kTextBytes));
  const std::lock_guard lock(mutex_);
  pair.id = ++last_id_;
  pairs_.push_front(std::move(pair));
  if (pairs_.size() > kKept) pairs_.pop_back();
}

std::vector<SemanticPair> SemanticPairs::latest() const {
  const std::lock_guard lock(mutex_);
  return {pairs_.begin(), pairs_.end()};
}

bool SemanticPairs::change(std::uint64_t id, const std::function<void(SemanticPair&)>& change) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(pairs_, id, &SemanticPair::id);
  if (found == pairs_.end()) return false;
  change(*found);
  return true;
}

}  // namespace pmt::response_cache
