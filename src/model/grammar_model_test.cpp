// What our grammars allow, beside libllama's, on a real vocabulary; and what steps cost there.
#include <cmath>
#include <cstdio>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <llama.h>

#include "model/grammar.h"
#include "model/testing/model_vocab_test.h"

namespace pmt::model {
namespace {

using Reference = std::unique_ptr<llama_sampler, decltype(&llama_sampler_free)>;

class GrammarOnModel : public ModelVocabTest {
 protected:
  static void SetUpTestSuite() {
    ModelVocabTest::SetUpTestSuite();
    if (vocab == nullptr) return;
    tokens = TokenIndex::create(*vocab);
  }
  static void TearDownTestSuite() {
    tokens.reset();
    ModelVocabTest::TearDownTestSuite();
  }

  static base::Result<Grammar> grammar_of(const std::string& gbnf) {
    TRY_ASSIGN(KeptGrammar kept, read_grammar(gbnf));
    return Grammar::create(kept.rules, tokens);
  }

  /// By token: what libllama allows.
  static std::vector<bool> reference_mask(llama_sampler* sampler) {
    std::vector<llama_token_data> data(static_cast<std::size_t>(vocab->size()));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = {static_cast<std::int32_t>(i), 0, 0};
    llama_token_data_array array{data.data(), data.size(), -1, false};
    llama_sampler_apply(sampler, &array);
    std::vector<bool> allowed(data.size());
    for (const llama_token_data& one : data)
      allowed[static_cast<std::size_t>(one.id)] = !std::isinf(one.logit);
    return allowed;
  }

  static inline std::shared_ptr<const TokenIndex> tokens;
};

const char* const kSchemas[] = {
    R"({"type": "object"})",
    R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 3, "maximum": 117},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "größe", 7, null]}, "minItems": 1, "maxItems": 3},
        "when": {"type": "string", "format": "date-time"}}, "required": ["name", "tags"]})",
    R"({"anyOf": [{"type": "number"}, {"type": "string", "minLength": 2, "maxLength": 12}, {"const": {"a": [1, "€"]}}]})",
    R"({"type": "string", "pattern": "^(ab|[c-eé]{2,4}(x|y)*)+z?$"})",
    R"({"$defs": {"node": {"type": "object", "properties": {"value": {"type": "boolean"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value", "next"]}}, "$ref": "#/$defs/node"})"};

TEST_F(GrammarOnModel, AllowsWhatLibllamaAllows) {
  std::mt19937 random(11);
  for (const char* const schema : kSchemas) {
    const auto gbnf = grammar_of_schema(schema);
    ASSERT_TRUE(gbnf) << gbnf.error().message;
    const std::string text = gbnf->text();
    auto grammar = grammar_of(text);
    ASSERT_TRUE(grammar) << grammar.error().message;
    const Reference reference(llama_sampler_init_grammar(vocab->raw(), text.c_str(), "root"),
                              llama_sampler_free);
    ASSERT_NE(reference, nullptr);
    for (int step = 0; step < 25; ++step) {
      std::vector<float> logits(static_cast<std::size_t>(vocab->size()), 0);
      ASSERT_TRUE(grammar->mask(logits));
      const std::vector<bool> expected = reference_mask(reference.get());
      std::vector<std::int32_t> allowed;
      for (std::int32_t token = 0; token < vocab->size(); ++token) {
        const bool mine = !std::isinf(logits[static_cast<std::size_t>(token)]);
        if (mine) allowed.push_back(token);
        // libllama takes a control token for its name, where any text may stand.
        if (vocab->piece(token).empty() && !vocab->is_eog(token)) continue;
        ASSERT_EQ(mine, expected[static_cast<std::size_t>(token)])
            << schema << ", step " << step << ", token " << token << " '" << vocab->piece(token) << "'";
      }
      ASSERT_FALSE(allowed.empty());
      const std::int32_t token = allowed[random() % allowed.size()];
      if (vocab->is_eog(token)) break;
      ASSERT_TRUE(grammar->accept(token));
      llama_sampler_accept(reference.get(), token);
    }
  }
}

/// A writer of some of what is allowed. Every step within the limit, or refused.
TEST_F(GrammarOnModel, StepsAreCheapOrRefused) {
  std::string options = "root ::= ", texts = "root ::= \"v0\"";
  for (int i = 0; i < 200; ++i) options += "[a]? ";
  for (int i = 1; i < 2000; ++i) texts += " | \"some value of " + std::to_string(i) + "\"";
  const std::pair<const char*, std::string> grammars[] = {
      {"object", grammar_of_schema(kSchemas[1])->text()},
      {"any object", grammar_of_schema(kSchemas[0])->text()},
      {"200 options", options},
      {"2,000 texts", texts},
      {"any text", "root ::= [^\\x00]*"},
      {"spaces or spaces", "root ::= (\" \" | [ ] | \"  \")* \"b\""},
      {"ways that double", "root ::= \" \" root \"b\" | \" \" root \"c\" | \"d\""},
      {"counted options", "root ::= ((([a-z ]?){1000}){1000}){1000}"}};
  for (const auto& [name, gbnf] : grammars) {
    std::mt19937 random(5);
    double worst_ms = 0;
    std::int64_t work = 0;
    auto grammar = grammar_of(gbnf);
    const char* ended = grammar ? "" : "refused at its beginning";
    for (int step = 0; grammar && step < 30; ++step) {
      std::vector<float> logits(static_cast<std::size_t>(vocab->size()), 0);
      const std::clock_t began = std::clock();
      const auto masked = grammar->mask(logits);
      worst_ms = std::max(worst_ms, 1000.0 * static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC);
      work = std::max(work, grammar->work());
      if (!masked) {
        ended = "refused";
        break;
      }
      std::vector<std::int32_t> allowed;
      for (std::int32_t token = 0; token < vocab->size(); ++token) {
        if (!std::isinf(logits[static_cast<std::size_t>(token)]) && !vocab->is_eog(token))
          allowed.push_back(token);
      }
      if (allowed.empty()) break;
      ASSERT_TRUE(grammar->accept(allowed[random() % allowed.size()]));
    }
    std::printf("%s: worst mask %.1f ms, work %ld %s\n", name, worst_ms, static_cast<long>(work), ended);
    EXPECT_LT(worst_ms, 1000);
  }
}

TEST_F(GrammarOnModel, ACopyIsCheap) {
  auto grammar = grammar_of(grammar_of_schema(kSchemas[1])->text());
  ASSERT_TRUE(grammar);
  const std::clock_t began = std::clock();
  for (int i = 0; i < 1000; ++i) {
    Grammar copy = *grammar;
    ASSERT_TRUE(copy.allows(5));
  }
  const double us = 1e6 * static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC / 1000;
  std::printf("a copy and its first check: %.1f us\n", us);
  EXPECT_LT(us, 1000);
}

}  // namespace
}  // namespace pmt::model
