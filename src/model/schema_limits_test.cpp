#include "model/schema_limits.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <ctime>
#include <functional>
#include <string>

#include "model/schema_grammar.h"

namespace pmt::model {
namespace {

using nlohmann::json;

std::string refusal(const json& schema) {
  const auto checked = check_schema(schema.dump());
  if (checked) return "";
  EXPECT_EQ(checked.error().code, base::Code::kInvalidArgument);
  return checked.error().message;
}

json properties(int count, bool required, const json& each = {{"type", "string"}}) {
  json out{{"type", "object"}, {"properties", json::object()}, {"required", json::array()}};
  for (int i = 0; i < count; ++i) {
    out["properties"]["p" + std::to_string(i)] = each;
    if (required) out["required"].push_back("p" + std::to_string(i));
  }
  return out;
}

json list(int count, const std::function<json(int)>& make) {
  json out = json::array();
  for (int i = 0; i < count; ++i) out.push_back(make(i));
  return out;
}

json nested(int levels, const std::function<json(json)>& wrap) {
  json out{{"type", "string"}};
  for (int i = 0; i < levels; ++i) out = wrap(std::move(out));
  return out;
}

TEST(SchemaLimits, WhatPeopleWriteIsWellWithinThem) {
  EXPECT_EQ(refusal(json::object()), "");
  EXPECT_EQ(refusal(properties(200, true)), "");
  EXPECT_EQ(refusal(properties(40, false)), "");
  EXPECT_EQ(refusal({{"enum", list(500, [](int i) { return "value " + std::to_string(i); })}}), "");
  EXPECT_EQ(refusal(nested(10,
                           [](json in) {
                             return json{{"type", "array"}, {"items", std::move(in)}};
                           })),
            "");
  EXPECT_EQ(refusal({{"type", "string"}, {"minLength", 1}, {"maxLength", 100'000}}), "");
  EXPECT_EQ(refusal({{"type", "string"}, {"pattern", "^[a-z]+@[a-z]+\\.(com|org)$"}}), "");
}

TEST(SchemaLimits, EachNamesItselfAndWhatIsAllowed) {
  const auto says = [](const json& schema, const std::string& what) {
    const std::string message = refusal(schema);
    EXPECT_NE(message.find("too complex"), std::string::npos) << what;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_NE(message.find("at most"), std::string::npos) << message;
  };
  says({{"enum", list(50'000, [](int i) { return i; })}}, "50000 enum values");
  says(properties(5'000, true, {{"type", "null"}}), "5000 properties");
  says(properties(65, false), "65 optional properties");
  says({{"anyOf", list(1'001, [](int) { return json{{"type", "null"}}; })}}, "1001 alternatives");
  says({{"items", list(1'001, [](int) { return json{{"$ref", "#/a"}}; })}}, "references");
  says(nested(70,
              [](json in) {
                return json{{"anyOf", json::array({std::move(in)})}};
              }),
       "levels of nesting");
  says({{"const", std::string(130'000, 'x')}}, "bytes of names and constants");
  says({{"properties", {{std::string(2'000, 'n'), {{"type", "null"}}}}}}, "bytes of names on the way");
  says({{"description", std::string(1'100'000, 'x')}}, "1100018 bytes");
  says({{"pattern", std::string(2'001, 'a')}}, "bytes in a pattern");
  says({{"anyOf", list(65,
                       [](int i) {
                         return json{{"pattern", "^" + std::to_string(i) + "$"}};
                       })}},
       "65 patterns");
}

TEST(SchemaLimits, ObjectsThatAreMergedCountTogether) {
  json parts = list(4, [](int i) {
    json part = properties(20, true);
    part["properties"]["own" + std::to_string(i)] = {{"type", "null"}};
    return part;
  });
  EXPECT_NE(refusal({{"allOf", json::array({{{"anyOf", parts}}})}}).find("84 optional"), std::string::npos);
  const json by_reference = {{"$defs", {{"a", properties(70, true)}}},
                             {"allOf", json::array({{{"oneOf", json::array({{{"$ref", "#/$defs/a"}}})}}})}};
  EXPECT_NE(refusal(by_reference).find("70 optional"), std::string::npos);
}

TEST(SchemaLimits, ReferencesThatLeadToEachOther) {
  json chain{{"$defs", json::object()}, {"$ref", "#/$defs/d0"}};
  for (int i = 0; i < 900; ++i)
    chain["$defs"]["d" + std::to_string(i)] = {{"items", {{"$ref", "#/$defs/d" + std::to_string(i + 1)}}}};
  EXPECT_NE(refusal(chain).find("what is referred to"), std::string::npos);
  const json endless = {{"$defs", {{"a", {{"$ref", "#/$defs/a"}}}}}, {"$ref", "#/$defs/a"}};
  EXPECT_EQ(refusal(endless), "");
  const auto grammar = grammar_of_schema(endless.dump());
  ASSERT_TRUE(grammar);
  const auto read = read_grammar(grammar->text());
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("begins with itself"), std::string::npos);
}

TEST(SchemaLimits, DepthIsCountedBeforeAnythingIsBuilt) {
  const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  const auto checked = check_schema(deep);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("400000 levels of nesting"), std::string::npos);
  EXPECT_TRUE(check_schema("{\"const\": \"" + std::string(1'000, '[') + "\\\"[[\"}")) << "in a string";
}

TEST(SchemaLimits, WhatIsNoJson) {
  for (const char* text : {"", "{", "nul", "{\"a\":}"}) EXPECT_FALSE(check_schema(text)) << text;
  for (const char* text :
       {"[]", "5", "null", "\"x\"", "{\"enum\": 5}", "{\"properties\": [1]}", "{\"required\": 7}",
        "{\"$ref\": {}}", "{\"pattern\": null}", "{\"anyOf\": {\"a\": 1}}"})
    EXPECT_TRUE(check_schema(text)) << text;
}

/// The largest that each limit lets through, through the whole way to a read grammar.
class AtTheLimit : public ::testing::TestWithParam<std::pair<const char*, json>> {};

TEST_P(AtTheLimit, IsQuicklyMadeOrRefused) {
  const std::string schema = GetParam().second.dump();
  ASSERT_EQ(refusal(GetParam().second), "");
  const std::clock_t began = std::clock();
  const auto grammar = grammar_of_schema(schema);
  const bool read = grammar && read_grammar(grammar->text());
  const double ms = 1000.0 * static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  RecordProperty("ms", static_cast<int>(ms));
  std::printf("%s: %.0f ms, %s, %zu bytes\n", GetParam().first, ms, read ? "made" : "refused",
              grammar ? grammar->rules.size() : 0);
  EXPECT_LT(ms, 1000) << "some fifty where nothing else runs, and no sanitizer";
}

INSTANTIATE_TEST_SUITE_P(
    All, AtTheLimit,
    ::testing::Values(
        std::pair("enum",
                  json{{"enum", list(2'000, [](int i) { return "some value of " + std::to_string(i); })}}),
        std::pair("properties", properties(1'500, true)), std::pair("optional", properties(64, false)),
        std::pair("optional_objects", json{{"prefixItems",
                                            list(15,
                                                 [](int) {
                                                   return properties(64, false, {{"type", "null"}});
                                                 })}}),
        std::pair("alternatives", json{{"anyOf", list(1'000,
                                                      [](int i) {
                                                        return json{{"const", i}};
                                                      })}}),
        std::pair("constants_apart", json{{"oneOf", list(1'000,
                                                         [](int i) {
                                                           return json{{"const", i}};
                                                         })}}),
        std::pair("objects", json{{"anyOf", list(300, [](int i) { return properties(i % 6 + 1, true); })}}),
        std::pair("long_constant", json{{"const", std::string(119'000, '"')}}),
        std::pair("long_name", json{{"properties", {{std::string(980, 0x01), {{"type", "null"}}}}}}),
        std::pair("patterns", json{{"prefixItems", list(64,
                                                        [](int i) {
                                                          return json{{"type", "string"},
                                                                      {"pattern", "^(a{" + std::to_string(i) +
                                                                                      "}){1000}$"}};
                                                        })}}),
        std::pair("options_pattern",
                  [] {
                    std::string pattern = "^";
                    for (int i = 0; i < 490; ++i) pattern += "(a?)";
                    return json{{"type", "string"}, {"pattern", pattern + "$"}};
                  }()),
        std::pair("lengths",
                  json{{"type", "string"}, {"minLength", 2'000'000'000}, {"maxLength", 2'147'483'647}}),
        std::pair("references",
                  [] {
                    json out{{"$defs", json::object()}, {"prefixItems", json::array()}};
                    for (int i = 0; i < 150; ++i) {
                      const std::string name = "d" + std::to_string(i);
                      out["$defs"][name] =
                          properties(4, true, {{"$ref", "#/$defs/d" + std::to_string((i + 1) % 150)}});
                      out["prefixItems"].push_back({{"$ref", "#/$defs/" + name}});
                    }
                    return out;
                  }())),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace pmt::model
