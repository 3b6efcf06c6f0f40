#include "permutation/domain.h"

#include <algorithm>

#include "text/english.h"
#include "text/plain_words.h"

namespace pmt::permutation {

std::string question_of(const llm::Request& request) {
  if (request.endpoint == llm::Endpoint::kCompletions) return request.prompt;
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == "user") return message->content;
  }
  return {};
}

std::vector<std::string> words_of(std::string_view text) {
  return text::plain_words(text, {.inside = "+"});
}

Domains::Domains() {
  for (const std::string_view line : text::english("domains")) {
    const std::size_t colon = line.find(':');
    domains_.push_back({std::string(line.substr(0, colon)), words_of(line.substr(colon + 1))});
  }
  for (Domain& domain : domains_) std::sort(domain.keywords.begin(), domain.keywords.end());
  std::sort(domains_.begin(), domains_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

DomainGuess Domains::classify(const std::vector<std::string>& words) const {
  DomainGuess best;
  for (const Domain& domain : domains_) {
    const auto known = std::count_if(words.begin(), words.end(), [&](const std::string& word) {
      return std::binary_search(domain.keywords.begin(), domain.keywords.end(), word);
    });
    const double score = static_cast<double>(known) / static_cast<double>(words.size() + 1);
    if (score > best.score) best = {domain.name, score};
  }
  return best;
}

}  // namespace pmt::permutation
