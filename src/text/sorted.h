// Lists that are kept sorted, and what is asked of them. Thread-safety: pure functions. Cost: a search by halves.
#pragma once

#include <algorithm>
#include <vector>

namespace pmt::text {

template <class T>
void sort_unique(std::vector<T>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

/// Requires: `sorted` is.
template <class T, class One>
bool has_sorted(const std::vector<T>& sorted, const One& one) {
  return std::binary_search(sorted.begin(), sorted.end(), one);
}

}  // namespace pmt::text
