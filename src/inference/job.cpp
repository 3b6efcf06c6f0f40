#include "inference/job.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "llm/shown_passages.h"

namespace pmt::inference {

base::Error of_field(base::Error error, const std::string& field) {
  error.message = fmt::format("'{}' {}", field, error.message);
  error.field = field;
  return error;
}

base::Result<Generation> make_choice(const Job& job, int choice, const model::Vocab& vocab) {
  model::SamplerParams params = job.sampling;
  params.choice = choice;
  TRY_ASSIGN(model::Sampler sampler, model::Sampler::create(std::move(params), vocab.size()));
  sampler.remember(job.prompt);
  Generation out(vocab, std::move(sampler), job.stops, job.prompt,
                 GenerationOptions{choice, job.new_tokens_max, job.logprobs, job.scores_end,
                                   job.speculate != llm::Speculation::kOff},
                 job.grammar);
  out.end_as(job.ending);
  out.show_names_of(job.shown);
  out.think_as(job.thinking);
  // A form that was asked for goes before what was taught.
  if (!job.grammar) out.force(job.forced);
  return out;
}

base::Status add_choices(Job& job, const model::Vocab& vocab, kv_cache::PagePool& pool,
                         const kv_cache::KvShape& shape) {
  for (int i = 0; i < job.choices; ++i) {
    TRY_ASSIGN(Generation choice, make_choice(job, i, vocab));
    job.running.emplace_back(std::move(choice), kv_cache::SequenceKv(pool, shape));
    job.running.back().decoding() = compression::DecodingCompression(job.decoding);
  }
  return {};
}

void tell_coded(Job& job) {
  job.kv.mode = compression::name_of(compression::Mode::kQueryAgnostic);
  job.kv.ratio_target = job.decoding.ratio;
  job.kv.safe_for.clear();
}

void tell_reading(const Job& job, std::int64_t read) {
  if (job.reading == nullptr) return;
  const auto tokens = static_cast<std::int64_t>(job.prompt.size());
  job.reading->tokens = tokens;
  job.reading->read = std::min(read, tokens);
}

void drop_pages(Job& job) {
  for (PagedGeneration& generation : job.running) generation.drop_pages();
  job.shared_bytes = 0;
  if (job.kv.prefix_source == llm::kFromPacks) job.kv.prefix_source.clear();  // it is read as it stands now
  if (job.first_token != base::Nanos(0)) job.prompt_shared = true;            // the choices differ by now
}

bool scores_prompt(const Job& job, std::size_t generation) {
  return job.echo.scores() && generation == 0 && job.first_token == base::Nanos(0);
}

}  // namespace pmt::inference
