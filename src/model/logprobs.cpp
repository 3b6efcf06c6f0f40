#include "model/logprobs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace pmt::model {
namespace {

/// log(sum(exp(logits))), with the largest taken out so that nothing overflows; summed in double, since 10^5
/// float terms lose the small ones.
double log_sum_exp(std::span<const float> logits) {
  const float max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

}  // namespace

Logprobs logprobs(std::span<const float> logits, std::int32_t token, int top_n) {
  CHECK(token >= 0 && static_cast<std::size_t>(token) < logits.size() && top_n >= 0);
  const double total = log_sum_exp(logits);
  const auto of = [&](std::int32_t id) {
    return static_cast<float>(logits[static_cast<std::size_t>(id)] - total);
  };
  Logprobs result{.logprob = of(token), .top = {}};

  // A heap of the best so far, the worst of them in front.
  const auto better = [&](std::int32_t a, std::int32_t b) {
    const float la = logits[static_cast<std::size_t>(a)], lb = logits[static_cast<std::size_t>(b)];
    return la != lb ? la > lb : a < b;
  };
  std::vector<std::int32_t> best;
  for (std::int32_t id = 0; top_n > 0 && id < static_cast<std::int32_t>(logits.size()); ++id) {
    if (best.size() == static_cast<std::size_t>(top_n)) {
      if (!better(id, best.front())) continue;
      std::pop_heap(best.begin(), best.end(), better);
      best.pop_back();
    }
    best.push_back(id);
    std::push_heap(best.begin(), best.end(), better);
  }
  std::sort_heap(best.begin(), best.end(), better);
  for (const std::int32_t id : best) result.top.emplace_back(id, of(id));
  return result;
}

}  // namespace pmt::model
