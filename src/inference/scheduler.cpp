#include "inference/scheduler.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "compression/eviction.h"
#include "compression/scores.h"
#include "kv_cache/page_budget.h"

namespace pmt::inference {
namespace {

/// Prompt tokens read in a step that also carries other requests' next tokens: a bigger chunk reads prompts
/// faster, and makes those who are being answered wait longer for their next token.
constexpr int kBusyChunkTokens = 128;
constexpr std::size_t kSpeculatingAnswersMax = 2;
constexpr base::Nanos kPublishEvery = std::chrono::milliseconds(100);

/// Whether this choice's next rows tell of the prompt's tokens: the first one reads it.
bool scores_prompt(const Job& job, std::size_t generation) {
  return job.echo.scores() && generation == 0 && job.first_token == base::Nanos(0);
}

kv_cache::PrefixKey prefix_key(const Job& job) {
  return {job.prefix_scope, job.compression.ratio()};
}

}  // namespace

base::Error of_field(base::Error error, const std::string& field) {
  error.message = fmt::format("'{}' {}", field, error.message);
  error.field = field;
  return error;
}

Scheduler::Scheduler(model::Transformer& transformer, const model::Vocab& vocab,
                     std::unique_ptr<kv_cache::PagePool> pool,
                     std::optional<compression::Calibration> calibration, const LocalModelOptions& options,
                     const base::Clock& clock)
    : transformer_(transformer),
      vocab_(vocab),
      pool_(std::move(pool)),
      clock_(clock),
      options_(options),
      prefixes_(*pool_, static_cast<std::int64_t>(options.prefix_bytes_max)),
      calibration_(std::move(calibration)),
      asides_(compression::asides_for(vocab)) {
  publish();
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

int Scheduler::new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const {
  const kv_cache::RequestSize size{.prompt_tokens = prompt_tokens,
                                   .choices = choices,
                                   .ratio = kv_ratio,
                                   .tail = compression::tail_of(kv_ratio),
                                   .step_tokens = options_.prefill_chunk_tokens};
  const model::Hparams& hparams = transformer_.hparams();
  return kv_cache::new_tokens_that_fit(hparams.kv_shape(), size, pool_->pages_max(), hparams.context_tokens);
}

base::Status Scheduler::submit(std::unique_ptr<Job> job) {
  const double ratio = job->compression.ratio();
  const std::size_t need = kv_cache::pages_at_most(transformer_.hparams().kv_shape(),
                                                   {.prompt_tokens = static_cast<int>(job->prompt.size()),
                                                    .new_tokens = job->new_tokens_max,
                                                    .choices = job->choices,
                                                    .ratio = ratio,
                                                    .tail = compression::tail_of(ratio),
                                                    .step_tokens = options_.prefill_chunk_tokens});
  if (need > pool_->pages_max()) {
    return base::Error{
        base::Code::kTooLarge,
        fmt::format("{} prompt tokens and up to {} new ones in {} choices need {} MiB of KV pages, and "
                    "the pool holds {} MiB: ask for fewer tokens or choices, or start the server with a "
                    "larger kv_bytes_max",
                    job->prompt.size(), job->new_tokens_max, job->choices,
                    need * pool_->bytes_of(kv_cache::PageSize::kLarge) >> 20, pool_->stats().bytes_max >> 20),
        "max_tokens"};
  }
  const std::lock_guard lock(mutex_);
  if (stopping_) return base::Error{base::Code::kUnavailable, "the server is shutting down"};
  if (waiting_count_ >= options_.queue_max) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("{} requests are waiting already: try again later", waiting_count_.load())};
  }
  submitted_.push_back(std::move(job));
  ++waiting_count_;
  ++requests_;
  wake_.notify_one();
  return {};
}

