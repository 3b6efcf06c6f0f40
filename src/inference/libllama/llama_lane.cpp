#include "inference/libllama/llama_lane.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"

namespace pmt::inference {
namespace {

std::int64_t kept_cells_max(const LlamaContext& context, const LocalModelOptions& options) {
  if (options.prefix_bytes_max == 0) return 0;
  const std::int64_t cells = context.options().cells;
  if (context.memory_bytes() <= 0) return cells;
  const double share =
      static_cast<double>(options.prefix_bytes_max) / static_cast<double>(context.memory_bytes());
  return static_cast<std::int64_t>(std::min(1.0, share) * static_cast<double>(cells));
}

}  // namespace

LlamaLane::LlamaLane(Around around, std::unique_ptr<LlamaContext> context)
    : around_(std::move(around)),
      context_(std::move(context)),
      sequences_(*context_),
      prefixes_(*context_, {.cells_max = kept_cells_max(*context_, around_.options),
                            .states = around_.states,
                            .window = around_.window}),
      limits_{around_.options.prefill_chunk_tokens,
              std::max(1, context_->options().rows - context_->options().sequences)} {}

void LlamaLane::turn(int threads) {
  drop_unwanted();
  admit();
  if (!running_.empty()) step(threads);
  base::survives({base::Thread::kScheduler}, [this] { end_late(); });
  retire_finished();
}

std::vector<LlamaLane::Part> LlamaLane::choose() {
  std::vector<LlamaJob*> jobs;
  std::vector<ChoiceView> views;
  for (LlamaJob& running : running_) {
    const Job& job = *running.job;
    for (std::size_t i = 0; i < running.choices.size(); ++i) {
      const int unread = static_cast<int>(running.choices[i].pending().size());
      views.push_back({.job = jobs.size(),
                       .generation = i,
                       .unread = unread,
                       .span_tokens_max = unread,
                       .prompt_shared = job.prompt_shared,
                       .suspect = job.suspect,
                       .scores_prompt = scores_prompt(job, i)});
    }
    jobs.push_back(&running);
  }
  std::vector<Part> parts;
  for (const ChosenSpan& span : choose_spans(views, limits_)) {
    const ChoiceView& view = views[span.choice];
    parts.push_back({jobs[view.job], view.generation, span.tokens, span.samples});
  }
  return parts;
}

/// False: something was given up, the parts are to be chosen anew.
bool LlamaLane::make_room(const std::vector<Part>& parts) {
  std::int64_t cells = 0;
  for (const Part& part : parts) cells += part.tokens;
  while (sequences_.cells_free() < cells && prefixes_.give_up_oldest()) {
  }
  if (sequences_.cells_free() >= cells || running_.size() == 1) return true;
  preempt_youngest();
  return false;
}

void LlamaLane::preempt_youngest() {
  LlamaJob& youngest = running_.back();
  for (LlamaChoice& choice : youngest.choices) choice.sequence.close();
  if (youngest.job->first_token != base::Nanos(0)) youngest.job->prompt_shared = true;  // they differ by now
  --around_.counters.running;
  ++around_.counters.waiting;
  waiting_.splice(waiting_.begin(), running_, std::prev(running_.end()));
}

void LlamaLane::step(int threads) {
  std::vector<Part> parts = choose();
  while (!make_room(parts)) parts = choose();
  ++around_.counters.steps;
  bool fitted = true;
  const bool ran = base::survives({base::Thread::kScheduler}, [&] { fitted = decode(parts, threads); });
  if (!ran) return suspect(parts);
  if (!fitted) return no_room();
  for (const Part& part : parts) {
    part.of().sequence.read(part.tokens);
    part.job->job->suspect = part.job->job->suspect && !part.samples;
  }
  distribute(parts);
}

bool LlamaLane::decode(std::vector<Part>& parts, int threads) {
  std::vector<LlamaSpan> batch;
  for (Part& part : parts) {
    const LlamaChoice& choice = part.of();
    LlamaSpan span{.sequence = choice.sequence.number(),
                   .position = choice.sequence.tokens(),
                   .tokens = choice.pending().first(static_cast<std::size_t>(part.tokens)),
                   .output_rows = {}};
    if (scores_prompt(*part.job->job, part.choice))
      span.output_rows = part.job->job->echo.rows_of_span(span.position, part.tokens);
    part.scored_rows = span.output_rows.size();
    if (part.samples) span.output_rows.push_back(part.tokens - 1);
    batch.push_back(std::move(span));
  }
  return context_->decode(batch, threads);
}

/// The cells were counted, so this is a memory that libllama lays out otherwise (windows, states).
void LlamaLane::no_room() {
  if (prefixes_.give_up_oldest()) return;
  if (running_.size() > 1) return preempt_youngest();
  Job& job = *running_.front().job;
  around_.reports.fail(
      job,
      {base::Code::kTooLarge,
       fmt::format("libllama has no room for these {} tokens: ask for fewer tokens or choices, or start the "
                   "server with a larger kv_bytes",
                   job.prompt.size()),
       "max_tokens"});
}

void LlamaLane::suspect(const std::vector<Part>& parts) {
  std::vector<LlamaJob*> jobs;
  for (const Part& part : parts) {
    if (jobs.empty() || jobs.back() != part.job) jobs.push_back(part.job);
  }
  if (jobs.size() == 1) return around_.reports.fail(*jobs[0]->job, base::internal_error(jobs[0]->job->id));
  for (LlamaJob* const each : jobs) {
    each->job->suspect = true;
    if (each->job->first_token != base::Nanos(0)) each->job->prompt_shared = true;
    for (LlamaChoice& choice : each->choices) {
      choice.sequence.close();
      choice.sequence = std::move(*sequences_.open());  // the number that was given back just now
    }
  }
}

void LlamaLane::distribute(const std::vector<Part>& parts) {
  std::size_t row = 0;
  for (const Part& part : parts) {
    Job& job = *part.job->job;
    const std::size_t scored = row;
    row += part.scored_rows;
    const std::size_t sampled = row;
    row += part.samples ? 1 : 0;
    if (part.job->has_ended()) continue;
    around_.reports.for_job(job, [&] {
      for (std::size_t i = scored; i < sampled; ++i) job.echo.add(context_->row(i));
      if (part.samples) sample(part, context_->row(sampled));
    });
  }
}

/// Where a prompt ends, its choices part.
void LlamaLane::sample(const Part& part, std::span<const float> logits) {
  Job& job = *part.job->job;
  std::vector<LlamaChoice>& choices = part.job->choices;
  if (!std::exchange(job.prompt_shared, true)) {
    for (std::size_t i = 1; i < choices.size(); ++i)
      choices[i].sequence.share(choices[0].sequence, choices[0].sequence.tokens());
    for (std::size_t i = 1; i < choices.size() && !part.job->has_ended(); ++i)
      around_.reports.write_token(job, choices[i].generation, logits);
  }
  if (!part.job->has_ended()) around_.reports.write_token(job, part.of().generation, logits);
}

void LlamaLane::add_to(KvPoolStats& stats) const {
  const std::int64_t all = context_->memory_bytes();
  stats.bytes_resident += all;
  stats.bytes_max += all;
  stats.bytes += bytes_of(sequences_.cells_taken(), all);
  stats.bytes_prefixes += bytes_of(prefixes_.cells(), all);
  stats.prefixes += prefixes_.count();
  for (const LlamaJob& each : running_) {
    for (const LlamaChoice& choice : each.choices) {
      ++stats.sequences;
      stats.tokens += choice.sequence.tokens();
      stats.tokens_kept += choice.sequence.tokens();
    }
  }
}

}  // namespace pmt::inference
