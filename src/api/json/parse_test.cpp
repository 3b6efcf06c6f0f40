#include "api/json/parse.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json/fields.h"
#include "api/routes/supported.h"

namespace pmt::api {
namespace {

using llm::CacheMode;
using llm::Endpoint;
using testing::ElementsAre;
using testing::HasSubstr;

CompletionCall parsed(Endpoint endpoint, const std::string& body) {
  auto call = parse_completion(endpoint, body, {});
  if (!call) ADD_FAILURE() << call.error().field << ": " << call.error().message;
  return call ? *call : CompletionCall{};
}

TEST(ParseChat, ReadsEveryField) {
  const CompletionCall call = parsed(Endpoint::kChat, R"({
    "model": "m", "messages": [
      {"role": "system", "content": "Be brief."},
      {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Two "}, {"type": "text", "text": "parts"}]},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c1"}]},
      {"role": "tool", "tool_call_id": "c1", "content": "4"}],
    "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "frequency_penalty": -1, "presence_penalty": 2,
    "seed": 7, "logit_bias": {"15": -100}, "max_tokens": 9, "max_completion_tokens": 12, "stop": ["a", "b"], "n": 3,
    "logprobs": true, "top_logprobs": 4, "stream": true, "stream_options": {"include_usage": true},
    "response_format": {"type": "text"}, "tools": [], "user": "x", "metadata": {"a": 1}, "parallel_tool_calls": true})");
  const llm::Request& r = call.request;
  EXPECT_EQ(r.model, "m");
  ASSERT_EQ(r.messages.size(), 4U);
  EXPECT_EQ(r.messages[1].content, "Two \nparts");
  EXPECT_EQ(r.messages[1].name, "ann");
  ASSERT_EQ(r.messages[2].tool_calls.size(), 1U);
  EXPECT_EQ(r.messages[2].tool_calls[0].sent, R"({"id":"c1"})");
  EXPECT_EQ(r.messages[3].tool_call_id, "c1");
  EXPECT_FLOAT_EQ(r.sampling.temperature, 0.5F);
  EXPECT_FLOAT_EQ(r.sampling.top_p, 0.9F);
  EXPECT_EQ(r.sampling.top_k, 40);
  EXPECT_FLOAT_EQ(r.sampling.min_p, 0.05F);
  EXPECT_FLOAT_EQ(r.sampling.frequency_penalty, -1);
  EXPECT_FLOAT_EQ(r.sampling.presence_penalty, 2);
  EXPECT_EQ(r.sampling.seed, 7U);
  EXPECT_EQ(r.sampling.logit_bias.at(15), -100);
  EXPECT_EQ(r.max_tokens, 12);
  EXPECT_THAT(r.stop, ElementsAre("a", "b"));
  EXPECT_EQ(r.n, 3);
  EXPECT_EQ(r.logprobs, 4);
  EXPECT_TRUE(call.stream);
  EXPECT_TRUE(call.include_usage);
  EXPECT_TRUE(check_supported(call, Answerer::kModel));
}

TEST(ParseChat, NullMeansNotGiven) {
  const CompletionCall call =
      parsed(Endpoint::kChat, R"({"model": "m", "messages": [{"role": "user", "content": "x"}],
    "temperature": null, "max_tokens": null, "stop": null, "seed": null, "tools": null, "stream_options": null,
    "logprobs": null, "permutation": null})");
  EXPECT_FLOAT_EQ(call.request.sampling.temperature, 1);
  EXPECT_FALSE(call.request.max_tokens);
  EXPECT_FALSE(call.request.sampling.seed);
  EXPECT_FALSE(call.request.logprobs);
  EXPECT_TRUE(call.request.tools.empty());
}

TEST(ParseChat, SeedsBeyond32BitsStayDistinct) {
  const auto seed = [](const char* text) {
    return *parsed(Endpoint::kChat,
                   fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"x"}}],"seed":{}}})",
                               text))
                .request.sampling.seed;
  };
  EXPECT_EQ(seed("4294967294"), 4294967294U);
  EXPECT_NE(seed("-1"), seed("-2"));
  EXPECT_NE(seed("9007199254740993"), seed("9007199254740992"));
}

/// Where nobody reads it, it stands in nobody's way; others keep their exact value beside it.
TEST(ParseChat, IntegersPast64BitsAreRead) {
  const auto call =
      parsed(Endpoint::kChat, R"({"model":"m","messages":[{"role":"user","content":"1e99999999999999999999"}],
      "metadata":{"a":[123456789012345678901234567890,{"b":-9223372036854775809}]},"seed":9007199254740993})");
  const auto plain = parsed(
      Endpoint::kChat, R"({"model":"m","messages":[{"role":"user","content":"x"}],"seed":9007199254740993})");
  EXPECT_EQ(call.request.sampling.seed, plain.request.sampling.seed);
  EXPECT_EQ(call.request.messages[0].content, "1e99999999999999999999");
  EXPECT_TRUE(
      parsed(Endpoint::kChat,
             R"({"model":"m","messages":[{"role":"user","content":"x"}],"seed":18446744073709551615})")
          .request.sampling.seed);
}

