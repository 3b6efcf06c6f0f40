#include "inference/admission.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "compression/eviction.h"
#include "inference/speculation.h"
#include "kv_cache/page_budget.h"

namespace pmt::inference {

int Admission::new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const {
  const kv_cache::RequestSize size{.prompt_tokens = prompt_tokens,
                                   .choices = choices,
                                   .ratio = kv_ratio,
                                   .tail = compression::tail_of(kv_ratio),
                                   .step_tokens = around_.options.prefill_chunk_tokens};
  return kv_cache::new_tokens_that_fit(around_.hparams.kv_shape(), size, around_.pool.pages_max(),
                                       around_.hparams.context_tokens);
}

base::Status Admission::check_size(const Job& job) const {
  const kv_cache::PagePool& pool = around_.pool;
  constexpr double kCodedRatio = 4;  // of an exact prompt that is coded while its answer is written
  const bool codes = job.decoding.on() && (job.compression.active() || job.decoding.codes_exact);
  const double ratio = codes && !job.compression.active() ? kCodedRatio : job.compression.ratio();
  const std::size_t need =
      kv_cache::pages_at_most(around_.hparams.kv_shape(),
                              {.prompt_tokens = static_cast<int>(job.prompt.size()),
                               .new_tokens = job.new_tokens_max,
                               .choices = job.choices,
                               .ratio = ratio,
                               .tail = compression::tail_of(ratio),
                               .uncoded_tokens = codes ? compression::uncoded_tokens_max(job.decoding) : 0,
                               .step_tokens = around_.options.prefill_chunk_tokens});
  if (need <= pool.pages_max()) return {};
  return base::Error{
      base::Code::kTooLarge,
      fmt::format("{} prompt tokens and up to {} new ones in {} choices need {} MiB of KV pages, and "
                  "the pool holds {} MiB: ask for fewer tokens or choices, or start the server with a "
                  "larger kv_bytes_max",
                  job.prompt.size(), job.new_tokens_max, job.choices,
                  need * pool.bytes_of(kv_cache::PageSize::kLarge) >> 20, pool.stats().bytes_max >> 20),
      "max_tokens"};
}

void Admission::drop_cancelled() {
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      const bool wanted = (*it)->sink != nullptr && !(*it)->sink->broken();
      if (wanted && !(*it)->cancel.cancelled()) {
        ++it;
        continue;
      }
      around_.reports.fail(**it, {base::Code::kCancelled, "the client left"});
      (jobs == &running_ ? around_.counters.running : around_.counters.waiting)--;
      it = jobs->erase(it);
    }
  }
}

void Admission::end_late() {
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      Job& job = **it;
      if (!job.deadline || !job.sink || around_.clock.now() < *job.deadline) {
        ++it;
        continue;
      }
      if (job.first_token != base::Nanos(0) && jobs == &running_) {
        cut_short(job);
        ++it;
        continue;
      }
      around_.reports.fail(
          job, {base::Code::kDeadline, "permutation.budget.seconds were over before the first token",
                "permutation.budget.seconds"});
      (jobs == &running_ ? around_.counters.running : around_.counters.waiting)--;
      it = jobs->erase(it);
    }
  }
}

void Admission::cut_short(Job& job) {
  around_.reports.for_job(job, [&job] {
    job.cut_short = true;
    for (PagedGeneration& generation : job.running) {
      if (generation.finished()) continue;
      if (auto delta = generation.cut_short()) job.sink->on_event(std::move(*delta));
    }
  });
}

std::size_t Admission::pages_for_prompt(const Job& job) const {
  return kv_cache::exact_pages_at_most(around_.hparams.kv_shape(), static_cast<int>(job.prompt.size()) + 1,
                                       around_.options.prefill_chunk_tokens);
}

