// The gate, through the real server: who gets in, to what, how much, and that tenants can't meet.
#include "api/access.h"

#include <algorithm>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "net/client_socket.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

net::Headers as(const std::string& key) {
  return {{"authorization", "Bearer " + key}};
}

constexpr char kAsk[] =
    R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "q"}]})";

TEST(Access, EveryPathHasAScopeAndUnknownOnesAreTheOperators) {
  EXPECT_EQ(scope_of_path("/health"), Scope::kPublic);
  EXPECT_EQ(scope_of_path("/"), Scope::kPublic);
  EXPECT_EQ(scope_of_path("/v1/chat/completions"), Scope::kInference);
  EXPECT_EQ(scope_of_path("/v1/models/a/b"), Scope::kInference);
  const auto of_request = [](const std::string& method, const std::string& path) {
    net::HttpRequest request;
    request.method = method;
    request.path = path;
    return scope_of(request);
  };
  EXPECT_EQ(of_request("GET", "/v1/models/a/load"), Scope::kInference);
  EXPECT_EQ(of_request("POST", "/v1/models/a/load"), Scope::kAdmin);
  EXPECT_EQ(of_request("POST", "/v1/chat/completions"), Scope::kInference);
  EXPECT_EQ(scope_of_path("/v1/responses/resp_1/cancel"), Scope::kInference);
  EXPECT_EQ(scope_of_path("/v1/messages/count_tokens"), Scope::kInference);
  EXPECT_EQ(scope_of_path("/v1/tokenizer_info"), Scope::kInference);
  EXPECT_EQ(scope_of_path("/v1/cache/entries/k"), Scope::kCache);
  EXPECT_EQ(scope_of_path("/v1/cachet"), Scope::kAdmin);
  EXPECT_EQ(scope_of_path("/v1/knowledge/acme/facts"), Scope::kKnowledge);
  EXPECT_EQ(scope_of_path("/metrics"), Scope::kAdmin);
  EXPECT_EQ(scope_of_path("/v1/kv"), Scope::kAdmin);
  EXPECT_EQ(scope_of_path("/health/"), Scope::kAdmin);
  EXPECT_EQ(scope_of_path(""), Scope::kAdmin);
}

class WithoutKeys : public TestServer {};

TEST_F(WithoutKeys, ProgramsGetInAndForeignPagesDoNot) {
  EXPECT_EQ(send("GET", "/v1/models").status, 200);
  const auto page = send("POST", "/v1/cache/import", "{}", {{"origin", "https://evil.example"}});
  EXPECT_EQ(page.status, 403);
  EXPECT_EQ(error_of(page)["code"], "insufficient_permissions");
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", "null"}}).status, 403);
  const std::string own = "http://127.0.0.1:" + std::to_string(server->port());
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", own}}).status, 200);
}

TEST_F(WithoutKeys, ANameThatWasReboundToThisMachineIsRefusedOnEveryPath) {
  const auto status = [this](const std::string& line, const std::string& host) {
    auto socket = net::ClientSocket::connect("127.0.0.1", std::to_string(server->port()), 10);
    EXPECT_TRUE(socket);
    EXPECT_TRUE(socket->send_all(line + " HTTP/1.1\r\nhost: " + host + "\r\nconnection: close\r\n\r\n"));
    char bytes[4096];
    const auto size = socket->receive(bytes, sizeof bytes);
    EXPECT_TRUE(size);
    return size ? std::string(bytes + 9, 3) : "none";
  };
  const std::string port = std::to_string(server->port());
  for (const char* line :
       {"GET /v1/cache", "DELETE /v1/cache", "GET /metrics", "GET /v1/models", "GET /no/such"}) {
    for (const char* host :
         {"evil.example", "127.attacker.example", "localhost.attacker.example", "0x7f.1", "x@localhost"})
      EXPECT_EQ(status(line, host + (":" + port)), "403") << line << " of " << host;
    EXPECT_EQ(status(line, ""), "403") << line;
  }
  for (const char* host :
       {"127.0.0.1", "LocalHost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"})
    EXPECT_EQ(status("GET /v1/cache", host + (":" + port)), "200") << host;
  EXPECT_EQ(status("GET http://evil.example/v1/cache", "127.0.0.1"), "403") << "the target counts, not Host";
  EXPECT_EQ(status("GET /health", "any.example"), "200") << "for load balancers";
}

