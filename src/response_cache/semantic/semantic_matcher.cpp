#include "response_cache/semantic/semantic_matcher.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace pmt::response_cache {
namespace {

constexpr std::size_t kNeighbours = 8;

struct Allowed {
  Neighbour neighbour;
  std::uint64_t group = 0;
  PairEvidence evidence;
};

base::Digest pair_of(const Key& key, const text::Question& question) {
  std::string both = key.hex();
  for (const std::string& word : question.words) both.append(" ").append(word);
  return base::sha256(both);
}

}  // namespace

Match SemanticMatcher::match(const Scope& scope, const text::Question& question,
                             std::span<const float> vector, double error_max) {
  Match match;
  const std::vector<Neighbour> near = index_.nearest(scope, vector, kNeighbours);
  if (near.empty()) return match;
  match.nearest_cosine = near.front().cosine;
  std::vector<std::pair<Neighbour, Item>> known;
  {
    const std::lock_guard lock(mutex_);
    for (const Neighbour& neighbour : near) {
      if (!barred_.empty() && barred_.contains(pair_of(neighbour.key, question))) {
        match.nearest_barred |= neighbour.id == near.front().id;
        continue;
      }
      // If there is none, it is just being removed.
      if (const auto item = items_.find(neighbour.id); item != items_.end())
        known.emplace_back(neighbour, item->second);
    }
  }
  std::vector<Allowed> allowed;
  for (const auto& [neighbour, item] : known) {
    const text::Difference why = text::difference(question, *item.facts);
    if (neighbour.id == near.front().id) match.nearest_veto = why;
    if (why != text::Difference::kNone) continue;
    allowed.push_back({neighbour,
                       item.group,
                       {.cosine = neighbour.cosine,
                        .rival = 0,
                        .likeness = likeness(question, *item.facts),
                        .agreed = item.agreed,
                        .disagreed = item.disagreed}});
  }
  for (Allowed& one : allowed) {
    for (const Allowed& other : allowed) {  // the nearest of another group
      if (other.group == one.group) continue;
      one.evidence.rival = other.neighbour.cosine;
      break;
    }
    Match::Candidate candidate{.id = one.neighbour.id,
                               .key = one.neighbour.key,
                               .cosine = one.neighbour.cosine,
                               .figures = figures_of(one.evidence),
                               .judgement = {}};
    candidate.judgement = rule_.judge(candidate.figures, error_max);
    if (!match.best || candidate.judgement.p > match.best->judgement.p) match.best = candidate;
  }
  return match;
}

std::uint64_t SemanticMatcher::add(const Scope& scope, const Key& key, text::Question question,
                                   const PackedVector& vector, std::uint64_t same_answer_as) {
  auto facts = std::make_shared<const text::Question>(std::move(question));
  const SemanticIndex::Added added = index_.add(scope, key, vector);
  const std::lock_guard lock(mutex_);
  if (added.removed != 0) items_.erase(added.removed);
  Item item{.facts = std::move(facts), .group = added.id};
  if (const auto same = items_.find(same_answer_as); same != items_.end()) item.group = same->second.group;
  items_[added.id] = std::move(item);
  return added.id;
}

void SemanticMatcher::remove(std::uint64_t id) {
  index_.remove(id);
  const std::lock_guard lock(mutex_);
  items_.erase(id);
}

bool SemanticMatcher::contains(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  return items_.contains(id);
}

void SemanticMatcher::learn(const Match::Candidate& candidate, bool agree) {
  rule_.learn(candidate.figures, agree);
  const std::lock_guard lock(mutex_);
  const auto item = items_.find(candidate.id);
  if (item == items_.end()) return;
  ++(agree ? item->second.agreed : item->second.disagreed);
}

void SemanticMatcher::unlearn(const Match::Candidate& candidate, bool agree) {
  rule_.forget(candidate.figures, agree);
  const std::lock_guard lock(mutex_);
  const auto item = items_.find(candidate.id);
  if (item == items_.end()) return;
  int& said = agree ? item->second.agreed : item->second.disagreed;
  said = std::max(0, said - 1);
}

void SemanticMatcher::bar(const Key& key, const text::Question& question) {
  const base::Digest pair = pair_of(key, question);
  const std::lock_guard lock(mutex_);
  if (!barred_.insert(pair).second) return;
  barred_in_order_.push_back(pair);
  if (barred_in_order_.size() <= kBarredMax) return;
  barred_.erase(barred_in_order_.front());
  barred_in_order_.pop_front();
}

void SemanticMatcher::unbar(const Key& key, const text::Question& question) {
  const base::Digest pair = pair_of(key, question);
  const std::lock_guard lock(mutex_);
  if (barred_.erase(pair) > 0) std::erase(barred_in_order_, pair);
}

}  // namespace pmt::response_cache
