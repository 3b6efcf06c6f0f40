#include "api/cors.h"

#include <gmock/gmock.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using ::testing::HasSubstr;

constexpr char kPage[] = "http://localhost:3000";

Cors cors_of(std::vector<std::string> origins) {
  auto cors = Cors::create(origins);
  EXPECT_TRUE(cors) << cors.error().message;
  return cors.value_or(Cors{});
}

TEST(Cors, ComparesOriginsAsSuch) {
  const Cors cors = cors_of({kPage, "https://Chat.Example.org", "tauri://localhost", "http://[::1]:80"});
  for (const char* origin : {"http://localhost:3000", "HTTP://LOCALHOST:3000", "https://chat.example.org",
                             "https://chat.example.org:443", "tauri://localhost", "http://[0:0::1]"})
    EXPECT_TRUE(cors.allows(origin)) << origin;
  for (const char* origin :
       {"", "null", "http://localhost", "http://localhost:3001", "https://localhost:3000",
        "http://localhost:3000.evil", "http://chat.example.org", "https://evil.chat.example.org",
        "https://chat.example.org.evil", "https://chat.example.org:444", "tauri://localhost2",
        "app://localhost", "*"})
    EXPECT_FALSE(cors.allows(origin)) << origin;
  EXPECT_TRUE(cors_of({"*"}).allows("https://any.example"));
  EXPECT_FALSE(Cors().allows(kPage));
}

TEST(Cors, RefusesWhatIsNoOrigin) {
  for (const char* wrong : {"", "null", "localhost:3000", "https://a.example/path", "https://a.example/",
                            "https://*.example", "http://", "://x", "tauri://", "tauri://*", "https:// a"}) {
    const auto cors = Cors::create({wrong});
    ASSERT_FALSE(cors) << wrong;
    EXPECT_THAT(cors.error().message, HasSubstr("origin")) << wrong;
  }
}

class CorsRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.access.hosts.cors = cors_of(origins);
    if (keyed) options.access.keys = {{.name = "page", .sha256 = base::sha256("secret")}};
  }
  void restart(std::vector<std::string> with, bool with_keys) {
    TearDown();
    origins = std::move(with);
    keyed = with_keys;
    SetUp();
  }
  net::ClientResponse preflight(const char* origin, const char* path = "/v1/chat/completions",
                                net::Headers more = {}) const {
    net::Headers headers = {{"origin", origin},
                            {"access-control-request-method", "POST"},
                            {"access-control-request-headers", "authorization,content-type,x-stainless-os"}};
    headers.insert(headers.end(), more.begin(), more.end());
    return send("OPTIONS", path, "", headers);
  }
  std::vector<std::string> origins = {kPage};
  bool keyed = true;
};

TEST_F(CorsRoutes, APreflightIsAnsweredWithoutAKey) {
  const auto answer = preflight(kPage);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("access-control-allow-origin"), kPage);
  EXPECT_EQ(answer.header("access-control-allow-methods"), "POST");
  EXPECT_EQ(answer.header("access-control-allow-headers"), "authorization,content-type,x-stainless-os");
  EXPECT_EQ(answer.header("vary"), "Origin");
  EXPECT_NE(answer.header("access-control-max-age"), "");
  EXPECT_EQ(answer.header("access-control-allow-credentials"), "");
  EXPECT_EQ(answer.header("access-control-allow-private-network"), "");
  EXPECT_EQ(preflight(kPage, "/v1/models").header("access-control-allow-methods"), "GET, HEAD");
  EXPECT_EQ(preflight(kPage, "/chat/completions").status, 204) << "without /v1";
  EXPECT_EQ(preflight(kPage, "/v1/models", {{"access-control-request-private-network", "true"}})
                .header("access-control-allow-private-network"),
            "true");
  EXPECT_NE(preflight(kPage, "/nothing").status, 204);
}

TEST_F(CorsRoutes, AnotherOriginGetsNothing) {
  const auto answer = preflight("https://attacker.example");
  EXPECT_EQ(answer.status, 403);
  EXPECT_THAT(answer.body, HasSubstr("cors_origins"));
  EXPECT_EQ(answer.header("access-control-allow-origin"), "");
  EXPECT_EQ(answer.header("vary"), "Origin");
  const auto read = send("GET", "/v1/models", "", {{"authorization", "Bearer secret"}, {"origin", "null"}});
  EXPECT_EQ(read.status, 200) << "a key opens; the browser keeps the answer from the page";
  EXPECT_EQ(read.header("access-control-allow-origin"), "");
}

TEST_F(CorsRoutes, EveryAnswerToAPageSaysSo) {
  const net::Headers with_key = {{"origin", kPage}, {"authorization", "Bearer secret"}};
  for (const auto& [answer, status] : {std::pair(send("GET", "/v1/models", "", with_key), 200),
                                       std::pair(send("GET", "/v1/models", "", {{"origin", kPage}}), 401),
                                       std::pair(send("GET", "/v1/nothing", "", with_key), 403),
                                       std::pair(send("POST", "/v1/chat/completions", "{", with_key), 400)}) {
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.header("access-control-allow-origin"), kPage) << status;
    EXPECT_THAT(std::string(answer.header("access-control-expose-headers")), HasSubstr("x-permutation-cache"))
        << status;
    EXPECT_EQ(answer.header("vary"), "Origin") << status;
  }
}

TEST_F(CorsRoutes, APageMayReadTheRequestsIdUnderBothNames) {
  const auto answer =
      send("POST", "/v1/messages", "{", {{"origin", kPage}, {"authorization", "Bearer secret"}});
  const std::string exposed = ", " + std::string(answer.header("access-control-expose-headers")) + ",";
  for (const char* name : {"x-request-id", "request-id"}) {
    EXPECT_NE(answer.header(name), "") << name;
    EXPECT_THAT(exposed, HasSubstr(std::string(" ") + name + ","));
  }
}

TEST_F(CorsRoutes, AnyOriginOnlyWhereItIsWritten) {
  restart({"*"}, true);
  EXPECT_EQ(preflight("https://any.example").header("access-control-allow-origin"), "*");
  EXPECT_EQ(preflight("https://any.example").header("vary"), "");
  restart({}, true);
  EXPECT_EQ(preflight(kPage).status, 401) << "no origins: OPTIONS is a request like any other";
  EXPECT_EQ(preflight(kPage).header("access-control-allow-origin"), "");
}

TEST_F(CorsRoutes, WithoutKeysAListedPageIsLetIn) {
  restart({kPage}, false);
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", kPage}}).status, 200);
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", "https://attacker.example"}}).status, 403);
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", kPage}, {"origin", "https://attacker.example"}}).status,
            403);
  restart({}, false);
  EXPECT_EQ(send("GET", "/v1/models", "", {{"origin", kPage}}).status, 403);
}

}  // namespace
}  // namespace pmt::api
