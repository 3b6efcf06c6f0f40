#include "inference/scheduler.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "inference/kv_pool_stats.h"

namespace pmt::inference {
namespace {

constexpr base::Nanos kPublishEvery = std::chrono::milliseconds(100);
constexpr base::Nanos kSettleEvery = std::chrono::milliseconds(50);  // while prefixes are written to the disk

}  // namespace

Scheduler::Scheduler(model::Transformer& transformer, const model::Vocab& vocab,
                     std::unique_ptr<kv_cache::PagePool> pool,
                     std::optional<compression::Calibration> calibration, const LocalModelOptions& options,
                     const base::Clock& clock, std::unique_ptr<Drafting> drafting)
    : transformer_(transformer),
      vocab_(vocab),
      pool_(std::move(pool)),
      clock_(clock),
      options_(options),
      limits_{options.prefill_chunk_tokens, PromptEcho::rows_max(vocab.size())},
      calibration_(transformer, vocab, *pool_, std::move(calibration), options_, clock),
      reports_(options.name, clock, counters_),
      prefixes_(*pool_, options_, clock, counters_),
      compressor_({transformer, vocab, *pool_, options_, clock, prefixes_, counters_, calibration_}),
      speculation_(options_, clock, counters_, std::move(drafting)),
      answers_({static_cast<std::size_t>(vocab.size()), prefixes_, speculation_, reports_}),
      admission_({transformer.hparams(), *pool_, options_, clock, prefixes_, reports_, counters_}) {
  prefixes_.when_short([this] { calibration_.give_back(); });
  prefixes_.turns_keys([this](int tokens) { return transformer_.key_turn(tokens); });
  publish();
  if (options_.prefix_wipes != nullptr) {
    options_.prefix_wipes->listen(this, [this] {
      const std::lock_guard lock(mutex_);  // or it goes to sleep in between
      wake_.notify_one();
    });
  }
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() {
  if (options_.prefix_wipes != nullptr) options_.prefix_wipes->ignore(this);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

base::Status Scheduler::submit(std::unique_ptr<Job> job) {
  TRY(admission_.check_size(*job));
  const std::lock_guard lock(mutex_);
  if (stopping_) return base::Error{base::Code::kUnavailable, "the server is shutting down"};
  if (counters_.waiting >= options_.queue_max) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("{} requests are waiting already: try again later", counters_.waiting.load())};
  }
  submitted_.push_back(std::move(job));
  ++counters_.waiting;
  ++counters_.requests;
  wake_.notify_one();
  return {};
}

void Scheduler::run() {
  for (bool goes_on = true; goes_on;) {
    const base::Status ran = base::guarded({base::Thread::kScheduler}, [&] {
      goes_on = wait_for_work();
      if (goes_on) turn();
    });
    if (ran) continue;
    admission_.fail_running();
    base::pause_after_exception();
  }
  admission_.fail_all({base::Code::kUnavailable, "the server is shutting down"});
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  const auto called = [this] { return stopping_ || !submitted_.empty() || prefixes_.to_forget(); };
  if (admission_.idle()) {
    auto pause = calibration_.pause();
    if (prefixes_.unsettled()) pause = std::min(pause.value_or(kSettleEvery), kSettleEvery);
    pause ? void(wake_.wait_for(lock, *pause, called)) : wake_.wait(lock, called);
  }
  admission_.enqueue(submitted_);
  return !stopping_;
}

void Scheduler::turn() {
  base::survives({base::Thread::kScheduler}, [this] { prefixes_.settle(); });
  admission_.drop_cancelled();
  admission_.admit([this](Job& job) { return begin(job); });
  std::optional<base::Nanos> begun;
  if (calibration_.begun()) base::survives({base::Thread::kScheduler}, [&] { begun = clock_.now(); });
  if (!admission_.running().empty()) step();
  base::survives({base::Thread::kScheduler}, [this] { admission_.end_late(); });
  admission_.retire_finished();
  base::survives({base::Thread::kScheduler}, [this] {
    if (admission_.running().empty() || clock_.now() - published_ > kPublishEvery) publish();
  });
  if (begun) base::survives({base::Thread::kScheduler}, [&] { calibrate(clock_.now() - *begun); });
}

/// A slice of the model's calibration. Prefixes make room for it where nobody asks for anything.
void Scheduler::calibrate(base::Nanos step) {
  if (!calibration_.has_work()) return;
  if (!admission_.running().empty()) return calibration_.run_beside(step);
  prefixes_.give_up(calibration_.pages_wanted());
  calibration_.run_alone();
}

base::Status Scheduler::begin(Job& job) {
  compressor_.begin(job);
  job.admitted = clock_.now();
  TRY(add_choices(job, vocab_, *pool_, transformer_.hparams().kv_shape()));
  job.prompt_shared = job.choices == 1;
  reports_.started(job);
  prefixes_.reuse(job);
  tell_reading(job, job.running.empty() ? 0 : job.running.front().sequence().tokens());
  return {};
}

void Scheduler::step() {
  speculation_.draft(admission_.running());
  std::vector<Part> parts;
  std::span<const float> rows;
  const bool ran = base::survives({base::Thread::kScheduler}, [&] { rows = forward(parts); });
  if (admission_.running().empty()) return;
  ++counters_.steps;
  if (!ran) return suspect(parts);
  for (const Part& part : parts) {
    part.job->suspect = part.job->suspect && !part.samples;
    if (part.lives()) tell_reading(*part.job, part.choice().sequence().tokens());
  }
  std::vector<float> kept_rows;
  if (std::any_of(parts.begin(), parts.end(), PromptCompressor::reads_more)) {  // and takes the logits' place
    kept_rows.assign(rows.begin(), rows.end());
    rows = kept_rows;
  }
  compress_when_read(parts);
  answers_.distribute(parts, rows);
  compress_decoded(parts);
  admission_.drop_unseen(parts);
}

/// The next tokens of `parts` (chosen here) through the model: their rows of logits.
std::span<const float> Scheduler::forward(std::vector<Part>& parts) {
  parts = choose_parts(admission_.running(), limits_);
  while (!admission_.make_room(parts)) {
    if (admission_.running().empty()) return {};
    parts = choose_parts(admission_.running(), limits_);
  }
  std::vector<model::BatchSpan> batch;
  for (Part& part : parts) {
    model::BatchSpan span = span_of(part);
    compressor_.ask_for_scores(part, span);
    batch.push_back(std::move(span));
  }
  const base::Nanos started = clock_.now();
  const auto logits = transformer_.forward(*pool_, batch);
  // make_room has seen to the pages and encoding to the tokens: our own bug, for the net to count and tell.
  if (!logits) throw std::runtime_error(logits.error().message);
  if (parts.size() == 1 && parts[0].tokens == 1 + parts[0].choice().drafted())
    speculation_.observe(parts[0].tokens - 1, base::ms_between(started, clock_.now()) / 1000);
  return *logits;
}

/// A step failed, and any of its sequences may be half-changed. One job's step ends this job; of several
/// nobody knows yet whose it was: they give up their pages and step alone until they are read again.
void Scheduler::suspect(const std::vector<Part>& parts) {
  std::vector<Job*> jobs;
  for (const Part& part : parts) {
    if (jobs.empty() || jobs.back() != part.job) jobs.push_back(part.job);
  }
  if (jobs.size() <= 1) {
    Job& job = jobs.empty() ? *admission_.running().front() : *jobs.front();
    return reports_.fail(job, base::internal_error(job.id));
  }
  for (Job* const job : jobs) {
    drop_pages(*job);
    job->suspect = true;
  }
}

/// Before the first token is sampled: its logits come from the exact pages, all later ones from those kept.
void Scheduler::compress_when_read(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (!part.lives() || !PromptCompressor::due(part)) continue;
    reports_.for_job(*part.job, [&] { compressor_.compress(*part.job, part.choice().sequence()); });
  }
}

