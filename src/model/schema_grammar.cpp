#include "model/schema_grammar.h"

#include <exception>
#include <utility>

#include <fmt/format.h>
#include <json-schema-to-grammar.h>

#include "base/hash.h"
#include "base/lru_cache.h"
#include "base/utf8.h"
#include "model/schema_limits.h"

namespace pmt::model {
namespace {

constexpr std::size_t kBytesKept = 16 << 20;       // of each kind
constexpr std::size_t kGrammarBytesMax = 4 << 20;  // a schema within the limits makes less than a tenth
constexpr std::size_t kMessageBytesMax = 400;      // the conversion's words may quote the schema

base::LruCache<std::string>& texts_kept() {
  static base::LruCache<std::string> all(kBytesKept);
  return all;
}

base::LruCache<std::shared_ptr<const Gbnf>>& grammars_kept() {
  static base::LruCache<std::shared_ptr<const Gbnf>> all(kBytesKept);
  return all;
}

base::Result<std::string> convert(const std::string& schema) {
  TRY(check_schema(schema));
  try {
    std::string grammar = json_schema_to_grammar(common_json::parse(schema), /*force_gbnf=*/true);
    if (grammar.size() <= kGrammarBytesMax) return grammar;
    return base::invalid(fmt::format("is too complex: it makes a grammar of {} bytes, at most {}",
                                     grammar.size(), kGrammarBytesMax));
  } catch (const std::exception& error) {
    return base::invalid(
        fmt::format("can't be followed by this model: {}", base::cut_utf8(error.what(), kMessageBytesMax)));
  }
}

base::Error named(base::Error error) {
  error.field = "response_format";
  return error;
}

}  // namespace

base::Result<std::string> grammar_of_schema(const std::string& schema) {
  const std::string key = base::sha256(schema).hex();
  if (auto before = texts_kept().get(key)) return std::move(*before);
  auto made = convert(schema);
  if (!made) return named(made.error());
  texts_kept().put(key, *made, made->size());
  return made;
}

base::Result<KeptGrammar> read_grammar(const std::string& gbnf) {
  const std::string key = base::sha256(gbnf).hex();
  if (auto before = grammars_kept().get(key)) return KeptGrammar{std::move(*before), true};
  auto made = Gbnf::parse(gbnf);
  if (!made) return named(made.error());
  const auto rules = std::make_shared<const Gbnf>(std::move(*made));
  grammars_kept().put(key, rules, rules->bytes());
  return KeptGrammar{rules, false};
}

}  // namespace pmt::model
