#include "evals/compression_asker.h"

#include <utility>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"
#include "engine/local_engine.h"
#include "engine/shipped_calibration.h"
#include "lab/measure.h"
#include "llm/sinks.h"
#include "net/http_client.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kTimeoutSeconds = 1800;  // a server may be calibrating beside requests
constexpr std::size_t kPoolBytes = std::size_t{2} << 30;

llm::KvMode kv_mode(const std::string& mode) {
  if (mode == "auto") return llm::KvMode::kAuto;
  if (mode == "exact") return llm::KvMode::kExact;
  if (mode == "query_aware") return llm::KvMode::kQueryAware;
  if (mode == "query_agnostic") return llm::KvMode::kQueryAgnostic;
  fail("no mode is called " + mode);
}

class EngineAsker final : public Asker {
 public:
  explicit EngineAsker(const AskerOptions& options) {
    inference::LocalModelOptions model;
    model.name = "model";
    model.path = options.model;
    model.threads = options.threads;
    model.kv_bytes_max = kPoolBytes;
    model.prefix_bytes_max = kPoolBytes / 2;
    model.calibrates_first = true;
    engine::find_calibration(model);
    if (!options.calibration.empty()) {
      const bool none = options.calibration == "none";
      model.calibrates = model.calibrates_first = !none;
      model.calibration_path = none ? "" : options.calibration;
      model.calibration_shipped = {};
    }
    model.on_calibration_progress = [](float done) {
      progress(fmt::format("calibrating: {:.0f}%", 100 * done));
    };
    model.on_warning = progress;
    engine_ = need(engine::LocalEngine::open({.models = {std::move(model)}}, clock_));
  }

  Said ask(const Item& item, const Question& question, const Setting& setting) override {
    llm::Request request;
    request.id = "eval";
    request.messages = messages_of(item, question);
    request.sampling.temperature = 0;
    request.max_tokens = question.answer_tokens;
    request.kv = {setting.ratio, kv_mode(setting.mode)};
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine_->models()[0].completer().start(std::move(request), sink, {});
    const auto events = sink->wait();
    if (const auto* failed = std::get_if<llm::Failed>(&events.back())) fail(failed->error.message);
    const auto& done = std::get<llm::Done>(events.back());
    const llm::KvReport kv = done.report.kv.value_or(llm::KvReport{});
    return {llm::text_of(events),   kv.mode, kv.question, kv.ratio_achieved, done.usage.prompt_tokens,
            kv.prefix_tokens_reused};
  }

  std::int64_t prompt_tokens(const std::string& turn) override {
    llm::Request request;
    request.messages = messages_of({.context = turn, .questions = {}}, {});
    return static_cast<std::int64_t>(need(engine_->models()[0].model->prompt_of(request)).size());
  }

  std::int64_t context_tokens() override { return engine_->models()[0].model->context_tokens(); }

 private:
  base::SystemClock clock_;
  std::unique_ptr<engine::LocalEngine> engine_;
};

json parsed(const net::ClientResponse& response) {
  if (response.status != 200) fail(fmt::format("the server says {}: {}", response.status, response.body));
  auto body = base::parse_json(response.body);
  if (!body) fail("the server's answer: " + body.error().message);
  return std::move(*body);
}

class ServerAsker final : public Asker {
 public:
  explicit ServerAsker(const AskerOptions& options)
      : client_(need(net::HttpClient::connect(options.url, kTimeoutSeconds))), served_(options.served) {
    if (!served_.empty()) return;
    const json models = parsed(need(client_->request("GET", "/v1/models", {}, "")));
    served_ = base::first_at(models, "data").at("id").get<std::string>();
  }

  Said ask(const Item& item, const Question& question, const Setting& setting) override {
    json messages = json::array();
    for (const llm::Message& message : messages_of(item, question))
      messages.push_back({{"role", message.role}, {"content", message.content}});
    const json body = {
        {"model", served_},
        {"messages", std::move(messages)},
        {"temperature", 0},
        {"max_tokens", question.answer_tokens},
        {"permutation",
         {{"kv", {{"ratio", setting.ratio}, {"mode", setting.mode}}}, {"cache", {{"mode", "off"}}}}}};
    const json answer = post("/v1/chat/completions", body);
    const json& kv = answer.at("permutation").at("kv");
    return {base::first_at(answer, "choices").at("message").value("content", ""),
            kv.at("mode"),
            kv.value("question", "none"),
            kv.at("ratio_achieved"),
            answer.at("usage").at("prompt_tokens"),
            kv.value("prefix_tokens_reused", 0)};
  }

  std::int64_t prompt_tokens(const std::string& turn) override { return tokenized(turn).at("count"); }

  std::int64_t context_tokens() override { return tokenized("-").at("max_model_len"); }

 private:
  json post(const char* path, const json& body) {
    return parsed(need(client_->request("POST", path, {{"content-type", "application/json"}}, body.dump())));
  }

  json tokenized(const std::string& turn) {
    return post("/v1/tokenize",
                {{"model", served_}, {"messages", json::array({{{"role", "user"}, {"content", turn}}})}});
  }

  std::unique_ptr<net::HttpClient> client_;
  std::string served_;
};

}  // namespace

std::unique_ptr<Asker> make_asker(const AskerOptions& options) {
  if (options.url.empty()) return std::make_unique<EngineAsker>(options);
  return std::make_unique<ServerAsker>(options);
}

}  // namespace pmt::evals