void Scheduler::run() {
  for (bool goes_on = true; goes_on;) {
    const base::Status ran = base::guarded({base::Thread::kScheduler}, [&] {
      goes_on = wait_for_work();
      if (goes_on) turn();
    });
    if (!ran) end_running();
  }
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto& job : *jobs) fail(*job, {base::Code::kUnavailable, "the server is shutting down"});
    jobs->clear();
  }
}

void Scheduler::turn() {
  drop_cancelled();
  admit();
  if (!running_.empty()) step();
  base::survives({base::Thread::kScheduler}, [this] { end_late(); });
  retire_finished();
  base::survives({base::Thread::kScheduler}, [this] {
    if (running_.empty() || clock_.now() - published_ > kPublishEvery) publish();
  });
}

template <class Fn>
void Scheduler::for_job(Job& job, Fn&& fn, int line) {
  const base::Status ran = base::guarded({base::Thread::kScheduler, job.id, __FILE__, line}, fn);
  if (!ran) fail(job, ran.error());
}

/// What got out of a turn may have left any running sequence half-changed: all of them go, those that wait
/// are whole.
void Scheduler::end_running() {
  for (auto& job : running_) fail(*job, base::internal_error(job->id));
  running_.clear();
  running_count_ = 0;
  base::pause_after_exception();
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (running_.empty() && waiting_.empty()) {
    wake_.wait(lock, [this] { return stopping_ || !submitted_.empty(); });
  }
  waiting_.splice(waiting_.end(), submitted_);
  return !stopping_;
}

void Scheduler::drop_cancelled() {
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      const bool wanted = (*it)->sink != nullptr && !(*it)->sink->broken();
      if (wanted && !(*it)->cancel.cancelled()) {
        ++it;
        continue;
      }
      fail(**it, {base::Code::kCancelled, "the client left"});
      (jobs == &running_ ? running_count_ : waiting_count_)--;
      it = jobs->erase(it);
    }
  }
}

/// The request's seconds are over: what was said is the answer, cut short; without a word it is a failure.
void Scheduler::end_late() {
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      Job& job = **it;
      if (!job.deadline || !job.sink || clock_.now() < *job.deadline) {
        ++it;
        continue;
      }
      if (job.first_token != base::Nanos(0) && jobs == &running_) {
        for_job(job, [&job] {
          job.cut_short = true;
          for (Generation& generation : job.running) {
            if (generation.finished()) continue;
            if (auto delta = generation.cut_short()) job.sink->on_event(std::move(*delta));
          }
        });
        ++it;
        continue;
      }
      fail(job, {base::Code::kDeadline, "permutation.budget.seconds were over before the first token",
                 "permutation.budget.seconds"});
      (jobs == &running_ ? running_count_ : waiting_count_)--;
      it = jobs->erase(it);
    }
  }
}

std::size_t Scheduler::pages_for_prompt(const Job& job) const {
  return kv_cache::exact_pages_at_most(transformer_.hparams().kv_shape(),
                                       static_cast<int>(job.prompt.size()) + 1,
                                       options_.prefill_chunk_tokens);
}

void Scheduler::admit() {
  std::size_t promised = 0;  // to prompts that are still being read
  std::size_t sequences = 0;
  for (const auto& job : running_) {
    sequences += static_cast<std::size_t>(job->choices);
    for (const Generation& g : job->running)
      promised += g.sequence().pages_needed(static_cast<int>(g.pending().size()));
  }
  while (!waiting_.empty()) {
    Job& job = *waiting_.front();
    const std::size_t need = pages_for_prompt(job);
    give_up_prefixes(promised + need);
    const bool fits =
        promised + need <= pool_->pages_free() &&
        sequences + static_cast<std::size_t>(job.choices) <= static_cast<std::size_t>(options_.sequences_max);
    if (!fits && !running_.empty()) return;
    Jobs taken;
    taken.splice(taken.end(), waiting_, waiting_.begin());
    --waiting_count_;
    const base::Status begun = base::guarded({base::Thread::kScheduler, job.id}, [&] { return begin(job); });
    if (!begun) {
      fail(job, begun.error());
      continue;
    }
    promised += need;
    sequences += static_cast<std::size_t>(job.choices);
    ++running_count_;
    running_.splice(running_.end(), taken);
  }
}

