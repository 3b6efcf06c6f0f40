// A relation that a question asks for by its name: "revenue" of "What was the revenue of this thing in 2023?".
// Thread-safety: pure.
#pragma once

#include <string>

#include "knowledge_cache/gate/relation_space.h"

namespace pmt::knowledge_cache {

struct NamedRelation {
  std::string name;     // "": the question asks otherwise
  std::string besides;  // what it says after its thing: " in 2023"
  std::string thing() const { return std::string(kThing) + besides; }
};

/// `question`: with its thing masked as kThing.
NamedRelation named_relation_of(const std::string& question);

}  // namespace pmt::knowledge_cache
