// Facts that no model can know, invented from a seed: things of six kinds with made-up names, six relations a
// kind of which three are taught, and the ways to ask for each. The relations here are in no bank that the
// gate was fitted on (knowledge_cache::BankOptions::with_common = false), the names are in no list.
// Thread-safety: plain data.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pmt::lab {

struct InventedRelation {
  std::string name;              // "support extension"
  std::vector<std::string> far;  // "Who runs {e}?"
  char kind = 'w';               // of answer: n number, p person, w word, c code, d day, m money
};

struct InventedThing {
  std::string name;     // "Lusrinar"
  std::string full;     // "Lusrinar Labs", "Velsaska kettle"
  std::string article;  // "the " where its kind takes one
  std::size_t kind = 0;
  std::vector<std::size_t> taught, untaught;  // relations of its kind
  std::string called() const { return article + full; }
};

struct InventedFact {
  std::size_t thing = 0, relation = 0;
  std::string answer;
};

struct InventedWorld {
  std::vector<InventedThing> things;
  std::vector<InventedFact> facts;       // three a thing, in the things' order
  std::vector<InventedThing> strangers;  // of the same kinds, taught nowhere
  std::vector<InventedThing> siblings;   // share the name's first word with a taught thing, not its second
};

const std::vector<std::vector<InventedRelation>>& invented_relations();
InventedWorld invent(std::size_t facts, std::uint32_t seed);

/// The facts of the domain-th of `domains` domains, as JSON lines; a thing's facts stay together. A fact's id
/// is its index.
std::string domain_lines(const InventedWorld& world, std::size_t domain, std::size_t domains);

/// "The support extension of Lusrinar Labs is 4417."
std::string statement_of(const InventedWorld& world, const InventedFact& fact);

/// Questions whose answer was never taught, the i-th of each: about a stranger; about the sibling of a thing,
/// for `relation`; about the thing, for what wasn't taught of it, in a wording near to the taught ones and in
/// another.
struct UntaughtQuestions {
  std::string stranger, sibling, near, far;
};
UntaughtQuestions untaught_questions(const InventedWorld& world, std::size_t thing,
                                     const InventedRelation& relation, std::size_t i, std::mt19937& random);

/// The phrasings that are taught (the first is the prompt), and one that isn't.
std::vector<std::string> taught_phrasings(const std::string& relation, const std::string& thing);
std::string near_phrasing(const std::string& relation, const std::string& thing);
std::string far_phrasing(const InventedRelation& relation, std::size_t which, const std::string& thing);

}  // namespace pmt::lab
