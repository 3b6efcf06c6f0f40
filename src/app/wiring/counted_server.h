// A test's server: the real caches, engines, knowledge and HTTP face over models whose answers follow from the question
// alone. It can be started again over the same disk.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/api.h"
#include "base/clock.h"
#include "base/json.h"
#include "knowledge_cache/pack_references.h"
#include "knowledge_cache/recalling_completer.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/sse.h"
#include "permutation/engine.h"
#include "response_cache/cached_completer.h"
#include "response_cache/disk/disk_store.h"
#include "response_cache/response_cache.h"

namespace pmt::app::counted {

constexpr int kQuestions = 16, kThings = 4;
constexpr const char* kNames[kThings] = {"Zorvane", "Kelmari", "Velsaska", "Brunolof"};
constexpr std::int64_t kPromptTokens = 10;

/// The first of them each name a thing that can be taught; the others name none.
inline std::string text_of(int question) {
  return question < kThings ? fmt::format("Where is {} Labs?", kNames[question])
                            : fmt::format("What is {} plus {}?", question, question + 1);
}
inline int question_of(const std::string& text) {
  for (int i = 0; i < kQuestions; ++i)
    if (text_of(i) == text) return i;
  return -1;
}
inline std::int64_t answer_tokens(int question) {
  return 1 + question % 5;
}
/// Whether the student is sure of what it wasn't taught.
inline bool is_sure(int question) {
  return question % 2 == 0;
}
/// In dollars, of one answer's token.
inline double price_of(const std::string& model) {
  return model == "large" ? 0.25 : 0.125;  // whose sums are exact
}

class Model final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    const int question = question_of(request.messages.back().content);
    sink->on_event(llm::Started{.model = request.model, .created_unix_s = 1, .cache = {}});
    llm::Delta delta{
        .choice = 0, .text = request.recall ? request.recall->answer : "an answer", .logprobs = {}};
    if (request.logprobs)
      delta.logprobs = {{.token = delta.text, .logprob = is_sure(question) ? -0.05F : -3.0F, .top = {}}};
    sink->on_event(std::move(delta));
    sink->on_event(llm::ChoiceEnd{});
    sink->on_event(
        llm::Done{.usage = {.prompt_tokens = kPromptTokens, .completion_tokens = answer_tokens(question)},
                  .report = {}});
  }
};

