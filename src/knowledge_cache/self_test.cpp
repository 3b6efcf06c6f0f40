#include "knowledge_cache/self_test.h"

#include "knowledge_cache/gate/recall.h"
#include "knowledge_cache/packs/pack.h"

namespace pmt::knowledge_cache {
namespace {

std::shared_ptr<const Domain> taught() {
  Slot slot;
  slot.fact = {.id = "1", .prompt = "What is the support line of Zorvane Labs?", .answer = "4417"};
  slot.mention = "Zorvane Labs";
  slot.mention_words = {"zorvane", "labs"};
  slot.phrasings = std::make_shared<const Phrasings>(
      Phrasings{{text::folded_text("What is the support line of this thing?")}, {{1.0F, 0.0F}}});
  slot.statement = "The support line of Zorvane Labs is 4417.";
  return std::make_shared<const Domain>(Domain::Origin{"self-test", "model", "space", new_version(), 0},
                                        Domain::Slots{std::make_shared<const Slot>(std::move(slot))});
}

}  // namespace

std::optional<std::string> self_test() {
  const Lexicon lexicon([](std::string_view word) { return word == "zorvane" ? 12.0 : 9.0; }, {});
  const auto domain = taught();
  const auto recalls = [&](const Domains& domains, const char* question) {
    const Inquiry inquiry({.turns = {question}, .raw = false}, domains, lexicon);
    return !inquiry.decide({}, RelationSpace()).facts.empty();
  };
  if (!recalls({domain}, "What is the support line of Zorvane Labs?")) return "a taught fact isn't recalled";
  if (!recalls({domain}, "what is the support line of zorvane?")) return "a short name isn't recognised";
  if (recalls({domain}, "What is the support line of Zorvane Foods?"))
    return "a sibling is taken for what was taught";
  if (recalls({domain}, "What is the support line of Kelmari Labs?"))
    return "a stranger is taken for what was taught";
  if (recalls({}, "What is the support line of Zorvane Labs?")) return "a forgotten domain is recalled";
  std::string bytes = pack_bytes(*domain);
  const auto back = domain_of(bytes);
  if (!back || !recalls({*back}, "What is the support line of Zorvane Labs?"))
    return "a pack doesn't survive its file";
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  if (domain_of(bytes)) return "a damaged pack is accepted";
  return std::nullopt;
}

}  // namespace pmt::knowledge_cache