class WithKeys : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    const auto key = [&](const char* name, const char* secret, const char* tenant,
                         std::vector<Scope> scopes) {
      KeyOptions out{
          .name = name, .sha256 = base::sha256(secret), .tenant = tenant, .scopes = std::move(scopes)};
      options.access.keys.push_back(out);
    };
    key("ann", "ann-secret", "a", {Scope::kInference, Scope::kCache});
    key("bob", "bob-secret", "b", {Scope::kInference, Scope::kCache});
    key("ops", "ops-secret", "", {Scope::kAdmin});
    key("slow", "slow-secret", "a", {Scope::kInference});
    options.access.keys.back().requests_per_minute = 2;
    key("spent", "spent-secret", "c", {Scope::kInference});
    options.access.keys.back().tokens_per_minute = 12;
    key("one", "one-secret", "a", {Scope::kInference});
    options.access.keys.back().concurrent_max = 1;
    options.observers.push_back([this](const std::shared_ptr<const RequestRecord>& record) {
      const std::lock_guard lock(mutex);
      records.push_back(record);
    });
  }
  net::ClientResponse ask(const std::string& key, int call, const char* body = kAsk) {
    std::thread model_thread([this, call] {
      model.begin(call);
      model.say(call, "answer");
      model.finish(call, 1);
    });
    auto response = send("POST", "/v1/chat/completions", body, as(key));
    model_thread.join();
    return response;
  }
  std::mutex mutex;
  std::vector<std::shared_ptr<const RequestRecord>> records;
};

TEST_F(WithKeys, NoKeyAWrongKeyAndAMissingScopeHaveOpenAisShape) {
  const auto none = send("GET", "/v1/models");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.header("www-authenticate"), "Bearer");
  EXPECT_EQ(error_of(none)["code"], "invalid_api_key");
  const auto wrong = send("GET", "/v1/models", "", as("ann-secret2"));
  EXPECT_EQ(wrong.status, 401);
  EXPECT_THAT(wrong.body, Not(HasSubstr("ann-secret2"))) << "a key is never repeated";
  EXPECT_EQ(send("GET", "/v1/models", "", {{"authorization", "Basic ann-secret"}}).status, 401);
  EXPECT_EQ(send("GET", "/v1/models", "", as("ann-secret")).status, 200);
  EXPECT_EQ(send("GET", "/v1/models", "", {{"authorization", "bearer ann-secret"}}).status, 200);
  for (const char* path : {"/metrics", "/v1/kv", "/v1/audit", "/no/such/path"}) {
    const auto refused = send("GET", path, "", as("ann-secret"));
    EXPECT_EQ(refused.status, 403) << path;
    EXPECT_THAT(error_of(refused)["message"].get<std::string>(), HasSubstr("admin"));
  }
  EXPECT_EQ(send("GET", "/metrics", "", as("ops-secret")).status, 200);
  EXPECT_EQ(send("GET", "/v1/models", "", as("ops-secret")).status, 200) << "admin opens everything";
  EXPECT_EQ(send("GET", "/health").status, 200) << "for load balancers";
}

TEST_F(WithKeys, AKeyMayComeAsAnthropicsClientsSendIt) {
  EXPECT_EQ(send("GET", "/v1/models", "", {{"x-api-key", "ann-secret"}}).status, 200);
  const auto wrong = send("POST", "/v1/messages", "{}", {{"x-api-key", "ann-secret2"}});
  EXPECT_EQ(wrong.status, 401);
  EXPECT_THAT(wrong.body, AllOf(HasSubstr("authentication_error"), Not(HasSubstr("ann-secret2"))));
  EXPECT_THAT(send("POST", "/v1/messages", "{}").body, HasSubstr("didn't provide an API key"));
  // Who says both is who Authorization says.
  EXPECT_EQ(
      send("GET", "/v1/models", "", {{"authorization", "Bearer no"}, {"x-api-key", "ann-secret"}}).status,
      401);
}

