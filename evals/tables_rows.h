// What the invented worlds of tables_worlds.h share: choices by a seed, and answers computed over rows of any kind.
// Thread-safety: pure functions, but for the random numbers.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "evals/tables_worlds.h"

namespace pmt::evals {

using Random = std::mt19937;

inline int below(Random& random, int n) {
  return static_cast<int>(random() % static_cast<unsigned>(n));
}
inline const std::string& one_of(const std::vector<std::string>& items, Random& random) {
  return items[static_cast<std::size_t>(below(random, static_cast<int>(items.size())))];
}
inline std::string day(int year, int month, int date) {
  return fmt::format("{:04}-{:02}-{:02}", year, month, date);
}

/// Over rows of any kind.
template <class Row>
struct Over {
  const std::vector<Row>& rows;
  using Is = std::function<bool(const Row&)>;
  using Number = std::function<double(const Row&)>;
  using Text = std::function<std::string(const Row&)>;

  std::string count(const Is& is) const { return fmt::format("{}", std::ranges::count_if(rows, is)); }
  std::string sum(const Is& is, const Number& of) const {
    double sum = 0;
    for (const Row& row : rows) sum += is(row) ? of(row) : 0;
    return fmt::format("{:.4f}", sum);
  }
  std::string mean(const Is& is, const Number& of) const {
    double sum = 0;
    int n = 0;
    for (const Row& row : rows) {
      if (is(row)) sum += of(row), ++n;
    }
    return n == 0 ? "" : fmt::format("{:.4f}", sum / n);
  }
  std::string distinct(const Is& is, const Text& of) const {
    std::set<std::string> all;
    for (const Row& row : rows) {
      if (is(row)) all.insert(of(row));
    }
    return fmt::format("{}", all.size());
  }
  /// Of the group with the largest sum; "" where two share it.
  std::string best(const Is& is, const Text& by, const Number& of) const {
    std::map<std::string, double> groups;
    for (const Row& row : rows) {
      if (is(row)) groups[by(row)] += of(row);
    }
    if (groups.empty()) return "";
    const auto best = std::ranges::max_element(groups, {}, [](const auto& g) { return g.second; });
    const auto ties = std::ranges::count_if(groups, [&](const auto& g) { return g.second == best->second; });
    return ties == 1 ? best->first : "";
  }
};

double one(const auto&) {
  return 1;
}

/// Worlds of several tables, or of one list in a document.
TableWorld staff_world(Random& random);
TableWorld library_world(Random& random);

}  // namespace pmt::evals