CompletionCall read_for_any(const std::string& body) {
  auto call = read_completion(Endpoint::kChat, body, {});
  if (!call) ADD_FAILURE() << call.error().field << ": " << call.error().message;
  return call ? *call : CompletionCall{};
}

TEST(ReadForAnyModel, WhatOnlyOursRefuseIsNamedAndLeftOut) {
  const CompletionCall call = read_for_any(
      R"({"model":"up/m","temperature":3.5,"stop":["a","b","c","d","e","f"],"top_logprobs":30,"messages":[
          {"role":"critic","name":"f","content":"x"},
          {"role":"user","content":[{"type":"text","text":"What?"},{"type":"image_url","image_url":{"url":"data:"}}]},
          {"role":"user","content":"and"}]})");
  std::vector<std::string> fields;
  for (const base::Error& refusal : call.refusals) fields.push_back(refusal.field);
  EXPECT_THAT(fields, ElementsAre("temperature", "stop", "top_logprobs", "messages[0].role",
                                  "messages[1].content[1].type"));
  EXPECT_THAT(call.refusals.back().message, HasSubstr("'messages[1].content[1].type' must be \"text\""));
  EXPECT_EQ(call.request.sampling.temperature, 1);
  ASSERT_EQ(call.request.messages.size(), 3U);
  EXPECT_THAT(call.request.messages[1].more, HasSubstr("image_url"));
  EXPECT_EQ(call.request.messages[2].more, "");
  EXPECT_FALSE(check_supported(call, Answerer::kModel));
  EXPECT_TRUE(check_supported(call, Answerer::kUpstream));
}

TEST(ReadForAnyModel, WhatWeActOnMustBeRight) {
  for (const char* bad :
       {R"("stream":1)", R"("stream_options":[])", R"("permutation":{"x":1})", R"("messages":[3])"})
    EXPECT_FALSE(read_completion(
        Endpoint::kChat,
        std::string(R"({"model":"m","messages":[{"role":"user","content":"x"}],)") + bad + "}", {}))
        << bad;
}

TEST(ReadForAnyModel, WhatAMessageHasMoreIsKept) {
  const auto more = [](const std::string& message) {
    return read_for_any(R"({"model":"m","messages":[)" + message + "]}").request.messages.at(0).more;
  };
  EXPECT_EQ(more(R"({"role":"user","content":"x","name":"n"})"), "");
  EXPECT_EQ(more(R"({"role":"user","content":[{"type":"text","text":"x"}]})"), R"({"parts":1})");
  EXPECT_EQ(more(R"({"role":"user","content":[{"type":"text","text":"é"},{"type":"text","text":"abc"}]})"),
            R"({"parts":[2,3]})");
  EXPECT_EQ(more(R"({"role":"assistant","content":"x","refusal":null})"), "");
  EXPECT_EQ(more(R"({"role":"assistant", "content":"x","reasoning_content":"y"})"),
            R"({"role":"assistant","content":"x","reasoning_content":"y"})");
  EXPECT_THAT(
      more(R"({"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]})"),
      HasSubstr("cache_control"));
}

TEST(ParseChat, PartsAreLines) {
  const auto content = [](const std::string& value) {
    return parsed(Endpoint::kChat,
                  R"({"model": "m", "messages": [{"role": "user", "content": )" + value + "}]}")
        .request.messages[0]
        .content;
  };
  EXPECT_EQ(content(R"([{"type": "text", "text": "What is"}, {"type": "text", "text": "the best book"}])"),
            "What is\nthe best book");
  EXPECT_EQ(content(R"([{"type": "text", "text": "one"}])"), "one");
  EXPECT_EQ(
      content(
          R"([{"type": "text", "text": ""}, {"type": "text", "text": "a"}, {"text": "", "type": "text"}])"),
      "\na\n");
}

TEST(ParseChat, TakesWhatAnAssistantMayHaveSaid) {
  const auto said = [](const std::string& turn) {
    return parsed(Endpoint::kChat,
                  R"({"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "assistant")" +
                      turn + R"(}, {"role": "user", "content": "b"}]})")
        .request.messages[1];
  };
  EXPECT_EQ(said(R"(, "content": null)").content, "");
  EXPECT_EQ(said("").content, "");
  EXPECT_EQ(said(R"(, "content": null, "refusal": "no")").content, "no");
  EXPECT_EQ(said(R"(, "content": "", "refusal": "no")").content, "no");
  EXPECT_EQ(said(R"(, "content": "yes", "refusal": null)").content, "yes");
  EXPECT_EQ(said(R"(, "content": [{"type": "refusal", "refusal": "no"}])").content, "no");
  EXPECT_EQ(
      said(R"(, "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}])").content,
      "a\nno");
}

