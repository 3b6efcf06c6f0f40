#include "inference/prompt_compressor.h"

#include "inference/kv_pool_stats.h"

namespace pmt::inference {

PromptCompressor::PromptCompressor(const Around& around)
    : around_(around), asides_(compression::asides_for(around.vocab)) {}

void PromptCompressor::begin(Job& job) {
  if (!job.compression.active() || around_.calibration.predictor() != nullptr) return;
  around_.calibration.want();
  job.compression.go_uncalibrated();
}

void PromptCompressor::ask_for_scores(Job& job, model::BatchSpan& span) {
  const model::KvPredictor* const predictor = around_.calibration.predictor();
  if (job.compression.active()) {
    job.compression.observe(span, predictor, around_.transformer.hparams());
  } else if (predictor != nullptr && around_.prefixes.on()) {
    job.compression.guess(span, *predictor);
  }
}

bool PromptCompressor::due(const Part& part) {
  return part.job->compression.due(part.choice().sequence());
}

bool PromptCompressor::reads_more(const Part& part) {
  return due(part) && part.job->compression.reads_more();
}

bool PromptCompressor::compressed(Job& job, kv_cache::SequenceKv& sequence) {
  return job.compression.compress(sequence, job.prompt, asides_, around_.transformer, around_.pool)
      .has_value();
}

void PromptCompressor::compress(Job& job, kv_cache::SequenceKv& sequence) {
  if (job.compression.reads_more())
    around_.prefixes.give_up(sequence.pages_needed(job.compression.more_tokens(asides_)));
  bool done = compressed(job, sequence);
  if (!done) {  // a prefix that it goes on from may hold its pages
    around_.prefixes.give_up(around_.pool.pages_max());
    done = compressed(job, sequence);
  }
  if (!done) {
    job.kv.mode = "exact";
    job.kv.scores.clear();
    job.kv.safe_for = job.compression.safe_for_exact();
    return;
  }
  const std::int64_t tables = std::int64_t{sequence.shape().layers} * sequence.shape().kv_heads;
  job.kv.tokens_kept = sequence.slots() / tables;
  count(job, sequence);
}

void PromptCompressor::count(Job& job, const kv_cache::SequenceKv& sequence) {
  last_ = compressed_prompt(sequence, job.kv.tokens_kept);
  ++around_.counters.compressed;
  if (around_.options.compression_usage != nullptr)
    around_.options.compression_usage->add(
        job.surface, around_.clock.unix_seconds(),
        {.tokens = sequence.tokens() - job.kv.tokens_kept, .who = job.user.view()});
  around_.counters.compressed_tokens += static_cast<std::uint64_t>(sequence.tokens());
  around_.counters.evicted_tokens += static_cast<std::uint64_t>(sequence.tokens() - job.kv.tokens_kept);
}

}  // namespace pmt::inference
