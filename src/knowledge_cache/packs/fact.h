// A fact as people give it, and a slot: what is kept of it once it is learnt (note 0013).
//
// Facts come as JSON lines: {"id", "prompt", "answer", "paraphrases": []} or {"id", "text"}; "subject" may
// say what the fact is about where the prompt doesn't make it plain. Thread-safety: plain data, pure
// functions. Errors of a line name its field and don't touch the other lines.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::knowledge_cache {

struct Fact {
  std::string id = {};  // "" until the domain gives one
  std::string prompt = {}, answer = {};
  std::vector<std::string> paraphrases = {};
  std::string subject = {};  // "": found in the prompt
  std::string text = {};     // as given, of a fact that came as one text
};

struct Limits {
  std::size_t prompt_bytes_max = 2000;
  std::size_t answer_bytes_max = 2000;
  std::size_t id_bytes_max = 128;
  std::size_t paraphrases_max = 32;
  std::size_t facts_max = 100'000;  // a domain
};

struct LineError {
  std::size_t line = 0;  // from 1
  std::string message;
};

struct ParsedFacts {
  std::vector<Fact> facts;
  std::vector<std::size_t> lines;  // of each fact
  std::vector<LineError> errors;
};

base::Result<Fact> fact_of(const nlohmann::json& object, const Limits& limits);
/// JSON lines. A line that is wrong, or whose id or prompt was seen before, is told and left out.
ParsedFacts parse_facts(std::string_view lines, const Limits& limits);
/// The same of a JSON array; errors count its elements as lines.
ParsedFacts facts_of(const nlohmann::json& array, const Limits& limits);

/// A domain's name: letters, digits, "-", "_" and ".", at most 64, and no dot first.
base::Status check_domain_name(std::string_view name);

/// How rare a word is, as the logarithm of its rank by frequency, or above (about 4 for "what", 11 for a word
/// that the model's vocabulary doesn't hold in one piece): the background part of TF-IDF.
using Rarity = std::function<double(std::string_view word)>;

/// An unit vector in 8 bits a dimension: 0.004 off at most.
std::string pack_key(const std::vector<float>& key);
std::vector<float> unpack_key(std::string_view bytes);

/// How a fact is asked for, with the mention masked. Facts of one relation are asked for alike and share one:
/// it is most of what a fact takes.
struct Phrasings {
  std::vector<std::string> asked = {};        // folded: an exact match needs no key
  std::vector<std::vector<float>> keys = {};  // relation keys of these, and of other wordings
  std::size_t bytes() const;                  // that it takes in a pack
};

struct Slot {
  Fact fact;
  std::string mention;                     // as written in the prompt
  std::vector<std::string> mention_words;  // folded; the address
  /// Never null.
  std::shared_ptr<const Phrasings> phrasings = std::make_shared<const Phrasings>();
  std::string statement;  // the fact as a sentence
  std::string source;     // where it was learnt from
  std::size_t line = 0;   // of the source
  std::int64_t learnt_unix_s = 0;
  std::int64_t revision = 1;  // counts its updates
  std::size_t bytes() const;  // that the slot takes in a pack, its phrasings apart
};

}  // namespace pmt::knowledge_cache