base::Status Scheduler::begin(Job& job) {
  if (!job.running.empty()) return {};  // pre-empted before: it goes on where it was
  const kv_cache::KvShape shape = transformer_.hparams().kv_shape();
  if (job.compression.active()) TRY(ensure_calibrated());
  job.admitted = clock_.now();
  for (int i = 0; i < job.choices; ++i) {
    model::SamplerParams params = job.sampling;
    params.choice = i;
    TRY_ASSIGN(model::Sampler sampler, model::Sampler::create(std::move(params), vocab_.size()));
    sampler.remember(job.prompt);
    job.running.emplace_back(
        vocab_, kv_cache::SequenceKv(*pool_, shape), std::move(sampler), job.stops, job.prompt,
        GenerationOptions{i, job.new_tokens_max, job.logprobs, job.scores_end, job.speculate}, job.grammar);
    job.running.back().end_as(job.ending);
    job.running.back().show_names_of(job.shown);
    // A form that was asked for goes before what was taught.
    if (!job.grammar) job.running.back().force(job.forced);
  }
  job.sink->on_event(llm::Started{options_.name, clock_.unix_seconds(), {}});
  job.prompt_shared = job.choices == 1;
  job.usage.prompt_tokens = static_cast<std::int64_t>(job.prompt.size());
  job.kv.tokens_total = job.usage.prompt_tokens;
  job.kv.tokens_kept = job.usage.prompt_tokens;
  job.kv.mode = job.compression.mode_name();
  job.kv.ratio_target = job.compression.ratio();
  job.kv.question = job.compression.question();
  job.kv.safe_for = job.compression.safe_for();
  reuse_prefix(job);
  return {};
}

/// What another request has read of this prompt. A question looks for something of its own, so query-aware pages are
/// nobody else's; but every compressed prompt may go on from an exact prefix whose tokens' scores were kept.
void Scheduler::reuse_prefix(Job& job) {
  if (job.echo.scores()) return;  // the logits of all of its rows are wanted
  if (options_.prefix_bytes_max > 0) prefix_queried_ += job.prompt.size();
  // The last token is read in any case: its logits choose the first of the answer.
  const int tokens_max = static_cast<int>(job.prompt.size()) - 1;
  kv_cache::Guessed guessed;
  std::optional<kv_cache::SequenceKv> found;
  if (job.compression.mode() != compression::Mode::kQueryAware)
    found = prefixes_.find(prefix_key(job), job.prompt, tokens_max, &guessed);
  if (!found && job.compression.active()) found = exact_prefix(job, guessed);
  if (!found) return;
  if (!found->compact()) job.compression.take(guessed, found->tokens());
  job.kv.prefix_tokens_reused = found->tokens();
  if (found->compact()) {
    const std::int64_t tables = std::int64_t{found->shape().layers} * found->shape().kv_heads;
    job.kv.tokens_kept += found->slots() / tables - found->tokens();
  }
  job.running[0].adopt(std::move(*found));
  ++prefix_hits_;
  prefix_tokens_ += static_cast<std::uint64_t>(job.kv.prefix_tokens_reused);
  if (options_.prefix_usage != nullptr) options_.prefix_usage->add(job.surface, clock_.unix_seconds());
}

/// Of a prompt that is to be compressed: only as far as its scores are known.
std::optional<kv_cache::SequenceKv> Scheduler::exact_prefix(const Job& job, kv_cache::Guessed& guessed) {
  const kv_cache::PrefixKey exact{job.prefix_scope, 1};
  auto found = prefixes_.find(exact, job.prompt, job.compression.prefix_tokens_max(), &guessed);
  if (!found || guessed == nullptr) return std::nullopt;
  const int known = std::min(found->tokens(), guessed->tokens);
  if (known < kv_cache::PrefixIndex::kTokensMin || known < found->tokens_min()) return std::nullopt;
  found->truncate(known);
  return found;
}

