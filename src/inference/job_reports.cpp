#include "inference/job_reports.h"

#include "kernels/page_layout.h"

namespace pmt::inference {

void JobReports::started(Job& job) {
  job.sink->on_event(llm::Started{model_, clock_->unix_seconds(), {}});
  job.usage.prompt_tokens = static_cast<std::int64_t>(job.prompt.size());
  job.kv.tokens_total = job.usage.prompt_tokens;
  job.kv.tokens_kept = job.usage.prompt_tokens;
  job.kv.mode = job.compression.mode_name();
  job.kv.ratio_target = job.compression.ratio();
  job.kv.question = job.compression.question();
  job.kv.scores = job.compression.scores();
  job.kv.safe_for = job.compression.safe_for();
}

void JobReports::answer_begins(Job& job) {
  job.first_token = clock_->now();
  counters_->prompt_tokens += job.prompt.size();
  for (int i = 0; job.echo.shows() && i < job.choices; ++i) job.sink->on_event(job.echo.delta(i));
}

void JobReports::write_token(Job& job, Generation& generation, std::span<const float> logits) {
  if (job.first_token == base::Nanos(0)) answer_begins(job);
  if (job.new_tokens_max == 0) {  // only the prompt was to be read
    generation.cut_short();
    return;
  }
  auto delta = generation.advance(logits);
  if (generation.failure()) return fail(job, of_field(*generation.failure(), job.form_field));
  if (delta) job.sink->on_event(std::move(*delta));
  ++counters_->completion_tokens;
}

void JobReports::add_choice(Job& job, const PagedGeneration& generation) {
  job.usage.completion_tokens += generation.generated();
  job.usage.reasoning_tokens += generation.thought_tokens();
  const std::int64_t own = generation.sequence().tokens() - static_cast<std::int64_t>(job.prompt.size());
  job.kv.tokens_total += own;
  job.kv.tokens_kept += own;
  // In pages on both sides: what the last one leaves empty is no compression, and no loss by it either. The prompt's
  // full pages, which the choices share, count once.
  const kv_cache::KvShape& shape = generation.sequence().shape();
  constexpr std::int64_t kPage = kernels::kPageTokens;
  const std::int64_t pages = (generation.sequence().tokens() + kPage - 1) / kPage;
  const std::int64_t shared = static_cast<std::int64_t>(job.prompt.size()) / kPage;
  job.kv.bytes_f16 +=
      shape.bytes_f16(pages * kPage) - (job.kv.bytes > 0 ? shape.bytes_f16(shared * kPage) : 0);
  job.kv.bytes += generation.sequence().held().total() - (job.kv.bytes > 0 ? job.shared_bytes : 0);
}

void JobReports::choice_ended(Job& job, const Generation& generation) {
  job.sink->on_event(llm::ChoiceEnd{generation.choice(), generation.finish_reason(), {}});
}

void JobReports::done(Job& job) {
  const base::Nanos now = clock_->now();
  llm::Report report;
  job.kv.ratio_achieved =
      job.kv.bytes > 0 ? static_cast<double>(job.kv.bytes_f16) / static_cast<double>(job.kv.bytes) : 1;
  report.kv = job.kv;
  report.speculation = job.speculation;
  report.timing =
      llm::Timing{base::ms_between(job.submitted, job.admitted),
                  base::ms_between(job.admitted, job.first_token), base::ms_between(job.first_token, now)};
  ++counters_->completed;
  std::exchange(job.sink, nullptr)
      ->on_event(llm::Done{
          .usage = job.usage, .report = std::move(report), .extra = {}, .transient = job.cut_short});
}

void JobReports::fail(Job& job, base::Error error) {
  if (job.sink == nullptr) return;  // it has ended
  job.running.clear();
  ++(error.code == base::Code::kCancelled ? counters_->cancelled : counters_->failed);
  std::exchange(job.sink, nullptr)->on_event(llm::Failed{std::move(error)});
}

}  // namespace pmt::inference
