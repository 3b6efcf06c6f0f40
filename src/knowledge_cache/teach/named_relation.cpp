#include "knowledge_cache/teach/named_relation.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace pmt::knowledge_cache {
namespace {

// More words are a clause, and no name: "What is the name that the mother of this thing gave it?".
constexpr int kNameWordsMax = 5;
constexpr int kOwnedWordsMax = 3;

std::string without_end(std::string text) {
  while (!text.empty() && (text.back() == '?' || text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

auto words_in(const std::string& name) {
  return std::count(name.begin(), name.end(), ' ') + 1;
}

}  // namespace

NamedRelation named_relation_of(const std::string& question) {
  static constexpr std::string_view kBegins[] = {"What is the ",  "What's the ",   "Tell me the ",
                                                 "What are the ", "What was the ", "The "};
  static constexpr std::string_view kOf = " of ";
  static constexpr std::string_view kOwned = "his thing's ";  // of "this" and of "This"
  for (const std::string_view begin : kBegins) {
    if (question.rfind(begin, 0) != 0) continue;
    const auto end = question.find(std::string(kOf) + std::string(kThing));
    if (end == std::string::npos || end <= begin.size()) continue;
    std::string name = question.substr(begin.size(), end - begin.size());
    if (words_in(name) <= kNameWordsMax)
      return {std::move(name), without_end(question.substr(end + kOf.size() + kThing.size()))};
  }
  const auto owned = question.find(kOwned);
  if (owned == std::string::npos) return {};
  std::string name = without_end(question.substr(owned + kOwned.size()));
  if (words_in(name) > kOwnedWordsMax) return {};
  return {std::move(name), ""};
}

}  // namespace pmt::knowledge_cache
