#include "rlm/root_trial.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "llm/sinks.h"
#include "rlm/engine.h"
#include "rlm/rlm_request.h"
#include "rlm/tables_program.h"

namespace pmt::rlm {
namespace {

constexpr int kTurns = 6;
constexpr int kTurnTokens = 768;
constexpr RootTrial kPassed{.asked = kTrialQuestions, .right = kTrialQuestions};

struct Judged {
  bool right = false;
  std::string why;
};

/// Errors: what is no fault of what it wrote.
base::Result<Judged> judge(const std::vector<llm::Event>& events, const TrialQuestion& asked, bool queries) {
  if (const auto* failed = std::get_if<llm::Failed>(&events.back())) {
    if (failed->error.code == base::Code::kCancelled || failed->error.code == base::Code::kUnavailable)
      return failed->error;
    return Judged{.why = failed->error.message};
  }
  const auto& strategy = std::get<llm::Done>(events.back()).report.engine.at("context_strategy");
  std::string text = llm::text_of(events);
  if (queries) {
    if (strategy.value("kind", "") != kQueryByRoot)
      return Judged{.why = "no query of its own gave its answer"};
    text = text.substr(0, text.find(" ("));  // what was read under which condition has numbers of its own
  } else if (strategy.value("unverified", true)) {
    return Judged{.why = "no code gave its answer"};
  }
  const bool right = says(text, asked);
  return Judged{.right = right, .why = right ? "right" : "wrong"};
}

base::Result<RootTrial> run_trial(RlmOptions wanted, const std::vector<TrialQuestion>& questions,
                                  bool queries, const base::Clock& clock, const TrialOptions& options) {
  RecursiveLanguageModel engine(std::move(wanted), clock);
  RootTrial trial;
  for (const TrialQuestion& asked : questions) {
    if (trial.right >= kTrialRightMin || trial.asked - trial.right > kTrialQuestions - kTrialRightMin) break;
    llm::Request request;
    request.id = fmt::format("trial-{}", trial.asked + 1);
    request.model = kModelName;
    request.cache.mode = llm::CacheMode::kOff;
    request.messages = {message("user", asked.question)};
    request.options.set(RlmRequest{.context = asked.context});
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine.start(std::move(request), sink, options.cancel);
    const auto events = sink->wait();
    TRY_ASSIGN(const Judged judged, judge(events, asked, queries));
    ++trial.asked;
    trial.right += judged.right ? 1 : 0;
    options.on_progress(fmt::format("{}: question {} of {}, {}: {}; {} right so far",
                                    queries ? "queries" : "programs", trial.asked, kTrialQuestions,
                                    asked.kind, judged.why, trial.right));
  }
  return trial;
}

std::string told(const std::string& name, const RootTrial& trial, const char* what) {
  return fmt::format("{} wrote {} of {} trial {} right, and {} of {} are asked for", name, trial.right,
                     trial.asked, what, kTrialRightMin, kTrialQuestions);
}

std::string assumed(const Model& root, const char* what, const char* from) {
  return fmt::format(
      "{} has {:.0f}M parameters, and whether it can write {} wasn't measured (`permutation "
      "calibrate --programs` does): below {} we assume that it can't",
      root.name, static_cast<double>(root.parameters) / 1e6, what, from);
}

}  // namespace

bool RootTrial::is_passed() const {
  return right >= kTrialRightMin;
}

std::string why_no_programs(const Model& root) {
  return root.trials ? told(root.name, root.trials->programs, "programs") : assumed(root, "programs", "2B");
}

std::string why_no_queries(const Model& root) {
  return root.trials ? told(root.name, root.trials->queries, "queries") : assumed(root, "queries", "300M");
}

base::Result<RootTrials> try_root(Model root, sandbox::Sandbox& sandbox, const base::Clock& clock,
                                  const TrialOptions& options) {
  const auto engine_of = [&](const RootTrials& let) {
    Model model = root;
    model.trials = let;
    RlmOptions wanted{.root = model, .leaf = model, .kv_ratio = 1};
    wanted.bounds.iterations_max = kTurns;
    wanted.bounds.root_tokens = kTurnTokens;
    wanted.sandbox = &sandbox;
    return wanted;
  };
  RootTrials trials;
  TRY_ASSIGN(trials.queries, run_trial(engine_of({.programs = {}, .queries = kPassed}),
                                       query_questions(options.seed), true, clock, options));
  TRY_ASSIGN(trials.programs, run_trial(engine_of({.programs = kPassed, .queries = kPassed}),
                                        program_questions(options.seed), false, clock, options));
  return trials;
}

}  // namespace pmt::rlm
