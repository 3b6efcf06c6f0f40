#include "api/json/render.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "base/version.h"

namespace pmt::api {
namespace {

using llm::ChoiceEnd;
using llm::Delta;
using llm::Done;
using llm::Endpoint;
using llm::FinishReason;
using llm::Started;
using llm::TokenLogprob;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kFingerprint = std::string("permutation-") + base::kVersion;

llm::CacheReport hit() {
  return {.status = llm::CacheStatus::kHit,
          .key = "ab12",
          .age_s = 12.5,
          .similarity = {},
          .tokens_saved = 41,
          .usd_saved = 0.0004,
          .why = ""};
}
Started started() {
  return {.model = "tiny", .created_unix_s = 1'700'000'000, .cache = hit()};
}
Delta said(const std::string& text, int choice = 0) {
  return {.choice = choice, .text = text, .logprobs = {}};
}
ChoiceEnd ended(int choice = 0, FinishReason reason = FinishReason::kStop) {
  return {.choice = choice, .reason = reason, .tool_calls = {}};
}
Done done() {
  return {.usage = {.prompt_tokens = 5, .completion_tokens = 2}, .report = {}};
}

/// The payloads of a stream, [DONE] as a string.
std::vector<json> payloads(const std::string& stream) {
  std::vector<json> out;
  for (std::size_t at = 0; at < stream.size();) {
    const auto end = stream.find("\n\n", at);
    EXPECT_EQ(stream.compare(at, 6, "data: "), 0);
    const std::string data = stream.substr(at + 6, end - at - 6);
    out.push_back(data == "[DONE]" ? json(data) : json::parse(data));
    at = end + 2;
  }
  return out;
}

TEST(AnswerRenderer, ChatGolden) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  answer.add(started());
  answer.add(said("Hi \"you\""));
  answer.add(said("\n\x01né"));
  answer.add(ended(0, FinishReason::kLength));
  Done d = done();
  EXPECT_EQ(
      answer.finish(d),
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"tiny","system_fingerprint":")" +
          kFingerprint +
          R"(","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\"\n\u0001né","refusal":null},)"
          R"("logprobs":null,"finish_reason":"length"}],)"
          R"("usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},)"
          R"("permutation":{"cache":{"status":"hit","key":"ab12","age_s":12.5,"tokens_saved":41,"usd_saved":0.0004}}})");
}

TEST(AnswerRenderer, CompletionsWithLogprobs) {
  AnswerRenderer answer({.endpoint = Endpoint::kCompletions, .id = "cmpl-1", .logprobs = 2});
  answer.add(started());
  answer.add(said("Écho: "));
  Delta delta = said("né b");
  delta.logprobs = {{"n", -0.5F, {{"n", -0.5F}, {"m", -1.5F}}},
                    {"\xC3", -0.25F, {{"\xC3", -0.25F}}},
                    {"\xA9", 0.0F, {}},
                    {" b", -std::numeric_limits<float>::infinity(), {{" \"", -2.0F}}}};
  answer.add(std::move(delta));
  answer.add(ended());
  Done d = done();
  const json choice = json::parse(answer.finish(d)).at("choices").at(0);
  EXPECT_EQ(choice.at("text"), "Écho: né b");
  EXPECT_EQ(choice.at("logprobs").at("tokens"), json({"n", "bytes:\\xc3", "bytes:\\xa9", " b"}));
  EXPECT_EQ(choice.at("logprobs").at("token_logprobs"), json({-0.5, -0.25, 0, -9999.0}));
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(0), json({{"n", -0.5}, {"m", -1.5}}));
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(3), json({{" \"", -2}}));
  EXPECT_EQ(choice.at("logprobs").at("text_offset"), json({6, 7, 8, 8}));
}

