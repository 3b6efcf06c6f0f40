#include "model/schema_grammar.h"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "model/testing/writes.h"

namespace pmt::model {
namespace {

struct Case {
  const char* schema;
  std::vector<std::string> good, bad;
  std::vector<std::string> unfollowed = {};
};

void expect_all(const Case& one) {
  const auto grammar = grammar_of_schema(one.schema);
  ASSERT_TRUE(grammar) << one.schema << ": " << grammar.error().message;
  for (const std::string& text : one.good)
    EXPECT_TRUE(testing::writes(grammar->text(), text)) << one.schema << "\n" << text;
  for (const std::string& text : one.bad)
    EXPECT_FALSE(testing::writes(grammar->text(), text)) << one.schema << "\n" << text;
  std::vector<std::string> paths;
  for (const Unfollowed& unfollowed : grammar->unfollowed) paths.push_back(unfollowed.path);
  EXPECT_EQ(paths, one.unfollowed) << one.schema;
}

TEST(SchemaGrammar, Strings) {
  const Case cases[] = {
      {R"({"type":"string"})", {R"("")", R"("a\"é\né")"}, {R"("a)", "\"a\nb\"", R"("\ud800")", "5"}},
      {R"({"type":"string","minLength":2,"maxLength":3})", {R"("ab")", R"("a\n")"}, {R"("a")", R"("abcd")"}},
      {R"({"type":"string","pattern":"^\\d{4}$"})", {R"("1234")"}, {R"("12345")", R"("abcd")"}},
      {R"({"type":"string","pattern":"b+"})", {R"("b")", R"("abbc")"}, {R"("ac")"}},
      {R"({"type":"string","pattern":"^.{2}$"})", {R"("a\"")", R"("\\\\")"}, {R"("a"")", R"("a\")"}},
      {R"({"type":"string","pattern":"^(?!a)b$"})", {R"("anything")"}, {"5"}, {"pattern"}},
      {R"({"type":"string","format":"ipv4"})", {R"("1.2.3.4")"}, {R"("1.2.3")"}},
      {R"({"type":"string","format":"colour"})", {R"("x")"}, {}, {"format"}},
      {R"({"type":"string","not":{"enum":["ab","a"]}})",
       {R"("")", R"("abc")", R"("b")"},
       {R"("ab")", R"("a")", R"("\u0061")"}},
      {R"({"type":["string","null"],"maxLength":1})", {R"("a")", "null"}, {R"("ab")"}},
      {R"({"enum":["a",1,null,{"b":[]}]})", {R"("a")", "1", "null", R"({"b":[]})"}, {R"("b")"}},
      {R"({"type":"string","enum":["aa","b",3],"minLength":2})", {R"("aa")"}, {R"("b")", "3"}},
      {R"({"const":"42"})", {R"("42")"}, {"42"}}};
  for (const Case& one : cases) expect_all(one);
}

TEST(SchemaGrammar, Objects) {
  const Case cases[] = {
      {R"({"properties":{"b":{"type":"null"},"a":{"type":"null"},"c":{"type":"null"}},"required":["a"]})",
       {R"({"a":null})", R"({"b": null, "a": null})", R"({"a":null,"c":null})"},
       {R"({})", R"({"a":null,"b":null})", R"({"a":null,"d":null})", R"({"a":null,})"}},
      {R"({"type":"object"})", {"{}", R"({"x": [1, {"y": "z"}]})"}, {"[]"}},
      {R"({"required":["z"]})", {R"({"z":1})", R"({"z":1,"y":2})"}, {"{}", R"({"y":2})"}},
      {R"({"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
       {"{}", R"({"a":1,"b":true,"ab":false})", R"({"b":true})"},
       {R"({"b":1})", R"({"a":true})"}},
      {R"({"type":"object","properties":{"name":{"type":"string"}},"required":["name"],
          "anyOf":[{"properties":{"age":{"type":"integer"}},"required":["age"]},{"properties":{"dob":{"type":"string"}},"required":["dob"]}]})",
       {R"({"name":"A","age":3})", R"({"name":"A","dob":"x"})"},
       {R"({"age":3})", R"({"name":"A"})"}},
      {R"({"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer","maximum":4}},"required":["a"]}]})",
       {R"({"a":3})", R"({"a":4})"},
       {R"({"a":5})", R"({"a":2})", "{}"}},
      {R"({"patternProperties":{"^x_":{"type":"integer"}}})",
       {"{}", R"({"x_a":1,"x_b":2})"},
       {R"({"y":1})", R"({"x_a":"1"})"}},
      {R"({"properties":{"a":{},"b":{},"c":{}},"minProperties":2})",
       {R"({"a":1,"c":2})", R"({"a":1,"b":2,"c":3})"},
       {"{}", R"({"b":1})"}},
      {R"({"properties":{"a":{},"b":{},"c":{}},"maxProperties":1})",
       {"{}", R"({"b":1})"},
       {R"({"a":1,"b":2})"}},
      {R"({"propertyNames":{"pattern":"^[a-z]$"},"additionalProperties":{"type":"null"}})",
       {R"({"a":null})"},
       {R"({"ab":null})"}},
      {R"({"properties":{"a":{"type":"null"},"b":{"type":"null"}},"not":{"required":["a"]}})",
       {"{}", R"({"b":null})"},
       {R"({"a":null})"}},
      {R"({"oneOf":[{"properties":{"t":{"const":"x"}},"required":["t"]},{"properties":{"t":{"const":"y"}},"required":["t"]}]})",
       {R"({"t":"x"})", R"({"t":"y"})"},
       {R"({"t":"z"})"}},
      {R"({"oneOf":[{"type":"number"},{"type":"integer"}]})", {"1"}, {}, {"oneOf"}},
      {R"({"type":"object","properties":{"a":{"if":{"const":1},"then":{"const":1}}}})",
       {"{}"},
       {},
       {"properties.a.if"}}};
  for (const Case& one : cases) expect_all(one);
}

