// What the cache counters of GET /metrics are told apart by, and that they add up: to the audit, to GET /v1/cache.
#include "api/observe/metrics_route.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "llm/meter.h"

namespace pmt::api {
namespace {

using nlohmann::json;

/// Two tenants with a key each, and two models that have the one scripted model behind them.
class MetricsRoute : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    const auto key = [&options](const char* name, const char* tenant, std::vector<Scope> scopes) {
      options.access.keys.push_back(
          {.name = name, .sha256 = base::sha256(name), .tenant = tenant, .scopes = std::move(scopes)});
    };
    key("ann", "a", {Scope::kInference, Scope::kCache});
    key("bob", "b", {Scope::kInference, Scope::kCache});
    key("ops", "", {Scope::kAdmin});
    for (const char* name : {"small", "large"}) {
      metered.push_back(
          std::make_unique<llm::MeteredCompleter>(model, meter, llm::MeteredCompleter::About{.model = name}));
      named.push_back(std::make_unique<response_cache::CachedCompleter>(
          *metered.back(), cache, clock,
          response_cache::CachedCompleterOptions{
              .model = name, .versions = {}, .price = {}, .usage = &usage}));
      options.models[name] = {.completer = named.back().get()};
    }
    options.meter = &meter;
    options.audit = [this] {
      return audit::build_audit({{.name = "response cache", .built = true, .usage = &usage}});
    };
  }

  /// One answer of 10 + 2 tokens, "hit" or "miss".
  std::string ask(const char* key, const char* of, const char* text) {
    const int before = model.calls();
    const std::string body = fmt::format(
        R"({{"model": "{}", "temperature": 0, "messages": [{{"role": "user", "content": "{}"}}]}})", of,
        text);
    std::thread player([this, before, done = &asked] {
      while (model.calls() == before && !*done) std::this_thread::yield();
      if (model.calls() > before) model.answer(before, {"two", " pieces"});
    });
    const auto answer = send("POST", "/v1/chat/completions", body, as(key));
    asked = true;
    player.join();
    asked = false;
    EXPECT_EQ(answer.status, 200) << answer.body;
    return std::string(answer.header("x-permutation-cache"));
  }
  static net::Headers as(const std::string& key) { return {{"authorization", "Bearer " + key}}; }
  json get(const char* path) const { return json::parse(send("GET", path, "", as("ops")).body); }

  struct Sample {
    std::string labels;
    double value = 0;
  };
  std::multimap<std::string, Sample> metrics() const {
    std::multimap<std::string, Sample> out;
    std::istringstream lines(send("GET", "/metrics", "", as("ops")).body);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with('#')) continue;
      const auto open = line.find('{'), close = line.rfind('}'), space = line.rfind(' ');
      const bool labelled = open != std::string::npos;
      out.emplace(line.substr(0, labelled ? open : space),
                  Sample{.labels = labelled ? line.substr(open, close - open + 1) : "",
                         .value = std::stod(line.substr(space))});
    }
    return out;
  }
  /// Of the samples whose labels have all of these.
  static double sum(const std::multimap<std::string, Sample>& of, const std::string& name,
                    const std::vector<std::string>& labels = {}) {
    double out = 0;
    const auto [from, to] = of.equal_range(name);
    EXPECT_NE(from, to) << name;
    for (auto at = from; at != to; ++at) {
      const bool matches = std::ranges::all_of(labels, [&at](const std::string& label) {
        return at->second.labels.find(label) != std::string::npos;
      });
      if (matches) out += at->second.value;
    }
    return out;
  }

  base::UsageCounter usage;
  llm::Meter meter{clock};
  std::vector<std::unique_ptr<llm::MeteredCompleter>> metered;
  std::vector<std::unique_ptr<response_cache::CachedCompleter>> named;
  std::atomic<bool> asked = false;
};

