#include <utility>

#include <fmt/format.h>

#include "model/schema/char_set.h"
#include "model/schema/regex.h"
#include "model/schema/schema_compiler.h"
#include "model/schema/string_format.h"

namespace pmt::model {
namespace {

std::uint32_t as_length(std::size_t count) {
  return static_cast<std::uint32_t>(count);
}

}  // namespace

bool SchemaCompiler::fits_pattern(const Schema& schema, const char* keyword, const std::string& text) {
  const Schema& value = schema.at(keyword);
  if (!value.is_string()) return false;
  const bool is_format = std::string_view(keyword) == "format";
  const auto pattern = is_format ? pattern_of_format(value.get<std::string>()) : value.get<std::string>();
  if (!pattern) return false;
  const auto read = parse_regex(*pattern);
  if (!read) return false;
  const auto settled = is_format ? matched_whole(*read) : found_anywhere(*read);
  return settled && matches(*settled, text);
}

base::Result<std::string> SchemaCompiler::string(const Schema& schema, const Place& at) {
  TRY_ASSIGN(const Counts lengths, counts_of(schema, "minLength", "maxLength", at));
  if (lengths.min > lengths.max) return std::string(kGbnfNever);
  const auto pattern = schema.find("pattern");
  const auto format = schema.find("format");
  if (format != schema.end() && !format->is_string()) return wrong(at, "format", "must be a string");
  if (pattern != schema.end()) {
    if (!pattern->is_string()) return wrong(at, "pattern", "must be a string");
    if (format != schema.end()) note(at, "format", "a pattern stands beside it");
    return string_of_pattern(pattern->get<std::string>(), false, "pattern", schema, at);
  }
  if (format != schema.end()) {
    const auto known = pattern_of_format(format->get<std::string>());
    if (known) return string_of_pattern(*known, true, "format", schema, at);
    note(at, "format", "this format is unknown");
  }
  if (const auto but = schema.find("\1but"); but != schema.end())
    return fmt::format("\"\\\"\" {} \"\\\"\"", name_but(but->get<std::vector<std::string>>()));
  if (lengths.min == 0 && lengths.max == kNoMax) return primitive("string");
  return fmt::format("\"\\\"\" {} \"\\\"\"", gbnf_counted(json_character(), lengths.min, lengths.max));
}

/// `whole`: it describes all of the text (a format does), or only what is found in it.
base::Result<std::string> SchemaCompiler::string_of_pattern(const std::string& pattern, bool whole,
                                                            const char* keyword, const Schema& schema,
                                                            const Place& at) {
  TRY_ASSIGN(const Counts lengths, counts_of(schema, "minLength", "maxLength", at));
  const auto any_string = [&](const base::Error& why) -> base::Result<std::string> {
    if (why.code == base::Code::kInvalidArgument) return wrong(at, keyword, why.message);
    note(at, keyword, why.message);
    Schema rest = schema;
    rest.erase("pattern");
    rest.erase("format");
    return string(rest, at);
  };
  const auto read = parse_regex(pattern);
  if (!read) return any_string(read.error());
  auto settled = whole ? matched_whole(*read) : found_anywhere(*read);
  if (!settled) return any_string(settled.error());
  auto fitted = with_lengths(*settled, as_length(lengths.min), as_length(lengths.max));
  if (!fitted)
    note(at, schema.contains("maxLength") ? "maxLength" : "minLength",
         "the pattern beside it: " + fitted.error().message);
  const Regex& final = fitted ? *fitted : *settled;
  if (final.kind == Regex::Kind::kSet && final.set.empty()) return std::string(kGbnfNever);
  return fmt::format("\"\\\"\" ({}) \"\\\"\"", gbnf_of_regex(final, true, rules_));
}

/// The inside of a JSON string that is none of these texts. A text of them with escapes isn't written either.
std::string SchemaCompiler::name_but(const std::vector<std::string>& names) {
  struct Node {
    std::map<std::uint32_t, std::size_t> next;
    bool ends = false;
  };
  std::vector<Node> trie(1);
  for (const std::string& name : names) {
    std::size_t at = 0;
    for (const std::uint32_t c : characters_of(name)) {
      const auto found = trie[at].next.find(c);
      if (found != trie[at].next.end()) {
        at = found->second;
        continue;
      }
      trie[at].next.emplace(c, trie.size());
      at = trie.size();
      trie.emplace_back();
    }
    trie[at].ends = true;
  }
  static const CharSet kNotPlain = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}};
  std::vector<std::string> rules(trie.size());
  for (std::size_t i = trie.size(); i-- > 0;) {  // children come after their parents
    std::vector<std::string> ways;
    CharSet taken = kNotPlain;
    for (const auto& [c, child] : trie[i].next) {
      taken.add(CharSet{{c, c}});
      if (!kNotPlain.contains(c)) ways.push_back(gbnf_class(CharSet{{c, c}}) + " " + rules[child]);
    }
    ways.push_back(gbnf_class(taken.complement()) + " " + json_character() + "*");
    if (!trie[i].ends) ways.emplace_back("\"\"");
    rules[i] = rules_.rule(gbnf_alternatives(ways));
  }
  return rules.front();
}

}  // namespace pmt::model
