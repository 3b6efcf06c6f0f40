#include "response_cache/store/canonical_json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>

namespace pmt::response_cache {
namespace {

using json = nlohmann::json;

std::string number(double value) {
  std::string out;
  append_canonical_number(out, value);
  return out;
}

// RFC 8785, appendix B.
TEST(CanonicalJson, NumbersOfTheRfc) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
  };
  for (const auto& [bits, text] : cases) EXPECT_EQ(number(std::bit_cast<double>(bits)), text);
  EXPECT_EQ(number(std::nan("")), "null");
}

TEST(CanonicalJson, NumbersReadBackAsThemselves) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(std::strtod(number(value).c_str(), nullptr), value) << number(value);
  }
}

// RFC 8785, section 3.2.3: the order of UTF-16 code units, which is not that of UTF-8 bytes.
TEST(CanonicalJson, MemberOrderOfTheRfc) {
  const json value = {{"\u20ac", "Euro Sign"},
                      {"\r", "Carriage Return"},
                      {"\ufb33", "Hebrew Letter Dalet With Dagesh"},
                      {"1", "One"},
                      {"\U0001F600", "Emoji: Grinning Face"},
                      {"\u0080", "Control"},
                      {"\u00f6", "Latin Small Letter O With Diaeresis"}};
  EXPECT_EQ(canonical_json(value),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"\u00f6\":\"Latin Small "
            "Letter O With "
            "Diaeresis\",\"\u20ac\":\"Euro Sign\",\"\U0001F600\":\"Emoji: Grinning "
            "Face\",\"\ufb33\":\"Hebrew Letter "
            "Dalet With Dagesh\"}");
}

// RFC 8785, section 3.2.2.
TEST(CanonicalJson, SampleOfTheRfc) {
  const json value = json::parse(R"({
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]})");
  EXPECT_EQ(canonical_json(value),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
            "\"string\":\"\u20ac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

TEST(CanonicalJson, OrderAndSpellingDoNotMatter) {
  EXPECT_EQ(canonical_json(json::parse(R"({"b": 1.0, "a": {"d": [], "c": {}}})")),
            canonical_json(json::parse(R"({"a":{"c":{},"d":[]},"b":1})")));
}

TEST(CanonicalJson, LargeIntegersKeepTheirDigits) {
  EXPECT_EQ(canonical_json(json::parse("[9007199254740993,18446744073709551615,-9223372036854775808]")),
            "[9007199254740993,18446744073709551615,-9223372036854775808]");
}

TEST(CanonicalJson, DepthDoesNotUseTheStack) {
  json value;
  constexpr int kDepth = 200'000;
  for (int i = 0; i < kDepth; ++i) {
    json outer = json::array();
    outer.push_back(std::move(value));
    value = std::move(outer);
  }
  EXPECT_EQ(canonical_json(value).size(), 2U * kDepth + 4);
}

}  // namespace
}  // namespace pmt::response_cache
