#include "model/testing/writes.h"

#include <memory>
#include <vector>

#include "model/grammar.h"

namespace pmt::model::testing {

bool writes(const std::string& gbnf, const std::string& text) {
  constexpr std::int32_t kEnd = 256;
  static const std::shared_ptr<const TokenIndex> kBytes = [] {
    std::vector<std::string> texts(kEnd + 1);
    for (int byte = 0; byte < kEnd; ++byte)
      texts[static_cast<std::size_t>(byte)] = std::string(1, static_cast<char>(byte));
    return TokenIndex::of_texts(texts, {kEnd});
  }();
  const auto rules = read_grammar(gbnf);
  if (!rules) return false;
  auto grammar = Grammar::create(rules->rules, kBytes);
  if (!grammar) return false;
  for (const char c : text) {
    if (!grammar->accept(static_cast<unsigned char>(c))) return false;
  }
  const auto ends = grammar->allows(kEnd);
  return ends && *ends;
}

}  // namespace pmt::model::testing
