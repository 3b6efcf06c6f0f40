#include "knowledge_cache/teach/examiner.h"

#include <memory>
#include <set>

#include <fmt/format.h>

#include "knowledge_cache/gate/recall.h"
#include "knowledge_cache/teach/named_relation.h"

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kUnseenMax = 200;  // phrasings to embed
constexpr std::size_t kOthersMax = 2000;

/// As the gate takes it. The domain outlives it.
Domains alone(const Domain& domain) {
  return {std::shared_ptr<const Domain>(&domain, [](auto*) {})};
}

bool same_answer(const Slot* was, const Slot* is) {
  if (was == nullptr || is == nullptr) return was == is;
  return was->fact.answer == is->fact.answer;
}

}  // namespace

base::Result<const Slot*> Examiner::ask(const Domains& domains, const std::string& question,
                                        Asking how) const {
  const Inquiry inquiry({.turns = {question}, .raw = false}, domains, lexicon_);
  static const RelationSpace kNone;
  const auto space = keys_.space();
  std::vector<float> rows;
  if (how.by_meaning && space != nullptr && !inquiry.questions().empty()) {
    TRY_ASSIGN(rows, keys_.embed(inquiry.questions()));
  }
  const Recalled recalled = inquiry.decide(rows, space == nullptr ? kNone : *space);
  return recalled.facts.empty() ? nullptr : recalled.facts.front().slot;
}

base::Status Examiner::examine_taught(const Domains& now, const Slot* slot, Exam& exam) const {
  TRY_ASSIGN(const Slot* found, ask(now, slot->fact.prompt, {.by_meaning = false}));
  if (found == nullptr) {
    TRY_ASSIGN(found, ask(now, slot->fact.prompt, {.by_meaning = true}));
  }
  exam.recalled += found == slot ? 1 : 0;
  if (exam.unseen_asked >= kUnseenMax || !keys_.has_embedder()) return {};
  const NamedRelation named = named_relation_of(masked_mention(slot->fact.prompt, slot->mention_words));
  if (named.name.empty()) return {};
  ++exam.unseen_asked;
  const std::string question =
      fmt::format("Could you give me {}'s {}{}, please?", slot->mention, named.name, named.besides);
  TRY_ASSIGN(const Slot* unseen, ask(now, question, {.by_meaning = true}));
  exam.unseen_recalled += unseen == slot ? 1 : 0;
  return {};
}

base::Status Examiner::examine_others(const Domain& before, const Domains& now,
                                      const std::vector<std::string>& taught, Exam& exam) const {
  const Domains then = alone(before);
  const std::set<std::string> changed(taught.begin(), taught.end());
  for (const auto& slot : before.slots()) {
    if (exam.others_asked >= kOthersMax) break;
    if (changed.contains(slot->fact.id)) continue;
    ++exam.others_asked;
    TRY_ASSIGN(const Slot* was, ask(then, slot->fact.prompt, {.by_meaning = false}));
    TRY_ASSIGN(const Slot* is, ask(now, slot->fact.prompt, {.by_meaning = false}));
    exam.others_changed += same_answer(was, is) ? 0 : 1;
  }
  return {};
}

base::Result<Exam> Examiner::examine(const Domain* before, const Domain& after,
                                     const std::vector<std::string>& taught) const {
  Exam exam;
  const Domains now = alone(after);
  for (const std::string& id : taught) TRY(examine_taught(now, after.find(id), exam));
  if (before != nullptr) TRY(examine_others(*before, now, taught, exam));
  return exam;
}

}  // namespace pmt::knowledge_cache
