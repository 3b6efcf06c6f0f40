// A bank of relations and of the ways in which people ask for them, written for this project: what "the same
// question in other words" means is learnt from it (relation_space.h), and which words may follow a name
// (mention.h). Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::knowledge_cache {

struct Relation {
  std::string name;                   // "number of pages"
  std::vector<std::string> wordings;  // "How thick is {}?", four each
};

struct BankOptions {
  /// With the relations that are taught most often. Evals leave them out.
  bool with_common = true;
};

std::vector<Relation> relation_bank(const BankOptions& options);

/// "What is {}?", "Tell me about {}.": a question that is nearest to one of these asks for no relation.
std::vector<std::string> generic_questions();

/// `wording` with its {} replaced and its first letter a capital.
std::string filled(std::string_view wording, std::string_view thing);

}  // namespace pmt::knowledge_cache