TEST(ParseChat, AFunctionCallIsACallOfATool) {
  const llm::Request r =
      parsed(Endpoint::kChat, R"({"model": "m", "messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\":\"1\"}"}},
      {"role": "function", "name": "f", "content": "7"}, {"role": "assistant", "content": "c", "function_call": null}]})")
          .request;
  ASSERT_EQ(r.messages[1].tool_calls.size(), 1U);
  const llm::ToolCall& call = r.messages[1].tool_calls[0];
  EXPECT_EQ(call.name, "f");
  EXPECT_EQ(call.arguments, R"({"x":"1"})");
  EXPECT_EQ(call.sent,
            R"({"id":"call_f","type":"function","function":{"name":"f","arguments":"{\"x\":\"1\"}"}})");
  EXPECT_EQ(r.messages[2].role, "tool");
  EXPECT_EQ(r.messages[2].tool_call_id, "call_f");
  EXPECT_TRUE(r.messages[3].tool_calls.empty());
}

TEST(ParseCompletions, ReadsEachFormOfPrompt) {
  const auto request = [](const std::string& prompt) {
    return parsed(Endpoint::kCompletions,
                  R"({"model":"m","logprobs":2,"echo":true,"best_of":1,"prompt":)" + prompt + "}")
        .request;
  };
  EXPECT_EQ(request(R"("text")").prompt, "text");
  EXPECT_EQ(request(R"(["text"])").prompt, "text");
  EXPECT_THAT(request("[1, 2, 3]").prompt_tokens, ElementsAre(1, 2, 3));
  EXPECT_THAT(request("[[4, 5]]").prompt_tokens, ElementsAre(4, 5));
  EXPECT_EQ(request(R"("x")").logprobs, 2);
  EXPECT_TRUE(request(R"("x")").echo);
}

TEST(ParseCompletions, ReadsListsOfPrompts) {
  const auto call = [](const std::string& prompt) {
    return parsed(Endpoint::kCompletions, R"({"model":"m","prompt":)" + prompt + "}");
  };
  EXPECT_TRUE(call(R"(["one"])").prompts.empty()) << "one is no list";
  const CompletionCall mixed = call(R"(["a", [1, 2], "c"])");
  ASSERT_EQ(mixed.prompts.size(), 3U);
  EXPECT_EQ(mixed.prompts[0].text, "a");
  EXPECT_THAT(mixed.prompts[1].tokens, ElementsAre(1, 2));
  EXPECT_EQ(mixed.request.prompt, "a");
  EXPECT_EQ(call("[[3], [4]]").prompts[1].tokens[0], 4);
}

TEST(ParseCompletions, ReadsWhatHarnessesSend) {
  const auto call = [](const std::string& more) {
    return parsed(Endpoint::kCompletions, R"({"model":"m","prompt":"x",)" + more + "}");
  };
  EXPECT_EQ(call(R"("max_tokens": 0)").request.max_tokens, 0);
  EXPECT_EQ(call(R"("suffix": "end")").request.suffix, "end");
  EXPECT_EQ(call(R"("best_of": 3, "n": 2)").best_of, 3);
  EXPECT_EQ(call(R"("n": 128)").best_of, 128);
  EXPECT_EQ(call(R"("best_of": 0)").best_of, 1);
  EXPECT_EQ(call(R"("top_p": 0)").request.sampling.top_p, 0);
}

TEST(ParseChat, IntegersOfMoreThan64BitsStopNothing) {
  const auto seed = [](const std::string& more) {
    return parsed(Endpoint::kChat, R"({"model": "m", "seed": 7, "messages": [{"role": "user", "content":
        "18446744073709551616 \\"}], )" +
                                       more + "}")
        .request.sampling.seed;
  };
  for (const char* more :
       {R"("metadata": {"a": [1, {"b": -9223372036854775809}]})",
        R"("user_id": 123456789012345678901234567890)",
        R"("x": [18446744073709551616, 1.23456789012345678901234, 1e22, -18446744073709551616e-3])",
        R"("x": {"18446744073709551616": "18446744073709551616"}, "y": 18446744073709551616)"}) {
    EXPECT_EQ(seed(more), 7U) << more;
  }
}

TEST(ParseChat, NumbersOfAnyNotation) {
  const llm::Request request =
      parsed(Endpoint::kChat, R"({"model": "m", "messages": [{"role": "user", "content": "x"}],
          "max_tokens": 5.0, "n": 2e0, "seed": 1e18, "temperature": 1, "top_p": 1})")
          .request;
  EXPECT_EQ(request.max_tokens, 5);
  EXPECT_EQ(request.n, 2);
  EXPECT_TRUE(request.sampling.seed);
}