void Scheduler::remember(Job& job, const Generation& generation) {
  if (job.compression.mode() == compression::Mode::kQueryAware) return;
  const bool as_wanted = generation.sequence().compact() == job.compression.active();
  if (!as_wanted) return;
  prefixes_.insert(prefix_key(job), generation.tokens(), generation.sequence(), job.compression.guessed());
}

/// Until this many large pages are free, or no prefix is left.
void Scheduler::give_up_prefixes(std::size_t pages) {
  while (pages > pool_->pages_free() && prefixes_.drop_one()) {
  }
}

base::Status Scheduler::ensure_calibrated() {
  if (calibration_) return {};
  TRY_ASSIGN(calibration_,
             compression::load_or_calibrate(transformer_, vocab_, options_.calibration_path,
                                            options_.on_calibration_progress, options_.on_warning));
  return {};
}

std::vector<Scheduler::Part> Scheduler::choose_parts() {
  std::vector<Part> parts;
  const auto suspect =
      std::find_if(running_.begin(), running_.end(), [](const auto& job) { return job->suspect; });
  const auto each = [&](auto&& visit) {
    for (auto& job : running_) {
      if (suspect != running_.end() && job != *suspect) continue;
      // Until the prompt is read, the first choice reads it for all.
      const std::size_t count = job->prompt_shared ? job->running.size() : 1;
      for (std::size_t i = 0; i < count; ++i)
        visit(*job, i, static_cast<int>(job->running[i].pending().size()) - job->running[i].drafted());
    }
  };
  bool question_scored = false;  // a batch scores one request's question
  const auto must_wait = [&](const Job& job, std::size_t i) {
    return job.compression.scores_question(job.running[i].sequence()) && std::exchange(question_scored, true);
  };
  each([&](Job& job, std::size_t i, int unread) {
    if (unread == 1 && !must_wait(job, i)) parts.push_back({&job, i, 1 + job.running[i].drafted(), true});
  });
  int budget = parts.empty() ? options_.prefill_chunk_tokens
                             : std::min(kBusyChunkTokens, options_.prefill_chunk_tokens);
  int scored_budget = PromptEcho::rows_max(vocab_.size());
  each([&](Job& job, std::size_t i, int unread) {
    const bool scores = scores_prompt(job, i);
    if (unread == 1 || budget == 0 || (scores && scored_budget == 0) || must_wait(job, i)) return;
    int tokens = std::min(job.compression.span_tokens(job.running[i].sequence(), unread), budget);
    if (scores) tokens = std::min(tokens, scored_budget);
    if (scores) scored_budget -= tokens;
    budget -= tokens;
    parts.push_back({&job, i, tokens, tokens == unread});
  });
  return parts;
}

bool Scheduler::make_room(const std::vector<Part>& parts) {
  std::size_t need = 0;
  for (const Part& part : parts)
    need += part.job->running[part.generation].sequence().pages_needed(part.tokens);
  if (need > pool_->pages_free()) drop_unseen();
  give_up_prefixes(need);
  if (need <= pool_->pages_free()) return true;
  const bool drafted = std::any_of(parts.begin(), parts.end(), [](const Part& part) {
    return part.job->running[part.generation].drafted() > 0;
  });
  drafted ? forget_drafts() : preempt_youngest();
  return false;
}

void Scheduler::drop_unseen() {
  for (const auto& job : running_) {
    for (Generation& generation : job->running) generation.sequence().drop_unseen();
  }
}

