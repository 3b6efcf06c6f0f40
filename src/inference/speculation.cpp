#include "inference/speculation.h"

#include "base/guard.h"

namespace pmt::inference {
namespace {

constexpr std::size_t kSpeculatingAnswersMax = 2;

}  // namespace

void Speculation::draft(const Jobs& running) {
  std::size_t answers = 0;
  for (const auto& job : running) answers += job->running.size();
  if (answers > kSpeculatingAnswersMax) return;
  for (const auto& job : running) {
    for (PagedGeneration& generation : job->running) {
      const bool drafted = base::survives({base::Thread::kScheduler, job->id}, [&] {
        generation.draft(kDraftsMax, step_clock_.costs());
        if (answers == 1 && generation.drafted() == 0) draft_by_model(*job, generation);
      });
      if (!drafted) generation.forget_drafts();  // they only save time
    }
  }
}

void Speculation::draft_by_model(const Job& job, PagedGeneration& generation) {
  if (!model_ || job.speculate != llm::Speculation::kAuto) return;
  const int wanted = generation.drafts_wanted(kDraftsMax);
  if (wanted == 0) return;
  model_->follow(job.id, generation.choice());
  generation.draft_as(
      model_->propose(generation.tokens(), wanted, step_clock_.plain_seconds(), step_clock_.costs()));
}

void Speculation::observe(int drafts, double seconds) {
  step_clock_.observe(drafts, seconds);
  if (model_) model_->stepped(drafts, seconds, step_clock_.plain_seconds());
}

void Speculation::settle(Job& job, PagedGeneration& generation) {
  const int drafted = generation.drafted();
  const bool by_model = generation.drafted_elsewhere();
  const int accepted = generation.settle_drafts();
  job.speculation.drafted += drafted;
  job.speculation.accepted += accepted;
  counters_->drafted += static_cast<std::uint64_t>(drafted);
  counters_->accepted += static_cast<std::uint64_t>(accepted);
  if (by_model) {
    if (model_) model_->settle(accepted, step_clock_.plain_seconds());
    job.speculation.drafted_by_model += drafted;
    job.speculation.accepted_by_model += accepted;
    counters_->drafted_by_model += static_cast<std::uint64_t>(drafted);
    counters_->accepted_by_model += static_cast<std::uint64_t>(accepted);
  }
  if (options_->speculation_usage != nullptr && accepted > 0) {
    options_->speculation_usage->add(
        job.surface, clock_->unix_seconds(),
        {.n = static_cast<std::uint64_t>(accepted), .tokens = accepted, .who = job.user.view()});
  }
}

void forget_drafts(const Jobs& running) {
  for (const auto& job : running) {
    for (PagedGeneration& generation : job->running) generation.forget_drafts();
  }
}

}  // namespace pmt::inference
