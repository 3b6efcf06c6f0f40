#include "model/schema_grammar.h"

#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/lru_cache.h"
#include "base/ordered_json.h"
#include "base/utf8.h"
#include "model/schema/char_set.h"
#include "model/schema/regex.h"
#include "model/schema/schema_compiler.h"
#include "model/schema_limits.h"

namespace pmt::model {
namespace {

constexpr std::size_t kBytesKept = 16 << 20;       // of each kind
constexpr std::size_t kGrammarBytesMax = 4 << 20;  // a schema within the limits makes less than a tenth
constexpr std::size_t kMessageBytesMax = 400;      // the conversion's words may quote the schema
constexpr std::size_t kPatternBytesMax = SchemaLimits{}.pattern_bytes_max;

base::LruCache<FormGrammar>& forms_kept() {
  static base::LruCache<FormGrammar> all(kBytesKept);
  return all;
}

base::LruCache<std::shared_ptr<const Gbnf>>& grammars_kept() {
  static base::LruCache<std::shared_ptr<const Gbnf>> all(kBytesKept);
  return all;
}

base::Result<FormGrammar> finished(GbnfWriter& rules, const std::string& body,
                                   std::vector<Unfollowed> unfollowed) {
  FormGrammar out{.root = rules.rule(body), .rules = {}, .unfollowed = std::move(unfollowed)};
  if (rules.bytes() > kGrammarBytesMax) {
    return base::invalid(fmt::format("is too complex: it makes a grammar of {} bytes, at most {}",
                                     rules.bytes(), kGrammarBytesMax));
  }
  out.rules = rules.text();
  return out;
}

base::Error shortened(base::Error error) {
  error.message = base::cut_utf8(error.message, kMessageBytesMax);
  error.field = base::cut_utf8(error.field, kMessageBytesMax);
  error.code = base::Code::kInvalidArgument;
  return error;
}

base::Result<FormGrammar> convert(const std::string& schema, const std::string& prefix) {
  TRY(check_schema(schema));
  TRY_ASSIGN(const Schema tree, base::parse_ordered_json(schema));
  GbnfWriter rules(prefix);
  SchemaCompiler compiler(tree, rules);
  auto body = compiler.run();
  if (!body) return shortened(body.error());
  return finished(rules, *body, compiler.unfollowed());
}

}  // namespace

base::Result<FormGrammar> grammar_of_schema(const std::string& schema, const std::string& prefix) {
  const std::string key = prefix + ":" + base::sha256(schema).hex();
  if (auto before = forms_kept().get(key)) return std::move(*before);
  TRY_ASSIGN(FormGrammar made, convert(schema, prefix));
  forms_kept().put(key, made, made.rules.size() + made.unfollowed.size() * 256);
  return made;
}

base::Result<FormGrammar> grammar_of_pattern(const std::string& pattern, const std::string& prefix) {
  if (pattern.size() > kPatternBytesMax) {
    return base::invalid(fmt::format("is too complex: it has {} bytes in a pattern, at most {}",
                                     pattern.size(), kPatternBytesMax));
  }
  const auto read = parse_regex(pattern);
  const auto whole = read ? matched_whole(*read) : read;
  if (!whole) {
    const bool valid = whole.error().code == base::Code::kUnprocessable;
    return shortened(base::invalid((valid ? "can't be followed: " : "") + whole.error().message));
  }
  GbnfWriter rules(prefix);
  return finished(rules, gbnf_of_regex(*whole, false, rules), {});
}

FormGrammar grammar_of_choices(const std::vector<std::string>& choices, const std::string& prefix) {
  std::vector<std::string> ways;
  ways.reserve(choices.size());
  for (const std::string& choice : choices) ways.push_back(gbnf_literal(choice));
  GbnfWriter rules(prefix);
  FormGrammar out{.root = rules.rule(gbnf_alternatives(ways)), .rules = {}};
  out.rules = rules.text();
  return out;
}

base::Result<KeptGrammar> read_grammar(const std::string& gbnf) {
  const std::string key = base::sha256(gbnf).hex();
  if (auto before = grammars_kept().get(key)) return KeptGrammar{std::move(*before), true};
  TRY_ASSIGN(Gbnf made, Gbnf::parse(gbnf));
  const auto rules = std::make_shared<const Gbnf>(std::move(made));
  grammars_kept().put(key, rules, rules->bytes());
  return KeptGrammar{rules, false};
}

}  // namespace pmt::model