/// What a local layer no longer sees goes at once, save while a prompt is read that others may begin alike:
/// its prefix can only be cut where every page is still there.
void Scheduler::drop_unseen(const std::vector<Part>& parts) {
  const bool roomy = pool_->pages_free() > pool_->pages_max() / 4;
  for (const Part& part : parts) {
    if (part.generation >= part.job->running.size()) continue;  // failed
    Generation& generation = part.job->running[part.generation];
    const bool will_be_kept = options_.prefix_bytes_max > 0 && generation.generated() == 0 &&
                              part.job->compression.mode() != compression::Mode::kQueryAware;
    if (!will_be_kept || !roomy) generation.sequence().drop_unseen();
  }
}

void Scheduler::preempt_youngest() {
  drop_pages(*running_.back());
  --running_count_;
  ++waiting_count_;
  waiting_.splice(waiting_.begin(), running_, std::prev(running_.end()));
}

/// Its tokens are all to be read again.
void Scheduler::drop_pages(Job& job) {
  for (Generation& generation : job.running) generation.drop_pages();
  job.shared_bytes = 0;
  if (job.first_token != base::Nanos(0)) job.prompt_shared = true;  // the choices differ by now
}

/// Drafts ride along for little while a step is bound by reading the weights (how much, step_clock_
/// measures); with many answers in the batch it is bound by arithmetic, and every draft takes time from
/// somebody.
void Scheduler::draft() {
  std::size_t answers = 0;
  for (const auto& job : running_) answers += job->running.size();
  if (answers > kSpeculatingAnswersMax) return;
  for (const auto& job : running_) {
    for (Generation& generation : job->running) {
      const bool drafted = base::survives({base::Thread::kScheduler, job->id},
                                          [&] { generation.draft(kDraftsMax, step_clock_.costs()); });
      if (!drafted) generation.forget_drafts();  // they only save time
    }
  }
}

void Scheduler::forget_drafts() {
  for (const auto& job : running_) {
    for (Generation& generation : job->running) generation.forget_drafts();
  }
}

/// The next tokens of `parts` (chosen here) through the model: their rows of logits.
std::span<const float> Scheduler::forward(std::vector<Part>& parts) {
  parts = choose_parts();
  while (!make_room(parts)) {
    if (running_.empty()) return {};
    parts = choose_parts();
  }
  std::vector<model::BatchSpan> batch;
  for (Part& part : parts) {
    Generation& generation = part.job->running[part.generation];
    model::BatchSpan span{
        &generation.sequence(), generation.pending().first(static_cast<std::size_t>(part.tokens)), {}};
    if (scores_prompt(*part.job, part.generation))
      span.output_rows = part.job->echo.rows_of_span(generation.sequence().tokens(), part.tokens);
    part.scored_rows = span.output_rows.size();
    for (int row = part.tokens - 1 - generation.drafted(); part.samples && row < part.tokens; ++row)
      span.output_rows.push_back(row);
    part.rows = span.output_rows.size() - part.scored_rows;
    if (part.job->compression.active()) {
      part.job->compression.observe(span, calibration_->predictor, transformer_.hparams());
    } else if (calibration_ && options_.prefix_bytes_max > 0) {
      part.job->compression.guess(span, calibration_->predictor);
    }
    batch.push_back(std::move(span));
  }
  const base::Nanos started = clock_.now();
  const auto logits = transformer_.forward(*pool_, batch);
  // make_room has seen to the pages and encoding to the tokens: our own bug, for the net to count and tell.
  if (!logits) throw std::runtime_error(logits.error().message);
  if (parts.size() == 1 && parts[0].tokens == 1 + parts[0].job->running[parts[0].generation].drafted())
    step_clock_.observe(parts[0].tokens - 1, base::ms_between(started, clock_.now()) / 1000);
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
    Job& job = jobs.empty() ? *running_.front() : *jobs.front();
    return fail(job, base::internal_error(job.id));
  }
  for (Job* const job : jobs) {
    drop_pages(*job);
    job->suspect = true;
  }
}

