#include "app/commands/answer_source.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "api/json/render_parts.h"
#include "app/commands/reading_progress.h"
#include "app/wiring/model_choice.h"
#include "base/json.h"
#include "engine/local_engine.h"
#include "llm/sinks.h"
#include "net/sse.h"

namespace pmt::app {
namespace {

using nlohmann::json;

constexpr int kAnswerTimeoutS = 600;

/// Gathers an answer's pieces, and when they came.
class Gathering {
 public:
  explicit Gathering(const OnPieces& pieces) : pieces_(pieces), asked_(clock_.now()) {}

  void add(const std::string& thought, const std::string& text) {
    if (thought.empty() && text.empty()) return;
    if (!answer_.first_s) answer_.first_s = elapsed();
    if (!thought.empty()) pieces_.thought(thought);
    if (!text.empty()) pieces_.text(text);
    answer_.thought += thought;
    answer_.text += text;
    answer_.seconds = elapsed();
  }
  bool any() const { return answer_.first_s.has_value(); }
  Answer& answer() { return answer_; }

 private:
  double elapsed() const { return std::chrono::duration<double>(clock_.now() - asked_).count(); }

  const base::SystemClock clock_;
  const OnPieces& pieces_;
  const base::Nanos asked_;
  Answer answer_;
};

llm::Request request_of(const Ask& ask, const std::string& model) {
  llm::Request out;
  out.id = "ask";
  out.model = model;
  for (const Turn& turn : ask.turns)
    out.messages.push_back({.role = turn.role, .content = turn.content, .name = {}, .tool_call_id = {}});
  out.sampling.temperature = static_cast<float>(ask.temperature);
  out.max_tokens = ask.max_tokens;
  out.kv.ratio = ask.kv_ratio;
  out.knowledge = ask.knowledge;
  return out;
}

class LocalAnswers final : public AnswerSource {
 public:
  explicit LocalAnswers(std::unique_ptr<engine::LocalEngine> engine) : engine_(std::move(engine)) {}

  base::Result<Answer> ask(const Ask& ask, const OnPieces& pieces, const base::CancelToken& cancel) override;
  const std::string& model() const override { return taught().name; }

 private:
  const engine::TaughtModel& taught() const { return engine_->models()[0]; }

  const std::unique_ptr<engine::LocalEngine> engine_;
};

base::Result<Answer> LocalAnswers::ask(const Ask& ask, const OnPieces& pieces,
                                       const base::CancelToken& cancel) {
  llm::Request request = request_of(ask, model());
  Gathering gathering(pieces);
  ReadingProgress reading(*taught().model, request);
  const auto events = std::make_shared<llm::CollectingSink>();
  const auto printing = std::make_shared<llm::FunctionSink>([&, events](llm::Event event) {
    if (!std::holds_alternative<llm::Started>(event)) reading.end();
    if (const auto* delta = std::get_if<llm::Delta>(&event)) gathering.add(delta->reasoning, delta->text);
    const bool terminal = llm::is_terminal(event) || std::holds_alternative<llm::ChoiceEnd>(event);
    if (terminal) events->on_event(std::move(event));
  });
  taught().completer().start(std::move(request), printing, cancel);
  const auto all = events->wait();
  if (const auto* failed = std::get_if<llm::Failed>(&all.back())) return failed->error;
  Answer& out = gathering.answer();
  for (const llm::Event& event : all) {
    if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) out.finish_reason = to_string(end->reason);
  }
  const auto& done = std::get<llm::Done>(all.back());
  out.prompt_tokens = done.usage.prompt_tokens;
  out.tokens = done.usage.completion_tokens;
  out.thought_tokens = done.usage.reasoning_tokens;
  std::string report;
  api::append_report(report, done.report);
  TRY_ASSIGN(out.report, base::parse_json(report));
  return std::move(out);
}

class ServerAnswers final : public AnswerSource {
 public:
  ServerAnswers(ServerAddress server, std::string model)
      : server_(std::move(server)), model_(std::move(model)) {}

  base::Result<Answer> ask(const Ask& ask, const OnPieces& pieces, const base::CancelToken& cancel) override;
  const std::string& model() const override { return model_; }

