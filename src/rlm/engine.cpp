#include "rlm/engine.h"

#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "rlm/map_reduce.h"
#include "rlm/question.h"
#include "rlm/repl_program.h"
#include "rlm/report.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {
namespace {

using base::Code;
using base::Error;

/// Counting tokens of a large context costs more than searching it: past this it is not done.
constexpr std::size_t kCountedBytesMax = 1 << 20;

/// What every call of the tree has in common, made out of the request.
llm::Request pattern_of(const llm::Request& request, const RlmOptions& options) {
  llm::Request pattern;
  pattern.id = request.id;
  pattern.tenant = request.tenant;
  pattern.cache = request.cache;
  pattern.cache.only_if_cached = false;
  pattern.knowledge = request.knowledge;
  pattern.surface = request.surface;
  pattern.kv = request.kv;
  if (!pattern.kv.ratio) pattern.kv.ratio = options.kv_ratio;
  if (request.rlm.kv_compression == false) pattern.kv.ratio = 1;
  // "auto" compresses from a thousand tokens on, and what is read here is seldom as long.
  if (*pattern.kv.ratio > 1 && pattern.kv.mode == llm::KvMode::kAuto)
    pattern.kv.mode = llm::KvMode::kQueryAware;
  pattern.speculation = request.speculation;
  if (!request.rlm.speculation.value_or(options.speculation)) pattern.speculation = llm::Speculation::kOff;
  return pattern;
}

BudgetLimits budget_of(const llm::Request& request, BudgetLimits budget) {
  if (request.budget.tokens) budget.tokens = request.budget.tokens;
  if (request.budget.usd) budget.usd = request.budget.usd;
  if (request.budget.seconds) budget.seconds = request.budget.seconds;
  return budget;
}

Bounds bounds_of(const llm::Request& request, Bounds bounds) {
  if (request.rlm.depth_max) bounds.depth_max = *request.rlm.depth_max;
  if (request.rlm.iterations_max) bounds.iterations_max = *request.rlm.iterations_max;
  if (request.max_tokens) bounds.answer_tokens = *request.max_tokens;
  return bounds;
}

/// The parts that every answer's extension object has, summed over the tree's calls.
void add_totals(const CallTotals& totals, const llm::Request& pattern, llm::Report& report) {
  if (totals.calls == totals.failed) return;  // computed without a model
  if (totals.kv_bytes > 0) {
    report.kv = llm::KvReport{
        .mode = totals.compressed > 0 ? "query_aware" : "exact",
        .ratio_target = pattern.kv.ratio.value_or(1),
        .ratio_achieved = static_cast<double>(totals.kv_bytes_f16) / static_cast<double>(totals.kv_bytes),
        .bytes = totals.kv_bytes,
        .bytes_f16 = totals.kv_bytes_f16,
        .tokens_kept = totals.kv_tokens_kept,
        .tokens_total = totals.kv_tokens_total,
        .prefix_tokens_reused = totals.prefix_tokens_reused};
  }
  report.knowledge = totals.knowledge;
  report.speculation = llm::SpeculationReport{.drafted = totals.drafted, .accepted = totals.accepted};
  report.timing = llm::Timing{.queue_ms = 0, .prefill_ms = totals.prefill_ms, .decode_ms = totals.decode_ms};
}

}  // namespace

struct RecursiveLanguageModel::Job {
  llm::Request request;
  std::shared_ptr<llm::Sink> sink;
  base::CancelToken cancel;  // ours: also at stop()
  std::unique_ptr<base::CancelCallback> with_the_caller;
};

