#include "lab/ruler.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "lab/ruler_words.h"

namespace pmt::lab {
namespace {

using Strings = std::vector<std::string>;

/// About as a model's tokenizer: a token for each digit and sign, one for every four letters.
std::int64_t count_tokens(const std::string& turn) {
  std::int64_t out = 20;  // the template's
  int letters = 0;
  for (const char c : turn) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalpha(byte) != 0) {
      out += letters++ % 4 == 0 ? 1 : 0;
    } else {
      letters = 0;
      out += std::isspace(byte) != 0 ? 0 : 1;
    }
  }
  return out;
}

/// Sentences of different lengths, and paragraphs that each say something of their own.
RulerSources sources() {
  RulerSources out;
  RulerRandom random({7});
  for (int i = 0; i < 300; ++i) {
    std::string sentence = "Sentence";
    for (std::size_t words = 3 + random.below(30); words > 0; --words)
      sentence += ' ' + ruler_letters(random, 1 + random.below(8), 'a', 'z');
    out.essay.push_back(sentence + '.');
  }
  for (int i = 0; i < 240; ++i) {
    std::string text = fmt::format("The town number {} has a mill and a well.", i);
    for (int more = 0; more < 12; ++more)
      text += fmt::format(" Its house {} was built of {}.", more, ruler_letters(random, 6, 'a', 'z'));
    const std::string miller = "Miller " + ruler_letters(random, 9, 'a', 'z');
    out.paragraphs.push_back(
        {text + " It belongs to " + miller + ".",
         {{fmt::format("\n\nQuestion: Who owns town number {}?", i), {miller, "nobody at all"}}}});
  }
  return out;
}

std::vector<RulerText> made(RulerKind kind, int tokens = 4096, int texts = 3, std::uint32_t seed = 1) {
  static const RulerSources kSources = sources();
  auto out =
      make_ruler({.kind = kind, .tokens = tokens, .texts = texts, .seed = seed}, kSources, count_tokens);
  EXPECT_TRUE(out) << name_of(kind) << ": " << out.error().message;
  return out ? std::move(*out) : std::vector<RulerText>();
}

std::size_t times_in(const std::string& text, const std::string& part) {
  std::size_t out = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++out;
  return out;
}

std::vector<std::smatch> matches(const std::string& text, const char* pattern) {
  static std::map<std::string, std::regex> known;
  const std::regex& regex = known.try_emplace(pattern, pattern).first->second;
  return {std::sregex_iterator(text.begin(), text.end(), regex), {}};
}

Strings sorted(Strings all) {
  std::sort(all.begin(), all.end());
  return all;
}

bool is_needle(RulerKind kind) {
  return kind <= RulerKind::kMultiQuery;
}

class RulerOfKind : public ::testing::TestWithParam<RulerKind> {};

TEST_P(RulerOfKind, ASeedAlwaysMakesTheSameTexts) {
  const auto once = made(GetParam()), again = made(GetParam()), fewer = made(GetParam(), 4096, 1);
  const auto other = made(GetParam(), 4096, 1, 2);
  ASSERT_EQ(once.size(), 3U);
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].context, again[i].context);
    ASSERT_EQ(once[i].questions.size(), static_cast<std::size_t>(questions_of(GetParam())));
    for (std::size_t q = 0; q < once[i].questions.size(); ++q) {
      EXPECT_EQ(once[i].questions[q].text, again[i].questions[q].text);
      EXPECT_EQ(once[i].questions[q].wanted, again[i].questions[q].wanted);
    }
  }
  EXPECT_EQ(fewer[0].context, once[0].context) << "a text doesn't change with how many are made";
  EXPECT_NE(once[0].context, once[1].context);
  EXPECT_NE(once[0].context, other[0].context);
}

TEST_P(RulerOfKind, ATextAndItsAnswerFillTheLength) {
  for (const int tokens : {4096, 8192, 16384}) {
    for (const RulerText& text : made(GetParam(), tokens)) {
      for (const RulerQuestion& question : text.questions) {
        const std::int64_t all = count_tokens(text.context + question.text) + answer_tokens(GetParam());
        EXPECT_LE(all, tokens);
        EXPECT_GE(static_cast<double>(all), .97 * tokens);
      }
    }
  }
}

