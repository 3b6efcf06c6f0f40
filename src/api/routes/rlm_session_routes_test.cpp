#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;

class RlmSessionRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.rlm_sessions = [this](const std::string&) { return sessions; };
    options.end_rlm_session = [this](const std::string&, const std::string& id) {
      if (id == "busy") return base::Status(base::Error{base::Code::kConflict, "it is being answered", "id"});
      ended.push_back(id);
      return base::Status();
    };
  }

  std::vector<RlmSession> sessions = {
      {.id = "a", .turns = 2, .contexts = 1, .bytes = 30, .repl = true, .idle_s = 1.5},
      {.id = "busy", .bytes = 7, .busy = true}};
  std::vector<std::string> ended;
};

TEST_F(RlmSessionRoutes, OfABusyOneOnlyItsBytesAreTold) {
  EXPECT_EQ(json::parse(send("GET", "/v1/rlm/sessions").body), json::parse(R"({"object": "list", "data": [
      {"id": "a", "object": "rlm.session", "turns": 2, "contexts": 1, "bytes": 30, "repl": true, "busy": false, "idle_s": 1.5},
      {"id": "busy", "object": "rlm.session", "bytes": 7, "busy": true}]})"));
}

TEST_F(RlmSessionRoutes, OneIsEndedByItsName) {
  const auto answer = send("DELETE", "/v1/rlm/sessions/a%2Db", "");
  EXPECT_EQ(json::parse(answer.body),
            json::parse(R"({"id": "a-b", "object": "rlm.session", "deleted": true})"));
  EXPECT_THAT(ended, testing::ElementsAre("a-b"));
  EXPECT_EQ(send("DELETE", "/v1/rlm/sessions/busy", "").status, 409);
}

}  // namespace
}  // namespace pmt::api
