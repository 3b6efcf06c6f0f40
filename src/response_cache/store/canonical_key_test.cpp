#include "response_cache/store/canonical_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace pmt::response_cache {
namespace {

using json = nlohmann::json;
using llm::Request;

Request question(const std::string& text) {
  Request request;
  request.messages.push_back(
      {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
  request.sampling.temperature = 0;
  return request;
}

/// Every field that can matter holds something.
Request full() {
  Request r = question("Say \"hi\"\n\u20ac \U0001F600 \x01");
  r.tenant = "acme";
  r.model = "default";
  r.messages[0].name = "ann";
  r.messages.push_back({.role = "assistant",
                        .content = "",
                        .name = {},
                        .tool_calls = {{.name = "f",
                                        .arguments = "{}",
                                        .sent = R"({"id":"c1","function":{"name":"f","arguments":"{}"}})"}},
                        .tool_call_id = {}});
  r.messages.push_back({.role = "tool", .content = "42", .name = {}, .tool_calls = {}, .tool_call_id = "c1"});
  r.prompt = "Once";
  r.prompt_tokens = {1, 2, 3};
  r.sampling = {.temperature = 0.7F,
                .top_p = 0.9F,
                .top_k = 40,
                .min_p = 0.05F,
                .frequency_penalty = 0.1F,
                .presence_penalty = -0.2F,
                .seed = 4'000'000'000U,
                .logit_bias = {{9, -1.5F}, {10, 2.0F}, {100, 100.0F}}};
  r.max_tokens = 64;
  r.stop = {"\n", "END"};
  r.n = 2;
  r.logprobs = 3;
  r.echo = true;
  r.tools = {{.type = "function", .function = {}, .sent = R"({"type":"function","function":{"name":"f"}})"}};
  r.tool_choice = {.kind = llm::ToolChoice::Kind::kAuto, .function = {}, .sent = R"("auto")"};
  r.response_format = {
      .kind = llm::ResponseFormat::Kind::kJsonObject, .schema = {}, .sent = R"({"type":"json_object"})"};
  r.cache.name_space = "team-a";
  r.kv = {.ratio = 8, .mode = llm::KvMode::kQueryAware};
  r.speculation = llm::Speculation::kPromptLookup;
  r.knowledge = {"b", "a"};
  r.surface = base::Surface::kRlm;
  return r;
}

json tree(const Request& r, const std::string& model, const json& versions) {
  static const char* const kKvModes[] = {"auto", "exact", "query_aware", "query_agnostic"};
  static const char* const kSpeculation[] = {"auto", "off", "prompt_lookup"};
  const auto optional = [](const auto& value) { return value ? json(*value) : json(); };
  const auto sent = [](const auto& items) {
    json texts;
    for (const auto& item : items) texts.push_back(item.sent);
    return texts;
  };
  const auto if_any = [](const std::string& text) { return text.empty() ? json() : json(text); };
  json messages = json::array();
  for (const auto& m : r.messages) {
    messages.push_back({{"role", m.role},
                        {"content", m.content},
                        {"name", m.name},
                        {"tool_calls", sent(m.tool_calls)},
                        {"tool_call_id", m.tool_call_id}});
  }
  json bias = json::object();
  for (const auto& [token, value] : r.sampling.logit_bias) bias[std::to_string(token)] = value;
  const json sampling = {{"temperature", r.sampling.temperature},
                         {"top_p", r.sampling.top_p},
                         {"top_k", r.sampling.top_k},
                         {"min_p", r.sampling.min_p},
                         {"frequency_penalty", r.sampling.frequency_penalty},
                         {"presence_penalty", r.sampling.presence_penalty},
                         {"seed", optional(r.sampling.seed)},
                         {"logit_bias", bias}};
  return {{"tenant", r.tenant},
          {"namespace", r.cache.name_space},
          {"endpoint", r.endpoint == llm::Endpoint::kChat ? "chat" : "completions"},
          {"model", model},
          {"messages", messages},
          {"prompt", r.prompt},
          {"prompt_tokens", r.prompt_tokens},
          {"sampling", sampling},
          {"max_tokens", optional(r.max_tokens)},
          {"stop", r.stop},
          {"n", r.n},
          {"logprobs", optional(r.logprobs)},
          {"echo", r.echo},
          {"tools", sent(r.tools)},
          {"tool_choice", if_any(r.tool_choice.sent)},
          {"response_format", if_any(r.response_format.sent)},
          {"kv", {{"ratio", optional(r.kv.ratio)}, {"mode", kKvModes[static_cast<int>(r.kv.mode)]}}},
          {"speculation", kSpeculation[static_cast<int>(r.speculation)]},
          {"knowledge", r.knowledge},
          {"surface", base::to_string(r.surface)},
          {"versions", versions}};
}

TEST(CanonicalKey, BytesAreTheCanonicalJsonOfTheRequest) {
  const json versions = {{"file", "sha256:1234"}, {"pack/acme", "7"}};
  EXPECT_EQ(canonical_request(full(), "m", versions), canonical_json(tree(full(), "m", versions)));
  EXPECT_EQ(canonical_request(Request{}, "", nullptr), canonical_json(tree(Request{}, "", nullptr)));
}

/// An engine's own options, of an engine that no code here knows.
template <char kFirst>
struct EngineOption {
  static constexpr char kText[] = {kFirst, 'x', 0};
  static constexpr std::string_view kName = kText;
  double ratio = 1;
  std::vector<std::string> texts = {};
  json key() const { return {{"texts", texts}, {"ratio", ratio}}; }
  friend bool operator==(const EngineOption&, const EngineOption&) = default;
};

TEST(CanonicalKey, EnginesOptionsStandInTheOrderOfNames) {
  Request request = full();
  json expected = tree(full(), "m", nullptr);
  request.options.set(EngineOption<'z'>{.ratio = 8});  // behind all others
  expected["zx"] = {{"ratio", 8}, {"texts", json::array()}};
  request.options.set(EngineOption<'r'>{.texts = {"a \"b\"", "c"}});  // between two
  expected["rx"] = {{"ratio", 1}, {"texts", {"a \"b\"", "c"}}};
  request.options.set(EngineOption<'a'>{.ratio = 0.5});  // before all others
  expected["ax"] = {{"ratio", 0.5}, {"texts", json::array()}};
  EXPECT_EQ(canonical_request(request, "m", nullptr), canonical_json(expected));
  Request other = request;
  other.options.set(EngineOption<'r'>{.texts = {"a \"b\"", "d"}});
  EXPECT_NE(request_key(other, "m", nullptr), request_key(request, "m", nullptr));
  other.options.set(EngineOption<'r'>{});
  EXPECT_NE(request_key(other, "m", nullptr), request_key(request, "m", nullptr));
}

TEST(CanonicalKey, OptionsThatAskForNothingAddNothing) {
  Request request = full();
  request.options.set(EngineOption<'r'>{});
  EXPECT_EQ(request_key(request, "m", nullptr), request_key(full(), "m", nullptr));
}

TEST(CanonicalKey, ThinkingIsInItWhereItIsSpokenOf) {
  Request request = full();
  request.thinking = {.on = true, .effort = "low", .budget_tokens = 8, .template_variables = R"({"a":1})"};
  request.messages[1].reasoning = "hm";
  json expected = tree(full(), "m", nullptr);
  expected["thinking"] = {
      {"on", true}, {"effort", "low"}, {"budget_tokens", 8}, {"template_variables", R"({"a":1})"}};
  expected["messages"][1]["reasoning"] = "hm";
  EXPECT_EQ(canonical_request(request, "m", nullptr), canonical_json(expected));
}

// The system that this reimplements keyed on the first 15 bytes of the question.
TEST(CanonicalKey, FranceIsNotPeru) {
  EXPECT_NE(request_key(question("What is the capital of France?"), "m", {}),
            request_key(question("What is the capital of Peru?"), "m", {}));
}

TEST(CanonicalKey, EveryFieldThatCanChangeTheAnswerChangesTheKey) {
  const std::pair<const char*, std::function<void(Request&)>> changes[] = {
      {"tenant", [](Request& r) { r.tenant = "b"; }},
      {"endpoint", [](Request& r) { r.endpoint = llm::Endpoint::kCompletions; }},
      {"role", [](Request& r) { r.messages[0].role = "system"; }},
      {"content", [](Request& r) { r.messages[0].content += " "; }},
      {"name", [](Request& r) { r.messages[0].name = "bob"; }},
      {"tool_calls", [](Request& r) { r.messages[1].tool_calls[0].sent = R"({"id":"c2"})"; }},
      {"tool_call_id", [](Request& r) { r.messages[2].tool_call_id = "c2"; }},
      {"message order", [](Request& r) { std::swap(r.messages[0], r.messages[2]); }},
      {"message left out", [](Request& r) { r.messages.pop_back(); }},
      {"reasoning", [](Request& r) { r.messages[1].reasoning = "hm"; }},
      {"thinking", [](Request& r) { r.thinking.on = false; }},
      {"thinking's budget", [](Request& r) { r.thinking.budget_tokens = 0; }},
      {"prompt", [](Request& r) { r.prompt = "Twice"; }},
      {"prompt_tokens", [](Request& r) { r.prompt_tokens.push_back(4); }},
      {"prompt_tokens split",
       [](Request& r) {
         r.prompt_tokens = {12, 3};
       }},
      {"temperature", [](Request& r) { r.sampling.temperature = 0.71F; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 0.91F; }},
      {"top_k", [](Request& r) { r.sampling.top_k = 41; }},
      {"min_p", [](Request& r) { r.sampling.min_p = 0.06F; }},
      {"frequency_penalty", [](Request& r) { r.sampling.frequency_penalty = 0; }},
      {"presence_penalty", [](Request& r) { r.sampling.presence_penalty = 0; }},
      {"seed", [](Request& r) { r.sampling.seed = 4'000'000'001U; }},
      {"no seed", [](Request& r) { r.sampling.seed.reset(); }},
      {"logit_bias", [](Request& r) { r.sampling.logit_bias[9] = -1; }},
      {"logit_bias token", [](Request& r) { r.sampling.logit_bias[11] = 0; }},
      {"max_tokens", [](Request& r) { r.max_tokens = 65; }},
      {"no max_tokens", [](Request& r) { r.max_tokens.reset(); }},
      {"stop", [](Request& r) { r.stop = {"\nEND"}; }},
      {"n", [](Request& r) { r.n = 1; }},
      {"logprobs", [](Request& r) { r.logprobs = 0; }},
      {"suffix", [](Request& r) { r.suffix = "end"; }},
      {"no logprobs", [](Request& r) { r.logprobs.reset(); }},
      {"echo", [](Request& r) { r.echo = false; }},
      {"tools", [](Request& r) { r.tools[0].sent = R"({"type":"function","function":{"name":"g"}})"; }},
      {"tools' member order",
       [](Request& r) { r.tools[0].sent = R"({"function":{"name":"f"},"type":"function"})"; }},
      {"tool_choice", [](Request& r) { r.tool_choice.sent = R"("none")"; }},
      {"response_format", [](Request& r) { r.response_format = {}; }},
      {"namespace", [](Request& r) { r.cache.name_space = "team-b"; }},
      {"kv ratio", [](Request& r) { r.kv.ratio = 16; }},
      {"kv best effort", [](Request& r) { r.kv.best_effort = true; }},
      {"kv mode", [](Request& r) { r.kv.mode = llm::KvMode::kQueryAgnostic; }},
      {"speculation", [](Request& r) { r.speculation = llm::Speculation::kOff; }},
      {"knowledge",
       [](Request& r) {
         r.knowledge = {"a", "b"};
       }},
      {"surface", [](Request& r) { r.surface = base::Surface::kPermutation; }},
  };
  std::set<Key> keys{request_key(full(), "m", {})};
  for (const auto& [name, change] : changes) {
    Request request = full();
    change(request);
    EXPECT_TRUE(keys.insert(request_key(request, "m", {})).second) << name;
  }
  EXPECT_TRUE(keys.insert(request_key(full(), "m2", {})).second) << "resolved model";
  EXPECT_TRUE(keys.insert(request_key(full(), "m", {{"pack/acme", "7"}})).second) << "versions";
  EXPECT_TRUE(keys.insert(request_key(full(), "m", {{"pack/acme", "8"}})).second) << "another version";
}

Request asked(const std::string& body) {
  Request request = question("hi");
  auto sent = std::make_shared<llm::SentBody>();
  sent->text = body;
  for (base::JsonMember& member : base::members_of(sent->text)) {
    const bool held = member.name == "messages" || member.name == "stop";
    sent->members.push_back({std::move(member), held});
  }
  request.sent = std::move(sent);
  return request;
}

/// What an upstream may act on is in the key of what may reach one, however little we know of it.
TEST(CanonicalKey, AnUpstreamsKeyHoldsWhatWasWritten) {
  const auto key = [](const std::string& body) {
    return request_key(asked(body), "m", {}, {.forwards = true});
  };
  const std::string body =
      R"({"model":"up/m","temperature":1,"x":{"b":1,"a":[1, 2]},"messages":[],"stop":"x"})";
  std::set<Key> keys{key(body), request_key(question("hi"), "m", {}, {.forwards = true})};
  EXPECT_EQ(keys.size(), 2U);
  for (const char* other :
       {R"({"x":{"b":1,"a":[1,2]}})", R"({"temperature":1.5,"x":{"b":1,"a":[1,2]}})",
        R"({"temperature":1,"x":{"a":[1,2],"b":1}})", R"({"temperature":1,"x":{"b":1,"a":[2,1]}})",
        R"({"temperature":1,"x":{"b":1,"a":[1,2]},"seed":5000000000})",
        R"({"temperature":1,"x":{"b":1,"a":[1,2]},"reasoning_effort":"low"})",
        R"({"temperature":1,"y":{"b":1,"a":[1,2]}})"})
    EXPECT_TRUE(keys.insert(key(other)).second) << other;
  for (const char* same :
       {R"({ "x" : {"b":1,"a":[1,2]}, "temperature":1 })",
        R"({"temperature":2,"temperature":1,"x":{"b":1,"a":[1,2]}})",
        R"({"temperature":1,"x":{"b":1,"a":[1,2]},"y":null,"user":"u","metadata":{"a":1},"store":true,
            "safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h","service_tier":"flex",
            "stream":true,"stream_options":{},"permutation":{"trace":true},"messages":[1],"stop":["x"]})"})
    EXPECT_EQ(key(same), key(body)) << same;
  EXPECT_EQ(request_key(asked(body), "m", {}), request_key(question("hi"), "m", {}))
      << "a local model reads none of it";
}

/// Two bodies of another API may be one question in chat's words and yet get two answers of who reads them.
TEST(CanonicalKey, AnUpstreamsKeyHoldsWhatItIsSentInItsOwnApi) {
  const auto key = [](const std::string& own) {
    Request request = asked(R"({"model":"up/m"})");
    auto sent = std::make_shared<llm::SentBody>();
    if (!own.empty()) sent->own = {.api = llm::Api::kMessages, .text = own};
    request.sent = sent;
    return request_key(request, "m", {}, {.forwards = true});
  };
  const std::string own =
      R"({"model":"up/m","thinking":{"type":"enabled","budget_tokens":1024},"messages":[]})";
  std::set<Key> keys{key(own), key("")};
  EXPECT_EQ(keys.size(), 2U);
  for (const char* other :
       {R"({"thinking":{"type":"enabled","budget_tokens":2048},"messages":[]})",
        R"({"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"cache_control":{}}]})"})
    EXPECT_TRUE(keys.insert(key(other)).second) << other;
  EXPECT_EQ(key(R"({ "messages":[], "stream":true, "metadata":{"user_id":"u"},
                     "thinking":{"type":"enabled", "budget_tokens":1024}})"),
            key(own));
}

TEST(CanonicalKey, WhatAMessageHasMoreIsInAnUpstreamsKeyOnly) {
  Request plain = question("hi"), more = question("hi");
  more.messages[0].more = R"({"role":"user","content":[{"type":"image_url"}]})";
  EXPECT_NE(request_key(more, "m", {}, {.forwards = true}), request_key(plain, "m", {}, {.forwards = true}));
  EXPECT_EQ(request_key(more, "m", {}), request_key(plain, "m", {}));
}

TEST(CanonicalKey, WhatCannotChangeTheAnswerDoesNotChangeTheKey) {
  const std::pair<const char*, std::function<void(Request&)>> changes[] = {
      {"id", [](Request& r) { r.id = "req-1"; }},
      {"model as named", [](Request& r) { r.model = "alias"; }},
      {"cache mode", [](Request& r) { r.cache.mode = llm::CacheMode::kRefresh; }},
      {"ttl", [](Request& r) { r.cache.ttl_s = 3; }},
      {"max_age", [](Request& r) { r.cache.max_age_s = 3; }},
      {"tags", [](Request& r) { r.cache.tags = {"t"}; }},
      {"reusable", [](Request& r) { r.cache.reusable = true; }},
      {"only_if_cached", [](Request& r) { r.cache.only_if_cached = true; }},
      {"want_trace", [](Request& r) { r.want_trace = true; }},
      {"budget", [](Request& r) { r.budget.usd = 1; }},
  };
  const Key key = request_key(full(), "m", {});
  for (const auto& [name, change] : changes) {
    Request request = full();
    change(request);
    EXPECT_EQ(request_key(request, "m", {}), key) << name;
  }
}

}  // namespace
}  // namespace pmt::response_cache
