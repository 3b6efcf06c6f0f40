// Continuous batching over one context of libllama: every step reads the next token of every running choice and a
// chunk of the prompts that are still being read (note 0037).
//
// The rules are those of our own scheduler (admission.h), with cells for pages:
//   1. Jobs begin in the order of their arrival; one is admitted when there are numbers for its choices and cells
//      for its prompt besides what the running jobs' prompts still need, or when nobody runs.
//   2. Kept sequences go first when room is needed, then the youngest job gives up its cells and reads its tokens
//      again later. The oldest job always advances.
//   3. Every job gets exactly one terminal event.
//   4. An exception ends one job: of a step that several share nobody knows whose it was, so they step alone until
//      they have been read again.
// Thread-safety: one thread; all that is given to it outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "inference/batch_builder.h"
#include "inference/job_reports.h"
#include "inference/libllama/llama_job.h"
#include "inference/libllama/llama_prefixes.h"

namespace pmt::inference {

class LlamaLane {
 public:
  struct Around {
    const model::Vocab& vocab;
    const LocalModelOptions& options;
    const base::Clock& clock;
    JobReports& reports;
    EngineCounters& counters;
    std::string runs_elsewhere;         // ModelInfo's
    std::int64_t memory_bytes_f16 = 0;  // what the context's cells and states would take at f16
    bool states = false;                // a sequence is (also) a state
    int window = 0;                     // of the model's local layers
  };
  LlamaLane(Around around, std::unique_ptr<LlamaContext> context);

  /// A job that the counter `waiting` has counted already.
  void enqueue(std::unique_ptr<Job> job) { waiting_.push_back({std::move(job)}); }
  bool idle() const { return running_.empty() && waiting_.empty(); }
  bool runs() const { return !running_.empty(); }
  /// One step, with what goes before and after it. `threads`: to compute with.
  void turn(int threads);

  /// What got out of a turn may have left any running sequence half-read: those jobs go, those that wait are whole.
  void fail_running();
  /// Ends every job with this error.
  void fail_all(const base::Error& error);

  CellType type() const { return context_->options().type; }
  /// Adds what it holds.
  void add_to(KvPoolStats& stats) const;

 private:
  /// Some tokens of a step, and whose they are.
  struct Part {
    LlamaJob* job;
    std::size_t choice;
    int tokens;
    bool samples;                 // they reach the choice's last token
    std::size_t scored_rows = 0;  // of logits, that tell of the prompt's own tokens
    LlamaChoice& of() const { return job->choices[choice]; }
  };

  void drop_unwanted();
  void end_late();
  void cut_short(LlamaJob& late);
  void admit();
  bool has_room_for(const LlamaJob& next);
  base::Status begin(LlamaJob& job);
  void reuse(LlamaJob& job);
  std::vector<Part> choose();
  bool make_room(const std::vector<Part>& parts);
  void preempt_youngest();
  void step(int threads);
  bool decode(std::vector<Part>& parts, int threads);
  void no_room();
  void suspect(const std::vector<Part>& parts);
  void distribute(const std::vector<Part>& parts);
  void sample(const Part& part, std::span<const float> logits);
  void retire_finished();
  void end_finished_choices(LlamaJob& job);
  void add_choice(Job& job, const LlamaChoice& choice) const;
  std::int64_t bytes_of(std::int64_t tokens, std::int64_t all) const;

  const Around around_;
  const std::unique_ptr<LlamaContext> context_;
  LlamaSequences sequences_;  // before all that holds one
  LlamaPrefixes prefixes_;
  const BatchLimits limits_;
  LlamaJobs running_;  // oldest first
  LlamaJobs waiting_;
};

}  // namespace pmt::inference