TEST(AnswerRenderer, AnEchoedPromptHasItsLogprobs) {
  AnswerRenderer answer(
      {.endpoint = Endpoint::kCompletions, .id = "cmpl-1", .n = 1, .echo = true, .logprobs = 1});
  answer.add(started());
  Delta prompt = said("Né b");
  prompt.logprobs = {{"Né", std::nullopt, {}}, {" b", -1.5F, {{" c", -0.25F}}}};
  answer.add(std::move(prompt));
  Delta delta = said(" d");
  delta.logprobs = {{" d", -0.5F, {{" d", -0.5F}}}, {"", -0.75F, {{"<end>", -0.75F}}}};
  answer.add(std::move(delta));
  answer.add(ended());
  Done d = done();
  const json choice = json::parse(answer.finish(d)).at("choices").at(0);
  EXPECT_EQ(choice.at("text"), "Né b d");
  EXPECT_EQ(choice.at("logprobs").at("tokens"), json({"Né", " b", " d", ""}));
  EXPECT_EQ(choice.at("logprobs").at("token_logprobs"), json({nullptr, -1.5, -0.5, -0.75}));
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(0), nullptr);
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(1), json({{" c", -0.25}}));
  EXPECT_EQ(choice.at("logprobs").at("text_offset"), json({0, 2, 4, 6}));
}

/// Choice i of `probabilities`: an echoed prompt and then one token of this log-probability.
json best_of(AnswerShape shape, const std::vector<float>& logprobs) {
  AnswerRenderer answer(std::move(shape));
  answer.add(started());
  for (int i = 0; i < static_cast<int>(logprobs.size()); ++i) {
    Delta prompt = said("P", i);
    prompt.logprobs = {{"P", std::nullopt, {}}};
    answer.add(std::move(prompt));
    Delta delta = said(std::to_string(i), i);
    delta.logprobs = {{std::to_string(i), logprobs[static_cast<std::size_t>(i)], {}}};
    answer.add(std::move(delta));
    answer.add(ended(i));
  }
  Done d = done();
  return json::parse(answer.finish(d)).at("choices");
}

TEST(AnswerRenderer, TheBestOfEachPromptStay) {
  const json choices = best_of({.endpoint = Endpoint::kCompletions,
                                .id = "cmpl-1",
                                .n = 2,
                                .best_of = 3,
                                .echo = true,
                                .logprobs = {}},
                               {-3, -1, -2, -0.5F, -INFINITY, -0.1F});
  ASSERT_EQ(choices.size(), 4U);
  std::vector<std::string> texts;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(choices[static_cast<std::size_t>(i)].at("index"), i);
    EXPECT_TRUE(choices[static_cast<std::size_t>(i)].at("logprobs").is_null()) << "nobody asked for them";
    texts.push_back(choices[static_cast<std::size_t>(i)].at("text"));
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"P1", "P2", "P5", "P3"}));
}

TEST(AnswerRenderer, ChatLogprobsCarryBytes) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = 1});
  answer.add(started());
  Delta delta = said("é");
  delta.logprobs = {{"\xC3", -0.25F, {{"A", -1.0F}}}};
  answer.add(std::move(delta));
  answer.add(ended());
  Done d = done();
  const json content = json::parse(answer.finish(d)).at("choices").at(0).at("logprobs").at("content");
  EXPECT_EQ(content, json::parse(R"([{"token": "\ufffd", "logprob": -0.25, "bytes": [195],
                                      "top_logprobs": [{"token": "A", "logprob": -1, "bytes": [65]}]}])"));
}

TEST(AnswerRenderer, ChoicesInterleaveAndReportsShowOnlyWhatWasFilled) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  answer.add(Started{.model = "tiny", .created_unix_s = 1, .cache = {}});
  for (const int choice : {0, 1, 1, 0}) answer.add(said(std::to_string(choice) + ".", choice));
  answer.add(ended(1));
  answer.add(ended(0, FinishReason::kLength));
  Done d = done();
  d.report.kv = llm::KvReport{.bytes = 10, .prefix_tokens_reused = 3};
  d.report.timing = llm::Timing{.queue_ms = 0.1234567, .prefill_ms = 80, .decode_ms = 1e-9};
  d.report.engine = {{"trace", {{"text", "\xFF"}}}};
  const json body = json::parse(answer.finish(d));
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content"), "0.0.");
  EXPECT_EQ(body.at("choices").at(1).at("message").at("content"), "1.1.");
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(body.at("usage").at("prompt_tokens_details").at("cached_tokens"), 3);
  EXPECT_FALSE(body.at("permutation").contains("cache"));
  EXPECT_EQ(body.at("permutation").at("kv").at("mode"), "exact");
  EXPECT_EQ(body.at("permutation").at("timing"),
            json({{"queue_ms", 0.123}, {"prefill_ms", 80}, {"decode_ms", 0}}));
  EXPECT_EQ(body.at("permutation").at("engine").at("trace").at("text"), "\xEF\xBF\xBD");
}