TEST_F(WithKeys, TenantsCantReadGoOnFromOrEndEachOthersResponses) {
  const std::string body = R"({"model": "bare", "input": "q", "background": true})";
  const std::string id =
      json::parse(send("POST", "/v1/responses", body, as("ann-secret")).body).at("id").get<std::string>();
  const std::string path = "/v1/responses/" + id;
  EXPECT_EQ(send("GET", path, "", as("bob-secret")).status, 404);
  EXPECT_EQ(send("GET", path + "/input_items", "", as("bob-secret")).status, 404);
  EXPECT_EQ(send("POST", path + "/cancel", "", as("bob-secret")).status, 404);
  EXPECT_EQ(send("DELETE", path, "", as("bob-secret")).status, 404);
  EXPECT_FALSE(model.call(0).cancel.cancelled());
  model.answer(0, {"a"});
  const std::string on = R"({"model": "bare", "input": "q", "previous_response_id": ")" + id + "\"}";
  EXPECT_EQ(send("POST", "/v1/responses", on, as("bob-secret")).status, 400);
  EXPECT_EQ(send("GET", path, "", as("ann-secret")).status, 200);
  EXPECT_EQ(send("GET", path, "", as("ops-secret")).status, 200) << "the operator sees all";
}

TEST_F(WithKeys, WhatRunsInTheBackgroundCountsUntilItEnds) {
  const std::string body = R"({"model": "bare", "input": "q", "background": true})";
  ASSERT_EQ(send("POST", "/v1/responses", body, as("one-secret")).status, 200);
  EXPECT_EQ(send("POST", "/v1/responses", body, as("one-secret")).status, 429);
  model.answer(0, {"a", "b"});
  EXPECT_EQ(send("POST", "/v1/responses", body, as("one-secret")).status, 200);
  model.answer(1, {"a"});
  const std::lock_guard lock(mutex);
  const auto ended = std::ranges::find_if(records, [](const auto& r) { return r->completion.has_value(); });
  ASSERT_NE(ended, records.end());
  EXPECT_EQ((*ended)->completion->usage.completion_tokens, 2);
}

TEST_F(WithKeys, TenantsShareNoAnswers) {
  EXPECT_EQ(ask("ann-secret", 0).header("x-permutation-cache"), "miss");
  EXPECT_EQ(send("POST", "/v1/chat/completions", kAsk, as("ann-secret")).header("x-permutation-cache"),
            "hit");
  const auto other = ask("bob-secret", 1);
  EXPECT_EQ(other.header("x-permutation-cache"), "miss") << "the same question of another tenant is computed";
  EXPECT_EQ(model.calls(), 2);
  EXPECT_EQ(model.call(1).request.tenant, "b");
}