/// After the step's drafts have been settled: nothing goes back behind what is compressed.
void Scheduler::compress_decoded(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (!part.lives() || part.choice().finished()) continue;
    reports_.for_job(*part.job, [&] { compressor_.compress_decoded(*part.job, part.choice()); });
  }
}

void Scheduler::publish() {
  KvPoolStats stats = sequence_stats(admission_.running(), transformer_.hparams().kv_shape());
  stats.bytes_max = static_cast<std::int64_t>(pool_->stats().bytes_max);
  stats.last_compressed = compressor_.last();
  stats.bytes_prefixes = prefixes_.index().bytes();
  stats.prefixes = static_cast<std::int64_t>(prefixes_.index().entries());
  published_ = clock_.now();
  const std::lock_guard lock(mutex_);
  kv_stats_ = std::move(stats);
}

KvPoolStats Scheduler::kv_stats() const {
  const auto pool = pool_->stats();  // live; the rest is as of the last publication
  const std::lock_guard lock(mutex_);
  KvPoolStats out = kv_stats_;
  out.bytes = static_cast<std::int64_t>(pool.bytes_used);
  out.bytes_resident = static_cast<std::int64_t>(pool.bytes_resident);
  out.pages_used = static_cast<std::int64_t>(pool.pages_used);
  return out;
}

}  // namespace pmt::inference
