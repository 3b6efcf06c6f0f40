// A JSON schema as the rules of a grammar: every keyword is followed exactly, or the texts that are written are
// a part of what it allows (an object of declared members without others, say), or it is named as not
// followed. An object's members are written in the schema's order, whichever are optional.
//
// Requires: a schema within schema_limits.h. Thread-safety: none; one compiler makes one grammar. Cost: some
// milliseconds for the largest.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/schema/gbnf_writer.h"
#include "model/schema/regex.h"
#include "model/schema/schema_merge.h"
#include "model/schema_grammar.h"

namespace pmt::model {

class SchemaCompiler {
 public:
  SchemaCompiler(const Schema& root, GbnfWriter& rules) : root_(root), rules_(rules) {}

  /// The body of a rule for the root's values; what isn't followed is added to unfollowed(). Errors:
  /// kInvalidArgument naming the place: a reference to nothing, a keyword's value of a wrong type, no value
  /// that fits, "is too complex: ...".
  base::Result<std::string> run();
  const std::vector<Unfollowed>& unfollowed() const { return unfollowed_; }

 private:
  struct Place {
    std::string path;
    int depth = 0;
    Place below(const std::string& name) const {
      return {path.empty() ? name : path + "." + name, depth + 1};
    }
  };
  /// An object's member, as it is written.
  struct Member {
    std::string text;  // the rule's body of "name": value
    bool required = false;
  };
  struct Counts {
    std::size_t min = 0, max = kNoMax;
  };
  static constexpr std::size_t kNoMax = 0xFFFFFFFF;

  // schema_compiler.cpp
  base::Result<std::string> value(const Schema& schema, const Place& at);
  base::Result<std::string> value_rule(const Schema& schema, const Place& at);
  base::Result<std::string> reference(const std::string& pointer, const Place& at);
  base::Result<Schema> flattened(const Schema& schema, const Place& at);
  base::Result<const Schema*> target_of(const std::string& reference, const Place& at) const;
  base::Result<Schema> without_not(Schema schema, const Place& at);
  base::Result<std::string> alternatives(const Schema& schema, const char* keyword, const Place& at);
  base::Result<bool> all_apart(const std::vector<Schema>& parts, const Place& at);
  base::Result<std::string> constants(const Schema& schema, const Schema& values, const Place& at);
  bool fits(const Schema& schema, const Schema& value, const Place& at);
  base::Status charge(std::size_t work, const Place& at);
  base::Result<std::string> of_types(const Schema& schema, const Place& at);
  base::Result<std::string> of_type(const std::string& type, const Schema& schema, const Place& at);
  base::Result<std::string> number(const Schema& schema, bool whole, const Place& at);
  base::Status note_unknown(const Schema& schema, const Place& at);
  // schema_string.cpp
  static bool fits_pattern(const Schema& schema, const char* keyword, const std::string& text);
  base::Result<std::string> string(const Schema& schema, const Place& at);
  base::Result<std::string> string_of_pattern(const std::string& pattern, bool whole, const char* keyword,
                                              const Schema& schema, const Place& at);
  // schema_object.cpp
  base::Result<std::string> object(const Schema& schema, const Place& at);
  base::Result<std::vector<Member>> members_of(const Schema& schema, const Place& at);
  base::Result<std::vector<std::string>> additional_of(const Schema& schema, const Place& at);
  base::Result<std::string> declared_member(const Schema& schema, const std::string& name,
                                            const Schema& value, const Place& at);
  base::Result<std::string> other_name(const Schema& schema, const Place& at);
  base::Result<const Regex*> name_pattern(const std::string& pattern, const Place& at);
  base::Result<bool> name_fits(const std::string& name, const std::string& pattern, const Place& at);
  base::Result<Schema> with_patterns(const Schema& schema, const std::string& name, Schema value,
                                     const Place& at);
  std::string name_but(const std::vector<std::string>& names);
  std::string sequence(const std::vector<Member>& members, const std::string& others, Counts counts);
  // schema_array.cpp
  base::Result<std::string> array(const Schema& schema, const Place& at);
  base::Result<std::string> unique_array(const Schema& items, Counts counts, const Place& at);

  std::string primitive(const std::string& type);
  std::string any_value();
  std::string json_character();
  void note(const Place& at, const std::string& keyword, std::string why = {});
  base::Result<std::size_t> count_of(const Schema& schema, const char* keyword, std::size_t otherwise,
                                     const Place& at) const;
  base::Result<Counts> counts_of(const Schema& schema, const char* least, const char* most,
                                 const Place& at) const;
  base::Error wrong(const Place& at, const std::string& keyword, std::string what) const;

  const Schema& root_;
  GbnfWriter& rules_;
  std::map<std::string, std::string> references_;  // pointer -> rule
  struct Waiting {
    std::string name, path;
    const Schema* target;
  };
  std::vector<Waiting> waiting_;  // references whose rules aren't written yet
  std::map<std::string, std::string> primitives_;
  std::map<std::string, base::Result<Regex>> name_patterns_;  // by the text of each
  std::vector<Unfollowed> unfollowed_;
  std::size_t steps_ = 0;
};

/// A member's name as it is written, with the quotes.
std::string gbnf_json_text(const Schema& value);
std::string gbnf_counted(const std::string& symbol, std::size_t min, std::size_t max);

}  // namespace pmt::model
