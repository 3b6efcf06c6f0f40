// JSON schemas as grammars, by llama.cpp's conversion, within limits (schema_limits.h); and the last ones of
// both, kept for all models: a grammar knows of no vocabulary. Thread-safety: any thread. Cost: up to some 50
// ms for a new schema; microseconds for one of the last ones, found by its SHA-256.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/gbnf.h"

namespace pmt::model {

/// The grammar (its root is `root`, see gbnf.h) of the JSON texts that a JSON schema (given as text) allows.
/// Errors: kInvalidArgument, which limit it is past ("is too complex: ..."), or what it has that can't be
/// converted.
base::Result<std::string> grammar_of_schema(const std::string& schema);

struct KeptGrammar {
  std::shared_ptr<const Gbnf> rules;
  bool found = false;  // among the last ones
};
/// Gbnf::parse, and kept.
base::Result<KeptGrammar> read_grammar(const std::string& gbnf);

}  // namespace pmt::model
