#include "rlm/engine.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "llm/guarded_sink.h"
#include "rlm/form_writer.h"
#include "rlm/prose_program.h"
#include "rlm/repl_program.h"
#include "rlm/report.h"
#include "rlm/request_check.h"
#include "rlm/rlm_request.h"
#include "rlm/tables_program.h"
#include "rlm/taught.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {
namespace {

using base::Code;
using base::Error;

/// Counting tokens of a large context costs more than searching it: past this it is not done.
constexpr std::size_t kCountedBytesMax = 1 << 20;

/// What every call of the tree has in common, made out of the request.
llm::Request pattern_of(const llm::Request& request, const RlmOptions& options) {
  const auto& asked = request.options.get<RlmRequest>();
  llm::Request pattern;
  pattern.id = request.id;
  pattern.tenant = request.tenant;
  pattern.key = request.key;
  pattern.cache = request.cache;
  pattern.cache.only_if_cached = false;
  pattern.knowledge = request.knowledge;
  pattern.surface = request.surface;
  pattern.kv = request.kv;
  if (!pattern.kv.ratio) {
    pattern.kv.ratio = options.kv_ratio;
    pattern.kv.best_effort = true;  // nobody asked for it by name
  }
  if (asked.kv_compression == false) pattern.kv.ratio = 1;
  // "auto" compresses from a thousand tokens on, and what is read here is seldom as long.
  if (*pattern.kv.ratio > 1 && pattern.kv.mode == llm::KvMode::kAuto)
    pattern.kv.mode = llm::KvMode::kQueryAware;
  pattern.thinking = request.thinking;
  pattern.speculation = request.speculation;
  if (!asked.speculation.value_or(options.speculation)) pattern.speculation = llm::Speculation::kOff;
  return pattern;
}

/// What the request asks for, within what the operator allows.
BudgetLimits budget_of(const llm::Request& request, const BudgetLimits& allowed) {
  BudgetLimits asked = allowed;
  asked.tokens = request.budget.tokens;
  asked.usd = request.budget.usd;
  asked.seconds = request.budget.seconds;
  return tighter(allowed, asked);
}

/// -1: not counted, or the answer ends first.
std::int64_t tokens_of(const std::vector<const std::string*>& texts, const llm::Tokenizer* tokenizer,
                       Watch watch) {
  std::size_t bytes = 0;
  for (const std::string* text : texts) bytes += text->size();
  if (tokenizer == nullptr || bytes > kCountedBytesMax) return -1;
  std::int64_t tokens = 0;
  for (const std::string* text : texts) {
    const auto counted = watch.look() ? count_tokens(*tokenizer, *text, watch) : -1;
    if (!counted || *counted < 0) return -1;
    tokens += *counted;
  }
  return tokens;
}

Bounds bounds_of(const llm::Request& request, Bounds bounds) {
  const auto& asked = request.options.get<RlmRequest>();
  if (asked.depth_max) bounds.depth_max = *asked.depth_max;
  if (asked.iterations_max) bounds.iterations_max = *asked.iterations_max;
  if (request.max_tokens) bounds.answer_tokens = *request.max_tokens;
  return bounds;
}

/// What was found in plain words stays in the report.
base::Result<Outcome> formed(Run& run, const llm::Request& request, const std::string& question,
                             Outcome outcome) {
  TRY_ASSIGN(std::string text,
             in_form(run, {request.response_format, request.max_tokens}, question, outcome.answer));
  outcome.strategy["found"] = std::exchange(outcome.answer, std::move(text));
  return outcome;
}

constexpr std::size_t kContextsMax = 100;  // of one session

std::size_t bytes_of(const nlohmann::json& context) {
  if (context.is_string()) return context.get_ref<const std::string&>().size();
  std::size_t bytes = 0;
  for (const auto& part : context) bytes += part.get_ref<const std::string&>().size();
  return bytes;
}

/// What came with the request, unless its session has it already. `given`: by name, even if it is empty. `lease`: null
/// without a session.
base::Status add_context(Asked& asked, bool given, const Sessions::Lease* lease, Sessions& sessions,
                         Session& kept) {
  nlohmann::json context =
      asked.parts.empty() ? nlohmann::json(std::move(asked.text)) : nlohmann::json(std::move(asked.parts));
  if (lease == nullptr) {
    kept.contexts.push_back(std::move(context));
    return {};
  }
  if (!given && bytes_of(context) == 0) {
    if (!kept.contexts.empty()) return {};
    return Error{
        Code::kNotFound,
        fmt::format(
            "'{}': no session \"{}\" is kept (it was never begun, was idle for too long, was closed to "
            "make room, or the server was started anew), and this request has no context: send the "
            "context again (\"context\": \"\" for none)",
            kSessionField, kept.id),
        kSessionField};
  }
  if (!kept.contexts.empty() && kept.contexts.back() == context) return {};
  if (kept.contexts.size() >= kContextsMax) {
    return base::invalid(
        fmt::format("'{}': \"{}\" has {} contexts, and no session keeps more: begin another one",
                    kSessionField, kept.id, kContextsMax),
        kSessionField);
  }
  TRY(sessions.hold(*lease, bytes_of(context)));
  kept.contexts.push_back(std::move(context));
  return {};
}

/// Before this request counts as answered. What it tells was lost is told once.
nlohmann::json session_report(Session& kept) {
  const std::string lost = std::exchange(kept.lost, "");
  const bool resumed = kept.answered > 0 && lost.empty();
  nlohmann::json told = {
      {"id", kept.id}, {"turn", kept.answered + 1}, {"resumed", resumed}, {"contexts", kept.contexts.size()}};
  if (kept.answered == 0) {
    told["why"] =
        "no session of this name was kept: it is new, was idle for too long, was closed to make room, or the server was "
        "started anew";
  } else if (!lost.empty()) {
    told["why"] = "contexts and history are kept, variables are gone: " + lost;
  }
  return told;
}

/// The parts that every answer's extension object has, summed over the tree's calls.
void add_totals(const CallTotals& totals, const llm::Request& pattern, llm::Report& report) {
  if (totals.calls == totals.failed) return;  // computed without a model
  report.made_of = totals.cache_keys;
  if (totals.kv_bytes > 0) {
    report.kv = llm::KvReport{
        .mode = totals.compressed > 0 ? "query_aware" : "exact",
        .ratio_target = pattern.kv.ratio.value_or(1),
        .ratio_achieved = static_cast<double>(totals.kv_bytes_f16) / static_cast<double>(totals.kv_bytes),
        .bytes = totals.kv_bytes,
        .bytes_f16 = totals.kv_bytes_f16,
        .tokens_kept = totals.kv_tokens_kept,
        .tokens_total = totals.kv_tokens_total,
        .prefix_tokens_reused = totals.prefix_tokens_reused,
        .question = ""};  // each prompt has its own
  }
  report.knowledge = totals.knowledge;
  if (!totals.documents.is_null()) report.engine["documents"] = totals.documents;
  report.speculation = llm::SpeculationReport{.drafted = totals.drafted, .accepted = totals.accepted};
  report.timing = llm::Timing{.queue_ms = 0, .prefill_ms = totals.prefill_ms, .decode_ms = totals.decode_ms};
}

}  // namespace