TEST_F(MetricsRoute, TheSumsOverModelsAndTenantsAreWhatTheCacheAndTheAuditSay) {
  EXPECT_EQ(ask("ann", "small", "q"), "miss");
  EXPECT_EQ(ask("ann", "small", "q"), "hit");
  EXPECT_EQ(ask("ann", "small", "q"), "hit");
  EXPECT_EQ(ask("bob", "small", "q"), "miss") << "another tenant";
  EXPECT_EQ(ask("bob", "large", "q"), "miss");
  EXPECT_EQ(ask("bob", "large", "q"), "hit");
  EXPECT_EQ(send("GET", "/v1/cache/entries/none", "", as("bob")).status, 404);
  EXPECT_EQ(send("PUT", "/v1/cache/entries/own", R"({"value": 1, "tokens": 5})", as("ann")).status, 200);
  EXPECT_EQ(send("GET", "/v1/cache/entries/own", "", as("ann")).status, 200);
  EXPECT_EQ(send("DELETE", "/v1/cache", "", as("bob")).status, 200);

  const auto found = metrics();
  const json stats = get("/v1/cache");
  const std::string prefix = "permutation_response_cache_";
  EXPECT_EQ(sum(found, prefix + "hits_total"), stats.at("hits").at("exact").get<double>());
  for (const char* name : {"misses", "stores", "refused", "evictions", "expired", "purged", "tokens_saved"})
    EXPECT_EQ(sum(found, prefix + name + "_total"), stats.at(name).get<double>()) << name;
  EXPECT_EQ(sum(found, prefix + "coalesced_total"), stats.at("hits").at("coalesced").get<double>());
  EXPECT_EQ(sum(found, prefix + "hits_total", {R"(model="small")", R"(tenant="a")"}), 2);
  EXPECT_EQ(sum(found, prefix + "hits_total", {R"(model="small")", R"(tenant="b")"}), 0);
  EXPECT_EQ(sum(found, prefix + "hits_total", {R"(model="large")", R"(tenant="b")"}), 1);
  EXPECT_EQ(sum(found, prefix + "hits_total", {R"(model="")", R"(tenant="a")"}), 1) << "its own entry";
  EXPECT_EQ(sum(found, prefix + "misses_total", {R"(tenant="b")"}), 3);
  EXPECT_EQ(sum(found, prefix + "misses_total", {R"(model="")", R"(tenant="b")"}), 1);
  EXPECT_EQ(sum(found, prefix + "tokens_saved_total", {R"(tenant="a")"}), 2 * 12 + 5);
  EXPECT_EQ(sum(found, prefix + "purged_total", {R"(tenant="b")"}), 2);

  const json audited = get("/v1/audit").at("caches").at(0).at("used_in").at("completions");
  EXPECT_EQ(audited.at("count"), 3);
  EXPECT_EQ(sum(found, "permutation_cache_uses_total"), 3);
  EXPECT_EQ(sum(found, "permutation_cache_uses_total", {R"(model="small",tenant="a",key="ann")"}), 2);
  EXPECT_EQ(sum(found, "permutation_cache_use_tokens_total"), 3 * 12);
  EXPECT_EQ(sum(found, "permutation_cache_use_tokens_total", {R"(tenant="b",key="bob")"}), 12);
  EXPECT_EQ(sum(found, "permutation_model_prompt_tokens_total", {R"(key="bob")"}), 20);
  EXPECT_EQ(sum(found, "permutation_model_answers_total"), 3);
  EXPECT_EQ(sum(found, "permutation_model_answer_tokens_total", {R"(model="small")"}), 4);
}

TEST_F(MetricsRoute, ATenantThatInventsModelsMakesNoSeriesForEach) {
  constexpr int kInvented = 3 * static_cast<int>(base::kModelsMax);
  const auto http = client();
  for (int i = 0; i < kInvented; ++i) {
    const auto put = http->request("PUT", fmt::format("/v1/cache/entries/{}", i), as("ann"),
                                   fmt::format(R"({{"value": 1, "model": "invented {}"}})", i));
    ASSERT_TRUE(put && put->status == 200);
  }
  EXPECT_EQ(ask("bob", "small", "q"), "miss");
  const auto found = metrics();
  EXPECT_LE(found.count("permutation_response_cache_stores_total"), base::kModelsMax + 4);
  EXPECT_EQ(sum(found, "permutation_response_cache_stores_total"), kInvented + 1);
  EXPECT_GT(sum(found, "permutation_response_cache_stores_total", {R"(model="other",tenant="a")"}), 0);
  EXPECT_EQ(sum(found, "permutation_response_cache_stores_total", {R"(model="small",tenant="b")"}), 1);
}

}  // namespace
}  // namespace pmt::api
