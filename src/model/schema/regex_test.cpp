#include "model/schema/regex.h"

#include <gtest/gtest.h>

#include "model/schema/string_format.h"
#include "model/schema_grammar.h"
#include "model/testing/writes.h"

namespace pmt::model {
namespace {

struct Case {
  const char* pattern;
  std::vector<std::string> good, bad;
};

TEST(Regex, TextsThatMatchAreTheOnesThatAreWritten) {
  const Case cases[] = {{R"(\d{4})", {"1234"}, {"123", "12345", "abcd"}},
                        {R"([A-Z]{2}-\d+)", {"AB-1", "ZZ-999"}, {"A-1", "AB-"}},
                        {R"(\p{L}{1,3})", {"a", "éß中"}, {"", "1", "abcd"}},
                        {R"(\p{Lu}\p{Ll}*)", {"Ä", "Oslo"}, {"oslo"}},
                        {R"([^\s\d]+)", {"ab"}, {"a b", "a1"}},
                        {R"(\S+@\S+)", {"a@b"}, {"a @b"}},
                        {R"(a|bc|)", {"a", "bc", ""}, {"abc"}},
                        {R"(^(a|b)$)", {"a", "b"}, {"ab"}},
                        {R"((?:ab){2,})", {"abab", "ababab"}, {"ab"}},
                        {R"((?<year>\d\d)?x)", {"x", "12x"}, {"1x"}},
                        {R"(\u00e9\x41\t)", {"éA\t"}, {"eA\t"}},
                        {R"(.)", {"a", "é", "\""}, {"\n", ""}},
                        {R"(a{,2})", {"", "aa"}, {"aaa"}},
                        {R"(a{x})", {"a{x}"}, {"a"}},
                        {R"([\w.-]+)", {"a_b.c-d"}, {"a b"}},
                        {R"([]-])", {}, {"a"}},
                        {R"(a*?b+?)", {"b", "aab"}, {"a"}}};
  for (const Case& one : cases) {
    const auto grammar = grammar_of_pattern(one.pattern);
    ASSERT_TRUE(grammar) << one.pattern << ": " << grammar.error().message;
    const auto read = parse_regex(one.pattern);
    const auto whole = matched_whole(*read);
    for (const std::string& text : one.good) {
      EXPECT_TRUE(testing::writes(grammar->text(), text)) << one.pattern << " '" << text << "'";
      EXPECT_TRUE(matches(*whole, text)) << one.pattern << " '" << text << "'";
    }
    for (const std::string& text : one.bad) {
      EXPECT_FALSE(testing::writes(grammar->text(), text)) << one.pattern << " '" << text << "'";
      EXPECT_FALSE(matches(*whole, text)) << one.pattern << " '" << text << "'";
    }
  }
}

TEST(Regex, WhatNoGrammarCanSayIsToldApartFromWhatIsNoPattern) {
  for (const char* const pattern :
       {"(?=a)b", "(?!a)b", "(?<=a)b", R"(\bword)", R"((a)\1)", "a*+", "(?i)a", R"(\p{Greek})", R"(\q)"}) {
    const auto read = parse_regex(pattern);
    ASSERT_FALSE(read) << pattern;
    EXPECT_EQ(read.error().code, base::Code::kUnprocessable) << pattern;
  }
  for (const char* const pattern : {"(", ")", "[a", "*a", R"(\)", "[z-a]", "a{3,2}", R"(\u{110000})"}) {
    const auto read = parse_regex(pattern);
    ASSERT_FALSE(read) << pattern;
    EXPECT_EQ(read.error().code, base::Code::kInvalidArgument) << pattern;
  }
  const auto inside = parse_regex("a^b");
  ASSERT_TRUE(inside);
  EXPECT_FALSE(found_anywhere(*inside));
}

TEST(Regex, AnchorsHoldTheEndsThatTheyStandAt) {
  const auto found = [](const char* pattern, const char* text) {
    return matches(*found_anywhere(*parse_regex(pattern)), text);
  };
  EXPECT_TRUE(found("b", "abc"));
  EXPECT_TRUE(found("^a", "abc"));
  EXPECT_FALSE(found("^b", "abc"));
  EXPECT_TRUE(found("^a|c$", "xc"));
  EXPECT_FALSE(found("^a|c$", "xcx"));
  EXPECT_TRUE(found("(^|-)b", "a-b"));
  EXPECT_FALSE(found("(^|-)b", "ab"));
}

TEST(Regex, FormatsAreWhatTheirNamesSay) {
  const std::tuple<const char*, std::vector<std::string>, std::vector<std::string>> cases[] = {
      {"date", {"2024-02-29", "1999-12-31"}, {"2023-02-29", "2024-04-31", "24-01-01", "2100-02-29"}},
      {"time", {"23:59:59Z", "00:00:00.5+01:30"}, {"24:00:00Z", "12:00:00", "12:60:00Z"}},
      {"date-time", {"2024-01-31T10:00:00Z"}, {"2024-01-31 10:00:00Z", "2024-01-32T10:00:00Z"}},
      {"email", {"a.b+c@example.org"}, {"a@", "a b@example.org", ".a@example.org", "a@b"}},
      {"ipv4", {"0.0.0.0", "255.249.199.9"}, {"256.1.1.1", "1.1.1", "01.1.1.1"}},
      {"ipv6", {"::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8"}, {"1:2:3", "1::2::3", "1:2:3:4:5:6:7:8:9"}},
      {"uuid", {"123e4567-e89b-12d3-a456-426614174000"}, {"123e4567e89b12d3a456426614174000"}},
      {"uri",
       {"https://example.org:8080/a?b=c#d", "mailto:a@b.c", "urn:isbn:1"},
       {"example.org", "http://a b"}},
      {"hostname", {"a.example.org"}, {"-a.org", "a..b"}},
      {"duration", {"P1Y2M", "PT5M", "P3W"}, {"P", "1Y", "PT"}}};
  for (const auto& [format, good, bad] : cases) {
    const auto pattern = pattern_of_format(format);
    ASSERT_TRUE(pattern) << format;
    const auto read = parse_regex(*pattern);
    ASSERT_TRUE(read) << format << ": " << read.error().message;
    for (const std::string& text : good) EXPECT_TRUE(matches(*read, text)) << format << " " << text;
    for (const std::string& text : bad) EXPECT_FALSE(matches(*read, text)) << format << " " << text;
  }
  EXPECT_FALSE(pattern_of_format("colour"));
}

TEST(Regex, LengthsNarrowWhatIsOpen) {
  const auto with = [](const char* pattern, std::uint32_t min, std::uint32_t max) {
    return with_lengths(*matched_whole(*parse_regex(pattern)), min, max);
  };
  EXPECT_TRUE(matches(*with("[a-z]+", 3, 5), "abc"));
  EXPECT_FALSE(matches(*with("[a-z]+", 3, 5), "ab"));
  EXPECT_FALSE(matches(*with("[a-z]+", 3, 5), "abcdef"));
  EXPECT_FALSE(matches(*with("x[a-z]*y", 0, 4), "xabcy"));
  for (const char* const pattern :
       {R"(\d{3}|\d{5})", "a*b*", "(/[a-z]+)*", "[a-z]+@[a-z]+(\\.[a-z]+)+", ".*[0-9]{2}.*", "(a|bb)+c?"}) {
    for (const std::uint32_t max : {6U, 9U, 40U}) {
      const auto fitted = with(pattern, 0, max);
      ASSERT_TRUE(fitted) << pattern;
      EXPECT_LE(lengths_of(*fitted).max, max) << pattern;
      EXPECT_FALSE(fitted->kind == Regex::Kind::kSet && fitted->set.empty()) << pattern;
    }
  }
  EXPECT_GE(lengths_of(*with("a*b*", 3, 6)).min, 3U);
  EXPECT_EQ(lengths_of(*with("ab?", 2, 6)).min, 2U);
  EXPECT_FALSE(with("(a|bb)*", 3, 6)) << "rounds of two lengths";
}

}  // namespace
}  // namespace pmt::model