struct RecursiveLanguageModel::Job {
  llm::Request request;
  std::shared_ptr<llm::GuardedSink> sink;
  base::CancelToken cancel;  // ours: also at stop()
  std::unique_ptr<base::CancelCallback> with_the_caller;
};

RecursiveLanguageModel::RecursiveLanguageModel(RlmOptions options, const base::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      places_(
          {.places = options_.running_max, .tenant_max = options_.tenant_max, .shared = options_.tenants}),
      sessions_(options_.sessions, clock) {}

RecursiveLanguageModel::~RecursiveLanguageModel() {
  stop();
}

bool RecursiveLanguageModel::is_fixed() const {
  return writes_no_programs(options_.root);
}

void RecursiveLanguageModel::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                                   base::CancelToken cancel) {
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  job->sink = std::make_shared<llm::GuardedSink>(std::move(sink), job->request.id);
  if (job->request.surface != base::Surface::kUnified) job->request.surface = base::Surface::kRlm;
  job->with_the_caller = cancel.on_cancel([ours = job->cancel] { ours.cancel(); });
  base::Status begun = take_place(job);
  if (begun) {
    begun = base::guarded({base::Thread::kRlm, job->request.id}, [&] { run(job); });
    if (begun) return;
    job->sink->on_event(llm::Failed{begun.error()});
    return leave(*job);
  }
  job->sink->on_event(llm::Failed{begun.error()});
}