TEST(AnswerRenderer, ACompressedAnswerSaysWhereItsQuestionWasFound) {
  for (const char* mode : {"exact", "query_agnostic"}) {
    AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
    answer.add(Started{.model = "tiny", .created_unix_s = 1, .cache = {}});
    answer.add(ended());
    Done d = done();
    const bool exact = std::string(mode) == "exact";
    d.report.kv = llm::KvReport{.mode = mode, .question = "at_end", .scores = exact ? "" : "uncalibrated"};
    const json kv = json::parse(answer.finish(d)).at("permutation").at("kv");
    EXPECT_EQ(kv.value("scores", "not there"), exact ? "not there" : "uncalibrated");
    EXPECT_EQ(kv.value("question", "not there"), kv.at("mode") == "exact" ? "not there" : "at_end");
  }
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  answer.add(Started{.model = "tiny", .created_unix_s = 1, .cache = {}});
  answer.add(ended());
  Done d = done();
  d.report.kv = llm::KvReport{.mode = "query_aware", .question = ""};
  EXPECT_FALSE(json::parse(answer.finish(d)).at("permutation").at("kv").contains("question"))
      << "a sum of several prompts";
}

TEST(AnswerRenderer, AnAnswerThroughLibllamaSaysWhatIsOff) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  answer.add(Started{.model = "tiny", .created_unix_s = 1, .cache = {}});
  answer.add(ended());
  Done d = done();
  d.report.kv = llm::KvReport{
      .mode = "q8_0", .compression_off = "architecture gpt2 runs through libllama", .cells = "q8_0"};
  const json kv = json::parse(answer.finish(d)).at("permutation").at("kv");
  EXPECT_EQ(kv.at("compression"), "off: architecture gpt2 runs through libllama");
  EXPECT_EQ(kv.at("cells"), "q8_0");
}

TEST(StreamRenderer, ChatGolden) {
  StreamRenderer stream({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  stream.start(started());
  const std::string head =
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"tiny","system_fingerprint":")" +
      kFingerprint + R"(","choices":[)";
  EXPECT_EQ(
      stream.chunk(said("Hi")),
      head +
          R"({"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]})" +
          "\n\n" + head + R"({"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]})" +
          "\n\n");
  EXPECT_EQ(stream.chunk(said("")), "");
  EXPECT_EQ(stream.chunk(ended()), "");
  Done d = done();
  EXPECT_EQ(
      stream.finish(d),
      head +
          R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],)"
          R"("permutation":{"cache":{"status":"hit","key":"ab12","age_s":12.5,"tokens_saved":41,"usd_saved":0.0004}}})"
          "\n\ndata: [DONE]\n\n");
}

