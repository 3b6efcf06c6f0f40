#include "knowledge_cache/packs/domain.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "text/stop_words.h"
#include "text/words.h"

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kNearLettersMin = 5;  // shorter words have too many neighbours

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + ' ';
  return out;
}

template <class Visit>
void each_shortened(const std::string& word, Visit&& visit) {
  visit(word);
  for (std::size_t i = 0; i < word.size(); ++i) visit(word.substr(0, i) + word.substr(i + 1));
}

}  // namespace

Domain::Domain(Origin origin, Slots slots, std::shared_ptr<const Documents> documents)
    : origin_(std::move(origin)), slots_(std::move(slots)), documents_(std::move(documents)) {
  if (documents_ != nullptr) bytes_ += documents_->bytes();
  std::unordered_set<const Phrasings*> counted;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    index(i);
    if (counted.insert(slots_[i]->phrasings.get()).second) bytes_ += slots_[i]->phrasings->bytes();
  }
}

void Domain::index(std::size_t slot) {
  const Slot& of = *slots_[slot];
  bytes_ += of.bytes();
  ids_.emplace(of.fact.id, slot);
  const auto [at, is_new] = names_.emplace(joined(of.mention_words), things_.size());
  if (!is_new) {
    things_[at->second].slots.push_back(slot);
    return;
  }
  const std::size_t thing = things_.size();
  things_.push_back({of.mention_words, {slot}});
  for (const std::string& word : of.mention_words) {
    if (text::is_name_connector(word)) continue;
    auto [entry, first] = words_.try_emplace(word);
    if (entry->second.empty() || entry->second.back() != thing) entry->second.push_back(thing);
    if (!first || word.size() < kNearLettersMin) continue;
    each_shortened(word, [&](const std::string& shorter) { shortened_[shorter].push_back(word); });
  }
}

const std::vector<std::size_t>& Domain::things_with(const std::string& word) const {
  static const std::vector<std::size_t> kNone;
  const auto found = words_.find(word);
  return found == words_.end() ? kNone : found->second;
}

std::vector<std::string> Domain::words_near(const std::string& word) const {
  std::vector<std::string> out;
  if (word.size() < kNearLettersMin) return out;
  each_shortened(word, [&](const std::string& shorter) {
    const auto found = shortened_.find(shorter);
    if (found == shortened_.end()) return;
    for (const std::string& candidate : found->second) {
      if (text::one_letter_apart(word, candidate) &&
          std::find(out.begin(), out.end(), candidate) == out.end())
        out.push_back(candidate);
    }
  });
  return out;
}

const Slot* Domain::find(std::string_view id) const {
  const auto found = ids_.find(std::string(id));
  return found == ids_.end() ? nullptr : slots_[found->second].get();
}

const Thing* Domain::find_thing(const std::vector<std::string>& words) const {
  const auto found = names_.find(joined(words));
  return found == names_.end() ? nullptr : &things_[found->second];
}

}  // namespace pmt::knowledge_cache
