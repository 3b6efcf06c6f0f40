#include "evals/question_pairs.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"

namespace pmt::evals {
namespace {

std::vector<std::string> split(const std::string& text, const std::string& between) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(between, at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + between.size();
  }
  return out;
}

base::Result<std::vector<std::string>> lines_of(const std::string& name) {
  TRY_ASSIGN(const std::string all, base::read_file(std::string(PMT_EVALS_DIR) + "/pairs/" + name));
  std::vector<std::string> lines = split(all, "\n");
  std::erase_if(lines, [](const std::string& line) { return line.empty() || line.front() == '#'; });
  return lines;
}

/// Fills patterns, each {name1} alike wherever it stands in one.
class Filler {
 public:
  Filler(Fillers lists, Fillers own, unsigned seed)
      : lists_(std::move(lists)), own_(std::move(own)), random_(seed) {}

  base::Result<std::string> fill(const std::string& pattern) {
    std::map<std::string, std::vector<std::string>> drawn;
    std::string out;
    for (std::size_t at = 0; at < pattern.size();) {
      const std::size_t open = std::min(pattern.find('{', at), pattern.size());
      out += pattern.substr(at, open - at);
      if (open == pattern.size()) break;
      const std::size_t close = pattern.find('}', open);
      const std::string name = pattern.substr(open + 1, close - open - 2);
      const auto which = static_cast<std::size_t>(pattern[close - 1] - '1');
      auto& values = drawn[name];
      if (values.empty()) values = draw(name);
      if (which >= values.size())
        return base::invalid(fmt::format("{}: there is no list \"{}\" of {}", pattern, name, which + 1));
      out += values[which];
      at = close + 1;
    }
    return out;
  }

 private:
  std::vector<std::string> draw(const std::string& name) {
    if (const auto own = own_.find(name); own != own_.end() && !own->second.empty()) {
      std::vector<std::string> one{std::move(own->second.back())};
      own->second.pop_back();
      return one;
    }
    std::vector<std::string> values = lists_[name];
    std::shuffle(values.begin(), values.end(), random_);
    return values;
  }

  Fillers lists_, own_;
  std::mt19937 random_;
};

}  // namespace

base::Result<std::vector<QuestionPair>> question_pairs(const std::string& file, std::size_t each,
                                                       unsigned seed, Fillers own) {
  TRY_ASSIGN(const auto lists, lines_of("fillers.txt"));
  Fillers fillers;
  for (const std::string& line : lists) {
    const std::size_t colon = line.find(": ");
    fillers.emplace(line.substr(0, colon), split(line.substr(colon + 2), ", "));
  }
  TRY_ASSIGN(const auto lines, lines_of(file));
  Filler filler(std::move(fillers), std::move(own), seed);
  std::vector<QuestionPair> pairs;
  std::set<std::string> seen;
  std::string kind;
  for (const std::string& line : lines) {
    if (line.front() == '[') {
      kind = line.substr(1, line.size() - 2);
      continue;
    }
    const bool same = line.starts_with("= ");
    const std::string pattern = same ? line.substr(2) : line;
    std::size_t made = 0;
    for (std::size_t tries = 0; made < each && tries < 10 * each; ++tries) {
      TRY_ASSIGN(const std::string text, filler.fill(pattern));
      if (!seen.insert(text).second) continue;
      pairs.push_back({kind, same, split(text, " | ")});
      ++made;
    }
  }
  return pairs;
}

}  // namespace pmt::evals
