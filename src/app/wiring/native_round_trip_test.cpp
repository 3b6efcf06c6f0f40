// What a chat request asks, said to an upstream in another API's words, is the same question to who reads that API:
// api's own readers, which turn it back into chat.
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/messages/message_request.h"
#include "api/responses/response_request.h"
#include "response_cache/store/canonical_key.h"
#include "upstream/messages/message_body.h"
#include "upstream/responses/response_body.h"

namespace pmt::app {
namespace {

using json = nlohmann::ordered_json;

/// Chat requests of all that each of the APIs has words for.
class Chats {
 public:
  explicit Chats(std::uint32_t seed) : random_(seed) {}

  std::string next(bool responses) {
    json body = {{"model", "m"}, {"max_tokens", 1 + pick(999)}};
    body["messages"] = json::array();
    if (pick(2) == 0) body["messages"].push_back({{"role", "system"}, {"content", text()}});
    const int turns = 1 + pick(3);
    for (int i = 0; i < turns; ++i) add_turn(body["messages"], responses);
    if (pick(2) == 0) add_tools(body);
    if (pick(2) == 0) body["temperature"] = pick(11) / 10.0;
    if (pick(2) == 0) body["top_p"] = 0.25;
    if (pick(3) == 0) body["reasoning_effort"] = "high";
    if (!responses && pick(2) == 0) body["stop"] = {text(), "END"};
    if (!responses && pick(3) == 0) body["top_k"] = 1 + pick(40);
    if (pick(3) == 0) add_form(body);
    return body.dump();
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string text() {
    static const char* const kWords[] = {"Oslo", "é日本", "\"quoted\"\n", "</s>", "a b", "7", "\\u0041"};
    std::string out = kWords[pick(7)];
    return out + ' ' + kWords[pick(7)];
  }
  json part(bool responses) {
    if (pick(3) != 0) return {{"type", "text"}, {"text", text()}};
    json image = {{"url", "data:image/png;base64,iVBORw0KGgo="}};
    if (responses) image["detail"] = "low";
    return {{"type", "image_url"}, {"image_url", std::move(image)}};
  }
  /// Two at least: one text alone is the same question as a plain one, but isn't written alike.
  void add_turn(json& messages, bool responses) {
    json content = text();
    if (pick(2) == 0) content = json::array({part(responses), part(responses)});
    messages.push_back({{"role", "user"}, {"content", std::move(content)}});
    if (pick(2) == 0) return;
    json spoken = {{"role", "assistant"}, {"content", text()}};
    if (pick(2) == 0) return messages.push_back(std::move(spoken));
    const int calls = 1 + pick(2);
    spoken["tool_calls"] = json::array();
    for (int i = 0; i < calls; ++i)
      spoken["tool_calls"].push_back(
          {{"id", "t" + std::to_string(i)},
           {"type", "function"},
           {"function", {{"name", "f"}, {"arguments", R"({"z":1.5,"a":["é"]})"}}}});
    messages.push_back(std::move(spoken));
    for (int i = 0; i < calls; ++i)
      messages.push_back({{"role", "tool"}, {"content", text()}, {"tool_call_id", "t" + std::to_string(i)}});
    messages.push_back({{"role", "user"}, {"content", text()}});
  }
  void add_tools(json& body) {
    const json schema = {{"type", "object"}, {"properties", {{"z", json::object()}, {"a", json::object()}}}};
    body["tools"] = json::array();
    for (const char* name : {"f", "g"})
      body["tools"].push_back(
          {{"type", "function"},
           {"function",
            {{"name", name}, {"description", text()}, {"parameters", schema}, {"strict", true}}}});
    const json choices[] = {
        "auto", "required", "none", {{"type", "function"}, {"function", {{"name", "g"}}}}};
    const int choice = pick(5);
    if (choice < 4) body["tool_choice"] = choices[choice];
    const bool calls = choice < 2 || choice == 3;  // chosen, and not none
    if (calls && pick(2) == 0) body["parallel_tool_calls"] = false;
  }
  void add_form(json& body) {
    body["response_format"] = {{"type", "json_schema"},
                               {"json_schema", {{"name", "answer"}, {"schema", {{"type", "object"}}}}}};
  }

  std::mt19937 random_;
};

/// All of it that an answer depends on. What a caller has said in other words for the same stays as the API says it.
json question(const llm::Request& request) {
  json out = json::parse(response_cache::canonical_request(request, "m", nullptr));
  for (json& message : out["messages"]) message.erase("more");
  return out;
}

llm::Request chat_request(const std::string& chat) {
  auto call = api::read_completion(llm::Endpoint::kChat, chat, {});
  if (!call) ADD_FAILURE() << call.error().message << "\n" << chat;
  return call ? call->request : llm::Request{};
}

upstream::RemoteOptions server() {
  upstream::RemoteOptions out;
  out.model = "m";
  return out;
}

constexpr int kRounds = 400;

TEST(NativeRoundTrip, NothingIsLostByWayOfMessages) {
  Chats chats(20261130);
  for (int i = 0; i < kRounds; ++i) {
    const std::string chat = chats.next(false);
    const auto body = upstream::message_body(chat, server(), false);
    ASSERT_TRUE(body) << body.error().message << "\n" << chat;
    ASSERT_TRUE(body->ignored.empty()) << body->ignored.front() << "\n" << chat;
    const auto again =
        api::read_message_request(body->text, {.is_remote = [](std::string_view) { return true; }});
    ASSERT_TRUE(again) << again.error().field << ": " << again.error().message << "\n" << body->text;
    ASSERT_EQ(question(again->call.request), question(chat_request(chat))) << chat << "\n" << body->text;
    ASSERT_EQ(again->call.request.parallel_tool_calls, chat_request(chat).parallel_tool_calls) << chat;
  }
}

TEST(NativeRoundTrip, NothingIsLostByWayOfResponses) {
  Chats chats(20261201);
  for (int i = 0; i < kRounds; ++i) {
    const std::string chat = chats.next(true);
    const auto body = upstream::response_body(chat, server(), false);
    ASSERT_TRUE(body) << body.error().message << "\n" << chat;
    ASSERT_TRUE(body->ignored.empty()) << body->ignored.front() << "\n" << chat;
    auto request = api::read_response_request(body->text);
    ASSERT_TRUE(request) << request.error().field << ": " << request.error().message << "\n" << body->text;
    const auto again = api::finish_response_request(*std::move(request), {}, body->text, {});
    ASSERT_TRUE(again) << again.error().field << ": " << again.error().message << "\n" << body->text;
    json before = question(chat_request(chat)), after = question(again->call.request);
    for (json* one : {&before, &after}) one->erase("response_format");  // said below: strict is written out
    ASSERT_EQ(after, before) << chat << "\n" << body->text;
    ASSERT_EQ(again->call.request.response_format.schema, chat_request(chat).response_format.schema) << chat;
  }
}

}  // namespace
}  // namespace pmt::app