void Scheduler::step() {
  draft();
  std::vector<Part> parts;
  std::span<const float> rows;
  const bool ran = base::survives({base::Thread::kScheduler}, [&] { rows = forward(parts); });
  if (running_.empty()) return;
  ++steps_;
  if (!ran) return suspect(parts);
  for (const Part& part : parts) part.job->suspect = part.job->suspect && !part.samples;
  const bool reads_more = std::any_of(parts.begin(), parts.end(), [](const Part& part) {
    return part.job->compression.due(part.job->running[part.generation].sequence()) &&
           part.job->compression.reads_more();
  });
  std::vector<float> kept_rows;
  if (reads_more) {  // a batch of its own, which takes the logits' place
    kept_rows.assign(rows.begin(), rows.end());
    rows = kept_rows;
  }
  compress_when_read(parts);
  distribute(parts, rows);
  drop_unseen(parts);
}

/// Before the first token is sampled: its logits come from the exact pages, all later ones from those kept.
void Scheduler::compress_when_read(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (part.generation >= part.job->running.size()) continue;  // failed
    kv_cache::SequenceKv& sequence = part.job->running[part.generation].sequence();
    if (part.job->compression.due(sequence)) for_job(*part.job, [&] { compress(*part.job, sequence); });
  }
}

void Scheduler::compress(Job& job, kv_cache::SequenceKv& sequence) {
  if (job.compression.reads_more())
    give_up_prefixes(sequence.pages_needed(job.compression.more_tokens(asides_)));
  const auto compressed = [&] {
    return job.compression.compress(sequence, job.prompt, asides_, transformer_, *pool_).has_value();
  };
  bool done = compressed();
  if (!done) {  // a prefix that it goes on from may hold its pages
    give_up_prefixes(pool_->pages_max());
    done = compressed();
  }
  // A pool with no room for the small pages leaves it exact, and the report says so.
  if (!done) {
    job.kv.mode = "exact";
    job.kv.safe_for = job.compression.safe_for_exact();
    return;
  }
  const std::int64_t tables = std::int64_t{sequence.shape().layers} * sequence.shape().kv_heads;
  job.kv.tokens_kept = sequence.slots() / tables;
  note_compressed(sequence, job.kv.tokens_kept);
  ++compressed_;
  if (options_.compression_usage != nullptr)
    options_.compression_usage->add(job.surface, clock_.unix_seconds());
  compressed_tokens_ += static_cast<std::uint64_t>(sequence.tokens());
  evicted_tokens_ += static_cast<std::uint64_t>(sequence.tokens() - job.kv.tokens_kept);
}

/// For GET /v1/kv: where the kept tokens are.
void Scheduler::note_compressed(const kv_cache::SequenceKv& sequence, std::int64_t tokens_kept) {
  const kv_cache::KvShape& shape = sequence.shape();
  CompressedPrompt out{.tokens = sequence.tokens(), .tokens_kept = tokens_kept, .kept_by_layer_head = {}};
  const auto layers = static_cast<std::uint32_t>(shape.layers),
             heads = static_cast<std::uint32_t>(shape.kv_heads);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    std::vector<int>& kept = out.kept_by_layer_head.emplace_back();
    for (std::uint32_t head = 0; head < heads; ++head)
      kept.push_back(
          sequence.slot(kv_cache::LayerId(layer), kv_cache::KvHeadId(head), sequence.tokens() - 1) + 1);
  }
  const double f16_bytes = 2.0 * 2 * sequence.tokens() * shape.layers * shape.kv_heads * shape.head_dim;
  out.ratio = f16_bytes / static_cast<double>(std::max<std::int64_t>(sequence.held().total(), 1));
  last_compressed_ = std::move(out);
}

void Scheduler::distribute(const std::vector<Part>& parts, std::span<const float> logits) {
  const auto width = static_cast<std::size_t>(vocab_.size());
  std::size_t at = 0;
  for (const Part& part : parts) {
    const auto lives = [&part] { return part.generation < part.job->running.size(); };
    const auto scored = logits.subspan(at, part.scored_rows * width);
    const auto sampled = logits.subspan(at + scored.size(), part.rows * width);
    at += scored.size() + sampled.size();
    if (!scored.empty() && lives()) for_job(*part.job, [&] { part.job->echo.add(scored); });
    if (part.samples && lives()) for_job(*part.job, [&] { sample_rows(part, sampled); });
  }
}