/// On a thread of its own.
void RecursiveLanguageModel::run(std::shared_ptr<Job> job) {
  std::thread([this, held = std::move(job)] {
    const base::Status answered =
        base::guarded({base::Thread::kRlm, held->request.id}, [&] { answer(*held); });
    if (!answered) held->sink->on_event(llm::Failed{answered.error()});
    leave(*held);
  }).detach();
}

base::Status RecursiveLanguageModel::take_place(const std::shared_ptr<Job>& job) {
  const std::string& tenant = job->request.tenant;
  const std::lock_guard lock(mutex_);
  if (stopping_) return Error{Code::kUnavailable, "the server is stopping"};
  switch (places_.take(tenant)) {
    case base::FairShare::Taken::kYes:
      jobs_.insert(job.get());
      return {};
    case base::FairShare::Taken::kFull:
      return Error{Code::kUnavailable,
                   fmt::format("{} rlm answers are being made: try again later", options_.running_max)};
    case base::FairShare::Taken::kTenantFull:
      break;
  }
  return Error{
      Code::kExhausted,
      fmt::format("{} rlm answers are being made for this tenant, and the other places of {} are kept for "
                  "other tenants: try again when one has ended",
                  places_.held(tenant), options_.running_max)};
}

void RecursiveLanguageModel::leave(Job& job) {
  job.with_the_caller.reset();
  job.sink.reset();
  places_.give_back(job.request.tenant);
  const std::lock_guard ended(mutex_);
  jobs_.erase(&job);
  idle_.notify_all();
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
  lock.unlock();
  sessions_.stop();
}

/// `context_tokens`: -1 where they are not counted.
base::Result<Outcome> RecursiveLanguageModel::run_program(Run& run, const std::string& question,
                                                          Session& kept, std::int64_t& context_tokens) const {
  const nlohmann::json& context = kept.contexts.back();
  const auto part = [&context](std::size_t i) -> const std::string& {
    return context[i].get_ref<const std::string&>();
  };
  std::vector<const std::string*> texts;
  TRY_ASSIGN(auto taught, answer_from_knowledge(run, question));
  if (taught) return std::move(*taught);
  // The program of a session may go on from variables that no table has.
  const bool by_tables = is_fixed() || (run.tools.empty() && kept.id.empty());
  if (context.is_string() && by_tables) {
    const auto& text = context.get_ref<const std::string&>();
    TRY_ASSIGN(auto outcome, answer_from_tables(run, question, text));
    if (outcome) {
      context_tokens = tokens_of({&text}, options_.leaf.tokenizer, run.watch());
      return std::move(*outcome);
    }
  }
  if (is_fixed()) {
    std::string all;
    const std::string* text = &all;
    if (context.is_string()) {
      text = &context.get_ref<const std::string&>();
    } else {
      Watch watch = run.watch();
      TRY_ASSIGN(all, joined(context.size(), part, watch));
    }
    texts = {text};
    TRY_ASSIGN(Outcome outcome, answer_from_prose(run, question, *text));
    context_tokens = tokens_of(texts, options_.leaf.tokenizer, run.watch());
    return outcome;
  }
  TRY_ASSIGN(Outcome outcome, run_repl(run, question, kept));
  if (context.is_string()) {
    texts = {&context.get_ref<const std::string&>()};
  } else {
    for (std::size_t i = 0; i < context.size(); ++i) texts.push_back(&part(i));
  }
  context_tokens = tokens_of(texts, options_.leaf.tokenizer, run.watch());
  return outcome;
}