TEST(ParseExtension, ReadsEveryField) {
  const CompletionCall call =
      parsed(Endpoint::kChat, R"({"model": "m", "messages": [{"role": "user", "content": "x"}],
    "permutation": {"cache": {"mode": "read_only", "ttl_s": 3600, "max_age_s": 600, "stale_while_revalidate_s": 60,
      "semantic": {"error_max": 0.01}, "namespace": "team-a", "tags": ["faq", "b"], "reusable": true},
      "kv": {"ratio": 8, "mode": "query_aware", "best_effort": true}, "speculation": "prompt_lookup", "knowledge": ["acme"],
      "budget": {"usd": 0.05, "tokens": 20000, "seconds": 30}, "trace": true}})");
  const llm::Request& r = call.request;
  EXPECT_EQ(r.cache.mode, CacheMode::kReadOnly);
  EXPECT_EQ(r.cache.ttl_s, 3600);
  EXPECT_EQ(r.cache.max_age_s, 600);
  EXPECT_EQ(r.cache.stale_while_revalidate_s, 60);
  EXPECT_EQ(r.cache.semantic_error_max, 0.01);
  EXPECT_EQ(r.cache.name_space, "team-a");
  EXPECT_THAT(r.cache.tags, ElementsAre("faq", "b"));
  EXPECT_EQ(r.cache.reusable, true);
  EXPECT_EQ(r.kv.ratio, 8);
  EXPECT_EQ(r.kv.mode, llm::KvMode::kQueryAware);
  EXPECT_EQ(r.speculation, llm::Speculation::kPromptLookup);
  EXPECT_THAT(r.knowledge, ElementsAre("acme"));
  EXPECT_EQ(r.budget.usd, 0.05);
  EXPECT_EQ(r.max_tokens, 20000);
  EXPECT_EQ(r.budget.seconds, 30);
  EXPECT_TRUE(r.want_trace);
}

TEST(ParseChat, HowMuchAModelThinks) {
  const auto thinking = [](const std::string& more) {
    return parsed(Endpoint::kChat, R"({"model":"m","messages":[{"role":"user","content":"x"}],)" + more + "}")
        .request.thinking;
  };
  EXPECT_EQ(thinking(R"("reasoning_effort":null,"chat_template_kwargs":null)"), llm::ThinkingOptions());
  const auto low = thinking(R"("reasoning_effort":"low","permutation":{"thinking":{"budget_tokens":256}})");
  EXPECT_EQ(low.effort, "low");
  EXPECT_EQ(low.on, true);
  EXPECT_EQ(low.budget_tokens, 256);
  EXPECT_EQ(thinking(R"("reasoning_effort":"none")").on, false);
  const auto told =
      thinking(R"("chat_template_kwargs":{"enable_thinking":false, "a":[1]},"reasoning_effort":"low")");
  EXPECT_EQ(told.on, false) << "the template's own word is the last";
  EXPECT_EQ(told.template_variables, R"({"enable_thinking":false,"a":[1]})");
  EXPECT_EQ(thinking(R"("chat_template_kwargs":{"thinking":true})").on, true);
  EXPECT_TRUE(thinking(R"("permutation":{"thinking":{"budget_tokens":0}})").off());
  EXPECT_EQ(parsed(Endpoint::kChat, R"({"model":"m","messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":"y","reasoning_content":"hm"}]})")
                .request.messages[1]
                .reasoning,
            "hm");
}

TEST(ParseExtension, BudgetTokensCapMaxTokens) {
  const auto max_tokens = [](const char* fields) {
    return parsed(Endpoint::kChat,
                  std::string(R"({"model": "m", "messages": [{"role": "user", "content": "x"}],)") + fields +
                      "}")
        .request.max_tokens;
  };
  EXPECT_EQ(max_tokens(R"("max_tokens": 50, "permutation": {"budget": {"tokens": 20}})"), 20);
  EXPECT_EQ(max_tokens(R"("max_tokens": 5, "permutation": {"budget": {"tokens": 20}})"), 5);
}

TEST(CacheControl, TheStricterOfHeaderAndBodyWins) {
  const auto mode = [](const char* header, CacheMode before = CacheMode::kOn) {
    llm::CacheOptions cache;
    cache.mode = before;
    EXPECT_TRUE(apply_cache_control(header, cache));
    return cache.mode;
  };
  EXPECT_EQ(mode(""), CacheMode::kOn);
  EXPECT_EQ(mode("no-transform, private"), CacheMode::kOn);
  EXPECT_EQ(mode("No-Cache"), CacheMode::kRefresh);
  EXPECT_EQ(mode("no-store , no-cache"), CacheMode::kOff);
  EXPECT_EQ(mode("no-cache", CacheMode::kReadOnly), CacheMode::kOff);
  EXPECT_EQ(mode("no-cache", CacheMode::kWriteOnly), CacheMode::kWriteOnly);
  EXPECT_EQ(mode("no-cache", CacheMode::kOff), CacheMode::kOff);

  llm::CacheOptions cache;
  cache.max_age_s = 50;
  EXPECT_TRUE(apply_cache_control("max-age=60, only-if-cached", cache));
  EXPECT_EQ(cache.max_age_s, 50);
  EXPECT_TRUE(cache.only_if_cached);
  EXPECT_TRUE(apply_cache_control("MAX-AGE=\"10\"", cache));
  EXPECT_EQ(cache.max_age_s, 10);
  const auto bad = apply_cache_control("max-age=soon", cache);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().field, "cache-control");
}

