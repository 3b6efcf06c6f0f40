#include "audit/verdict.h"

#include <fmt/format.h>

namespace pmt::audit {
namespace {

std::string join(const std::vector<std::string>& parts, const char* separator) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : separator) + part;
  return out;
}

/// "response cache (PermutationEngine 3, plain completions 9)", or "" when it was used nowhere.
std::string use_of(const RowResult& row) {
  std::vector<std::string> where;
  for (int i = 0; i < base::kSurfaces; ++i) {
    if (row.cells[i].count == 0) continue;
    where.push_back(fmt::format("{} {}", title_of(static_cast<base::Surface>(i)), row.cells[i].count));
  }
  return where.empty() ? "" : fmt::format("{} ({})", row.name, join(where, ", "));
}

}  // namespace

const char* title_of(base::Surface surface) {
  switch (surface) {
    case base::Surface::kPermutation:
      return "PermutationEngine";
    case base::Surface::kRlm:
      return "RecursiveLanguageModel";
    case base::Surface::kUnified:
      return "unified pipeline";
    case base::Surface::kCompletions:
      return "plain completions";
  }
  return "unknown";
}

std::string verdict_of(const std::vector<RowResult>& rows) {
  std::vector<std::string> used, unused, absent;
  std::size_t asked_about = 0;
  for (const RowResult& row : rows) {
    if (!row.concerns) continue;
    ++asked_about;
    if (row.implemented != "yes") {
      absent.push_back(
          fmt::format("{} ({})", row.name, row.implemented.substr(row.implemented.find(' ') + 1)));
    } else if (const std::string use = use_of(row); !use.empty()) {
      used.push_back(use);
    } else {
      unused.push_back(row.name);
    }
  }
  if (asked_about > 0 && used.size() == asked_about) {
    return fmt::format("Yes: all {} caches are built and used: {}.", asked_about, join(used, "; "));
  }
  std::string out = fmt::format("No: of {} caches {} built and {} used", asked_about,
                                used.size() + unused.size(), used.size());
  if (!used.empty()) out += ": " + join(used, "; ");
  if (!unused.empty()) out += ". Built but never used: " + join(unused, ", ");
  if (!absent.empty()) out += ". Not there: " + join(absent, ", ");
  return out + ".";
}

}  // namespace pmt::audit
