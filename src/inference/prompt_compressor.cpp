#include "inference/prompt_compressor.h"

#include "inference/kv_pool_stats.h"

namespace pmt::inference {

PromptCompressor::PromptCompressor(const Around& around)
    : around_(around), asides_(compression::asides_for(around.vocab)) {}

void PromptCompressor::begin(Job& job) {
  const bool evicts = job.decoding.on() && job.decoding.ratio > 4;
  if ((!job.compression.active() && !evicts) || around_.calibration.predictor() != nullptr) return;
  around_.calibration.want();
  job.decoding.scored = false;
  if (job.compression.active()) job.compression.go_uncalibrated();
}

void PromptCompressor::ask_for_scores(Part& part, model::BatchSpan& span) {
  Job& job = *part.job;
  const model::KvPredictor* const predictor = around_.calibration.predictor();
  if (part.choice().decoding().wants_scores() && span.sequence->compact()) {
    part.choice().decoding().observe(span, predictor);
  } else if (job.compression.active()) {
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

void PromptCompressor::compress_decoded(Job& job, PagedGeneration& choice) {
  compression::DecodingCompression& decoding = choice.decoding();
  kv_cache::SequenceKv& sequence = choice.sequence();
  while (decoding.due(sequence)) {
    const bool was_exact = !sequence.compact();
    const std::int64_t slots = sequence.slots();
    auto coded = decoding.compress(sequence, around_.pool, around_.transformer.threads());
    if (!coded) {  // a prefix that it goes on from may hold its pages
      around_.prefixes.give_up(around_.pool.pages_max());
      coded = decoding.compress(sequence, around_.pool, around_.transformer.threads());
    }
    if (!coded) return decoding.give_up();
    if (was_exact) tell_coded(job);
    const auto tables = static_cast<std::int64_t>(sequence.shape().tables());
    count_decoded(job, *coded, (slots - sequence.slots()) / tables);
  }
}

/// A job's first one is a sequence cut down, unless its prompt was.
void PromptCompressor::count_decoded(Job& job, int tokens, std::int64_t evicted) {
  const bool first = !job.compression.active() && job.decoding_compressed == 0;
  job.decoding_compressed += tokens;
  job.kv.tokens_kept -= evicted;
  around_.counters.decoding_compressed_tokens += static_cast<std::uint64_t>(tokens);
  around_.counters.compressed_tokens += static_cast<std::uint64_t>(tokens);
  around_.counters.evicted_tokens += static_cast<std::uint64_t>(evicted);
  if (!first) return;
  ++around_.counters.compressed;
  if (around_.options.compression_usage != nullptr)
    around_.options.compression_usage->add(job.surface, around_.clock.unix_seconds(),
                                           {.tokens = evicted, .who = job.user.view()});
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