/// A body that must be refused: where, and a part of what is said about it.
/// The options of an engine that no code of the server knows: a type, its rules, its name.
struct Chorus {
  static constexpr std::string_view kName = "chorus";
  std::int64_t voices = 1;
  bool loud = false;
  nlohmann::json key() const { return {{"voices", voices}, {"loud", loud}}; }
  friend bool operator==(const Chorus&, const Chorus&) = default;
};

constexpr Rule<Chorus> kChorusRules[] = {
    {"voices", [](Json v, Chorus& c) { return integer(v, 1, 8, c.voices); }},
    {"loud", [](Json v, Chorus& c) { return flag(v, c.loud); }},
};

constexpr llm::EngineOptionsReader kChorus[] = {{Chorus::kName, [](Json value, llm::EngineOptions& into) {
                                                   return llm::read_engine_options<Chorus>(
                                                       value, kChorusRules, into);
                                                 }}};

std::string with_extension(const std::string& value) {
  return R"({"model": "m", "messages": [{"role": "user", "content": "x"}], "permutation": )" + value + "}";
}

base::Error refusal(const std::string& extension, EngineOptionsReaders engines) {
  const auto call = read_completion(Endpoint::kChat, with_extension(extension), engines);
  if (call) ADD_FAILURE() << "accepted: " << extension;
  return call ? base::Error{} : call.error();
}

TEST(ParseEngines, AnEngineIsAddedByItsReader) {
  const auto call = read_completion(
      Endpoint::kChat,
      with_extension(R"({"chorus": {"voices": 4}, "trace": true, "chorus": {"loud": true}})"), kChorus);
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->request.options.get<Chorus>(), (Chorus{.voices = 4, .loud = true}));
  EXPECT_TRUE(call->request.want_trace);
  const auto none =
      read_completion(Endpoint::kChat, with_extension(R"({"chorus": null, "trace": true})"), kChorus);
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(none->request.options, llm::EngineOptions{});
}

TEST(ParseEngines, ItsErrorsNameTheWholePath) {
  const base::Error range = refusal(R"({"chorus": {"voices": 9}})", kChorus);
  EXPECT_EQ(range.field, "permutation.chorus.voices");
  EXPECT_EQ(range.message, "'permutation.chorus.voices' must be an integer between 1 and 8, not 9.");
  const base::Error inner = refusal(R"({"chorus": {"voice": 2}})", kChorus);
  EXPECT_EQ(inner.message, "'permutation.chorus.voice' is not a setting, did you mean 'voices'?");
  const base::Error near = refusal(R"({"choru": {}})", kChorus);
  EXPECT_EQ(near.message, "'permutation.choru' is not a setting, did you mean 'chorus'?");
  EXPECT_EQ(refusal(R"({"": 1})", kChorus).message,
            R"('permutation.""' is not a setting, did you mean 'kv'?)");
  const base::Error first = refusal(R"({"chorus": {"voices": 9}, "trace": 1})", kChorus);
  EXPECT_EQ(first.field, "permutation.chorus.voices") << "the first that is wrong is told";
}

TEST(ParseEngines, WithoutItsReaderItIsNoSetting) {
  EXPECT_EQ(refusal(R"({"chorus": {}, "trace": true})", {}).field, "permutation.chorus");
  EXPECT_EQ(refusal(R"({"ccccccccccccccccc": 1})", kChorus).message,
            "'permutation.ccccccccccccccccc' is not a setting; there are cache, kv, speculation, knowledge, "
            "budget, thinking, chorus, trace.");
}

struct BadBody {
  const char* name;
  Endpoint endpoint;
  std::string body;
  const char* field;
  const char* says;
};

std::string chat(const std::string& more) {
  return R"({"model": "m", "messages": [{"role": "user", "content": "x"}], )" + more + "}";
}
std::string messages(const std::string& value) {
  return R"({"model": "m", "messages": )" + value + "}";
}
std::string extension(const std::string& value) {
  return chat(R"("permutation": )" + value);
}
std::string text(const std::string& more) {
  return R"({"model": "m", "prompt": "x", )" + more + "}";
}
std::string prompt(const std::string& value) {
  return R"({"model": "m", "prompt": )" + value + "}";
}
std::string repeated(const std::string& item, int times) {
  std::string out = item;
  for (int i = 1; i < times; ++i) out += "," + item;
  return out;
}
std::string nested(int depth) {
  return chat("\"metadata\": " + std::string(static_cast<std::size_t>(depth), '[') +
              std::string(static_cast<std::size_t>(depth), ']'));
}

class BadInput : public testing::TestWithParam<BadBody> {};

