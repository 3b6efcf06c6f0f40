#include "base/json.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using nlohmann::json;

std::string repeated(std::string_view piece, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += piece;
  return out;
}

std::string nested(std::size_t levels) {
  return repeated("[", levels) + repeated("]", levels);
}

std::string as_bytes(const json& tree) {
  const auto bytes = json::to_cbor(tree);
  return {bytes.begin(), bytes.end()};
}

std::string error_of(const Result<json>& parsed) {
  if (parsed) return "none: " + parsed->dump();
  EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
  return parsed.error().message;
}

TEST(Json, BuildsTheTreeThatTheLibraryBuilds) {
  for (const char* text : {"null", "true", " -0.5e3 ", "0", "18446744073709551615", "-9223372036854775808",
                           R"("a\u0000\ud83d\ude00")", "[]", "{}", "[[],{},[[1]],2]",
                           R"({"a":{"b":[1,{"c":null}]},"d":"e"})", R"({"a":[1,2],"a":{"b":3}})",
                           R"({"":{"":""}})", "123456789012345678901234567890", "\xEF\xBB\xBF[1]"}) {
    const auto parsed = parse_json(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, json::parse(text)) << text;
    const auto packed = parse_cbor(as_bytes(*parsed));
    ASSERT_TRUE(packed) << text << ": " << packed.error().message;
    EXPECT_EQ(*packed, *parsed) << text;
  }
}

TEST(Json, ErrorSaysWhereAndWhat) {
  EXPECT_EQ(error_of(parse_json("{\n tru}")).find("not JSON (line 2, column 5: syntax error"), 0U);
  EXPECT_EQ(error_of(parse_json(" \n")), "not JSON (it is empty)");
  EXPECT_EQ(error_of(parse_json("")), "not JSON (it is empty)");
  EXPECT_NE(error_of(parse_json("[1e999]")).find("number overflow"), std::string::npos);
  EXPECT_NE(error_of(parse_json("[1] 2")).find("column 5"), std::string::npos) << "nothing may follow";
  EXPECT_NE(error_of(parse_json("\"\xFF\"")).find("invalid string"), std::string::npos);
  EXPECT_NE(error_of(parse_json("[1,")).find("line 1, column 4"), std::string::npos);
  const std::string long_token = "\"" + repeated("\xC3\xA9", 5000) + "\n";
  const std::string quoted = error_of(parse_json(long_token));
  EXPECT_LT(quoted.size(), 300U) << "an error doesn't repeat the text";
  EXPECT_NO_THROW((void)json(quoted).dump()) << "and is cut between characters";
}

TEST(Json, DepthHasOneLimit) {
  EXPECT_TRUE(parse_json(nested(kJsonDepthMax)));
  EXPECT_EQ(error_of(parse_json(nested(kJsonDepthMax + 1))), "JSON nested deeper than 64 levels");
  EXPECT_EQ(error_of(parse_json(repeated("[", 5'000'000))), "JSON nested deeper than 64 levels");
  EXPECT_EQ(error_of(parse_json(repeated("{\"a\":[", 1'000'000))), "JSON nested deeper than 64 levels");
  EXPECT_TRUE(parse_json("[" + nested(63) + "," + nested(63) + "]")) << "what was closed doesn't count";
  EXPECT_EQ(error_of(parse_json(nested(4), {.depth_max = 3})), "JSON nested deeper than 3 levels");
  EXPECT_TRUE(parse_json("5", {.depth_max = 0}));
}

TEST(Json, CborsDepthHasTheSame) {
  EXPECT_TRUE(parse_cbor(as_bytes(*parse_json(nested(kJsonDepthMax)))));
  EXPECT_EQ(error_of(parse_cbor(repeated("\x81", 5'000'000))), "CBOR nested deeper than 64 levels");
  EXPECT_EQ(error_of(parse_cbor(repeated("\x9F", 5'000'000))), "CBOR nested deeper than 64 levels");
  EXPECT_EQ(error_of(parse_cbor(repeated("\xA1\x61k", 1'000'000))), "CBOR nested deeper than 64 levels");
  EXPECT_NE(error_of(parse_cbor(repeated("\xC1", 1'000'000))).find("not CBOR"), std::string::npos) << "tags";
}

TEST(Json, LengthHasALimit) {
  EXPECT_TRUE(parse_json("[1,2]", 5));
  EXPECT_EQ(error_of(parse_json("[1,22]", 5)), "JSON of more than 5 bytes");
  EXPECT_EQ(error_of(parse_json(std::string(kJsonBytesMax + 1, ' '))), "JSON of more than 33554432 bytes");
  EXPECT_EQ(error_of(parse_cbor(as_bytes({1, 2, 3}), {.bytes_max = 3})), "CBOR of more than 3 bytes");
}

