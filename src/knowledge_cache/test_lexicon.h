// A lexicon for tests: words that are made up here are rare, all others known.
#pragma once

#include <set>
#include <string>

#include "knowledge_cache/gate/mention.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

inline Lexicon test_lexicon() {
  return Lexicon(
      [](std::string_view word) {
        static const std::set<std::string_view> kMadeUp{"zorvane", "kelmari",  "brunolo",
                                                        "tamrix",  "velsaska", "zorvene"};
        return kMadeUp.contains(word) ? 12.0 : 9.0;
      },
      {});
}

inline std::shared_ptr<const Slot> test_slot(const std::string& id, const std::string& prompt,
                                             const std::string& answer, const Lexicon& lexicon) {
  Slot slot;
  slot.fact = {.id = id, .prompt = prompt, .answer = answer};
  const auto mention = choose_mention({prompt}, "", lexicon);
  slot.mention = prompt.substr(mention->begin, mention->end - mention->begin);
  slot.mention_words = mention->words;
  slot.phrasings = std::make_shared<const Phrasings>(
      Phrasings{{text::folded_text(masked(prompt, mention->begin, mention->end))}, {}});
  slot.statement = statement_of(slot.fact, slot.mention);
  return std::make_shared<const Slot>(std::move(slot));
}

inline std::shared_ptr<const Domain> test_domain(Domain::Slots slots) {
  return std::make_shared<const Domain>(Domain::Origin{"acme", "model", "space", "v", 0}, std::move(slots));
}

}  // namespace pmt::knowledge_cache