TEST(SchemaGrammar, ArraysAndReferences) {
  const Case cases[] = {
      {R"({"type":"array","items":{"type":"null"},"minItems":1,"maxItems":2})",
       {"[null]", "[null, null]"},
       {"[]", "[null,null,null]"}},
      {R"({"prefixItems":[{"const":1},{"const":2}],"items":false})", {"[1,2]"}, {"[2,1]", "[1,2,3]"}},
      {R"({"prefixItems":[{"const":1},false],"minItems":1})", {"[1]"}, {"[]", "[1,2]"}},
      {R"({"items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":2})",
       {R"(["a","c"])", R"(["a","b","c"])"},
       {R"(["a","a"])", R"(["a"])"}},
      {R"({"items":{"type":"string"},"uniqueItems":true})", {R"(["a"])"}, {}, {"uniqueItems"}},
      {R"({"contains":{"const":5},"items":{"type":"integer"}})", {"[5]", "[5,1]"}, {"[]", "[1]"}},
      {R"({"$defs":{"n":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["next"]}},"$ref":"#/$defs/n"})",
       {R"({"next":null})", R"({"next":{"next":null}})"},
       {R"({"next":1})"}},
      {R"({"properties":{"kids":{"type":"array","items":{"$ref":"#"}}},"required":["kids"]})",
       {R"({"kids":[{"kids":[]}]})"},
       {R"({"kids":[1]})"}},
      {R"({"definitions":{"a/b":{"const":1}},"$ref":"#/definitions/a~1b"})", {"1"}, {"2"}},
      {R"({"$defs":{"x":{"$anchor":"here","const":1}},"$ref":"#here"})", {"1"}, {"2"}},
      {R"({"$defs":{"x":{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}},"$ref":"#/$defs/x","properties":{"b":{"type":"null"}},"required":["b"]})",
       {R"({"a":null,"b":null})"},
       {R"({"a":null})", R"({"b":null})"}}};
  for (const Case& one : cases) expect_all(one);
}

TEST(SchemaGrammar, MistakesNameTheirPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"properties":{"a":{"$ref":"#/$defs/x"}}})", "properties.a.$ref"},
      {R"({"$ref":"https://example.org/schema"})", "$ref"},
      {R"({"properties":{"a":{"pattern":"("}}})", "properties.a.pattern"},
      {R"({"properties":{"a":5}})", "properties.a"},
      {R"({"properties":[]})", "properties"},
      {R"({"type":"text"})", "type"},
      {R"({"type":"string","minLength":-1})", "minLength"},
      {R"({"type":"number","minimum":"a"})", "minimum"},
      {R"({"anyOf":[]})", "anyOf"},
      {R"({"type":"integer","minimum":3,"maximum":2})", ""},
      {R"({"allOf":[{"type":"string"},{"type":"null"}]})", ""}};
  for (const auto& [schema, field] : cases) {
    const auto grammar = grammar_of_schema(schema);
    ASSERT_FALSE(grammar) << schema;
    EXPECT_EQ(grammar.error().field, field) << schema;
    EXPECT_EQ(grammar.error().code, base::Code::kInvalidArgument);
  }
}

/// Bounds and multiples of their own, and numbers around them, against plain arithmetic.
TEST(SchemaGrammar, NumbersAreWithinTheirBounds) {
  std::mt19937 random(3);
  const auto pick = [&random](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 150; ++round) {
    const int scale = pick(0, 2);
    const double unit = scale == 0 ? 1 : scale == 1 ? 10 : 100;
    const int size = pick(0, 1) == 0 ? 30 : 3000;
    int low = pick(-size, size), high = pick(-size, size);
    if (low > high) std::swap(low, high);
    const bool whole = pick(0, 2) == 0, open = pick(0, 1) == 0;
    const int multiple = pick(0, 2) == 0 ? pick(2, 40) : 0;
    const std::string schema =
        fmt::format(R"({{"type":"{}","{}":{},"{}":{}{}}})", whole ? "integer" : "number",
                    open ? "exclusiveMinimum" : "minimum", low / unit, open ? "exclusiveMaximum" : "maximum",
                    high / unit, multiple > 0 ? fmt::format(R"(,"multipleOf":{})", multiple) : "");
    const auto grammar = grammar_of_schema(schema);
    bool any = false;
    for (int i = 0; i < 60; ++i) {
      const int value = i < 6 ? (i < 3 ? low : high) + i % 3 - 1 : pick(low - 20, high + 20);
      const bool inside = open ? value > low && value < high : value >= low && value <= high;
      const bool is_whole = value % static_cast<int>(unit) == 0;
      const bool fits = inside && (is_whole || (!whole && multiple == 0)) &&
                        (multiple == 0 || value / static_cast<int>(unit) % multiple == 0);
      any = any || fits;
      const std::string text =
          is_whole ? fmt::format("{}", value / static_cast<int>(unit)) : fmt::format("{}", value / unit);
      const bool written = grammar && testing::writes(grammar->text(), text);
      EXPECT_EQ(written, fits) << schema << " " << text;
    }
    EXPECT_TRUE(grammar || !any) << schema;
  }
}

std::string required_properties(int count, const char* each) {
  std::string properties, names;
  for (int i = 0; i < count; ++i) {
    properties += fmt::format("{}\"p{}\":{}", i > 0 ? "," : "", i, each);
    names += fmt::format("{}\"p{}\"", i > 0 ? "," : "", i);
  }
  return fmt::format(R"("properties":{{{}}},"required":[{}])", properties, names);
}

bool is_too_complex(const std::string& schema) {
  const auto grammar = grammar_of_schema(schema);
  return !grammar && grammar.error().message.find("too complex") != std::string::npos;
}

TEST(SchemaGrammar, AnyOfByItselfMergesNothing) {
  const std::string target = "{" + required_properties(200, R"({"type":"null"})") + "}";
  std::string references;
  for (int i = 0; i < 100; ++i) references += R"(,{"$ref":"#/$defs/t"})";
  EXPECT_FALSE(is_too_complex(R"({"$defs":{"t":)" + target + R"(},"title":"x","anyOf":[{"type":"null"})" +
                              references + "]}"));
}

TEST(SchemaGrammar, NamesTimesPatternsHaveALimit) {
  const auto schema = [](int names, int patterns) {
    std::string all;
    for (int i = 0; i < patterns; ++i)
      all += fmt::format(R"({}"^x{}_[a-z]+$":{{"type":"null"}})", i > 0 ? "," : "", i);
    return "{" + required_properties(names, R"({"type":"null"})") + R"(,"patternProperties":{)" + all + "}}";
  };
  EXPECT_FALSE(is_too_complex(schema(100, 20)));
  EXPECT_TRUE(is_too_complex(schema(1'000, 100)));
}

TEST(SchemaGrammar, WhatIsToldApartHasALimit) {
  const auto schema = [](int count) {
    std::string all;
    for (int i = 0; i < count; ++i)
      all += fmt::format(R"({}{{"properties":{{"kind":{{"const":{}}}}},"required":["kind"]}})",
                         i > 0 ? "," : "", i);
    return R"({"oneOf":[)" + all + "]}";
  };
  EXPECT_FALSE(is_too_complex(schema(200)));
  EXPECT_TRUE(is_too_complex(schema(950)));
}

TEST(SchemaGrammar, MultiplesWithDigitsAfterThePoint) {
  expect_all({R"({"type":"number","multipleOf":0.25,"minimum":-1,"maximum":12})",
              {"0.25", "-0.75", "12.00", "3.50"},
              {"0.26", "12.25", "-1.25"}});
  expect_all({R"({"type":"integer","multipleOf":0.5})", {"3", "-4"}, {"0.5"}});
  expect_all({R"({"type":"integer","multipleOf":7919})", {"3"}, {"a"}, {"multipleOf"}});
}

}  // namespace
}  // namespace pmt::model
