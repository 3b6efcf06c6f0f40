#include "permutation/domain.h"

#include <algorithm>
#include <cctype>

namespace pmt::permutation {
namespace {

struct BuiltIn {
  const char* name;
  const char* keywords;
};

constexpr BuiltIn kBuiltIn[] = {
    {"code",
     "algorithm api bug c++ class code compile compiler css database debug exception function git html java "
     "javascript json library linux loop method program programming python regex rust script server sql "
     "string syntax variable"},
    {"finance",
     "bank bond budget credit currency debt dividend dollar euro finance fund gdp inflation interest invest "
     "investment loan market mortgage price profit revenue share stock tax"},
    {"geography",
     "border capital city continent country county island lake language map mountain ocean population "
     "province region river state town"},
    {"history",
     "ancient battle century civil colony dynasty emperor empire historical history independence king "
     "medieval "
     "president queen revolution treaty war"},
    {"law",
     "attorney constitution contract court crime judge jury law lawsuit lawyer legal liability patent "
     "statute trial"},
    {"mathematics",
     "algebra calculate derivative divide equation fraction geometry integral math matrix multiply number "
     "percent prime probability proof prove root solve sum theorem triangle"},
    {"medicine",
     "blood cancer cure diagnosis disease doctor dose drug health heart hospital infection medical medicine "
     "patient symptom symptoms therapy treatment vaccine virus"},
    {"science",
     "acid atom biology cell chemical chemistry electron energy evolution experiment force gene gravity "
     "light "
     "mass molecule physics planet quantum reaction science species star temperature"},
    {"sport",
     "basketball championship club coach cup football game goal league olympic player season soccer "
     "sport stadium team tennis win won"},
    {"culture",
     "actor album artist author band book character composer directed director film movie music novel opera "
     "painter painting played poem poet sang series show singer song theatre wrote"},
};

}  // namespace

std::string question_of(const llm::Request& request) {
  if (request.endpoint == llm::Endpoint::kCompletions) return request.prompt;
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == "user") return message->content;
  }
  return {};
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80 || (c == '+' && !word.empty())) {
      word.push_back(static_cast<char>(std::tolower(byte)));
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

Domains::Domains() {
  for (const BuiltIn& one : kBuiltIn) domains_.push_back({one.name, words_of(one.keywords)});
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
