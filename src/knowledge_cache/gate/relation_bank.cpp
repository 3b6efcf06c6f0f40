#include "knowledge_cache/gate/relation_bank.h"

#include <algorithm>
#include <utility>

#include "text/english.h"

namespace pmt::knowledge_cache {
namespace {

std::vector<std::string> parts_of(std::string_view line) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find('|', at), line.size());
    parts.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

std::vector<Relation> relation_bank(const BankOptions& options) {
  std::vector<Relation> out;
  const auto add = [&out](std::string_view line) {
    auto parts = parts_of(line);
    Relation relation{std::move(parts.front()), {}};
    relation.wordings.assign(parts.begin() + 1, parts.end());
    out.push_back(std::move(relation));
  };
  for (const std::string_view line : text::english("relations")) add(line);
  if (options.with_common) {
    for (const std::string_view line : text::english("common_relations")) add(line);
  }
  return out;
}

std::vector<std::string> generic_questions() {
  const auto lines = text::english("generic_questions");
  return {lines.begin(), lines.end()};
}

std::string filled(std::string_view wording, std::string_view thing) {
  std::string out(wording);
  for (std::size_t at = out.find("{}"); at != std::string::npos; at = out.find("{}", at + thing.size()))
    out.replace(at, 2, thing);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

}  // namespace pmt::knowledge_cache