 private:
  const ServerAddress server_;
  const std::string model_;
};

json body_of(const Ask& ask, const std::string& model) {
  json messages = json::array();
  for (const Turn& turn : ask.turns) messages.push_back({{"role", turn.role}, {"content", turn.content}});
  json out = {{"model", model},
              {"messages", std::move(messages)},
              {"temperature", ask.temperature},
              {"max_tokens", ask.max_tokens},
              {"stream", true},
              {"stream_options", {{"include_usage", true}}}};
  if (ask.no_cache) out["permutation"]["cache"] = {{"mode", "off"}};
  if (!ask.knowledge.empty()) out["permutation"]["knowledge"] = ask.knowledge;
  if (ask.kv_ratio) out["permutation"]["kv"] = {{"ratio", *ask.kv_ratio}};
  return out;
}

/// Takes what one event brings. Returns the error that the server reports in the stream, if it does.
base::Status take_chunk(const std::string& payload, Gathering& gathering) {
  const auto chunk = base::parse_json(payload);
  if (!chunk) return {};  // [DONE]
  const std::string error = base::text_at(base::at(*chunk, "error"), "message");
  if (!error.empty()) return base::Error{base::Code::kUnavailable, error};
  const json& choice = base::first_at(*chunk, "choices");
  const json& delta = base::at(choice, "delta");
  gathering.add(base::text_at(delta, "reasoning_content"), base::text_at(delta, "content"));
  Answer& answer = gathering.answer();
  if (const std::string reason = base::text_at(choice, "finish_reason"); !reason.empty())
    answer.finish_reason = reason;
  if (const json& report = base::at(*chunk, "permutation"); report.is_object()) answer.report = report;
  const json& usage = base::at(*chunk, "usage");
  answer.prompt_tokens = base::integer_at(usage, "prompt_tokens").value_or(answer.prompt_tokens);
  answer.tokens = base::integer_at(usage, "completion_tokens").value_or(answer.tokens);
  answer.thought_tokens = base::integer_at(base::at(usage, "completion_tokens_details"), "reasoning_tokens")
                              .value_or(answer.thought_tokens);
  return {};
}

base::Result<Answer> ServerAnswers::ask(const Ask& ask, const OnPieces& pieces,
                                        const base::CancelToken& cancel) {
  TRY_ASSIGN(const auto client, connect_to(server_, kAnswerTimeoutS));
  Gathering gathering(pieces);
  net::SseParser events;
  base::Status status;
  const auto take = [&](std::string_view bytes) {
    for (const std::string& payload : events.feed(bytes)) {
      if (status) status = take_chunk(payload, gathering);
    }
    return status.has_value() && !cancel.cancelled();
  };
  const auto response =
      client->stream("POST", "/v1/chat/completions", json_headers(), body_of(ask, model_).dump(), take);
  if (!status) return status.error();
  if (cancel.cancelled()) return base::Error{base::Code::kCancelled, "the asker left"};
  if (!response) return response.error();
  if (response->status >= 400) {
    const bool too_long =
        response->status == 413 || response->body.find("context_length") != std::string::npos;
    return base::Error{too_long ? base::Code::kTooLarge : base::Code::kUnavailable,
                       error_message_of(*response)};
  }
  return std::move(gathering.answer());
}

/// The first model of the server's list.
base::Result<std::string> first_model(const ServerAddress& server) {
  TRY_ASSIGN(const json body, server_call(server, "GET", "/v1/models"));
  std::string id = base::text_at(base::first_at(body, "data"), "id");
  if (id.empty()) return base::Error{base::Code::kUnavailable, server.url + " lists no model"};
  return id;
}

base::Result<std::unique_ptr<AnswerSource>> open_local(const SourceOptions& options) {
  static const base::SystemClock kClock;
  TRY_ASSIGN(auto model, resolve_spec(options.model));
  model.sequences_max = 1;
  engine::LocalEngineOptions wanted{.models = {std::move(model)}};
  if (options.knowledge) {
    wanted.knowledge.emplace();
    if (auto found = resolve_embedder({})) wanted.embedder = std::move(*found);
  }
  TRY_ASSIGN(auto local, engine::LocalEngine::open(std::move(wanted), kClock));
  return std::unique_ptr<AnswerSource>(std::make_unique<LocalAnswers>(std::move(local)));
}

}  // namespace

double Answer::tokens_per_second() const {
  const bool enough = first_s && tokens > 1 && seconds > *first_s;
  return enough ? static_cast<double>(tokens - 1) / (seconds - *first_s) : 0;
}

void add_source_options(CLI::App& command, SourceOptions& options) {
  command.add_option("--model", options.model,
                     "A catalogue name or a .gguf file; with --url, the server's name");
  add_server_options(command, options.server, "Ask this server instead of loading the model here");
}

void add_answer_options(CLI::App& command, Ask& ask) {
  command.add_option("--max-tokens", ask.max_tokens, "Length of the answer at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--kv-ratio", ask.kv_ratio,
                  "Compress the prompt's keys and values this many times; 1: exact")
      ->check(CLI::Range(1.0, 64.0));
  command.add_option("--knowledge", ask.knowledge, "A domain that the model was taught; may be repeated");
}

base::Result<std::unique_ptr<AnswerSource>> open_answers(const SourceOptions& options) {
  if (options.server.url.empty()) return open_local(options);
  std::string model = options.model;
  if (model.empty()) {
    TRY_ASSIGN(model, first_model(options.server));
  }
  return std::unique_ptr<AnswerSource>(std::make_unique<ServerAnswers>(options.server, std::move(model)));
}

}  // namespace pmt::app
