// The facts and questions that `eval forgetting --peers` gives to every method, as texts and as tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "lab/invented_facts.h"
#include "lab/subject.h"
#include "model/chat_template.h"
#include "model/vocab.h"

namespace pmt::evals {

inline constexpr std::size_t kSetDomains = 10;
inline constexpr std::size_t kSetTextTokens = 4000;  // of WikiText-2, whose perplexity is measured
inline constexpr int kSetAnswerTokens = 16, kSetKnownTokens = 8;

struct SetQuestion {
  std::string row, text;
  std::size_t fact = 0;
};

struct QuestionSet {
  lab::InventedWorld world;
  std::vector<SetQuestion> questions;
  std::vector<std::pair<std::string, std::string>> known;  // a prompt and what completes it

  std::size_t domain_of(std::size_t fact) const { return world.facts[fact].thing % kSetDomains; }
  const lab::InventedThing& thing(std::size_t fact) const { return world.things[world.facts[fact].thing]; }
  const lab::InventedRelation& relation(std::size_t fact) const {
    return lab::invented_relations()[thing(fact).kind][world.facts[fact].relation];
  }
  std::vector<std::string> taught(std::size_t fact) const {
    return lab::taught_phrasings(relation(fact).name, thing(fact).called());
  }
  /// Those that are asked when `domains` domains were taught, in the facts' order: six of each.
  std::vector<std::size_t> kept(std::size_t domains) const;
};

/// `asked`: questions a row.
QuestionSet question_set(std::uint32_t seed, std::size_t facts, std::size_t asked);

/// Known facts (kmeng01/rome) that the bare model completes right: `asked` of them at most.
void add_known(lab::Subject& subject, const std::string& data, std::size_t asked, QuestionSet& set);

/// The set as our engine reads it, for evals/peers/forgetting_peers.py; "set" in it tells it from others.
base::Result<nlohmann::json> tokens_of(const QuestionSet& set, const std::string& data,
                                       const model::Vocab& vocab, const model::ChatTemplate& chat);

}  // namespace pmt::evals
