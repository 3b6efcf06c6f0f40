#include "knowledge_cache/teach/teacher.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "knowledge_cache/gate/question_keys.h"
#include "knowledge_cache/gate/recall.h"
#include "knowledge_cache/teach/named_relation.h"
#include "text/difference.h"
#include "text/words.h"

namespace pmt::knowledge_cache {
namespace {

constexpr float kSameQuestion = 0.9F;  // two phrasings that ask one thing the same
constexpr float kAlike = 0.999F;       // keys that are one but for a pack's eight bits

/// How the slot's fact is asked for, its thing masked: as it was written, and by templates.
std::vector<std::string> questions_of(const std::vector<std::string>& phrasings, const Slot& slot) {
  std::vector<std::string> asked;
  const auto add = [&asked](std::string text) {
    if (std::find(asked.begin(), asked.end(), text) == asked.end()) asked.push_back(std::move(text));
  };
  for (const std::string& phrasing : phrasings) {
    std::string question = masked_mention(phrasing, slot.mention_words);
    if (!question.empty()) add(plain_question(std::move(question)));
  }
  // A relation that is named is asked for by templates too.
  if (const NamedRelation named = named_relation_of(asked.front()); !named.name.empty()) {
    for (std::string& form : template_forms(named.name, named.thing())) add(std::move(form));
  }
  return asked;
}

/// The same words, and nothing that tells them apart: "in 2023" and "in 2024" do.
bool ask_the_same(const Slot& a, const Slot& b) {
  const Phrasings &one = *a.phrasings, &other = *b.phrasings;
  const bool near =
      (!one.asked.empty() && !other.asked.empty() && one.asked.front() == other.asked.front()) ||
      (!one.keys.empty() && !other.keys.empty() &&
       cosine(one.keys.front(), other.keys.front()) > kSameQuestion);
  if (!near) return false;
  const auto question = [](const Slot& slot) {
    return text::question_of(masked_mention(slot.fact.prompt, slot.mention_words));
  };
  const text::Qualified there = text::qualified(question(a), question(b)),
                        back = text::qualified(question(b), question(a));
  return there.difference == text::Difference::kNone && back.difference == text::Difference::kNone &&
         !there.leaves_out && !back.leaves_out;
}

/// The same words and, to a pack's eight bits, the same keys.
bool are_alike(const Phrasings& a, const Phrasings& b) {
  return a.asked == b.asked && std::equal(a.keys.begin(), a.keys.end(), b.keys.begin(), b.keys.end(),
                                          [](const auto& x, const auto& y) { return cosine(x, y) > kAlike; });
}

/// A domain's slots while more of them come.
class Merging {
 public:
  explicit Merging(const Domain* before) {
    if (before != nullptr) out_.slots = before->slots();
    for (std::size_t i = 0; i < out_.slots.size(); ++i) {
      const Slot& slot = *out_.slots[i];
      ids_.emplace(slot.fact.id, i);
      by_name_[slot.mention_words].push_back(i);
      by_asked_.emplace(slot.phrasings->asked, slot.phrasings);
    }
    next_id_ = out_.slots.size() + 1;
  }

  void take(Slot slot) {
    share_phrasings(slot);
    const std::optional<std::size_t> replaced = place_of(slot.fact.id);
    if (const Slot* known = find_known(slot, replaced)) {
      if (text::folded_text(known->fact.answer) == text::folded_text(slot.fact.answer)) {
        ++out_.known_before;
        return;
      }
      out_.contradictions.push_back(
          {slot.fact.id, known->fact.id, slot.fact.prompt, slot.fact.answer, known->fact.answer});
      return;
    }
    if (replaced) {
      slot.revision = out_.slots[*replaced]->revision + 1;
      out_.slots[*replaced] = std::make_shared<const Slot>(std::move(slot));
      ++out_.updated;
      return;
    }
    add(std::move(slot));
  }

  Merged end(const Domain* before) && {
    for (const auto& slot : out_.slots) {
      const Slot* old = before == nullptr ? nullptr : before->find(slot->fact.id);
      if (old != slot.get()) out_.changed.push_back(slot->fact.id);
    }
    return std::move(out_);
  }

