// permutation rlm: a question about a context of any size; by a model loaded here, or by a server (--url).
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/context_file.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/rlm_engines.h"
#include "base/json.h"
#include "engine/local_engine.h"
#include "llm/sinks.h"
#include "rlm/rlm_request.h"

namespace pmt::app {

namespace {

using nlohmann::json;

struct Options {
  std::string question, context_file, session, model, trajectory_dir;
  ServerAddress server;
  std::optional<double> kv_ratio, budget_seconds;
  std::optional<std::int64_t> budget_tokens;
  bool json = false;
};

/// What was done, on stderr: the answer alone is on stdout.
void show_engine(const json& engine) {
  const auto count = [](const json& of, const char* name) { return base::integer_at(of, name).value_or(0); };
  const json& performance = base::at(engine, "performance");
  const json& strategy = base::at(engine, "context_strategy");
  std::string read;
  if (base::integer_at(strategy, "chunks_total"))
    read =
        fmt::format(", {} of {} passages", count(strategy, "chunks_read"), count(strategy, "chunks_total"));
  fmt::print(stderr, "\n{}: {}{}; {} model calls, {} tokens read, {:.0f} ms\n",
             base::text_at(strategy, "program"), base::text_at(strategy, "kind"), read,
             count(performance, "total_calls"), count(performance, "context_tokens_processed"),
             base::number_at(performance, "total_time_ms").value_or(0));
  if (const std::string why = base::text_at(strategy, "why"); !why.empty()) fmt::print(stderr, "({})\n", why);
  if (const json& session = base::at(strategy, "session"); !session.is_null()) {
    const std::string lost = count(session, "turn") > 1 ? base::text_at(session, "why") : "";
    fmt::print(stderr, "(session {}: question {}{}{})\n", base::text_at(session, "id"),
               count(session, "turn"), lost.empty() ? "" : "; ", lost);
  }
}

base::Status print_answer(const Options& options, const std::string& text, const json& engine, bool printed) {
  if (options.json) {
    fmt::print("{}\n", json({{"answer", text}, {"engine", engine}}).dump(2));
    return {};
  }
  fmt::print("{}\n", printed ? "" : text);
  std::fflush(stdout);
  show_engine(engine);
  return {};
}

base::Status ask_server(const Options& options, const std::string& context) {
  json extension = {{"rlm", json::object()}};
  if (!options.context_file.empty()) extension["rlm"]["context"] = context;
  if (!options.session.empty()) extension["rlm"]["session"] = options.session;
  if (options.kv_ratio) extension["kv"] = {{"ratio", *options.kv_ratio}};
  if (options.budget_tokens) extension["budget"]["tokens"] = *options.budget_tokens;
  if (options.budget_seconds) extension["budget"]["seconds"] = *options.budget_seconds;
  const json body = {{"model", rlm::kModelName},
                     {"messages", {{{"role", "user"}, {"content", options.question}}}},
                     {"temperature", 0},
                     {"permutation", std::move(extension)}};
  TRY_ASSIGN(const auto client, connect_to(options.server, 3'600));
  TRY_ASSIGN(const auto response,
             client->request("POST", "/v1/chat/completions", json_headers(), body.dump()));
  if (response.status >= 400) return base::Error{base::Code::kUnavailable, error_message_of(response)};
  TRY_ASSIGN(const json answer, base::parse_json(response.body));
  const json& message = base::at(base::first_at(answer, "choices"), "message");
  const auto text = base::as_text(base::at(message, "content"));
  if (!text) return base::Error{base::Code::kCorrupt, options.server.url + " answers with something else"};
  const json& engine = base::at(base::at(answer, "permutation"), "engine");
  if (engine.is_null()) {  // from the cache: nothing was done
    fmt::print("{}\n", *text);
    return {};
  }
  return print_answer(options, *text, engine, false);
}

base::Status ask_here(const Options& options, const std::string& context) {
  const base::SystemClock clock;
  TRY_ASSIGN(auto found, resolve_spec(options.model));
  TRY_ASSIGN(const auto local, engine::LocalEngine::open({.models = {std::move(found)}}, clock));
  const inference::LocalModel& model = *local->models()[0].model;
  RlmConfig config;
  rlm::RlmOptions wanted{.kv_ratio = options.kv_ratio.value_or(config.kv_ratio),
                         .trajectory_dir = options.trajectory_dir};
  wanted.root = wanted.leaf = rlm_model(local->models()[0].completer(), model.info().name, &model, nullptr);
  std::unique_ptr<sandbox::Sandbox> sandbox;
  if (!rlm::writes_no_programs(wanted.root)) {
    config.sandbox.monty_home = monty_home();
    TRY_ASSIGN(sandbox, sandbox::Sandbox::open(config.sandbox));
    wanted.sandbox = sandbox.get();
  }
  if (!options.json) wanted.on_progress = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  rlm::RecursiveLanguageModel engine(std::move(wanted), clock);

  llm::Request request;
  request.id = "rlm";
  request.model = rlm::kModelName;
  request.messages = {rlm::message("user", options.question)};
  request.options.set(rlm::RlmRequest{.context = {context}});
  request.budget = {.usd = {}, .tokens = options.budget_tokens, .seconds = options.budget_seconds};
  const auto events = std::make_shared<llm::CollectingSink>();
  engine.start(std::move(request), std::make_shared<llm::FunctionSink>([&](llm::Event event) {
                 const auto* delta = std::get_if<llm::Delta>(&event);
                 if (delta != nullptr && !options.json) {
                   std::fwrite(delta->text.data(), 1, delta->text.size(), stdout);
                   std::fflush(stdout);
                 }
                 events->on_event(std::move(event));
               }),
               {});
  const auto all = events->wait();
  if (const auto* failed = std::get_if<llm::Failed>(&all.back())) return failed->error;
  return print_answer(options, llm::text_of(all), std::get<llm::Done>(all.back()).report.engine, true);
}

/// A later question of a session needs no context: the server has it.
base::Status check_session(const Options& options) {
  if (!options.session.empty() && options.server.url.empty())
    return base::invalid("--session: a session lives in a server, which --url names", "session");
  if (options.session.empty() && options.context_file.empty())
    return base::invalid(
        "--context: name the file that the question is about, or with --url the --session that has it",
        "context");
  return {};
}

int run(const Options& options) {
  if (const base::Status good = check_question(options.question); !good) return report_by_code(good.error());
  if (const base::Status good = check_session(options); !good) return report_by_code(good.error());
  std::string context;
  if (!options.context_file.empty()) {
    auto read = read_context_file(options.context_file);
    if (!read) return report_by_code(read.error());
    context = std::move(*read);
  }
  const auto asked = options.server.url.empty() ? ask_here(options, context) : ask_server(options, context);
  return asked ? kExitDone : report_by_code(asked.error());
}

}  // namespace

void add_rlm(CLI::App& root, Command& chosen) {
  CLI::App* command =
      root.add_subcommand("rlm", "One question about a context of any size, answered by looking into it");
  const auto options = std::make_shared<Options>();
  command->add_option("QUESTION", options->question, "What to ask")->required();
  command->add_option("--context", options->context_file,
                      "The file that the question is about; a session's later questions need none");
  command->add_option("--session", options->session,
                      "With --url: a name of your choice, by which later questions find the same context");
  command->add_option("--model", options->model, "A catalogue name or a .gguf file");
  add_server_options(*command, options->server, "Ask this server's `rlm` instead of loading a model here");
  command->add_option("--kv-ratio", options->kv_ratio, "Compression of what is read, 1..64; unset: 8")
      ->check(CLI::Range(1.0, 64.0));
  command->add_option("--budget-tokens", options->budget_tokens, "Tokens that all calls may take together");
  command->add_option("--budget-seconds", options->budget_seconds, "Seconds that it may take");
  command->add_option("--trajectory", options->trajectory_dir,
                      "A folder for what happened, as the rlms viewer reads it (programs of a root only)");
  command->add_flag("--json", options->json, "The answer and everything about it as one JSON object");
  add_examples(*command,
               {"permutation rlm \"Who signed it?\" --context contract.txt",
                "permutation rlm \"What did it cost?\" --context log.txt --budget-seconds 60 --json",
                "permutation rlm \"And in May?\" --url http://127.0.0.1:8080 --session orders"});
  command->callback([&chosen, options] { chosen = [options] { return run(*options); }; });
}

}  // namespace pmt::app