TEST_F(WithKeys, TenantsCantReadOverwritePurgeOrCountEachOthersEntries) {
  const std::string digest(ask("ann-secret", 0).header("x-permutation-cache-key"));
  const std::string entry = "/v1/cache/entries/" + digest;
  EXPECT_EQ(send("GET", entry, "", as("ann-secret")).status, 200);
  EXPECT_EQ(send("GET", entry, "", as("bob-secret")).status, 404);
  EXPECT_EQ(send("DELETE", entry, "", as("bob-secret")).status, 404);
  // Somebody who knows a digest can't put an answer there.
  EXPECT_EQ(send("PUT", entry, R"({"value": "poison"})", as("bob-secret")).status, 200);
  EXPECT_EQ(send("POST", "/v1/chat/completions", kAsk, as("ann-secret")).header("x-permutation-cache"),
            "hit");
  EXPECT_THAT(send("GET", entry, "", as("ann-secret")).body, Not(HasSubstr("poison")));
  EXPECT_EQ(send("POST", "/v1/cache/import", "{}", as("bob-secret")).status, 403);
  // One name, two tenants, two entries.
  send("PUT", "/v1/cache/entries/k", R"({"value": 1})", as("ann-secret"));
  send("PUT", "/v1/cache/entries/k", R"({"value": 2})", as("bob-secret"));
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/k", "", as("ann-secret")).body)["value"], 1);
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/k", "", as("bob-secret")).body)["value"], 2);
  EXPECT_THAT(send("GET", "/v1/cache/export", "", as("ann-secret")).body, Not(HasSubstr("\"value\":2")));
  const json anns = json::parse(send("GET", "/v1/cache", "", as("ann-secret")).body);
  EXPECT_EQ(anns["entries"], 2);
  EXPECT_EQ(anns["answers"]["hit"], 1);
  EXPECT_FALSE(anns.contains("evictions")) << "what others do must not show";
  EXPECT_EQ(json::parse(send("DELETE", "/v1/cache", "", as("bob-secret")).body)["purged"], 2);
  EXPECT_EQ(send("GET", entry, "", as("ann-secret")).status, 200);
  const json all = json::parse(send("GET", "/v1/cache", "", as("ops-secret")).body);
  EXPECT_EQ(all["entries"], 2);
  EXPECT_TRUE(all.contains("evictions"));
}

TEST_F(WithKeys, RequestsAMinuteAreLimitedAndTold) {
  const auto first = send("GET", "/v1/models", "", as("slow-secret"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.header("x-ratelimit-remaining-requests"), "1");
  EXPECT_THAT(std::string(first.header("x-ratelimit-reset-requests")), HasSubstr("s"));
  EXPECT_EQ(send("GET", "/v1/models", "", as("slow-secret")).status, 200);
  const auto third = send("GET", "/v1/models", "", as("slow-secret"));
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(error_of(third)["code"], "rate_limit_exceeded");
  EXPECT_EQ(third.header("x-ratelimit-remaining-requests"), "0");
  EXPECT_GE(std::stoi(std::string(third.header("retry-after"))), 1);
  EXPECT_EQ(send("GET", "/v1/models", "", as("ann-secret")).status, 200) << "a key's limit is its own";
}

TEST_F(WithKeys, TokensAreChargedAsComputedAndHitsAreFree) {
  const auto first = ask("spent-secret", 0);  // 10 + 1 tokens of 12
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("x-ratelimit-limit-tokens"), "12");
  EXPECT_EQ(first.header("x-ratelimit-remaining-tokens"), "1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(send("POST", "/v1/chat/completions", kAsk, as("spent-secret")).header("x-permutation-cache"),
              "hit");
  }
  EXPECT_EQ(
      ask("spent-secret", 1, R"({"model": "tiny", "messages": [{"role": "user", "content": "new"}]})").status,
      200);
  const auto over = send("POST", "/v1/chat/completions", kAsk, as("spent-secret"));
  EXPECT_EQ(over.status, 429) << "in debt: even a hit must wait";
  EXPECT_THAT(error_of(over)["message"].get<std::string>(), HasSubstr("tokens per minute"));
  EXPECT_GT(std::stoi(std::string(over.header("retry-after"))), 30);
}