/// `logits`: [rows of the part, vocabulary].
void Scheduler::sample_rows(const Part& part, std::span<const float> logits) {
  const auto width = static_cast<std::size_t>(vocab_.size());
  Job& job = *part.job;
  Generation& generation = job.running[part.generation];
  for (std::size_t row = 0; row < part.rows; ++row) {
    if (generation.finished() || !generation.came_true(static_cast<int>(row))) continue;
    const auto of_row = logits.subspan(row * width, width);
    if (generation.generated() == 0) remember(job, generation);
    if (!job.prompt_shared) fork_prompt(job, of_row);
    if (job.running.empty()) return;  // it failed
    sample(job, generation, of_row);
    if (job.running.empty()) return;
  }
  if (part.rows > 1) settle_drafts(job, generation);
}

void Scheduler::settle_drafts(Job& job, Generation& generation) {
  const int drafted = generation.drafted();
  const int accepted = generation.settle_drafts();
  job.speculation.drafted += drafted;
  job.speculation.accepted += accepted;
  drafted_ += static_cast<std::uint64_t>(drafted);
  accepted_ += static_cast<std::uint64_t>(accepted);
  if (options_.speculation_usage != nullptr && accepted > 0)
    options_.speculation_usage->add(job.surface, clock_.unix_seconds(), static_cast<std::uint64_t>(accepted));
}

void Scheduler::fork_prompt(Job& job, std::span<const float> logits) {
  job.prompt_shared = true;
  const kv_cache::SequenceKv::Held prompt = job.running[0].sequence().held();
  job.shared_bytes = prompt.full + prompt.side_tables;
  // Forked before the first choice goes on: its partial page is copied when one of them writes.
  for (std::size_t i = 1; i < job.running.size(); ++i) job.running[i].adopt(job.running[0].sequence().fork());
  for (std::size_t i = 1; i < job.running.size(); ++i) sample(job, job.running[i], logits);
}

void Scheduler::begin_answer(Job& job) {
  job.first_token = clock_.now();
  prompt_tokens_ += job.prompt.size();
  for (int i = 0; job.echo.shows() && i < job.choices; ++i) job.sink->on_event(job.echo.delta(i));
}

void Scheduler::sample(Job& job, Generation& generation, std::span<const float> logits) {
  if (job.first_token == base::Nanos(0)) begin_answer(job);
  if (job.new_tokens_max == 0) {  // only the prompt was to be read
    generation.cut_short();
    return;
  }
  auto delta = generation.advance(logits);
  if (generation.failure()) return fail(job, of_field(*generation.failure(), job.form_field));
  if (delta) job.sink->on_event(std::move(*delta));
  ++completion_tokens_;
}

void Scheduler::retire_finished() {
  for (auto it = running_.begin(); it != running_.end();) {
    Job& job = **it;
    for_job(job, [&] { retire_finished(job); });
    if (!job.running.empty()) {
      ++it;
      continue;
    }
    --running_count_;  // before the last event: who has seen it finds the engine idle
    if (job.sink) for_job(job, [&] { finish(job); });
    it = running_.erase(it);
  }
}

void Scheduler::retire_finished(Job& job) {
  for (auto g = job.running.begin(); g != job.running.end();) {
    if (!g->finished()) {
      ++g;
      continue;
    }
    end_generation(job, *g);
    g = job.running.erase(g);
  }
}

