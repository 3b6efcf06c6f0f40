// permutation ask: one answer, streamed to stdout; by a model loaded here, or by a server (--url).
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "app/commands/answer_source.h"
#include "app/commands/commands.h"
#include "app/commands/context_file.h"
#include "app/commands/ctrl_c.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/terminal.h"
#include "base/json.h"

namespace pmt::app {

namespace {

using nlohmann::json;

struct AskOptions {
  std::string question, context_file;
  SourceOptions source;
  Ask ask;
  bool verbose = false;
  bool json = false;
};

base::Result<std::string> prompt_of(const AskOptions& options) {
  TRY(check_question(options.question));
  if (options.context_file.empty()) return options.question;
  TRY_ASSIGN(const std::string context, read_context_file(options.context_file));
  return fmt::format("{}\n\n{}", context, options.question);
}

/// Who asked for compression sees what it came to.
void show_kv(const json& kv) {
  const auto count = [&kv](const char* name) { return base::integer_at(kv, name).value_or(0); };
  tell("\nKV cache: {}, {:.1f}x: {} bytes for {} tokens, {} of them kept; f16 would take {}\n",
       base::text_at(kv, "mode"), base::number_at(kv, "ratio_achieved").value_or(1), count("bytes"),
       count("tokens_total"), count("tokens_kept"), count("bytes_f16"));
  if (base::text_at(kv, "scores") == "uncalibrated")
    tell("Its tokens were chosen without a calibration: `permutation calibrate` makes one\n");
}

json json_of(const Answer& answer, const std::string& model) {
  json out = {{"answer", answer.text},
              {"model", model},
              {"finish_reason", answer.finish_reason},
              {"prompt_tokens", answer.prompt_tokens},
              {"completion_tokens", answer.tokens},
              {"seconds", answer.seconds}};
  if (answer.first_s) out["first_token_s"] = *answer.first_s;
  if (const double speed = answer.tokens_per_second(); speed > 0) out["tokens_per_s"] = speed;
  if (!answer.thought.empty()) {
    out["reasoning_content"] = answer.thought;
    out["reasoning_tokens"] = answer.thought_tokens;
  }
  if (!answer.report.is_null()) out["permutation"] = answer.report;
  return out;
}

void show(const AskOptions& options, const Answer& answer, const std::string& model) {
  if (options.json) return fmt::print("{}\n", json_of(answer, model).dump(2));
  fmt::print("\n");
  std::fflush(stdout);
  if (options.verbose) show_speed(answer);
  if (const json& kv = base::at(answer.report, "kv"); options.ask.kv_ratio && kv.is_object()) show_kv(kv);
}

/// A context that no prompt holds is what `rlm` is for.
base::Error with_way_out(base::Error error) {
  if (error.code == base::Code::kTooLarge)
    error.message += ". `permutation rlm QUESTION --context FILE` answers about a file of any size";
  return error;
}

int ask(AskOptions options) {
  auto prompt = prompt_of(options);
  if (!prompt) return report_by_code(prompt.error());
  options.ask.turns = {{"user", std::move(*prompt)}};
  options.source.knowledge = !options.ask.knowledge.empty();
  const base::CancelToken cancel;
  std::atomic<bool> asking = false;
  const CtrlC ctrl_c([&] {
    const bool stops = asking && !cancel.cancelled();
    if (stops) cancel.cancel();
    return stops;
  });
  const auto source = open_answers(options.source);
  if (!source) return report_by_code(source.error());
  asking = true;
  const auto answer = (*source)->ask(options.ask, options.json ? OnPieces() : print_pieces(), cancel);
  if (ctrl_c.pressed()) {
    tell("\nstopped: what is above is all of the answer, and no cache keeps it\n");
    return kExitInterrupted;
  }
  if (!answer) return report_by_code(with_way_out(answer.error()));
  show(options, *answer, (*source)->model());
  return kExitDone;
}

}  // namespace

void add_ask(CLI::App& root, Command& chosen) {
  CLI::App* command = root.add_subcommand("ask", "One answer, streamed; works with no server running");
  const auto options = std::make_shared<AskOptions>();
  command->add_option("QUESTION", options->question, "What to ask")->required();
  add_source_options(*command, options->source);
  command->add_option("--context", options->context_file, "A file that the question is about, put before it");
  add_answer_options(*command, options->ask);
  command->add_flag("--no-cache", options->ask.no_cache,
                    "Compute anew, and store nothing in the server's cache");
  command->add_flag("--verbose", options->verbose, "Show the time to the first token and tokens a second");
  command->add_flag("--json", options->json, "The answer and everything about it as one JSON object");
  add_examples(*command, {"permutation ask \"What is gravity?\"",
                          "permutation ask \"What does it promise?\" --context contract.txt --kv-ratio 8",
                          "permutation ask \"What is gravity?\" --url http://127.0.0.1:8080 --json"});
  command->callback([&chosen, options] { chosen = [options] { return ask(*options); }; });
}

}  // namespace pmt::app
