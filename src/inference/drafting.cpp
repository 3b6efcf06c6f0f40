#include "inference/drafting.h"

#include <algorithm>
#include <utility>

namespace pmt::inference {

base::Result<std::unique_ptr<Drafting>> Drafting::create(std::unique_ptr<DraftModel> model,
                                                         const base::Clock& clock) {
  TRY_ASSIGN(const DraftPolicy::Pace pace, model->measure(clock));
  return std::unique_ptr<Drafting>(new Drafting(std::move(model), DraftPolicy(pace), clock));
}

void Drafting::follow(const std::string& job, int choice) {
  if (job == job_ && choice == choice_) return;
  job_ = job;
  choice_ = choice;
  model_->forget();
  policy_.begin_answer();
}

std::vector<std::int32_t> Drafting::propose(std::span<const std::int32_t> text, int wanted, double plain_s,
                                            const StepCosts& costs) {
  std::vector<std::int32_t> all(text.begin(), text.end());
  DraftPolicy::Sofar sofar;
  while (sofar.drafts < wanted && policy_.wants_more(sofar, plain_s, costs) &&
         policy_.may_read(model_->unread(all))) {
    const auto draft = next(all);
    if (!draft || !policy_.takes(sofar, draft->probability, costs)) break;
    all.push_back(draft->token);
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(text.size()), all.end()};
}

std::optional<DraftModel::Draft> Drafting::next(std::span<const std::int32_t> text) {
  const int unread = model_->unread(text);
  const base::Nanos begun = clock_.now();
  try {
    auto draft = model_->next(text);
    policy_.drafted(unread, base::ms_between(begun, clock_.now()) / 1000);
    return draft;
  } catch (...) {
    model_->forget();  // the sequence may be half-changed
    throw;
  }
}

}  // namespace pmt::inference
