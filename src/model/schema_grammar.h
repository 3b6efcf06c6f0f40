// Forms as grammars: JSON schemas (schema/schema_compiler.h) within limits (schema_limits.h), patterns and
// choices; and the last ones of them, kept for all models: a grammar knows of no vocabulary. Thread-safety: any
// thread. Cost: up to some 50 ms for a new schema; microseconds for one of the last ones, found by its SHA-256.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gbnf.h"

namespace pmt::model {

/// A keyword that written values may break: its path in the schema, and why.
struct Unfollowed {
  std::string path;  // "properties.id.pattern"
  std::string why;   // "it looks ahead or behind"; "" where there is no more to say
};

/// Rules, to be put together with others' under one root.
struct FormGrammar {
  std::string root;   // the name of the rule that all of it follows
  std::string rules;  // GBNF, one a line, each name with the prefix
  std::vector<Unfollowed> unfollowed = {};
  /// As a whole grammar.
  std::string text() const { return "root ::= " + root + "\n" + rules; }
};

/// The JSON texts that a schema (given as text) allows. Errors: kInvalidArgument; the message says which limit
/// it is past ("is too complex: ...") or what is wrong, the field where in the schema ("" for all of it).
base::Result<FormGrammar> grammar_of_schema(const std::string& schema, const std::string& prefix = "s");
/// The texts that a pattern matches from begin to end. Errors: as above.
base::Result<FormGrammar> grammar_of_pattern(const std::string& pattern, const std::string& prefix = "p");
/// One of these texts.
FormGrammar grammar_of_choices(const std::vector<std::string>& choices, const std::string& prefix = "c");

/// Between JSON's tokens: nothing, a space, or a line break and some indentation.
inline constexpr char kGbnfSpace[] = "(\" \" | \"\\n\" [ \\t]{0,20})?";
/// A text, as GBNF.
std::string gbnf_literal(std::string_view utf8);

struct KeptGrammar {
  std::shared_ptr<const Gbnf> rules;
  bool found = false;  // among the last ones
};
/// Gbnf::parse, and kept.
base::Result<KeptGrammar> read_grammar(const std::string& gbnf);

}  // namespace pmt::model
