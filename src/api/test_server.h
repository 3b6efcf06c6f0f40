// A test's surroundings: the whole Api behind the real HTTP server on a free port, the response cache in
// front of a completer that the test scripts, and a real client.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/api.h"
#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "response_cache/cached_completer.h"
#include "response_cache/response_cache.h"
#include "response_cache/scripted_completer.h"

namespace pmt::api {

class TestServer : public testing::Test {
 protected:
  void SetUp() override {
    cached = std::make_unique<response_cache::CachedCompleter>(
        model, cache, clock,
        response_cache::CachedCompleterOptions{.model = "tiny", .versions = {}, .price = {}});
    ApiOptions options{.models = {}, .cache = &cache, .clock = &clock};
    options.models["tiny"] = {
        .completer = cached.get(), .description = "a test's", .meta = {{"context", 64}}};
    options.models["tiny"].calibration = [] { return nlohmann::json{{"progress", 0.5}}; };
    options.models["bare"] = {.completer = &model};
    options.random = [this] { return ++random; };
    adjust(options);
    api = std::make_unique<Api>(std::move(options));
    auto started = net::HttpServer::start({.port = 0}, api->handler());
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
  }
  void TearDown() override { server->stop(0); }
  virtual void adjust(ApiOptions&) {}

  std::unique_ptr<net::HttpClient> client() const {
    auto connected = net::HttpClient::connect("http://127.0.0.1:" + std::to_string(server->port()), 10);
    EXPECT_TRUE(connected);
    return std::move(*connected);
  }
  net::ClientResponse send(const std::string& method, const std::string& target, const std::string& body = "",
                           const net::Headers& headers = {}) const {
    auto response = client()->request(method, target, headers, body);
    EXPECT_TRUE(response) << response.error().message;
    return response ? *response : net::ClientResponse{};
  }
  /// Sends while the script plays the model's part.
  net::ClientResponse send_while(const std::string& target, const std::string& body,
                                 const std::function<void()>& script,
                                 const net::Headers& headers = {}) const {
    std::thread player(script);
    net::ClientResponse response = send("POST", target, body, headers);
    player.join();
    return response;
  }
  /// A model that thinks, says something and calls f, in pieces, and g, whose arguments are no object.
  void play_two_calls(int i) const {
    const auto sink = model.call(i).sink;
    model.begin(i);
    sink->on_event(llm::Delta{.choice = 0, .text = "", .logprobs = {}, .reasoning = "hm"});
    model.say(i, "I look.");
    for (const llm::CallPiece& piece :
         std::vector<llm::CallPiece>{{.index = 0, .id = "c1", .name = "f", .arguments = ""},
                                     {.index = 0, .id = "", .name = "", .arguments = "{\"a\":"},
                                     {.index = 0, .id = "", .name = "", .arguments = " 1}"}})
      sink->on_event(llm::Delta{.choice = 0, .text = "", .logprobs = {}, .calls = {piece}});
    std::vector<std::string> calls;
    for (const nlohmann::json& call : std::vector<nlohmann::json>{
             {{"id", "c1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"a\": 1}"}}}},
             {{"id", "c2"}, {"type", "function"}, {"function", {{"name", "g"}, {"arguments", "no object"}}}}})
      calls.push_back(call.dump());
    sink->on_event(llm::ChoiceEnd{.choice = 0, .reason = llm::FinishReason::kToolCalls, .tool_calls = calls});
    sink->on_event(llm::Done{.usage = {.prompt_tokens = 5, .completion_tokens = 7}, .report = {}});
  }
  static nlohmann::json error_of(const net::ClientResponse& response) {
    return nlohmann::json::parse(response.body).at("error");
  }

  base::SystemClock clock;
  response_cache::ScriptedCompleter model;
  response_cache::ResponseCache cache{{}, clock};
  std::unique_ptr<response_cache::CachedCompleter> cached;
  std::unique_ptr<Api> api;
  std::unique_ptr<net::HttpServer> server;
  std::atomic<std::uint64_t> random{0};
};

}  // namespace pmt::api