class Server {
 public:
  explicit Server(std::string folder) : folder_(std::move(folder)) {
    std::filesystem::remove_all(folder_);
    start();
  }
  ~Server() {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void restart() {
    stop();
    start();
  }

  net::ClientResponse send(const std::string& method, const std::string& target, const std::string& who,
                           const std::string& body = "") {
    auto answer = run_->client->request(method, target, {{"authorization", "Bearer " + who}}, body);
    EXPECT_TRUE(answer) << target << ": " << answer.error().message;
    return answer ? *answer : net::ClientResponse{};
  }
  nlohmann::json get(const std::string& target, const std::string& who) {
    return base::parse_json(send("GET", target, who).body).value_or(nullptr);
  }
  /// What the page is told.
  nlohmann::json snapshot() {
    std::vector<std::string> got;
    net::SseParser parser;
    auto client = connect();
    (void)client->stream("GET", "/v1/dashboard/events", {{"authorization", "Bearer ops"}}, "",
                         [&](std::string_view bytes) {
                           for (auto& event : parser.feed(bytes)) got.push_back(std::move(event));
                           return got.empty();
                         });
    return got.empty() ? nlohmann::json() : base::parse_json(got[0]).value_or(nullptr);
  }
  knowledge_cache::Library& library(const std::string& tenant) { return run_->library->of_tenant(tenant); }

  base::FakeClock clock;

 private:
  /// In the order in which they are built.
  struct Run {
    explicit Run(const base::Clock& clock) : cache({}, clock) {}
    response_cache::ResponseCache cache;
    base::UsageCounter usage, knowledge_usage;
    std::unique_ptr<knowledge_cache::Library> library;
    Model model;
    std::unique_ptr<knowledge_cache::RecallingCompleter> recalling;
    std::unique_ptr<response_cache::CachedCompleter> tiny;
    std::unique_ptr<permutation::Engine> permutation, alone;
    std::unique_ptr<api::Api> api;
    std::unique_ptr<net::HttpServer> server;
    std::unique_ptr<net::HttpClient> client;
  };

  std::unique_ptr<net::HttpClient> connect() const {
    return std::move(*net::HttpClient::connect(fmt::format("http://127.0.0.1:{}", run_->server->port()), 10));
  }
  static response_cache::Price price(const std::string& model) {
    return [each = price_of(model)](const llm::Request&, const llm::Usage& usage) {
      return each * static_cast<double>(usage.completion_tokens);
    };
  }
  permutation::CascadeOptions engine(bool with_teacher) {
    permutation::CascadeOptions options;
    options.student = {.name = "small", .completer = run_->recalling.get(), .price = price("small")};
    if (with_teacher)
      options.teacher = {.name = "large", .completer = &run_->model, .price = price("large"), .local = false};
    options.policy.probe_tokens = 0;
    options.response_cache_usage = &run_->usage;
    options.offer_knowledge = [this](llm::Request& r) {
      knowledge_cache::offer_knowledge(*run_->library, r);
    };
    options.settle_knowledge = [this](llm::Request& r) {
      knowledge_cache::settle_knowledge(*run_->library, r);
    };
    return options;
  }
  void open_models() {
    Run& run = *run_;
    knowledge_cache::LibraryOptions knows{
        .folder = folder_ + "/knowledge",
        .model_name = "small",
        .model = "digest",
        .embed = {},
        .embedder = {},
        .space_path = {},
        .rarity = [](std::string_view word) { return word.size() > 6 ? 12.0 : 9.0; }};
    run.library = std::move(*knowledge_cache::Library::open(std::move(knows), clock));
    run.recalling = std::make_unique<knowledge_cache::RecallingCompleter>(
        run.model, *run.library, clock,
        knowledge_cache::RecallingCompleter::Options{
            .embed = nullptr, .usage = &run.knowledge_usage, .model = "small"});
    run.tiny = std::make_unique<response_cache::CachedCompleter>(
        *run.recalling, run.cache, clock,
        response_cache::CachedCompleterOptions{.model = "tiny",
                                               .versions = {},
                                               .price = price("tiny"),
                                               .usage = &run.usage,
                                               .settle_knowledge = [this](llm::Request& r) {
                                                 knowledge_cache::settle_knowledge(*run_->library, r);
                                               }});
    run.permutation = std::make_unique<permutation::Engine>(engine(true), run.cache, clock);
    run.alone = std::make_unique<permutation::Engine>(engine(false), run.cache, clock);
  }
  api::ApiOptions face() {
    Run& run = *run_;
    api::ApiOptions options{.models = {}, .cache = &run.cache, .clock = &clock};
    options.models["tiny"] = {.completer = run.tiny.get(), .knowledge = run.library.get()};
    options.models["permutation"] = {.completer = run.permutation.get(), .knowledge = run.library.get()};
    options.models["alone"] = {.completer = run.alone.get(), .knowledge = run.library.get()};
    options.knowledge_model = "tiny";
    options.audit = [&run] {
      return audit::build_audit({{.name = "response cache", .built = true, .usage = &run.usage},
                                 {.name = "knowledge cache", .built = true, .usage = &run.knowledge_usage}});
    };
    using api::Scope;
    for (const auto& [name, tenant, scopes] :
         {std::tuple("ann", "a", std::vector{Scope::kInference, Scope::kCache, Scope::kKnowledge}),
          std::tuple("bob", "b", std::vector{Scope::kInference, Scope::kCache, Scope::kKnowledge}),
          std::tuple("ops", "", std::vector{Scope::kAdmin})})
      options.access.keys.push_back(
          {.name = name, .sha256 = base::sha256(name), .tenant = tenant, .scopes = scopes});
    return options;
  }
  void start() {
    run_ = std::make_unique<Run>(clock);
    auto disk = response_cache::DiskStore::open({.path = folder_ + "/cache"});
    ASSERT_TRUE(disk) << disk.error().message;
    run_->cache.tiers().set_disk(std::move(*disk));
    open_models();
    run_->api = std::make_unique<api::Api>(face());
    auto server = net::HttpServer::start({.port = 0}, run_->api->handler());
    ASSERT_TRUE(server) << server.error().message;
    run_->server = std::move(*server);
    run_->client = connect();
  }
  void stop() {
    run_->client.reset();
    run_->api->close_streams();
    run_->server->stop(1000);
    run_->api->stop();
    run_.reset();
  }

  const std::string folder_;
  std::unique_ptr<Run> run_;
};

}  // namespace pmt::app::counted