TEST_F(WithKeys, AtOnceIsLimitedAndFreedWhenTheClientLeaves) {
  auto socket = net::ClientSocket::connect("127.0.0.1", std::to_string(server->port()), 10);
  const std::string body = kAsk;
  ASSERT_TRUE(
      socket->send_all("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer one-secret\r\n"
                       "content-length: " +
                       std::to_string(body.size()) + "\r\n\r\n" + body));
  model.call(0);  // runs
  EXPECT_EQ(send("GET", "/v1/models", "", as("one-secret")).status, 429);
  socket->close();
  for (int i = 0; i < 500 && !model.call(0).cancel.cancelled(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  model.fail(0, base::Code::kCancelled, "left");
  EXPECT_EQ(send("GET", "/v1/models", "", as("one-secret")).status, 200);
}

TEST_F(WithKeys, ARecordSaysWhoAskedAndHoldsNoSecretAndNoText) {
  ask("ann-secret", 0);
  const std::lock_guard lock(mutex);
  ASSERT_EQ(records.size(), 1U);
  const RequestRecord& record = *records[0];
  EXPECT_EQ(record.key, "ann");
  EXPECT_EQ(record.tenant, "a");
  EXPECT_EQ(record.route, "/v1/chat/completions");
  EXPECT_EQ(record.status, 200);
  ASSERT_TRUE(record.completion);
  EXPECT_EQ(record.completion->model, "tiny");
  EXPECT_EQ(record.completion->usage.prompt_tokens, 10);
  EXPECT_TRUE(record.completion->computed());
  EXPECT_GT(record.completion->first_text.count(), 0);
  EXPECT_EQ(record.completion->prompt + record.completion->answer, "")
      << "texts only where they are asked for";
}

class WithBudgets : public WithKeys {
 protected:
  void adjust(ApiOptions& options) override {
    WithKeys::adjust(options);
    options.access.keys[0].budget_usd_per_day = 0.5;  // ann's
    options.access.spending = &spending;
  }
  DaySpending spending{clock};
};

TEST_F(WithBudgets, ASpentBudgetIsRefusedAsOpenAiRefusesIt) {
  spending.add("ann", 0.25);
  EXPECT_EQ(ask("ann-secret", 0).status, 200);
  spending.add("ann", 0.375);
  for (const char* path :
       {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/rerank"}) {
    const auto refused = send("POST", path, kAsk, as("ann-secret"));
    EXPECT_EQ(refused.status, 429) << path;
    const json error = error_of(refused);
    EXPECT_EQ(error["type"], "insufficient_quota");
    EXPECT_EQ(error["code"], "insufficient_quota");
    EXPECT_EQ(error["param"], nullptr);
    EXPECT_THAT(error["message"].get<std::string>(),
                AllOf(HasSubstr("'ann'"), HasSubstr("$0.625 of $0.5"), HasSubstr("resets at 00:00 UTC")));
    EXPECT_NEAR(std::stod(std::string(refused.header("retry-after"))), spending.seconds_left(), 5);
  }
  const auto messages = send("POST", "/v1/messages", kAsk, as("ann-secret"));
  EXPECT_EQ(messages.status, 429);
  EXPECT_EQ(json::parse(messages.body)["error"]["type"], "rate_limit_error") << "in Anthropic's shape";
  EXPECT_EQ(send("POST", "/chat/completions", kAsk, as("ann-secret")).status, 429) << "without /v1 too";
  EXPECT_EQ(model.calls(), 1);
}

TEST_F(WithBudgets, WhatCostsNothingStaysOpenAndSoDoOtherKeys) {
  spending.add("ann", 9);
  EXPECT_EQ(send("GET", "/v1/models", "", as("ann-secret")).status, 200);
  EXPECT_EQ(send("GET", "/v1/responses/resp_1", "", as("ann-secret")).status, 404);
  EXPECT_EQ(send("GET", "/v1/cache", "", as("ann-secret")).status, 200);
  EXPECT_EQ(ask("bob-secret", 0).status, 200);
}

TEST_F(WithBudgets, ALargerBudgetHoldsAtOnceAndWhatIsSpentStaysSpent) {
  spending.add("ann", 0.5);
  EXPECT_EQ(send("POST", "/v1/chat/completions", kAsk, as("ann-secret")).status, 429);
  KeyOptions more{.name = "ann", .sha256 = base::sha256("ann-secret"), .tenant = "a"};
  more.budget_usd_per_day = 1;
  api->set_keys({more});
  EXPECT_EQ(ask("ann-secret", 0).status, 200);
  spending.add("ann", 0.5);
  EXPECT_EQ(send("POST", "/v1/chat/completions", kAsk, as("ann-secret")).status, 429);
}

}  // namespace
}  // namespace pmt::api