void RecursiveLanguageModel::keep_trajectory(const std::string& id, const nlohmann::json& trajectory) const {
  if (trajectory.is_null() || options_.trajectory_dir.empty()) return;
  std::string name = id;  // the caller may have chosen it
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_' && c != '.'; }, '_');
  const auto path = std::filesystem::path(options_.trajectory_dir) / fmt::format("rlm_{}.jsonl", name);
  std::ofstream file(path);
  file << to_jsonl(trajectory);
  if (!file.flush()) options_.on_warning(fmt::format("can't write the trajectory {}", path.string()));
}

/// One answer, before anybody hears of it.
struct RecursiveLanguageModel::Made {
  std::string text;
  llm::Done done;
};

base::Result<RecursiveLanguageModel::Made> RecursiveLanguageModel::make(Job& job) {
  TRY(check_request(job.request, options_.root));
  const std::string session = job.request.options.get<RlmRequest>().session;
  std::optional<Sessions::Lease> lease;
  if (!session.empty()) {
    TRY_ASSIGN(auto taken, sessions_.take(job.request.tenant, session));
    lease.emplace(std::move(taken));
  }
  Session alone;
  Session& kept = lease ? lease->session() : alone;
  const bool given = !given_context(job.request).empty();
  TRY_ASSIGN(Asked asked, question_of(job.request, !kept.contexts.empty()));
  TRY(add_context(asked, given, lease ? &*lease : nullptr, sessions_, kept));
  const llm::Request& request = job.request;

  const auto& asked_of_rlm = request.options.get<RlmRequest>();
  Ledger ledger(budget_of(request, options_.budget), clock_);
  const llm::Request pattern = pattern_of(request, options_);
  Asker asker(pattern, ledger, job.cancel);
  Run run{.root = options_.root,
          .leaf = options_.leaf,
          .bounds = bounds_of(request, options_.bounds),
          .asker = asker,
          .clock = clock_,
          .sandbox = options_.sandbox,
          .tenant = request.tenant,
          .tools = asked_of_rlm.tools,
          .sub_tools = asked_of_rlm.sub_tools.value_or(asked_of_rlm.tools),
          .free_repl = [this, &request] { return sessions_.free_repl(request.tenant); },
          .on_progress = options_.on_progress};
  std::int64_t context_tokens = -1;
  TRY_ASSIGN(Outcome outcome, run_program(run, asked.question, kept, context_tokens));
  const std::string found = outcome.answer;
  if (!request.response_format.is_free()) {
    TRY_ASSIGN(outcome, formed(run, request, asked.question, std::move(outcome)));
  }
  if (job.cancel.cancelled()) return Error{Code::kCancelled, "cancelled"};

  keep_trajectory(request.id, outcome.trajectory);
  if (lease) {
    outcome.strategy["session"] = session_report(kept);
    lease->keep(asked.question, found);
  }
  const Spent spent = ledger.spent();
  Made made{.text = outcome.answer,
            .done = {.usage = {.prompt_tokens = spent.prompt_tokens,
                               .completion_tokens = spent.completion_tokens,
                               .usd = spent.usd},
                     .report = {}}};
  made.done.report.engine = engine_report({.run = run,
                                           .outcome = outcome,
                                           .context_tokens = context_tokens,
                                           .kv_ratio = pattern.kv.ratio.value_or(1),
                                           .want_trace = request.want_trace});
  add_totals(asker.totals(), pattern, made.done.report);
  made.done.report.ignored = unused_members(request);
  if (asked.passed_over) made.done.report.ignored.emplace_back("messages before the last");
  return made;
}

/// Its session is free again before its caller hears that it may go on.
void RecursiveLanguageModel::answer(Job& job) {
  auto made = make(job);
  if (!made) return job.sink->on_event(llm::Failed{made.error()});
  job.sink->on_event(llm::Started{.model = kModelName, .created_unix_s = clock_.unix_seconds(), .cache = {}});
  job.sink->on_event(llm::Delta{.choice = 0, .text = std::move(made->text), .logprobs = {}});
  job.sink->on_event(llm::ChoiceEnd{});
  job.sink->on_event(std::move(made->done));
}

}  // namespace pmt::rlm
