#include "inference/job.h"

#include <utility>

#include <fmt/format.h>

namespace pmt::inference {

base::Error of_field(base::Error error, const std::string& field) {
  error.message = fmt::format("'{}' {}", field, error.message);
  error.field = field;
  return error;
}

base::Status add_choices(Job& job, const model::Vocab& vocab, kv_cache::PagePool& pool,
                         const kv_cache::KvShape& shape) {
  for (int i = 0; i < job.choices; ++i) {
    model::SamplerParams params = job.sampling;
    params.choice = i;
    TRY_ASSIGN(model::Sampler sampler, model::Sampler::create(std::move(params), vocab.size()));
    sampler.remember(job.prompt);
    job.running.emplace_back(
        vocab, kv_cache::SequenceKv(pool, shape), std::move(sampler), job.stops, job.prompt,
        GenerationOptions{i, job.new_tokens_max, job.logprobs, job.scores_end, job.speculate}, job.grammar);
    job.running.back().end_as(job.ending);
    job.running.back().show_names_of(job.shown);
    // A form that was asked for goes before what was taught.
    if (!job.grammar) job.running.back().force(job.forced);
  }
  return {};
}

void drop_pages(Job& job) {
  for (Generation& generation : job.running) generation.drop_pages();
  job.shared_bytes = 0;
  if (job.first_token != base::Nanos(0)) job.prompt_shared = true;  // the choices differ by now
}

bool scores_prompt(const Job& job, std::size_t generation) {
  return job.echo.scores() && generation == 0 && job.first_token == base::Nanos(0);
}

}  // namespace pmt::inference
