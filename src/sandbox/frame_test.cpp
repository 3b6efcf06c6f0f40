#include "sandbox/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::sandbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const json kCall = {
    {"op", "call"}, {"block", 2}, {"id", 7}, {"function", "f"}, {"arguments", {{"prompt", "p"}}}};
const json kDone = {{"op", "done"},      {"id", 2},
                    {"output", "shown"}, {"error", ""},
                    {"final", "42"},     {"output_chars", 9},
                    {"ended", false},    {"variables", json::array({json::array({"x", "int"})})}};

base::Result<Frame> read(const std::string& line, const Limits& limits = {}) {
  TRY_ASSIGN(json object, frame_object(line, limits.frame_bytes_max));
  return read_frame(std::move(object), 2, limits);
}

TEST(Frame, ReadsACallAndAResult) {
  const auto call = read(kCall.dump());
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(std::get<CallFrame>(*call).id, 7);
  EXPECT_EQ(std::get<CallFrame>(*call).arguments, json({{"prompt", "p"}}));
  const auto done = read(kDone.dump(), {.output_chars_max = 3});
  ASSERT_TRUE(done) << done.error().message;
  const auto& result = std::get<BlockResult>(*done);
  EXPECT_EQ(result.output, "sho");
  EXPECT_EQ(result.output_chars, 9);
  EXPECT_EQ(result.final_answer, "42");
  EXPECT_THAT(result.variables, testing::ElementsAre(std::pair<std::string, std::string>("x", "int")));
}

/// Every member of both kinds, of every other type, nested too deep, doubled and left out: a frame or an
/// error.
TEST(Frame, ForgedMembersAreErrorsOrMeanNothing) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const std::string wrong[] = {"null",      "true", "5",     "-1",    "1e300", "18446744073709551615",
                               R"("text")", "[]",   "[[5]]", "[1,2]", "[{}]",  "{}",
                               deep};
  for (const json& whole : {kCall, kDone}) {
    for (const auto& [name, value] : whole.items()) {
      json without = whole;
      without.erase(name);
      for (const std::string& other : wrong) {
        std::string line = without.dump();
        line.insert(1, "\"" + name + "\":" + other + ",");
        const auto frame = read(line);
        if (!frame) {
          EXPECT_EQ(frame.error().code, base::Code::kCorrupt);
          EXPECT_FALSE(frame.error().message.empty());
        }
        EXPECT_TRUE(!frame || other != deep) << name;
        (void)read("{\"" + name + "\":" + other + "," + whole.dump().substr(1));  // twice
      }
      const bool optional = name == "final" || name == "variables" || name == "ended";
      EXPECT_EQ(read(without.dump()).has_value(), optional) << name;
    }
  }
}

TEST(Frame, BytesThatAreNoFrame) {
  for (const char* line :
       {"", "5", "[]", "{", "{\"op\":", "\xFF", "{\"op\":\"run\",\"id\":1}", "{\"op\":\"done\"}"})
    EXPECT_FALSE(read(line)) << line;
  json elsewhere = kDone;
  elsewhere["id"] = 3;
  EXPECT_EQ(read(elsewhere.dump()).error().message, "a frame of another block");
  const auto large = frame_object(std::string(100, ' ') + "{}", 50);
  ASSERT_FALSE(large);
  EXPECT_THAT(large.error().message, HasSubstr("50 bytes"));
}

}  // namespace
}  // namespace pmt::sandbox