TEST_P(RulerOfKind, TooShortALengthIsRefused) {
  EXPECT_FALSE(make_ruler({.kind = GetParam(), .tokens = 120}, sources(), count_tokens));
}

INSTANTIATE_TEST_SUITE_P(Kinds, RulerOfKind, ::testing::ValuesIn(ruler_kinds()),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

/// Every needle of the text by its name, read from the text alone.
TEST(Ruler, NeedlesStandInTheTextOnceAndAnswerTheQuestions) {
  for (const RulerKind kind : ruler_kinds()) {
    if (!is_needle(kind)) continue;
    for (const RulerText& text : made(kind)) {
      std::multimap<std::string, std::string> needles;
      for (const auto& match : matches(text.context, R"(A registered \w+ of ([a-z]+-[a-z]+) is ([\w-]+)\.)"))
        needles.emplace(match[1], match[2]);
      for (const RulerQuestion& question : text.questions) {
        Strings derived;
        for (const auto& name : matches(question.text, R"([a-z]+-[a-z]+)")) {
          const auto [from, to] = needles.equal_range(name.str());
          for (auto each = from; each != to; ++each) derived.push_back(each->second);
        }
        EXPECT_EQ(sorted(derived), sorted(question.wanted)) << name_of(kind) << question.text;
        for (const std::string& wanted : question.wanted)
          EXPECT_EQ(times_in(text.context, wanted), 1U) << wanted;
      }
    }
  }
}

TEST(Ruler, KindsHaveTheirNumberOfNeedles) {
  const auto needles = [](RulerKind kind) { return times_in(made(kind)[0].context, "A registered "); };
  for (const RulerKind kind : {RulerKind::kSingleWords, RulerKind::kSingleNumber, RulerKind::kSingleUuid})
    EXPECT_EQ(needles(kind), 1U);
  for (const RulerKind kind : {RulerKind::kMultiKey, RulerKind::kMultiValue, RulerKind::kMultiQuery})
    EXPECT_EQ(needles(kind), 4U);
  EXPECT_GT(needles(RulerKind::kMultiKeyLines), 100U);
}

TEST(Ruler, AnEssaysNeedlesStandBetweenItsSentences) {
  for (const RulerText& text : made(RulerKind::kMultiKey)) {
    EXPECT_EQ(matches(text.context, R"((\.|\n) ?A registered )").size(), 4U);
  }
}

TEST(Ruler, NeedlesStandAnywhere) {
  std::set<std::size_t> tenths;
  for (const RulerText& text : made(RulerKind::kSingleNumber, 4096, 60))
    tenths.insert(10 * text.context.find("A registered ") / text.context.size());
  EXPECT_EQ(tenths.size(), 10U);
}

TEST(Ruler, VariablesHaveTheValueThatIsFollowedFromOneToTheNext) {
  for (const RulerText& text : made(RulerKind::kVariables)) {
    const std::string after = text.context.substr(text.context.find("\n\n"));
    std::map<std::string, std::string> values;
    for (const auto& match : matches(after, R"(Let ([A-Z]{5}) be (\w+)\.)")) {
      const auto known = values.find(match[2]);
      values[match[1]] = known == values.end() ? match[2].str() : known->second;
    }
    const std::string asked = matches(text.questions[0].text, R"(\d+)").at(0).str();
    Strings derived;
    for (const auto& [name, value] : values) {
      if (value == asked) derived.push_back(name);
    }
    EXPECT_EQ(derived.size(), 5U);
    EXPECT_EQ(derived, sorted(text.questions[0].wanted));
  }
}

/// The `n` words that stand in a text most often, and how often the next one does.
std::pair<Strings, int> most_common(const std::vector<std::string>& words, std::size_t n) {
  std::map<std::string, int> counts;
  for (const std::string& word : words) ++counts[word];
  std::vector<std::pair<int, std::string>> order;
  for (const auto& [word, count] : counts) order.emplace_back(-count, word);
  std::sort(order.begin(), order.end());
  Strings out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(order[i].second);
  EXPECT_LT(order[n - 1].first, order[n].first) << "a tie";
  return {out, -order[n].first};
}

TEST(Ruler, CommonWordsAreTheMostCommonOnes) {
  for (const RulerText& text : made(RulerKind::kCommonWords)) {
    Strings list;
    const std::string after = text.context.substr(text.context.find("\n\n"));
    for (const auto& match : matches(after, R"((\d+)\. ([a-z]+))")) {
      list.push_back(match[2]);
      EXPECT_EQ(match[1], std::to_string(list.size()));
    }
    const auto [words, next] = most_common(list, 10);
    EXPECT_EQ(sorted(words), sorted(text.questions[0].wanted));
    EXPECT_LE(next, 3);
  }
}

TEST(Ruler, FrequentWordsAreTheMostFrequentOnes) {
  for (const RulerText& text : made(RulerKind::kFrequentWords)) {
    std::istringstream in(text.context.substr(text.context.find("\n\n")));
    Strings list;
    for (std::string word; in >> word;) {
      if (word != "...") list.push_back(word);
    }
    EXPECT_EQ(most_common(list, 3).first, text.questions[0].wanted);
  }
}

TEST(Ruler, AParagraphAmongOthersAnswers) {
  std::set<std::string> asked;
  for (const RulerText& text : made(RulerKind::kQa, 4096, 60)) {
    EXPECT_GT(times_in(text.context, "\n\nDocument "), 4U);
    for (const RulerQuestion& question : text.questions) {
      asked.insert(question.text);
      const std::string town = matches(question.text, R"(\d+)").at(0).str();
      const std::string begin = "The town number " + town + " has";
      EXPECT_EQ(times_in(text.context, begin), 1U);
      const std::size_t at = text.context.find(begin);
      const std::string document = text.context.substr(at, text.context.find("\n\n", at) - at);
      EXPECT_NE(document.find("It belongs to " + question.wanted[0] + "."), std::string::npos);
    }
  }
  EXPECT_EQ(asked.size(), 240U) << "every paragraph is asked about before one is again";
}

TEST(Ruler, WhatIsntThereIsNamed) {
  const auto essay = make_ruler({.kind = RulerKind::kSingleUuid}, {}, count_tokens);
  ASSERT_FALSE(essay);
  EXPECT_NE(essay.error().message.find("ruler_single_uuid of 4096 tokens: it needs an essay"),
            std::string::npos);
  EXPECT_FALSE(make_ruler({.kind = RulerKind::kQa}, {}, count_tokens));
  RulerSources few = sources();
  few.paragraphs.resize(10);
  EXPECT_FALSE(make_ruler({.kind = RulerKind::kQa, .tokens = 16384}, few, count_tokens)) << "too little text";
}

TEST(Ruler, AnAnswersShareIsOfTheWantedStrings) {
  EXPECT_EQ(ruler_share(RulerMatch::kAll, {"1234567", "ab-cd"}, "It is 1234567."), .5);
  EXPECT_EQ(ruler_share(RulerMatch::kAll, {"QWERT", "lampwood"}, "qwert and Lampwoods"), 1);
  EXPECT_EQ(ruler_share(RulerMatch::kAll, {"x"}, ""), 0);
  EXPECT_EQ(ruler_share(RulerMatch::kAny, {"Rome", "the city of Rome"}, "in rome"), 1);
  EXPECT_EQ(ruler_share(RulerMatch::kAny, {"Rome"}, "in Paris"), 0);
  EXPECT_EQ(match_of(RulerKind::kQa), RulerMatch::kAny);
  EXPECT_EQ(match_of(RulerKind::kMultiValue), RulerMatch::kAll);
}

TEST(Ruler, KindsHaveNames) {
  std::set<std::string> names;
  for (const RulerKind kind : ruler_kinds()) {
    names.insert(name_of(kind));
    EXPECT_EQ(ruler_kind(name_of(kind)), kind);
  }
  EXPECT_EQ(names.size(), 11U);
  EXPECT_FALSE(ruler_kind("single"));
}

/// An answer that has one of them has no other.
TEST(Ruler, NoWordContainsAnother) {
  RulerRandom random({1});
  for (const Strings& all : {ruler_compounds(random), ruler_names(random)}) {
    EXPECT_GE(all.size(), 1024U);
    for (const std::string& each : all) {
      const auto holds = [&](const std::string& other) { return other.find(each) != std::string::npos; };
      EXPECT_EQ(std::count_if(all.begin(), all.end(), holds), 1) << each;
    }
  }
}

TEST(Ruler, AUuidHasItsForm) {
  RulerRandom random({3});
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(
        matches(ruler_uuid(random), "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
            .size(),
        1U);
  }
}

}  // namespace
}  // namespace pmt::lab