void Admission::admit(const std::function<base::Status(Job&)>& begin) {
  std::size_t promised = 0;  // to prompts that are still being read
  std::size_t sequences = 0;
  for (const auto& job : running_) {
    sequences += static_cast<std::size_t>(job->choices);
    for (const PagedGeneration& g : job->running)
      promised += g.sequence().pages_needed(static_cast<int>(g.pending().size()));
  }
  const auto sequences_max = static_cast<std::size_t>(around_.options.sequences_max);
  while (!waiting_.empty()) {
    Job& job = *waiting_.front();
    const std::size_t need = pages_for_prompt(job);
    around_.prefixes.give_up(promised + need);
    const bool fits = promised + need <= around_.pool.pages_free() &&
                      sequences + static_cast<std::size_t>(job.choices) <= sequences_max;
    if (!fits && !running_.empty()) return;
    Jobs taken;
    taken.splice(taken.end(), waiting_, waiting_.begin());
    --around_.counters.waiting;
    const base::Status begun = base::guarded({base::Thread::kScheduler, job.id}, [&] {
      return job.running.empty() ? begin(job) : base::Status();
    });
    if (!begun) {
      around_.reports.fail(job, begun.error());
      continue;
    }
    promised += need;
    sequences += static_cast<std::size_t>(job.choices);
    ++around_.counters.running;
    running_.splice(running_.end(), taken);
  }
}

void Admission::retire_finished() {
  for (auto it = running_.begin(); it != running_.end();) {
    Job& job = **it;
    around_.reports.for_job(job, [&] { end_finished_choices(job); });
    if (!job.running.empty()) {
      ++it;
      continue;
    }
    --around_.counters.running;  // before the last event: who has seen it finds the engine idle
    if (job.sink) around_.reports.for_job(job, [&] { around_.reports.done(job); });
    it = running_.erase(it);
  }
}

void Admission::end_finished_choices(Job& job) {
  for (auto choice = job.running.begin(); choice != job.running.end();) {
    if (!choice->finished()) {
      ++choice;
      continue;
    }
    JobReports::add_choice(job, *choice);
    // What can't be kept for others is no fault of this answer.
    base::survives({base::Thread::kScheduler, job.id}, [&] { around_.prefixes.remember(job, *choice); });
    choice->sequence().clear();
    JobReports::choice_ended(job, *choice);
    choice = job.running.erase(choice);
  }
}

bool Admission::make_room(const std::vector<Part>& parts) {
  std::size_t need = 0;
  for (const Part& part : parts) need += part.choice().sequence().pages_needed(part.tokens);
  if (need > around_.pool.pages_free()) {
    for (const auto& job : running_) {
      for (PagedGeneration& generation : job->running) generation.sequence().drop_unseen();
    }
  }
  around_.prefixes.give_up(need);
  if (need <= around_.pool.pages_free()) return true;
  const bool drafted =
      std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.choice().drafted() > 0; });
  drafted ? forget_drafts(running_) : preempt_youngest();
  return false;
}

void Admission::drop_unseen(const std::vector<Part>& parts) {
  const bool roomy = around_.pool.pages_free() > around_.pool.pages_max() / 4;
  for (const Part& part : parts) {
    if (!part.lives()) continue;
    if (!around_.prefixes.will_keep(*part.job, part.choice()) || !roomy)
      part.choice().sequence().drop_unseen();
  }
}

void Admission::preempt_youngest() {
  drop_pages(*running_.back());
  --around_.counters.running;
  ++around_.counters.waiting;
  waiting_.splice(waiting_.begin(), running_, std::prev(running_.end()));
}

void Admission::fail_running() {
  for (auto& job : running_) around_.reports.fail(*job, base::internal_error(job->id));
  running_.clear();
  around_.counters.running = 0;
}

void Admission::fail_all(const base::Error& error) {
  for (Jobs* jobs : {&running_, &waiting_}) {
    for (auto& job : *jobs) around_.reports.fail(*job, error);
    jobs->clear();
  }
}

}  // namespace pmt::inference
