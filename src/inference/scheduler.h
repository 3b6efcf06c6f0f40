// Continuous batching: one thread runs the model, and every step carries the next token of every running
// choice plus a chunk of the prompts that are still being read (note 0004).
//
// Invariants:
//   1. Only the scheduler's thread touches sequences and the page pool.
//   2. A job is admitted when the pool can hold its whole prompt besides what the running jobs' prompts
//      still need.
//   3. When the pool runs out, the youngest job gives up its pages and reads its tokens again later; the
//      oldest job is never the victim, so something always advances. submit() refuses what couldn't finish
//      even alone.
//   4. Every job gets exactly one terminal event, also on cancellation, shutdown and exceptions, and its
//      pages are free before.
//   5. An exception ends one job: see suspect() for those that come out of a step that several share.
// Thread-safety: submit, stats and kv_stats from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "compression/asides.h"
#include "compression/calibration.h"
#include "compression/prompt_compression.h"
#include "inference/generation.h"
#include "inference/local_model.h"
#include "inference/prompt_echo.h"
#include "inference/prompt_lookup.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/prefix_index.h"
#include "llm/completer.h"
#include "llm/guarded_sink.h"
#include "model/transformer.h"

namespace pmt::inference {

/// One request, encoded and checked.
struct Job {
  std::string id;  // the request's
  std::shared_ptr<llm::GuardedSink> sink;
  base::CancelToken cancel;
  std::vector<std::int32_t> prompt;
  int choices = 1;
  int new_tokens_max = 0;
  std::vector<std::string> stops;
  std::optional<model::Grammar> grammar;  // that the answers follow, at its beginning
  std::string form_field;                 // of the request, that asked for it
  std::optional<base::Nanos> deadline;    // the answers end there, cut short
  std::optional<int> logprobs;
  bool scores_end = false;  // GenerationOptions'
  model::SamplerParams sampling;
  Ending ending;
  std::vector<std::int32_t> shown;  // control tokens whose names are part of the answer
  PromptEcho echo;                  // shown before the answer
  std::string prefix_scope;         // requests of another scope share no prefix (prefix_scope.h)
  compression::PromptCompression compression;
  bool speculate = true;
  ForcedTokens forced;
  base::Surface surface = base::Surface::kCompletions;
  base::Nanos submitted{0};

  // Filled by the scheduler.
  base::Nanos admitted{0};
  base::Nanos first_token{0};
  std::vector<Generation> running;  // not finished yet
  std::int64_t shared_bytes = 0;    // of the prompt, that all choices hold
  bool cut_short = false;           // by its deadline
  bool prompt_shared = false;       // the other choices have forked from the first
  bool suspect = false;             // it was in a batch that threw: steps alone until it is read again
  llm::Usage usage;
  llm::KvReport kv;
  llm::SpeculationReport speculation;
};

/// `error` as one of this field of the request.
base::Error of_field(base::Error error, const std::string& field);

class Scheduler {
 public:
  Scheduler(model::Transformer& transformer, const model::Vocab& vocab,
            std::unique_ptr<kv_cache::PagePool> pool, std::optional<compression::Calibration> calibration,
            const LocalModelOptions& options, const base::Clock& clock);
  ~Scheduler();

  /// Takes the job or says why not (kTooLarge: its pages could never fit; kUnavailable: the queue is full).
  base::Status submit(std::unique_ptr<Job> job);

  /// How many new tokens each of `choices` answers to a prompt of `prompt_tokens`, compressed `kv_ratio`
  /// times, could have in an empty pool.
  int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const;

  EngineStats stats() const;
  KvPoolStats kv_stats() const;

 private:
  using Jobs = std::list<std::unique_ptr<Job>>;
  /// One span of a step, and whose it is.
  struct Part {
    Job* job;
    std::size_t generation;
    int tokens;
    bool samples;                 // the span reaches the choice's last token
    std::size_t rows = 0;         // of logits, to sample from
    std::size_t scored_rows = 0;  // of logits before those: they tell of the prompt's own tokens
  };

  void run();
  void turn();
  /// Runs a part of a turn that is this job's own. What it throws ends the job.
  template <class Fn>
  void for_job(Job& job, Fn&& fn, int line = __builtin_LINE());
  void suspect(const std::vector<Part>& parts);
  void end_running();
  bool wait_for_work();
  void drop_cancelled();
  void end_late();
  void admit();
  base::Status begin(Job& job);
  void reuse_prefix(Job& job);
  std::optional<kv_cache::SequenceKv> exact_prefix(const Job& job, kv_cache::Guessed& guessed);
  void remember(Job& job, const Generation& generation);
  void give_up_prefixes(std::size_t pages);
  base::Status ensure_calibrated();
  void compress_when_read(const std::vector<Part>& parts);
  void compress(Job& job, kv_cache::SequenceKv& sequence);
  void note_compressed(const kv_cache::SequenceKv& sequence, std::int64_t tokens_kept);
  void draft();
  void forget_drafts();
  std::vector<Part> choose_parts();
  bool make_room(const std::vector<Part>& parts);
  void drop_unseen();
  void drop_unseen(const std::vector<Part>& parts);
  void drop_pages(Job& job);
  void preempt_youngest();
  void step();
  std::span<const float> forward(std::vector<Part>& parts);
  void distribute(const std::vector<Part>& parts, std::span<const float> logits);
  void sample_rows(const Part& part, std::span<const float> logits);
  void begin_answer(Job& job);
  void sample(Job& job, Generation& generation, std::span<const float> logits);
  void settle_drafts(Job& job, Generation& generation);
  void fork_prompt(Job& job, std::span<const float> logits);
  void retire_finished();
  void retire_finished(Job& job);
  void end_generation(Job& job, Generation& generation);
  void finish(Job& job);
  void fail(Job& job, base::Error error);
  void publish();
  std::size_t pages_for_prompt(const Job& job) const;

  model::Transformer& transformer_;
  const model::Vocab& vocab_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  const base::Clock& clock_;
  const LocalModelOptions options_;

  kv_cache::PrefixIndex prefixes_;  // after the pool, whose pages it holds
  std::optional<compression::Calibration> calibration_;
  const compression::Asides asides_;

  std::optional<CompressedPrompt> last_compressed_;
  StepClock step_clock_;

  Jobs running_;  // oldest first
  Jobs waiting_;
  base::Nanos published_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Jobs submitted_;         // under mutex_
  KvPoolStats kv_stats_;   // under mutex_
  bool stopping_ = false;  // under mutex_

  std::atomic<std::uint64_t> requests_{0}, completed_{0}, cancelled_{0}, failed_{0};
  std::atomic<std::uint64_t> prompt_tokens_{0}, completion_tokens_{0}, steps_{0};
  std::atomic<std::uint64_t> compressed_{0}, compressed_tokens_{0}, evicted_tokens_{0};
  std::atomic<std::uint64_t> drafted_{0}, accepted_{0};
  std::atomic<std::uint64_t> prefix_hits_{0}, prefix_tokens_{0}, prefix_queried_{0};
  std::atomic<std::int64_t> running_count_{0}, waiting_count_{0};
  std::thread thread_;  // last: everything above is ready when it starts
};

}  // namespace pmt::inference