TEST(Json, CborHoldsJsonOnly) {
  EXPECT_EQ(error_of(parse_cbor("\x43"
                                "abc")),
            "not CBOR (a byte string, which JSON has none of)");
  EXPECT_EQ(parse_cbor("\x43"
                       "abc",
                       {.byte_strings = true})
                ->get_binary()
                .size(),
            3U);
  EXPECT_EQ(error_of(parse_cbor("\x61\xFF")), "not CBOR (a string that is no UTF-8)");
  EXPECT_EQ(error_of(parse_cbor("\xA1\x61\xFF\x01")), "not CBOR (a string that is no UTF-8)");
  EXPECT_EQ(error_of(parse_cbor("\x9B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), "not CBOR (a size that can't be)");
  EXPECT_EQ(error_of(parse_cbor("\xBB\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), "not CBOR (a size that can't be)");
  EXPECT_NE(error_of(parse_cbor("\x7B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")).find("not CBOR"), std::string::npos);
  EXPECT_NE(error_of(parse_cbor("")).find("not CBOR"), std::string::npos);
  const std::string whole = as_bytes(*parse_json(R"({"a":[1,2.5,"text",null,{"b":true}],"c":-7})"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_cbor(whole.substr(0, size))) << size;
    EXPECT_FALSE(parse_cbor(whole + whole.substr(0, size + 1))) << "more follows";
  }
}

TEST(Json, DepthOfWhatWasPutTogether) {
  const json deep = *parse_json(nested(kJsonDepthMax));
  EXPECT_TRUE(fits_depth(deep));
  EXPECT_FALSE(fits_depth({{"wrapped", deep}}));
  EXPECT_FALSE(fits_depth({1, {{"a", {deep}}}, 2}));
  EXPECT_TRUE(fits_depth("text", 0));
  EXPECT_FALSE(fits_depth(json::array(), 0));
}

/// Every read of every type, at every key: what doesn't fit is absent.
TEST(Json, ReadsNeverThrow) {
  const json object = *parse_json(R"({"text":"t","int":-5,"big":18446744073709551615,"whole":3.0,"half":0.5,
      "huge":1e300,"yes":true,"none":null,"list":[1],"object":{"a":1}})");
  json all = object;
  all.update({{"inf", std::numeric_limits<double>::infinity()}, {"nan", std::nan("")}});
  for (const json& from : {all, json(), json(5), json("text"), json::array({1}), json(true), json(0.5)}) {
    for (const char* key : {"text", "int", "big", "whole", "half", "huge", "yes", "none", "list", "object",
                            "inf", "nan", "missing", ""}) {
      const bool of_object = from.is_object();
      const std::string name = key;
      EXPECT_EQ(at(from, key).is_null(), !of_object || name == "none" || name == "missing" || name.empty());
      EXPECT_EQ(text_at(from, key), of_object && name == "text" ? "t" : "") << name;
      EXPECT_EQ(array_at(from, key), of_object && name == "list" ? json{1} : json::array()) << name;
      EXPECT_EQ(object_at(from, key).size(), of_object && name == "object" ? 1U : 0U) << name;
      EXPECT_EQ(flag_at(from, key).has_value(), of_object && name == "yes") << name;
      EXPECT_EQ(integer_at(from, key).has_value(), of_object && (name == "int" || name == "whole")) << name;
      EXPECT_EQ(number_at(from, key).has_value(),
                of_object &&
                    (name == "int" || name == "big" || name == "whole" || name == "half" || name == "huge"))
          << name;
    }
  }
  EXPECT_EQ(integer_at(object, "int"), -5);
  EXPECT_EQ(integer_at(object, "whole"), 3);
  EXPECT_EQ(number_at(object, "half"), 0.5);
  EXPECT_EQ(flag_at(object, "yes"), true);
  EXPECT_EQ(as_text(object["text"]), "t");
  EXPECT_EQ(as_text(object["int"]), std::nullopt);
}

TEST(CheckJson, SaysWhatParseJsonSays) {
  const std::string deep = std::string(64, '[') + std::string(64, ']');
  for (const std::string& text :
       {std::string("{}"), std::string("[1,2.5,\"x\"]"), std::string("123456789012345678901234567890"), deep,
        "[" + deep + "]", std::string(""), std::string("{"), std::string("\"\xff\""), std::string("1e999"),
        std::string("\"\\ud800\""), std::string("{\"a\":1,\"a\":2}"), std::string("nul"),
        std::string(1'000'000, '[')}) {
    const auto parsed = parse_json(text);
    const Status checked = check_json(text);
    ASSERT_EQ(checked.has_value(), parsed.has_value()) << text.substr(0, 80);
    if (!parsed) {
      EXPECT_EQ(checked.error().message, parsed.error().message);
    }
  }
  EXPECT_FALSE(check_json("[1]", {.bytes_max = 2}));
  EXPECT_FALSE(check_json("[[1]]", {.depth_max = 1}));
}

}  // namespace
}  // namespace pmt::base