void Scheduler::end_generation(Job& job, Generation& generation) {
  job.usage.completion_tokens += generation.generated();
  const std::int64_t own = generation.sequence().tokens() - static_cast<std::int64_t>(job.prompt.size());
  job.kv.tokens_total += own;
  job.kv.tokens_kept += own;
  // The prompt's full pages, which the choices share, count once.
  const kv_cache::KvShape& shape = generation.sequence().shape();
  job.kv.bytes_f16 += shape.bytes_f16(generation.sequence().tokens()) -
                      (job.kv.bytes > 0 ? shape.bytes_f16(static_cast<std::int64_t>(job.prompt.size())) : 0);
  job.kv.bytes += generation.sequence().held().total() - (job.kv.bytes > 0 ? job.shared_bytes : 0);
  // What can't be kept for others is no fault of this answer.
  base::survives({base::Thread::kScheduler, job.id}, [&] { remember(job, generation); });
  generation.sequence().clear();
  job.sink->on_event(llm::ChoiceEnd{generation.choice(), generation.finish_reason(), {}});
}

void Scheduler::finish(Job& job) {
  const base::Nanos now = clock_.now();
  llm::Report report;
  job.kv.ratio_achieved =
      job.kv.bytes > 0 ? static_cast<double>(job.kv.bytes_f16) / static_cast<double>(job.kv.bytes) : 1;
  report.kv = job.kv;
  report.speculation = job.speculation;
  report.timing =
      llm::Timing{base::ms_between(job.submitted, job.admitted),
                  base::ms_between(job.admitted, job.first_token), base::ms_between(job.first_token, now)};
  ++completed_;
  std::exchange(job.sink, nullptr)
      ->on_event(llm::Done{
          .usage = job.usage, .report = std::move(report), .extra = {}, .transient = job.cut_short});
}

void Scheduler::fail(Job& job, base::Error error) {
  if (job.sink == nullptr) return;  // it has ended
  job.running.clear();
  ++(error.code == base::Code::kCancelled ? cancelled_ : failed_);
  std::exchange(job.sink, nullptr)->on_event(llm::Failed{std::move(error)});
}

void Scheduler::publish() {
  const auto& h = transformer_.hparams();
  KvPoolStats stats;
  stats.bytes_max = static_cast<std::int64_t>(pool_->stats().bytes_max);
  stats.bytes_by_layer_head.assign(static_cast<std::size_t>(h.layers),
                                   std::vector<std::int64_t>(static_cast<std::size_t>(h.kv_heads), 0));
  for (const auto& job : running_) {
    for (const Generation& generation : job->running) {
      ++stats.sequences;
      stats.tokens += generation.sequence().tokens();
      stats.tokens_kept += generation.sequence().slots() / (h.layers * h.kv_heads);
      for (std::uint32_t layer = 0; layer < stats.bytes_by_layer_head.size(); ++layer) {
        auto& heads = stats.bytes_by_layer_head[layer];
        for (std::uint32_t head = 0; head < heads.size(); ++head)
          heads[head] += generation.sequence().bytes(kv_cache::LayerId(layer), kv_cache::KvHeadId(head));
      }
    }
  }
  stats.last_compressed = last_compressed_;
  stats.bytes_prefixes = prefixes_.bytes();
  stats.prefixes = static_cast<std::int64_t>(prefixes_.entries());
  published_ = clock_.now();
  const std::lock_guard lock(mutex_);
  kv_stats_ = std::move(stats);
}

EngineStats Scheduler::stats() const {
  EngineStats out;
  out.requests = requests_;
  out.completed = completed_;
  out.cancelled = cancelled_;
  out.failed = failed_;
  out.prompt_tokens = prompt_tokens_;
  out.completion_tokens = completion_tokens_;
  out.steps = steps_;
  out.compressed = compressed_;
  out.compressed_tokens = compressed_tokens_;
  out.evicted_tokens = evicted_tokens_;
  out.prefix_hits = prefix_hits_;
  out.prefix_tokens = prefix_tokens_;
  out.prefix_queried = prefix_queried_;
  out.drafted = drafted_;
  out.accepted = accepted_;
  out.running = running_count_;
  out.waiting = waiting_count_;
  return out;
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
