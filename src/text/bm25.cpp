#include "text/bm25.h"

#include <algorithm>
#include <set>

#include "text/stems.h"
#include "text/stop_words.h"
#include "text/words.h"

namespace pmt::text {
namespace {

/// Coverage is told as if so many other passages held none of the words, or a short document's every word would count
/// as one that is everywhere.
constexpr double kOtherPassages = 30;

/// Stems of the words that are looked for, in order.
std::vector<std::string> searched_words(std::string_view text) {
  std::vector<std::string> out;
  for (Word& word : words_of(text, {.parts = true})) {
    if (is_stop_word(word.folded, StopUse::kSearch)) continue;
    out.push_back(word.digits ? std::move(word.folded) : stem_of(word.folded));
  }
  return out;
}

}  // namespace

std::size_t Bm25::add(std::string_view passage) {
  const auto number = static_cast<std::uint32_t>(lengths_.size());
  const std::vector<std::string> words = searched_words(passage);
  for (const std::string& word : words) {
    std::vector<Posting>& postings = postings_[word];
    if (postings.empty() || postings.back().passage != number) postings.push_back({number, 0});
    ++postings.back().times;
  }
  lengths_.push_back(static_cast<std::uint32_t>(words.size()));
  words_ += words.size();
  return number;
}

std::vector<Bm25::Hit> Bm25::search(std::string_view question, std::size_t count) const {
  const auto passages = static_cast<double>(size());
  const double mean = std::max(1.0, static_cast<double>(words_) / std::max(1.0, passages));
  std::unordered_map<std::size_t, Hit> found;
  double all = 0;
  const std::vector<std::string> words = searched_words(question);
  for (const std::string& word : std::set<std::string>(words.begin(), words.end())) {
    const auto held = postings_.find(word);
    const std::size_t holding = held == postings_.end() ? 0 : held->second.size();
    const double share = bm25_weight(passages + kOtherPassages, holding);
    all += share;
    if (holding == 0) continue;
    for (const Posting& posting : held->second) {
      Hit& hit = found[posting.passage];
      hit.passage = posting.passage;
      hit.score += bm25_part(bm25_weight(passages, holding), posting.times, lengths_[posting.passage], mean);
      hit.covered += share;
    }
  }
  std::vector<Hit> hits;
  hits.reserve(found.size());
  for (const auto& [passage, hit] : found) hits.push_back({passage, hit.score, hit.covered / all});
  const std::size_t kept = std::min(count, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(kept), hits.end(),
                    [](const Hit& a, const Hit& b) {
                      return a.score != b.score ? a.score > b.score : a.passage < b.passage;
                    });
  hits.resize(kept);
  return hits;
}

}  // namespace pmt::text