TEST_P(BadInput, IsRefusedNamingTheField) {
  const BadBody& bad = GetParam();
  auto call = parse_completion(bad.endpoint, bad.body, {});
  base::Status verdict;
  if (!call) {
    verdict = base::Error(call.error());
  } else {
    verdict = check_supported(*call, Answerer::kModel);
  }
  ASSERT_FALSE(verdict) << "accepted";
  EXPECT_EQ(verdict.error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(verdict.error().field, bad.field);
  EXPECT_THAT(verdict.error().message, HasSubstr(bad.says));
  EXPECT_THAT(verdict.error().message, HasSubstr(bad.field));
}

constexpr Endpoint kChat = Endpoint::kChat;
constexpr Endpoint kText = Endpoint::kCompletions;

std::string row_name(const testing::TestParamInfo<BadBody>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Json, BadInput,
    testing::Values(BadBody{"empty", kChat, "", "", "empty"},
                    BadBody{"truncated", kChat, R"({"model": "m")", "", "line 1, column 14"},
                    BadBody{"second_line", kChat, "{\"model\":\n oops}", "", "line 2"},
                    BadBody{"not_an_object", kChat, "[1]", "", "must be a JSON object"},
                    BadBody{"trailing", kChat, chat("\"n\": 1") + "x", "", "not valid JSON"},
                    BadBody{"invalid_utf8", kChat, chat("\"user\": \"\xC3\x28\""), "", "UTF-8"},
                    BadBody{"lone_surrogate", kChat, chat(R"("user": "\ud800")"), "", "not valid JSON"},
                    BadBody{"depth_bomb", kChat, nested(100'000), "metadata", "deeper than 64"},
                    BadBody{"just_too_deep", kChat, nested(65), "metadata", "deeper than 64"},
                    BadBody{"integer_overflow", kChat, chat(R"("seed": 99999999999999999999)"), "seed",
                            "between -9223372036854775808 and 9223372036854775807"},
                    BadBody{"limit_overflow", kChat, chat(R"("max_tokens": 99999999999999999999)"),
                            "max_tokens", "between 1 and 2147483647"},
                    BadBody{"number_overflow", kChat, chat(R"("seed": 1e999)"), "seed", "range of a double"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Messages, BadInput,
    testing::Values(
        BadBody{"no_model", kChat, R"({"messages": [{"role": "user", "content": "x"}]})", "model",
                "required"},
        BadBody{"model_type", kChat, R"({"model": 3})", "model", "must be a string, not 3"},
        BadBody{"missing", kChat, R"({"model": "m"})", "messages", "required"},
        BadBody{"empty", kChat, messages("[]"), "messages", "required"},
        BadBody{"a_string", kChat, messages(R"("hi")"), "messages", "an array, not the string \"hi\""},
        BadBody{"item_type", kChat, messages("[3]"), "messages[0]", "an object, not 3"},
        BadBody{"no_role", kChat, messages(R"([{"content": "x"}])"), "messages[0].role", "required"},
        BadBody{"unknown_role", kChat,
                messages(R"([{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}])"),
                "messages[1].role", "system, developer, user, assistant, tool"},
        BadBody{"no_content", kChat, messages(R"([{"role": "user"}])"), "messages[0].content", "required"},
        BadBody{"null_content", kChat, messages(R"([{"role": "user", "content": null}])"),
                "messages[0].content", "required"},
        BadBody{"content_type", kChat, messages(R"([{"role": "user", "content": 5}])"), "messages[0].content",
                "a string or an array"},
        BadBody{
            "image_part", kChat,
            messages(
                R"([{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]}])"),
            "messages[0].content[1].type", "\"text\""},
        BadBody{"part_without_type", kChat, messages(R"([{"role": "user", "content": [{"text": "x"}]}])"),
                "messages[0].content[0].type", "required"},
        BadBody{"part_without_text", kChat, messages(R"([{"role": "user", "content": [{"type": "text"}]}])"),
                "messages[0].content[0].text", "required"},
        BadBody{"name_type", kChat, messages(R"([{"role": "user", "content": "x", "name": []}])"),
                "messages[0].name", "a string"},
        BadBody{"tool_without_id", kChat, messages(R"([{"role": "tool", "content": "x"}])"),
                "messages[0].tool_call_id", "required"},
        BadBody{"function_call_text", kChat,
                messages(R"([{"role": "assistant", "content": "x", "function_call": "auto"}])"),
                "messages[0].function_call", "an object"},
        BadBody{"function_call_name", kChat, messages(R"([{"role": "assistant", "function_call": {}}])"),
                "messages[0].function_call.name", "required"},
        BadBody{"function_without_name", kChat, messages(R"([{"role": "function", "content": "x"}])"),
                "messages[0].name", "required"},
        BadBody{"refusal_type", kChat, messages(R"([{"role": "assistant", "refusal": 1}])"),
                "messages[0].refusal", "a string"},
        BadBody{"refusal_part", kChat,
                messages(R"([{"role": "assistant", "content": [{"type": "refusal"}]}])"),
                "messages[0].content[0].refusal", "required"},
        BadBody{"tool_calls_type", kChat,
                messages(R"([{"role": "assistant", "content": "x", "tool_calls": {}}])"),
                "messages[0].tool_calls", "an array"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Sampling, BadInput,
    testing::Values(
        BadBody{"n_zero", kChat, chat(R"("n": 0)"), "n", "between 1 and 128"},
        BadBody{"n_129", kChat, chat(R"("n": 129)"), "n", "between 1 and 128"},
        BadBody{"n_fraction", kChat, chat(R"("n": 1.5)"), "n", "an integer"},
        BadBody{"temperature_high", kChat, chat(R"("temperature": 2.1)"), "temperature",
                "between 0 and 2, not 2.1"},
        BadBody{"temperature_low", kChat, chat(R"("temperature": -0.1)"), "temperature", "between 0 and 2"},
        BadBody{"temperature_text", kChat, chat(R"("temperature": "hot")"), "temperature",
                "not the string \"hot\""},
        BadBody{"top_p_low", kChat, chat(R"("top_p": -0.1)"), "top_p", "between 0 and 1"},
        BadBody{"top_p_high", kChat, chat(R"("top_p": 1.5)"), "top_p", "between 0 and 1"},
        BadBody{"top_k_negative", kChat, chat(R"("top_k": -1)"), "top_k", "between 0"},
        BadBody{"min_p_high", kChat, chat(R"("min_p": 2)"), "min_p", "between 0 and 1"},
        BadBody{"max_tokens_zero", kChat, chat(R"("max_tokens": 0)"), "max_tokens", "between 1"},
        BadBody{"max_tokens_huge", kChat, chat(R"("max_tokens": 9223372036854775808)"), "max_tokens",
                "an integer"},
        BadBody{"max_completion_tokens", kChat, chat(R"("max_completion_tokens": true)"),
                "max_completion_tokens", "not true"},
        BadBody{"stop_number", kChat, chat(R"("stop": 5)"), "stop", "a string or an array"},
        BadBody{"stop_empty", kChat, chat(R"("stop": "")"), "stop", "empty"},
        BadBody{"stop_item_empty", kChat, chat(R"("stop": ["a", ""])"), "stop[1]", "empty"},
        BadBody{"stop_five", kChat, chat(R"("stop": ["a", "b", "c", "d", "e"])"), "stop", "at most 4"},
        BadBody{"seed_fraction", kChat, chat(R"("seed": 0.5)"), "seed", "an integer"},
        BadBody{"seed_text", kChat, chat(R"("seed": "7")"), "seed", "an integer"},
        BadBody{"frequency_penalty", kChat, chat(R"("frequency_penalty": 3)"), "frequency_penalty",
                "between -2 and 2"},
        BadBody{"presence_penalty", kChat, chat(R"("presence_penalty": -3)"), "presence_penalty",
                "between -2 and 2"},
        BadBody{"logit_bias_type", kChat, chat(R"("logit_bias": [1])"), "logit_bias", "an object"},
        BadBody{"logit_bias_key", kChat, chat(R"("logit_bias": {"cat": 1})"), "logit_bias.cat", "token id"},
        BadBody{"logit_bias_value", kChat, chat(R"("logit_bias": {"5": 101})"), "logit_bias.5",
                "between -100 and 100"},
        BadBody{"logprobs_number", kChat, chat(R"("logprobs": 3)"), "logprobs", "true or false"},
        BadBody{"top_logprobs_21", kChat, chat(R"("logprobs": true, "top_logprobs": 21)"), "top_logprobs",
                "between 0 and 20"},
        BadBody{"top_logprobs_alone", kChat, chat(R"("top_logprobs": 2)"), "top_logprobs",
                "needs 'logprobs'"},
        BadBody{"stream_text", kChat, chat(R"("stream": "yes")"), "stream", "true or false"},
        BadBody{"stream_options", kChat, chat(R"("stream_options": {"include_usage": 1})"),
                "stream_options.include_usage", "true or false"},
        BadBody{"tools_type", kChat, chat(R"("tools": {})"), "tools", "an array"},
        BadBody{"functions", kChat, chat(R"("functions": [{"name": "f"}])"), "functions",
                "not supported yet"},
        BadBody{"response_format_type", kChat, chat(R"("response_format": "text")"), "response_format",
                "an object"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Completions, BadInput,
    testing::Values(BadBody{"no_prompt", kText, R"({"model": "m"})", "prompt", "required"},
                    BadBody{"empty", kText, prompt(R"("")"), "prompt", "empty"},
                    BadBody{"empty_array", kText, prompt("[]"), "prompt", "empty"},
                    BadBody{"number", kText, prompt("5"), "prompt", "a string or an array"},
                    BadBody{"an_empty_one_of_two", kText, prompt(R"(["a", ""])"), "prompt[1]",
                            "must not be empty"},
                    BadBody{"no_tokens_in_one", kText, prompt("[[1], []]"), "prompt[1]", "must not be empty"},
                    BadBody{"a_number_among_texts", kText, prompt(R"(["a", 1])"), "prompt[1]",
                            "a string or an array of token ids"},
                    BadBody{"too_many_choices", kText,
                            R"({"model":"m","n":128,"prompt":[)" + repeated("\"a\"", 33) + "]}", "prompt",
                            "at most 4096 choices"},
                    BadBody{"negative_id", kText, prompt("[1, -2]"), "prompt[1]", "an integer"},
                    BadBody{"id_text", kText, prompt(R"([1, "a"])"), "prompt[1]", "an integer"},
                    BadBody{"nested_id", kText, prompt("[[1, null]]"), "prompt[0][1]", "an integer"},
                    BadBody{"logprobs_bool", kText, text(R"("logprobs": true)"), "logprobs", "an integer"},
                    BadBody{"logprobs_21", kText, text(R"("logprobs": 21)"), "logprobs", "between 0 and 20"},
                    BadBody{"echo", kText, text(R"("echo": 1)"), "echo", "true or false"},
                    BadBody{"suffix", kText, text(R"("suffix": 1)"), "suffix", "a string"},
                    BadBody{"max_tokens", kText, text(R"("max_tokens": -1)"), "max_tokens", "between 0 and"},
                    BadBody{"best_of_below_n", kText, text(R"("best_of": 2, "n": 3)"), "best_of",
                            "at least 'n', which is 3, not 2"},
                    BadBody{"best_of_streamed", kText, text(R"("best_of": 2, "stream": true)"), "best_of",
                            "can't be streamed"},
                    BadBody{"best_of_129", kText, text(R"("best_of": 129)"), "best_of", "between 0 and 128"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Extension, BadInput,
    testing::Values(
        BadBody{"effort", kChat, chat(R"("reasoning_effort": "Very high")"), "reasoning_effort",
                "must be a word"},
        BadBody{"template_list", kChat, chat(R"("chat_template_kwargs": [])"), "chat_template_kwargs",
                "an object"},
        BadBody{"template_ours", kChat, chat(R"("chat_template_kwargs": {"messages": []})"),
                "chat_template_kwargs.messages", "leave it out"},
        BadBody{"thinking", kChat, extension(R"({"thinking": {"budget_tokens": -1}})"),
                "permutation.thinking.budget_tokens", "between 0"},
        BadBody{"type", kChat, extension("3"), "permutation", "an object, not 3"},
        BadBody{"unknown_key", kChat, extension(R"({"cahce": {}})"), "permutation.cahce",
                "did you mean 'cache'?"},
        BadBody{"unknown_inner_key", kChat, extension(R"({"cache": {"tll_s": 1}})"),
                "permutation.cache.tll_s", "did you mean 'ttl_s'?"},
        BadBody{"nothing_near", kChat, extension(R"({"kv": {"zzzzzzzz": 1}})"), "permutation.kv.zzzzzzzz",
                "there are ratio, mode"},
        BadBody{"mode", kChat, extension(R"({"cache": {"mode": "maybe"}})"), "permutation.cache.mode",
                "on, off, read_only"},
        BadBody{"ttl_zero", kChat, extension(R"({"cache": {"ttl_s": 0}})"), "permutation.cache.ttl_s",
                "above 0"},
        BadBody{"max_age", kChat, extension(R"({"cache": {"max_age_s": -1}})"), "permutation.cache.max_age_s",
                "at least 0"},
        BadBody{"tag_empty", kChat, extension(R"({"cache": {"tags": [""]}})"), "permutation.cache.tags[0]",
                "empty"},
        BadBody{"namespace", kChat, extension(R"({"cache": {"namespace": 1}})"),
                "permutation.cache.namespace", "a string"},
        BadBody{"reusable", kChat, extension(R"({"cache": {"reusable": "no"}})"),
                "permutation.cache.reusable", "true or false"},
        BadBody{"semantic_range", kChat, extension(R"({"cache": {"semantic": {"error_max": 1}}})"),
                "permutation.cache.semantic.error_max", "above 0 and below 1"},
        BadBody{"semantic_empty", kChat, extension(R"({"cache": {"semantic": {}}})"),
                "permutation.cache.semantic.error_max", "required"},
        BadBody{"semantic_shadow", kChat,
                extension(R"({"cache": {"semantic": {"error_max": 0.1, "shadow": 1}}})"),
                "permutation.cache.semantic.shadow", "true or false"},
        BadBody{"stale_negative", kChat, extension(R"({"cache": {"stale_while_revalidate_s": -5}})"),
                "permutation.cache.stale_while_revalidate_s", "0"},
        BadBody{"ratio_low", kChat, extension(R"({"kv": {"ratio": 0.5}})"), "permutation.kv.ratio",
                "between 1 and 64, not 0.5"},
        BadBody{"ratio_high", kChat, extension(R"({"kv": {"ratio": 65}})"), "permutation.kv.ratio",
                "between 1 and 64, not 65"},
        BadBody{"kv_mode", kChat, extension(R"({"kv": {"mode": "fast"}})"), "permutation.kv.mode",
                "auto, exact"},
        BadBody{"speculation", kChat, extension(R"({"speculation": "wild"})"), "permutation.speculation",
                "auto, off, prompt_lookup"},
        BadBody{"knowledge_type", kChat, extension(R"({"knowledge": "acme"})"), "permutation.knowledge",
                "an array"},
        BadBody{"budget_tokens", kChat, extension(R"({"budget": {"tokens": 0}})"),
                "permutation.budget.tokens", "at least 1"},
        BadBody{"trace", kChat, extension(R"({"trace": "yes"})"), "permutation.trace", "true or false"}),
    row_name);

}  // namespace
}  // namespace pmt::api
