#include "permutation/confidence.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/json_text.h"
#include "permutation/domain.h"

namespace pmt::permutation {
namespace {

std::map<std::string, int> counted(const std::string& text) {
  std::map<std::string, int> counts;
  for (std::string& word : words_of(text)) {
    if (word != "the" && word != "a" && word != "an") ++counts[std::move(word)];
  }
  return counts;
}

int total(const std::map<std::string, int>& counts) {
  int sum = 0;
  for (const auto& [word, count] : counts) sum += count;
  return sum;
}

}  // namespace

void drop_logprobs(llm::Delta& delta) {
  static constexpr std::string_view kNames[] = {"logprobs"};
  delta.logprobs.clear();
  delta.choice_more = base::members_without(delta.choice_more, kNames);
}

double agreement(const std::string& a, const std::string& b) {
  const auto left = counted(a), right = counted(b);
  const int all = total(left) + total(right);
  if (all == 0) return 1;
  int shared = 0;
  for (const auto& [word, count] : left) {
    const auto found = right.find(word);
    if (found != right.end()) shared += std::min(count, found->second);
  }
  return 2.0 * shared / all;
}

}  // namespace pmt::permutation