TEST(StreamRenderer, UsageComesLastAndCarriesTheReport) {
  StreamRenderer stream(
      {.endpoint = Endpoint::kCompletions, .id = "cmpl-1", .logprobs = {}, .include_usage = true});
  stream.start(started());
  std::string all = stream.chunk(said("b", 1));
  all += stream.chunk(said("a", 0));
  all += stream.chunk(ended(1));
  all += stream.chunk(ended(0));
  Done d = done();
  all += stream.finish(d);
  const std::vector<json> chunks = payloads(all);
  ASSERT_EQ(chunks.size(), 6U);
  EXPECT_EQ(chunks[0].at("choices").at(0).at("index"), 1);
  EXPECT_EQ(chunks[0].at("choices").at(0).at("text"), "b");
  EXPECT_EQ(chunks[0].at("usage"), nullptr);
  EXPECT_EQ(chunks[3].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_FALSE(chunks[3].contains("permutation"));
  EXPECT_EQ(chunks[4].at("choices"), json::array());
  EXPECT_EQ(chunks[4].at("usage").at("total_tokens"), 7);
  EXPECT_EQ(chunks[4].at("permutation").at("cache").at("status"), "hit");
  EXPECT_EQ(chunks[5], "[DONE]");
}

TEST(StreamRenderer, TextOffsetsGoOnFromChunkToChunk) {
  StreamRenderer stream({.endpoint = Endpoint::kCompletions, .id = "cmpl-1", .logprobs = 0});
  stream.start(started());
  payloads(stream.chunk(said("echo ")));
  Delta first = said("né");
  first.logprobs = {{"né", -1, {}}};
  Delta second = said("x");
  second.logprobs = {{"x", -1, {}}};
  payloads(stream.chunk(first));
  const json logprobs = payloads(stream.chunk(second)).at(0).at("choices").at(0).at("logprobs");
  EXPECT_EQ(logprobs.at("text_offset"), json({7}));
  EXPECT_EQ(logprobs.at("top_logprobs"), nullptr);
}

TEST(StreamRenderer, AnEmptyAnswerStillHasItsRole) {
  StreamRenderer stream({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  stream.start(started());
  EXPECT_THAT(stream.chunk(ended()), HasSubstr(R"("role":"assistant")"));
}

/// What an upstream said beyond our members, whole, streamed, and whole out of a stream's pieces.
struct Beyond {
  Started started{
      .model = "p/m", .created_unix_s = 1, .cache = {}, .more = R"("system_fingerprint":"fp","p":"a")"};
  std::vector<Delta> deltas;
  ChoiceEnd end{.choice = 0, .reason = FinishReason::kToolCalls, .tool_calls = {}, .no_content = true};
  Done done{
      .usage = {.prompt_tokens = 5, .completion_tokens = 2, .total_tokens = 9, .details = R"("cost":1.0e-4)"},
      .report = {},
      .extra = R"("p":"b","citations":["x"])"};
  Beyond() {
    deltas.push_back({.choice = 0, .text = "", .logprobs = {}, .more = R"("reasoning_content":"I ")"});
    deltas.push_back({.choice = 0,
                      .text = "",
                      .logprobs = {},
                      .more = R"("reasoning_content":"think")",
                      .choice_more = R"("logprobs":{"content":[{"id":1}]},"stop_reason":null)"});
    deltas.push_back(
        {.choice = 0,
         .text = "",
         .logprobs = {},
         .calls = {{.index = 0, .id = {}, .name = {}, .arguments = {}, .sent = R"("id":"c","x":1.50)"}}});
    end.tool_calls = {R"({"id":"c","x":1.50})", R"({"id":"d"})"};
    end.said = "function_call";
    end.choice_more = R"("stop_reason":7)";
  }
};

TEST(AnswerRenderer, WhatAnUpstreamSaidBeyondStandsWhereItStood) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  Beyond beyond;
  answer.add(beyond.started);
  for (const Delta& delta : beyond.deltas) answer.add(delta);
  answer.add(beyond.end);
  EXPECT_EQ(
      answer.finish(beyond.done),
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"p/m","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":null,"refusal":null,)"
      R"("tool_calls":[{"id":"c","x":1.50},{"id":"d"}],"reasoning_content":"I think"},"finish_reason":"function_call",)"
      R"("logprobs":{"content":[{"id":1}]},"stop_reason":7}],)"
      R"("usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":9,"cost":1.0e-4},"permutation":{},)"
      R"("system_fingerprint":"fp","p":"b","citations":["x"]})");
}

TEST(AnswerRenderer, ARefusalStandsInThePlaceOfOurs) {
  AnswerRenderer answer({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  answer.add(started());
  answer.add(Delta{.choice = 0, .text = "", .logprobs = {}, .more = R"("refusal":"No.")"});
  ChoiceEnd end = ended();
  end.no_content = true;
  answer.add(end);
  Done d = done();
  EXPECT_THAT(answer.finish(d),
              HasSubstr(R"("message":{"role":"assistant","content":null,"refusal":"No."})"));
}

TEST(StreamRenderer, WhatAnUpstreamSaidBeyondComesWithItsPiece) {
  StreamRenderer stream(
      {.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}, .include_usage = true});
  Beyond beyond;
  stream.start(beyond.started);
  std::string all;
  for (const Delta& delta : beyond.deltas) all += stream.chunk(delta);
  all += stream.chunk(beyond.end);
  all += stream.finish(beyond.done);
  const auto chunks = payloads(all);
  ASSERT_EQ(chunks.size(), 7U);
  const auto delta = [&](std::size_t i) { return chunks[i].at("choices").at(0).at("delta"); };
  EXPECT_EQ(chunks[0].at("system_fingerprint"), "fp");
  EXPECT_EQ(delta(1), json::parse(R"({"reasoning_content":"I "})"));
  EXPECT_EQ(chunks[2].at("choices").at(0).at("logprobs"), json::parse(R"({"content":[{"id":1}]})"));
  EXPECT_EQ(delta(3), json::parse(R"({"tool_calls":[{"index":0,"id":"c","x":1.50}]})"));
  EXPECT_EQ(delta(4), json::parse(R"({"tool_calls":[{"index":1,"id":"d"}]})"))
      << "only what no piece brought";
  EXPECT_EQ(chunks[4].at("choices").at(0).at("stop_reason"), 7);
  EXPECT_EQ(chunks[5].at("p"), "b");
  EXPECT_EQ(chunks[5].at("citations").at(0), "x");
  EXPECT_EQ(chunks[5].at("usage").at("cost"), 1.0e-4);
}

TEST(StreamRenderer, ALocalModelsCallComesInPieces) {
  StreamRenderer stream({.endpoint = Endpoint::kChat, .id = "chatcmpl-1", .logprobs = {}});
  stream.start(started());
  Delta first = said(""), second = said("");
  first.calls = {{.index = 0, .id = "c", .name = "f", .arguments = ""}};
  second.calls = {{.index = 0, .id = {}, .name = {}, .arguments = "{}"}};
  const json begun =
      payloads(stream.chunk(first)).at(1).at("choices").at(0).at("delta").at("tool_calls").at(0);
  EXPECT_EQ(begun,
            json::parse(R"({"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}})"));
  const json more =
      payloads(stream.chunk(second)).at(0).at("choices").at(0).at("delta").at("tool_calls").at(0);
  EXPECT_EQ(more, json::parse(R"({"index":0,"function":{"arguments":"{}"}})"));
  Delta thought = said("");
  thought.reasoning = "hm";
  EXPECT_THAT(stream.chunk(thought), HasSubstr(R"("delta":{"reasoning_content":"hm"})"));
}

TEST(CacheHeaders, SayWhatTheCacheDid) {
  net::Headers headers;
  add_cache_headers(headers, hit());
  EXPECT_THAT(headers, ElementsAre(std::pair<std::string, std::string>("x-permutation-cache", "hit"),
                                   std::pair<std::string, std::string>("x-permutation-cache-key", "ab12"),
                                   std::pair<std::string, std::string>("x-permutation-tokens-saved", "41"),
                                   std::pair<std::string, std::string>("x-permutation-usd-saved", "0.0004"),
                                   std::pair<std::string, std::string>("age", "12")));
  headers.clear();
  add_cache_headers(headers, {});
  EXPECT_EQ(headers.front().second, "bypass");
  EXPECT_EQ(headers.back().first, "x-permutation-usd-saved");
  EXPECT_EQ(headers.back().second, "0");
  llm::CacheReport cheap = hit();
  cheap.usd_saved = 9.149999999999999e-05;
  headers.clear();
  add_cache_headers(headers, cheap);
  EXPECT_THAT(headers, ::testing::Contains(
                           std::pair<std::string, std::string>("x-permutation-usd-saved", "0.0000915")));
}

TEST(JsonWriter, EveryIllFormedByteIsReplaced) {
  const auto written = [](std::string_view s) {
    std::string out;
    append_string(out, s);
    return out;
  };
  EXPECT_EQ(written("a\xC3(b"), "\"a\xEF\xBF\xBD(b\"");
  EXPECT_EQ(written("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(written("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");  // a surrogate
  EXPECT_EQ(written("\xF0\x9F\x98\x80\xFF"), "\"\xF0\x9F\x98\x80\xEF\xBF\xBD\"");
  for (int c = 0; c < 256; ++c) {
    const std::string one(1, static_cast<char>(c));
    if (c < 0x80) {
      EXPECT_EQ(json::parse(written(one)), one);
    } else {
      EXPECT_EQ(json::parse(written(one)), "\xEF\xBF\xBD");
    }
  }
}

TEST(JsonWriter, NumbersReadBack) {
  const auto written = [](double v) {
    std::string out;
    append_double(out, v);
    return out;
  };
  EXPECT_EQ(written(0.1), "0.1");
  EXPECT_EQ(json::parse(written(1e-7)).get<double>(), 1e-7);
  EXPECT_EQ(written(std::numeric_limits<double>::quiet_NaN()), "null");
}

}  // namespace
}  // namespace pmt::api
