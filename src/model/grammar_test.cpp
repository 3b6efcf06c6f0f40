#include "model/grammar.h"

#include <gtest/gtest.h>
#include <llama.h>

#include <cmath>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace pmt::model {
namespace {

/// Single bytes, and some longer texts: a small vocabulary, in which a character may take several tokens. The
/// last token ends an answer, the one before it stands for no text.
std::vector<std::string> texts() {
  std::vector<std::string> out;
  for (int byte = 0; byte < 256; ++byte) out.emplace_back(1, static_cast<char>(byte));
  for (const char* text : {"aa", "ab", "aaaa", "ba", "{\"", "\": ", "true", "\xC3\xA9", "\xE2\x82", "\xAC\"",
                           "\xF0\x9F\x98", "\x80", "ab\xC3", "123", " ", "\n", "aab", "abab"})
    out.emplace_back(text);
  out.emplace_back("");
  out.emplace_back("");
  return out;
}

struct Small {
  std::vector<std::string> pieces = texts();
  std::int32_t end = static_cast<std::int32_t>(pieces.size()) - 1;
  std::shared_ptr<const TokenIndex> index = TokenIndex::of_texts(pieces, {end});
};

base::Result<Grammar> grammar_of(const Small& small, const std::string& gbnf, GrammarLimits limits = {}) {
  TRY_ASSIGN(Gbnf rules, Gbnf::parse(gbnf));
  return Grammar::create(std::make_shared<const Gbnf>(std::move(rules)), small.index, limits);
}

/// Whether the grammar makes exactly this text, a byte at a time.
bool makes(const Small& small, const std::string& gbnf, const std::string& text) {
  auto grammar = grammar_of(small, gbnf);
  EXPECT_TRUE(grammar) << gbnf;
  for (const char c : text) {
    const std::int32_t token = static_cast<unsigned char>(c);
    if (!*grammar->allows(token)) return false;
    EXPECT_TRUE(grammar->accept(token));
  }
  return *grammar->allows(small.end);
}

TEST(Grammar, MakesItsTextsAndNoOthers) {
  const Small small;
  const std::string gbnf = "root ::= \"a\" ([bc]{2,3} | d+) \"\xC3\xA9\"?\nd ::= [^a-y\\n]\n";
  for (const char* text : {"abc", "abbb", "azzz", "acb\xC3\xA9", "az\xC3\xA9\xC3\xA9"})
    EXPECT_TRUE(makes(small, gbnf, text)) << text;
  for (const char* text : {"", "a", "ab", "abbbb", "ax", "a\n", "acb\xC3\xA9\xC3\xA9"})
    EXPECT_FALSE(makes(small, gbnf, text)) << text;
}

TEST(Grammar, CountsRepetitions) {
  const Small small;
  for (int n = 0; n <= 7; ++n) {
    const std::string text(static_cast<std::size_t>(n), 'a');
    EXPECT_EQ(makes(small, "root ::= [a]{2,5}", text), n >= 2 && n <= 5) << n;
    EXPECT_EQ(makes(small, "root ::= (\"a\" \"a\"){2,}", text), n >= 4 && n % 2 == 0) << n;
    EXPECT_EQ(makes(small, "root ::= ([a]{2}){0,2}", text), n == 0 || n == 2 || n == 4) << n;
    EXPECT_EQ(makes(small, "root ::= ([a]?){3}", text), n <= 3) << n;
    EXPECT_EQ(makes(small, "root ::= \"a\" \"a\"{0}", text), n == 1) << n;
    EXPECT_EQ(makes(small, "root ::= \"a\" | \"a\"{3,2}", text), n == 1) << n;
  }
  EXPECT_TRUE(makes(small, "root ::= [a]{300}", std::string(300, 'a')));
  EXPECT_FALSE(makes(small, "root ::= [a]{300}", std::string(299, 'a')));
}

TEST(Grammar, CharactersMayBeSplitOverTokens) {
  const Small small;
  const auto find = [&](const char* text) {
    return static_cast<std::int32_t>(std::find(small.pieces.begin(), small.pieces.end(), text) -
                                     small.pieces.begin());
  };
  auto grammar = grammar_of(small, "root ::= \"\xE2\x82\xAC\" \"\\\"\"");
  ASSERT_TRUE(grammar);
  EXPECT_TRUE(*grammar->allows(find("\xE2\x82")));
  EXPECT_FALSE(*grammar->allows(find("\xF0\x9F\x98")));
  EXPECT_FALSE(*grammar->allows(find("\xC3\xA9")));
  ASSERT_TRUE(grammar->accept(find("\xE2\x82")));
  EXPECT_FALSE(*grammar->allows(small.end)) << "within a character";
  EXPECT_TRUE(*grammar->allows(find("\xAC\"")));
  ASSERT_TRUE(grammar->accept(find("\xAC\"")));
  EXPECT_TRUE(*grammar->allows(small.end));
  EXPECT_FALSE(grammar->accept(find("true")));
}

TEST(Grammar, ACopyGoesItsOwnWay) {
  const Small small;
  auto first = grammar_of(small, "root ::= \"a\" \"b\"");
  ASSERT_TRUE(first);
  Grammar second = *first;
  ASSERT_TRUE(first->accept('a'));
  EXPECT_TRUE(*first->allows('b'));
  EXPECT_FALSE(*second.allows('b'));
  EXPECT_TRUE(*second.allows('a'));
}

/// A random grammar of a few rules over a and b, each of which reads a character before it refers to another.
std::string random_grammar(std::mt19937& random) {
  const auto draw = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  std::string out;
  for (int rule = 0; rule < 4; ++rule) {
    out += rule == 0 ? "root ::= " : "r" + std::to_string(rule) + " ::= ";
    for (int alternative = 0; alternative <= draw(3); ++alternative) {
      if (alternative > 0) out += " | ";
      out += draw(2) == 0 ? "\"a\"" : "[ab\xC3\xA9]";
      for (int part = 0; part < draw(4); ++part) {
        const char* const quantifiers[] = {"", "", "?", "*", "+", "{2,3}", "{0,2}", "{2}"};
        const std::string parts[] = {"\"b\"", "[^b\"]", "(\"ab\" | \"a\")",
                                     "r" + std::to_string(1 + draw(3))};
        out += " " + parts[draw(4)];
        out += quantifiers[draw(8)];
      }
    }
    out += "\n";
  }
  return out;
}

TEST(Grammar, AllWaysOfAskingAgree) {
  const Small small;
  std::mt19937 random(7);
  int compared = 0;
  for (int round = 0; round < 40; ++round) {
    const std::string gbnf = random_grammar(random);
    auto grammar = grammar_of(small, gbnf);
    ASSERT_TRUE(grammar) << gbnf << (grammar ? "" : grammar.error().message);
    for (int step = 0; step < 12; ++step) {
      std::vector<float> logits(small.pieces.size(), 1);
      ASSERT_TRUE(grammar->mask(logits)) << gbnf;
      std::vector<std::int32_t> allowed;
      for (std::int32_t token = 0; token < static_cast<std::int32_t>(logits.size()); ++token) {
        const bool masked = std::isinf(logits[static_cast<std::size_t>(token)]);
        // Token by token on a copy is the same as all at once.
        Grammar alone = *grammar;
        ASSERT_EQ(*alone.allows(token), !masked) << gbnf << token;
        if (!masked) allowed.push_back(token);
        ++compared;
      }
      if (allowed.empty()) break;
      const std::int32_t token = allowed[random() % allowed.size()];
      ASSERT_TRUE(grammar->accept(token)) << gbnf;
      if (token == small.end) break;
    }
  }
  EXPECT_GT(compared, 10'000);
}

/// What takes time that grows with what it is made of ends within the limit, whatever it is.
class Hostile : public ::testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(Hostile, EndsWithinTheLimit) {
  const Small small;
  const std::clock_t began = std::clock();  // CPU time: the machine may have other work
  auto grammar = grammar_of(small, GetParam().second);
  for (int step = 0; grammar && step < 60; ++step) {
    std::vector<float> logits(small.pieces.size(), 1);
    if (const auto masked = grammar->mask(logits); !masked) {
      EXPECT_NE(masked.error().message.find("too complex"), std::string::npos);
      break;
    }
    const auto best = std::find(logits.begin(), logits.end(), 1.0F);
    if (best == logits.end()) break;
    if (!grammar->accept(static_cast<std::int32_t>(best - logits.begin()))) break;
  }
  if (!grammar) {
    EXPECT_NE(grammar.error().message.find("too complex"), std::string::npos) << grammar.error().message;
  }
  const double cpu_s = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  EXPECT_LT(cpu_s / 60, 0.25) << "a step";
}

std::string many(const std::string& one, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += one;
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    All, Hostile,
    ::testing::Values(
        std::pair("options in a row", "root ::= " + many("[a]? ", 20'000)),
        std::pair("options counted", std::string("root ::= (([a]?){1000}){1000}")),
        std::pair("options counted thrice", std::string("root ::= ((([a]?){1000}){1000}){1000}")),
        std::pair("alternatives that are one", std::string("root ::= (\"a\" | \"a\" | [a])*")),
        std::pair("twice or once", std::string("root ::= (\"a\" | \"aa\" | \"aaa\")* \"b\"")),
        std::pair("stars of stars", std::string("root ::= ((([a]*)*)*)* \"b\"")),
        std::pair("ways that double", std::string("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"")),
        std::pair("ways that multiply",
                  std::string("root ::= \"a\" root root root | \"a\" root root | \"a\"")),
        std::pair("a long text", "root ::= \"" + std::string(100'000, 'a') + "\""),
        std::pair("many texts",
                  [] {
                    std::string out = "root ::= \"aaaa0\"";
                    for (int i = 1; i < 50'000; ++i) out += " | \"aaaa" + std::to_string(i) + "\"";
                    return out;
                  }())),
    [](const auto& info) {
      std::string name = info.param.first;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST(Grammar, AmbiguityWithoutConsequencesCostsNothing) {
  const Small small;
  auto grammar = grammar_of(small, "root ::= ((\"a\" | \"a\" | [a])*)*");
  ASSERT_TRUE(grammar);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(grammar->accept('a'));
    ASSERT_LT(grammar->work(), 100) << i;
  }
}

TEST(Grammar, AStepPastItsLimitIsRefused) {
  const Small small;
  const GrammarLimits limits{.work_max = 1000};
  auto grammar = grammar_of(small, "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"", limits);
  ASSERT_TRUE(grammar);
  base::Status status;
  int steps = 0;
  for (; status && steps < 100; ++steps) status = grammar->accept('a');
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, base::Code::kInvalidArgument);
  EXPECT_LT(steps, 15);
  EXPECT_FALSE(grammar_of(small, "root ::= " + many("[a]? ", 2000), limits));
}

TEST(Grammar, WhatIsForgottenChangesNothing) {
  const Small small;
  // Each step makes new stacks: past those that are kept, old ones go.
  auto grammar = grammar_of(small, "root ::= [a]{80000}");
  ASSERT_TRUE(grammar);
  for (int i = 0; i < 70'000; ++i) ASSERT_TRUE(grammar->accept('a'));
  EXPECT_FALSE(*grammar->allows(small.end));
  for (int i = 70'000; i < 80'000; ++i) ASSERT_TRUE(grammar->accept('a'));
  EXPECT_TRUE(*grammar->allows(small.end));
  EXPECT_FALSE(*grammar->allows('a'));
}

}  // namespace
}  // namespace pmt::model
