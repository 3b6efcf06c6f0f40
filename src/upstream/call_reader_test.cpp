#include "upstream/call_reader.h"

#include <gmock/gmock.h>

namespace pmt::upstream {
namespace {

using ::testing::ElementsAre;

struct Read {
  std::vector<std::string> calls;
  std::vector<std::string> pieces;  // "index: members"
  base::Status status;
};

/// Each text is one chunk's tool_calls.
Read stream(const std::vector<std::string>& chunks, bool whole = false) {
  CallReader reader("seed");
  Read out;
  for (const std::string& chunk : chunks) {
    std::vector<llm::CallPiece> pieces;
    if (out.status = reader.take(chunk, whole, pieces); !out.status) return out;
    for (const auto& piece : pieces) out.pieces.push_back(std::to_string(piece.index) + ": " + piece.sent);
  }
  auto calls = reader.calls();
  if (calls) {
    out.calls = std::move(*calls);
  } else {
    out.status = calls.error();
  }
  return out;
}

std::string call(const char* id, const char* name, const char* arguments) {
  return std::string(R"({"id":")") + id + R"(","type":"function","function":{"name":")" + name +
         R"(","arguments":")" + arguments + "\"}}";
}

TEST(CallReader, PiecesOfOneIndexAreOneCall) {
  const Read read =
      stream({R"([{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}])",
              R"([{"index":0,"function":{"arguments":"{\"x\":"}}])",
              R"([{"index":0,"function":{"arguments":"1}"}}])"});
  EXPECT_THAT(read.calls, ElementsAre(call("a", "f", R"({\"x\":1})")));
  EXPECT_THAT(read.pieces,
              ElementsAre(R"(0: "id":"a","type":"function","function":{"name":"f","arguments":""})",
                          R"(0: "function":{"arguments":"{\"x\":"})", R"(0: "function":{"arguments":"1}"})"));
}

TEST(CallReader, ANewIdIsANewCall) {
  const auto piece = [](const char* id, const char* name) {
    return std::string(R"([{"index":0,"id":")") + id + R"(","function":{"name":")" + name +
           R"(","arguments":"{}"}}])";
  };
  EXPECT_THAT(stream({piece("a", "f"), piece("b", "g")}).calls,
              ElementsAre(call("a", "f", "{}"), call("b", "g", "{}")));
  EXPECT_THAT(stream({piece("a", "f"), piece("b", "f")}).calls,
              ElementsAre(call("a", "f", "{}"), call("b", "f", "{}")));
}

TEST(CallReader, AnIdAndANameMayBeRepeated) {
  const auto piece = [](const char* arguments) {
    return std::string(R"([{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":")") +
           arguments + "\"}}]";
  };
  const Read read = stream({piece(""), piece(R"({\"x\")"), piece(":1}")});
  EXPECT_THAT(read.calls, ElementsAre(call("a", "f", R"({\"x\":1})")));
  EXPECT_EQ(read.pieces.back(), R"(0: "function":{"arguments":":1}"})") << "said once: clients append";
}

TEST(CallReader, AFreshIdOfEachPieceWithoutANameGoesOn) {
  const Read read = stream({R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}])",
                            R"([{"index":0,"id":"b","function":{"arguments":":1}"}}])"});
  EXPECT_THAT(read.calls, ElementsAre(call("a", "f", R"({\"x\":1})")));
}

TEST(CallReader, OneIdAtTwoIndicesIsTwoCalls) {
  const Read read = stream({R"([{"index":1,"id":"a","function":{"name":"f","arguments":"{}"}},)"
                            R"({"index":4,"id":"a","function":{"name":"f","arguments":"{}"}}])"});
  EXPECT_EQ(read.calls.size(), 2U);
  EXPECT_THAT(read.pieces.back(), testing::StartsWith("1: ")) << "indices are from 0 on, without gaps";
}

