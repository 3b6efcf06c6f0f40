// Keys that come, go and change while the server serves.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/access.h"
#include "api/test_server.h"

namespace pmt::api {
namespace {

using ::testing::HasSubstr;

KeyOptions key(const char* name, std::vector<Scope> scopes = {Scope::kInference}) {
  return {.name = name, .sha256 = base::sha256(std::string(name) + "-secret"), .scopes = std::move(scopes)};
}

class AccessReload : public testing::Test {
 protected:
  int status_of(const char* name, const char* path = "/v1/models") {
    net::HttpRequest request;
    request.method = "GET";
    request.path = path;
    request.headers = {{"authorization", std::string("Bearer ") + name + "-secret"}};
    last = access.enter(request);
    if (last.caller) return 200;
    return last.error.code == base::Code::kUnauthorized ? 401
           : last.error.code == base::Code::kForbidden  ? 403
                                                        : 429;
  }
  base::FakeClock clock;
  Access access{{.keys = {key("ann"), key("bob")}}, clock};
  Access::Decision last;
};

TEST_F(AccessReload, KeysComeGoAndGetOtherScopes) {
  EXPECT_EQ(status_of("ann"), 200);
  EXPECT_EQ(status_of("eve"), 401);
  access.set_keys({key("ann", {Scope::kCache}), key("eve")});
  EXPECT_EQ(status_of("ann"), 403);
  EXPECT_EQ(status_of("ann", "/v1/cache"), 200);
  EXPECT_EQ(status_of("bob"), 401) << "withdrawn";
  EXPECT_EQ(status_of("eve"), 200);
}

TEST_F(AccessReload, WhatAKeyHasUsedStaysUsedWhateverElseChanges) {
  KeyOptions few = key("few");
  few.requests_per_minute = 3;
  access.set_keys({few});
  EXPECT_EQ(status_of("few"), 200);
  EXPECT_EQ(status_of("few"), 200);
  few.tenant = "another";
  access.set_keys({few, key("ann")});
  EXPECT_EQ(status_of("few"), 200);
  EXPECT_EQ(last.caller->tenant(), "another");
  EXPECT_EQ(status_of("few"), 429) << "a reload is no new minute";
  few.requests_per_minute = 5;
  access.set_keys({few});
  EXPECT_EQ(status_of("few"), 200);
  EXPECT_EQ(status_of("few"), 200);
  EXPECT_EQ(status_of("few"), 429) << "five in all";
  few.requests_per_minute = 2;
  access.set_keys({few});
  clock.advance(std::chrono::seconds(60));
  EXPECT_EQ(status_of("few"), 429) << "three over the limit: that takes a minute and a half";
  clock.advance(std::chrono::seconds(61));
  EXPECT_EQ(status_of("few"), 200);
  few.requests_per_minute = 0;
  access.set_keys({few});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(status_of("few"), 200);
  few.requests_per_minute = 1;
  access.set_keys({few});
  EXPECT_EQ(status_of("few"), 200);
  EXPECT_EQ(status_of("few"), 429);
}

TEST_F(AccessReload, WhatRunsCountsOverAReloadAndItsTokensAreCharged) {
  KeyOptions one = key("one");
  one.concurrent_max = 1;
  one.tokens_per_minute = 100;
  access.set_keys({one});
  EXPECT_EQ(status_of("one"), 200);
  const Access::Decision running = last;
  one.concurrent_max = 2;
  access.set_keys({one});
  EXPECT_EQ(status_of("one"), 200);
  const Access::Decision second = last;
  EXPECT_EQ(status_of("one"), 429);
  access.leave(second);
  access.leave(running);
  running.caller->meters->tokens.charge(150);  // let in before, ends after
  EXPECT_EQ(status_of("one"), 429);
  EXPECT_THAT(last.error.message, HasSubstr("tokens per minute"));
}

TEST_F(AccessReload, WhoListensForLongIsAskedAgain) {
  ASSERT_EQ(status_of("ann"), 200);
  const auto ann = last.caller;
  EXPECT_TRUE(access.still_has(*ann, Scope::kInference));
  access.set_keys({key("ann", {Scope::kCache})});
  EXPECT_FALSE(access.still_has(*ann, Scope::kInference));
  access.set_keys({key("bob")});
  EXPECT_FALSE(access.still_has(*ann, Scope::kInference));
}

TEST_F(AccessReload, ThreadsAskWhileKeysChange) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      net::HttpRequest request;
      request.path = "/v1/models";
      request.headers = {{"authorization", "Bearer ann-secret"}};
      while (!stop) {
        const auto decision = access.enter(request);
        EXPECT_TRUE(decision.caller);
        Access::leave(decision);
      }
    });
  }
  for (int i = 0; i < 500; ++i)
    access.set_keys(i % 2 == 0 ? std::vector{key("ann")} : std::vector{key("bob"), key("ann")});
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

class ReloadedServer : public TestServer {
  void adjust(ApiOptions& options) override { options.access.keys = {key("ops", {Scope::kAdmin})}; }
};

TEST_F(ReloadedServer, AWithdrawnKeysDashboardHearsNothingMore) {
  int events = 0;
  const net::Headers ops = {{"authorization", "Bearer ops-secret"}};
  const auto response = client()->stream("GET", "/v1/dashboard/events", ops, "", [&](std::string_view) {
    if (++events == 1) api->set_keys({key("new", {Scope::kAdmin})});
    return true;  // until the server ends it
  });
  EXPECT_TRUE(response);
  EXPECT_LE(events, 3);
  EXPECT_EQ(send("GET", "/v1/kv", "", ops).status, 401);
}

}  // namespace
}  // namespace pmt::api