RecursiveLanguageModel::RecursiveLanguageModel(RlmOptions options, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

RecursiveLanguageModel::~RecursiveLanguageModel() {
  stop();
}

bool RecursiveLanguageModel::is_fixed() const {
  return options_.root.parameters > 0 && options_.root.parameters < kSmallParameters;
}

void RecursiveLanguageModel::start(llm::Request request, std::shared_ptr<llm::Sink> sink,
                                   base::CancelToken cancel) {
  auto job = std::make_unique<Job>();
  job->request = std::move(request);
  job->sink = std::move(sink);
  if (job->request.surface != base::Surface::kUnified) job->request.surface = base::Surface::kRlm;
  job->with_the_caller = cancel.on_cancel([ours = job->cancel] { ours.cancel(); });
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && static_cast<int>(jobs_.size()) < options_.running_max) {
      jobs_.insert(job.get());
      std::thread([this, held = std::move(job)] {
        answer(*held);
        held->with_the_caller.reset();
        held->sink.reset();
        const std::lock_guard ended(mutex_);
        jobs_.erase(held.get());
        idle_.notify_all();
      }).detach();
      return;
    }
  }
  job->sink->on_event(
      llm::Failed{Error{Code::kUnavailable, fmt::format("{} rlm answers are being made: try again later",
                                                        options_.running_max)}});
}

void RecursiveLanguageModel::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  std::vector<base::CancelToken> running;
  for (Job* job : jobs_) running.push_back(job->cancel);
  lock.unlock();
  for (const base::CancelToken& cancel : running) cancel.cancel();
  lock.lock();
  idle_.wait(lock, [this] { return jobs_.empty(); });
}

void RecursiveLanguageModel::answer(Job& job) {
  const llm::Request& request = job.request;
  const auto asked = question_of(request);
  if (!asked) return job.sink->on_event(llm::Failed{asked.error()});
  if (request.n != 1)
    return job.sink->on_event(llm::Failed{base::invalid("'n' must be 1 for the model rlm", "n")});

  Ledger ledger(budget_of(request, options_.budget), clock_);
  const llm::Request pattern = pattern_of(request, options_);
  Asker asker(pattern, ledger, job.cancel);
  bool begun = false;
  const auto begin = [&] {
    if (std::exchange(begun, true)) return;
    job.sink->on_event(
        llm::Started{.model = kModelName, .created_unix_s = clock_.unix_seconds(), .cache = {}});
  };
  Run run{.root = options_.root,
          .leaf = options_.leaf,
          .bounds = bounds_of(request, options_.bounds),
          .asker = asker,
          .clock = clock_,
          .sandbox = options_.sandbox,
          .on_progress = options_.on_progress,
          .on_text = [&](const std::string& text) {
            begin();
            job.sink->on_event(llm::Delta{.choice = 0, .text = text, .logprobs = {}});
          }};
  auto outcome = is_fixed() ? map_and_reduce(run, asked->question, asked->text)
                            : run_repl(run, asked->question, asked->context);
  if (!outcome) return job.sink->on_event(llm::Failed{outcome.error()});

  if (!outcome->trajectory.is_null() && !options_.trajectory_dir.empty()) {
    const auto path =
        std::filesystem::path(options_.trajectory_dir) / fmt::format("rlm_{}.jsonl", request.id);
    std::ofstream file(path);
    file << to_jsonl(outcome->trajectory);
    if (!file.flush()) options_.on_warning(fmt::format("can't write the trajectory {}", path.string()));
  }
  if (!outcome->streamed) run.on_text(outcome->answer);
  begin();
  const bool counted = options_.leaf.tokenizer != nullptr && asked->text.size() <= kCountedBytesMax;
  const Spent spent = ledger.spent();
  llm::Done done{
      .usage = {.prompt_tokens = spent.prompt_tokens, .completion_tokens = spent.completion_tokens},
      .report = {}};
  done.report.engine =
      engine_report({.run = run,
                     .outcome = *outcome,
                     .context_tokens = counted ? options_.leaf.tokenizer->count_tokens(asked->text) : -1,
                     .kv_ratio = pattern.kv.ratio.value_or(1),
                     .want_trace = request.want_trace});
  add_totals(asker.totals(), pattern, done.report);
  job.sink->on_event(llm::ChoiceEnd{});
  job.sink->on_event(std::move(done));
}

}  // namespace pmt::rlm