TEST(CallReader, WithoutIdsTheIndexDecidesUntilArgumentsAreWhole) {
  const Read read = stream({R"([{"index":0,"function":{"name":"f","arguments":"{\"x\":"}}])",
                            R"([{"index":1,"function":{"name":"g","arguments":"{}"}}])",
                            R"([{"index":0,"function":{"name":"f","arguments":"1}"}}])",
                            R"([{"index":0,"function":{"name":"f","arguments":"{}"}}])",
                            R"([{"index":1,"function":{"name":"h","arguments":""}}])"});
  ASSERT_EQ(read.calls.size(), 4U);
  EXPECT_THAT(read.calls[0], testing::HasSubstr(R"("name":"f","arguments":"{\"x\":1}")"));
  EXPECT_THAT(read.calls[2], testing::HasSubstr(R"("name":"f","arguments":"{}")"));
  EXPECT_THAT(read.calls[3], testing::HasSubstr(R"("name":"h","arguments":"")"));
}

TEST(CallReader, WithNeitherTheLastCallGoesOn) {
  const Read read =
      stream({R"([{"function":{"name":"f","arguments":"{"}}])", R"([{"function":{"arguments":"}"}}])",
              R"([{"function":{"name":"g","arguments":{"a": 1.0}}}])",
              R"([{"function":{"name":"g","arguments":"{}"}}])"});
  ASSERT_EQ(read.calls.size(), 3U);
  EXPECT_THAT(read.calls[0], testing::HasSubstr(R"("function":{"name":"f","arguments":"{}"})"));
  EXPECT_THAT(read.calls[1], testing::HasSubstr(R"("arguments":"{\"a\": 1.0}")")) << "an object as a string";
  EXPECT_THAT(read.calls[0], testing::StartsWith(R"({"id":"call_)"));
  EXPECT_NE(read.calls[1].substr(0, 30), read.calls[2].substr(0, 30)) << "made ids differ";
}

TEST(CallReader, WholeCallsAreEachItsOwn) {
  const Read read = stream({R"([{"id":"a","type":"function","function":{"name":"f","arguments":null}},)"
                            R"({"id":"a","type":"custom","custom":{"name":"g","input":"free text"}},)"
                            R"({"id":"b","type":"mcp","mcp":{"x":[1]}}])"},
                           true);
  EXPECT_THAT(read.calls,
              ElementsAre(call("a", "f", ""),
                          R"({"id":"a","type":"custom","custom":{"name":"g","input":"free text"}})",
                          R"({"id":"b","type":"mcp","mcp":{"x":[1]}})"));
}

TEST(CallReader, FurtherMembersStay) {
  const char* const extra = R"("extra_content":{"google":{"thought_signature":"a\u00e9","n":1.50}})";
  const Read read =
      stream({std::string(R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}","strict":true},)") +
                  extra + "}]",
              R"([{"index":0,"later":7}])"});
  EXPECT_THAT(
      read.calls,
      ElementsAre(
          std::string(
              R"({"id":"a","type":"function","function":{"name":"f","arguments":"{}","strict":true},)") +
          extra + R"(,"later":7})"));
  EXPECT_EQ(read.pieces.back(), R"(0: "later":7)");
}

TEST(CallReader, WhatIsNoCallIsAnError) {
  for (const char* bad :
       {R"({"a":1})", "[5]", R"([{"index":-1}])", R"([{"index":"x"}])", R"([{"function":"f"}])",
        R"([{"id":5,"function":{"name":"f"}}])", R"([{"type":5,"function":{"name":"f"}}])",
        R"([{"function":{"name":5}}])", R"([{"function":{"name":""}}])", R"([{"id":"a"}])"})
    EXPECT_EQ(stream({bad}, true).status.error().code, base::Code::kBadGateway) << bad;
  std::string many;
  for (int i = 0; i < 200; ++i) many += (i == 0 ? "[" : ",") + std::string(R"({"function":{"name":"f"}})");
  EXPECT_FALSE(stream({many + "]"}, true).status);
  EXPECT_TRUE(stream({"null"}).status);
  EXPECT_TRUE(stream({R"([{"index":1}])"}).calls.empty()) << "a piece that says nothing";
}

}  // namespace
}  // namespace pmt::upstream