 private:
  void share_phrasings(Slot& slot) {
    const auto [shared, is_new] = by_asked_.emplace(slot.phrasings->asked, slot.phrasings);
    if (!is_new && are_alike(*shared->second, *slot.phrasings)) slot.phrasings = shared->second;
  }

  std::optional<std::size_t> place_of(const std::string& id) const {
    const auto found = id.empty() ? ids_.end() : ids_.find(id);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// The last slot that is asked for the same, but for the one that is replaced.
  const Slot* find_known(const Slot& slot, std::optional<std::size_t> replaced) {
    const Slot* known = nullptr;
    for (const std::size_t i : by_name_[slot.mention_words]) {
      if (i != replaced && ask_the_same(*out_.slots[i], slot)) known = out_.slots[i].get();
    }
    return known;
  }

  void add(Slot slot) {
    while (slot.fact.id.empty()) {
      std::string id = std::to_string(next_id_++);
      if (!ids_.contains(id)) slot.fact.id = std::move(id);
    }
    ids_.emplace(slot.fact.id, out_.slots.size());
    by_name_[slot.mention_words].push_back(out_.slots.size());
    out_.slots.push_back(std::make_shared<const Slot>(std::move(slot)));
    ++out_.learnt;
  }

  Merged out_;
  std::map<std::string, std::size_t> ids_;
  std::map<std::vector<std::string>, std::vector<std::size_t>> by_name_;
  std::map<std::vector<std::string>, std::shared_ptr<const Phrasings>> by_asked_;
  std::size_t next_id_ = 1;
};

}  // namespace

Lesson prepare(const ParsedFacts& facts, const Source& source, const Lexicon& lexicon) {
  Lesson out;
  // Templates over few relations: most phrasings of a domain are the same once the thing is masked.
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < facts.facts.size(); ++i) {
    const Fact& fact = facts.facts[i];
    std::vector<std::string> phrasings{fact.prompt};
    phrasings.insert(phrasings.end(), fact.paraphrases.begin(), fact.paraphrases.end());
    const auto mention = choose_mention(phrasings, fact.subject, lexicon);
    if (!mention) {
      out.errors.push_back({facts.lines[i], mention.error().message});
      continue;
    }
    Slot slot;
    slot.fact = fact;
    slot.mention = fact.prompt.substr(mention->begin, mention->end - mention->begin);
    slot.mention_words = mention->words;
    slot.statement = statement_of(fact, slot.mention);
    slot.source = source.name;
    slot.line = facts.lines[i];
    slot.learnt_unix_s = source.learnt_unix_s;
    std::vector<std::size_t>& asked = out.asked.emplace_back();
    for (std::string& question : questions_of(phrasings, slot)) {
      const auto [place, is_new] = places.emplace(question, out.questions.size());
      if (is_new) out.questions.push_back(std::move(question));
      asked.push_back(place->second);
    }
    out.slots.push_back(std::move(slot));
  }
  return out;
}

std::vector<Slot> slots_of(Lesson lesson, const std::vector<std::vector<float>>& keys,
                           const RelationSpace* space) {
  std::map<std::vector<std::size_t>, std::shared_ptr<const Phrasings>> made;
  for (std::size_t i = 0; i < lesson.slots.size(); ++i) {
    auto& phrasings = made[lesson.asked[i]];
    if (phrasings == nullptr) {
      Phrasings one;
      for (const std::size_t question : lesson.asked[i]) {
        one.asked.push_back(text::folded_text(lesson.questions[question]));
        if (space != nullptr) one.keys.push_back(keys[question]);
      }
      if (space != nullptr) add_other_wordings(*space, one);
      phrasings = std::make_shared<const Phrasings>(std::move(one));
    }
    lesson.slots[i].phrasings = phrasings;
  }
  return std::move(lesson.slots);
}

Merged merge(const Domain* before, std::vector<Slot> slots) {
  Merging merging(before);
  for (Slot& slot : slots) merging.take(std::move(slot));
  return std::move(merging).end(before);
}

}  // namespace pmt::knowledge_cache
