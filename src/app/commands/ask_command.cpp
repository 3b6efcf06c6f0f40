// permutation ask: one answer, streamed to stdout; by a model loaded here, or by a server (--url).
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/context_file.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/wiring/model_choice.h"
#include "base/json.h"
#include "engine/local_engine.h"
#include "llm/sinks.h"
#include "net/sse.h"

namespace pmt::app {

namespace {

constexpr int kAnswerTimeoutS = 600;

struct AskOptions {
  std::string question, model, context_file;
  ServerAddress server;
  std::vector<std::string> knowledge;
  std::optional<double> kv_ratio;
  int max_tokens = 512;
  bool no_cache = false;
  bool verbose = false;
};

base::Result<std::string> prompt_of(const AskOptions& options) {
  TRY(check_question(options.question));
  if (options.context_file.empty()) return options.question;
  TRY_ASSIGN(const std::string context, read_context_file(options.context_file));
  return fmt::format("{}\n\n{}", context, options.question);
}

void print_piece(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Who asked for compression sees what it came to.
void show_kv(const llm::KvReport& kv) {
  fmt::print(stderr, "\nKV cache: {}, {:.1f}x: {} bytes for {} tokens, {} of them kept; f16 would take {}\n",
             kv.mode, kv.ratio_achieved, kv.bytes, kv.tokens_total, kv.tokens_kept, kv.bytes_f16);
  if (kv.scores == "uncalibrated")
    fmt::print(stderr, "Its tokens were chosen without a calibration: `permutation calibrate` makes one\n");
}

/// An answer's speed as the asker saw it.
class Speed {
 public:
  explicit Speed(const base::Clock& clock) : clock_(clock), asked_(clock.now()) {}
  void on_piece() {
    last_ = clock_.now();
    if (pieces_++ == 0) first_ = last_;
  }
  void show(std::int64_t prompt_tokens, std::int64_t tokens) const {
    if (pieces_ == 0) return fmt::print(stderr, "\nno text came\n");
    const auto seconds = [](base::Nanos span) { return std::chrono::duration<double>(span).count(); };
    fmt::print(stderr, "\ntime to first token {:.3f} s for {} tokens of prompt; {} tokens",
               seconds(first_ - asked_), prompt_tokens, tokens);
    // The first token belongs to the time before it.
    if (tokens > 1 && last_ > first_)
      fmt::print(stderr, ", {:.1f} tokens/s", static_cast<double>(tokens - 1) / seconds(last_ - first_));
    fmt::print(stderr, "\n");
  }

 private:
  const base::Clock& clock_;
  base::Nanos asked_, first_{0}, last_{0};
  int pieces_ = 0;
};

base::Status ask_here(const AskOptions& options, const std::string& prompt) {
  const base::SystemClock clock;
  TRY_ASSIGN(auto model, resolve_spec(options.model));
  model.sequences_max = 1;
  engine::LocalEngineOptions wanted{.models = {std::move(model)}};
  if (!options.knowledge.empty()) {
    wanted.knowledge.emplace();
    if (auto found = resolve_embedder({})) wanted.embedder = std::move(*found);
  }
  TRY_ASSIGN(const auto local, engine::LocalEngine::open(std::move(wanted), clock));
  const engine::TaughtModel& taught = local->models()[0];

  llm::Request request;
  request.id = "ask";
  request.model = taught.name;
  request.messages = {{.role = "user", .content = prompt, .name = {}, .tool_calls = {}, .tool_call_id = {}}};
  request.sampling.temperature = 0;
  request.max_tokens = options.max_tokens;
  request.kv.ratio = options.kv_ratio;
  request.knowledge = options.knowledge;

  const auto events = std::make_shared<llm::CollectingSink>();
  Speed speed(clock);  // outlives the request: its events are waited for
  const auto printing = std::make_shared<llm::FunctionSink>([events, &speed](llm::Event event) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      speed.on_piece();
      print_piece(delta->text);
    }
    events->on_event(std::move(event));
  });
  taught.completer().start(std::move(request), printing, {});
  const auto all = events->wait();
  if (const auto* failed = std::get_if<llm::Failed>(&all.back())) return failed->error;
  const auto* done = std::get_if<llm::Done>(&all.back());
  if (options.verbose && done != nullptr)
    speed.show(done->usage.prompt_tokens, done->usage.completion_tokens);
  if (options.kv_ratio && done != nullptr && done->report.kv) show_kv(*done->report.kv);
  return {};
}

/// The first model of the server's list.
base::Result<std::string> server_model(const ServerAddress& server) {
  TRY_ASSIGN(const nlohmann::json body, server_call(server, "GET", "/v1/models"));
  std::string id = base::text_at(base::first_at(body, "data"), "id");
  if (id.empty()) return base::Error{base::Code::kUnavailable, server.url + " lists no model"};
  return id;
}

/// What a streamed answer brings besides its text.
struct Watched {
  Speed speed;
  std::int64_t prompt_tokens = 0, tokens = 0;
};

/// Prints one event's text. Returns the error that the server reports in the stream, if it does.
base::Status print_chunk(const std::string& payload, Watched& watched) {
  const auto chunk = base::parse_json(payload);
  if (!chunk) return {};  // [DONE]
  const std::string error = base::text_at(base::at(*chunk, "error"), "message");
  if (!error.empty()) return base::Error{base::Code::kUnavailable, error};
  const nlohmann::json& delta = base::at(base::first_at(*chunk, "choices"), "delta");
  if (const std::string text = base::text_at(delta, "content"); !text.empty()) {
    watched.speed.on_piece();
    print_piece(text);
  }
  const nlohmann::json& usage = base::at(*chunk, "usage");
  watched.prompt_tokens = base::integer_at(usage, "prompt_tokens").value_or(watched.prompt_tokens);
  watched.tokens = base::integer_at(usage, "completion_tokens").value_or(watched.tokens);
  return {};
}

base::Status ask_server(const AskOptions& options, const std::string& prompt) {
  std::string model = options.model;
  if (model.empty()) {
    TRY_ASSIGN(model, server_model(options.server));
  }
  nlohmann::json body = {{"model", model},   {"messages", {{{"role", "user"}, {"content", prompt}}}},
                         {"temperature", 0}, {"max_tokens", options.max_tokens},
                         {"stream", true},   {"stream_options", {{"include_usage", true}}}};
  if (options.no_cache) body["permutation"]["cache"] = {{"mode", "off"}};
  if (!options.knowledge.empty()) body["permutation"]["knowledge"] = options.knowledge;
  if (options.kv_ratio) body["permutation"]["kv"] = {{"ratio", *options.kv_ratio}};

  TRY_ASSIGN(const auto client, connect_to(options.server, kAnswerTimeoutS));
  net::SseParser events;
  base::Status status;
  const base::SystemClock clock;
  Watched watched{Speed(clock)};
  const auto response = client->stream("POST", "/v1/chat/completions", json_headers(), body.dump(),
                                       [&](std::string_view bytes) {
                                         for (const std::string& payload : events.feed(bytes)) {
                                           if (status) status = print_chunk(payload, watched);
                                         }
                                         return status.has_value();
                                       });
  if (!status) return status;
  if (!response) return response.error();
  if (response->status >= 400) return base::Error{base::Code::kUnavailable, error_message_of(*response)};
  if (options.verbose) watched.speed.show(watched.prompt_tokens, watched.tokens);
  return {};
}

/// A context that no prompt holds is what `rlm` is for.
base::Error with_way_out(base::Error error) {
  if (error.code == base::Code::kTooLarge)
    error.message += ". `permutation rlm QUESTION --context FILE` answers about a file of any size";
  return error;
}

int ask(const AskOptions& options) {
  const auto prompt = prompt_of(options);
  if (!prompt) return report_by_code(prompt.error());
  const auto asked = options.server.url.empty() ? ask_here(options, *prompt) : ask_server(options, *prompt);
  if (!asked) return report_by_code(with_way_out(asked.error()));
  fmt::print("\n");
  return kExitDone;
}

}  // namespace

void add_ask(CLI::App& root, Command& chosen) {
  CLI::App* command = root.add_subcommand("ask", "One answer, streamed; works with no server running");
  const auto options = std::make_shared<AskOptions>();
  command->add_option("QUESTION", options->question, "What to ask")->required();
  command->add_option("--model", options->model,
                      "A catalogue name or a .gguf file; with --url, the server's name");
  command->add_option("--context", options->context_file, "A file that the question is about, put before it");
  command->add_option("--max-tokens", options->max_tokens, "Length of the answer at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_server_options(*command, options->server, "Ask this server instead of loading the model here");
  command->add_flag("--no-cache", options->no_cache, "Compute anew, and store nothing in the server's cache");
  command->add_flag("--verbose", options->verbose, "Show the time to the first token and tokens a second");
  command
      ->add_option("--kv-ratio", options->kv_ratio,
                   "Compress the context's keys and values this many times; 1: exact")
      ->check(CLI::Range(1.0, 64.0));
  command->add_option("--knowledge", options->knowledge,
                      "A domain that the model was taught; may be repeated");
  command->callback([&chosen, options] { chosen = [options] { return ask(*options); }; });
}

}  // namespace pmt::app
