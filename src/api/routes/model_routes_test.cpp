#include <string>

#include <gmock/gmock.h>

#include "api/test_server.h"
#include "api/test_vocabulary.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ModelRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    ServedModel lazy{.completer = &model, .on_demand = true};
    lazy.residency = [this] {
      return json{{"state", loaded ? "ready" : "unloaded"}, {"bytes", loaded ? 5 : 0}};
    };
    lazy.doing = [this] { return loaded ? "" : "loading lazy, 40 %"; };
    options.models["a/lazy"] = std::move(lazy);
    options.set_loaded = [this](const std::string& name, bool load, const auto& done) {
      EXPECT_EQ(name, "a/lazy");
      if (busy) return done(base::Error{base::Code::kConflict, "it is busy", "model"});
      loaded = load;
      done({});
    };
    options.model_memory = [] { return ModelMemory{.bytes_reserved = 7, .bytes_max = 9}; };
  }

  std::atomic<bool> loaded{false}, busy{false};
};

TEST_F(ModelRoutes, AModelIsLoadedAndUnloaded) {
  const auto up = send("POST", "/v1/models/a/lazy/load");
  EXPECT_EQ(up.status, 200);
  EXPECT_EQ(json::parse(up.body).at("id"), "a/lazy");
  EXPECT_EQ(json::parse(up.body).at("state"), "ready");
  EXPECT_EQ(json::parse(send("GET", "/v1/models/a/lazy").body).at("bytes"), 5);
  EXPECT_EQ(json::parse(send("POST", "/models/a/lazy/unload").body).at("state"), "unloaded");
}

TEST_F(ModelRoutes, WhatCantBeSaysWhy) {
  busy = true;
  const auto refused = send("POST", "/v1/models/a/lazy/unload");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("it is busy"));
  EXPECT_EQ(send("POST", "/v1/models/tiny/unload").status, 409);
  EXPECT_EQ(send("POST", "/v1/models/absent/load").status, 404);
  EXPECT_EQ(send("POST", "/v1/models/a/lazy").status, 404);
  EXPECT_EQ(send("POST", "/v1/models/load").status, 404);
}

TEST_F(ModelRoutes, TheMemoryIsAMetric) {
  const std::string metrics = send("GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("permutation_models_reserved_bytes 7\n"));
  EXPECT_THAT(metrics, HasSubstr("permutation_models_memory_bytes_max 9\n"));
}

TEST_F(ModelRoutes, AStreamThatWaitsForItsModelSaysSo) {
  const auto answer =
      send_while("/v1/chat/completions",
                 R"({"model":"a/lazy","stream":true,"messages":[{"role":"user","content":"x"}]})", [this] {
                   std::this_thread::sleep_for(std::chrono::milliseconds(1600));
                   model.begin(0);
                   model.say(0, "so");
                   model.finish(0, 1);
                 });
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(": loading lazy, 40 %\n\n"));
  EXPECT_THAT(answer.body, HasSubstr("so"));
}

}  // namespace
}  // namespace pmt::api
