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
      const bool drafted = base::survives({base::Thread::kScheduler, job->id},
                                          [&] { generation.draft(kDraftsMax, step_clock_.costs()); });
      if (!drafted) generation.forget_drafts();  // they only save time
    }
  }
}

void Speculation::settle(Job& job, PagedGeneration& generation) {
  const int drafted = generation.drafted();
  const int accepted = generation.settle_drafts();
  job.speculation.drafted += drafted;
  job.speculation.accepted += accepted;
  counters_->drafted += static_cast<std::uint64_t>(drafted);
  counters_->accepted += static_cast<std::uint64_t>(accepted);
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
