#include "model/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pmt::model {
namespace {

std::vector<std::size_t> borders_of(const std::string& text) {
  std::vector<std::size_t> borders(text.size() + 1, 0);
  for (std::size_t i = 1, k = 0; i < text.size(); ++i) {
    while (k > 0 && text[i] != text[k]) k = borders[k];
    if (text[i] == text[k]) ++k;
    borders[i + 1] = k;
  }
  return borders;
}

}  // namespace

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    CHECK(!stop.empty());
    patterns_.push_back({.text = stop, .fallback = borders_of(stop)});
  }
}

void StopMatcher::advance(Pattern& pattern, char byte) {
  while (pattern.matched > 0 && pattern.text[pattern.matched] != byte) {
    pattern.matched = pattern.fallback[pattern.matched];
  }
  if (pattern.text[pattern.matched] == byte) ++pattern.matched;
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return {};
  for (const char byte : text) {
    held_ += byte;
    std::size_t stop_length = 0;
    for (Pattern& pattern : patterns_) {
      advance(pattern, byte);
      if (pattern.matched == pattern.text.size()) stop_length = std::max(stop_length, pattern.matched);
    }
    if (stop_length > 0) {
      stopped_ = true;
      held_.resize(held_.size() - stop_length);
      return std::exchange(held_, {});
    }
  }
  std::size_t keep = 0;
  for (const Pattern& pattern : patterns_) keep = std::max(keep, pattern.matched);
  std::string safe = held_.substr(0, held_.size() - keep);
  held_.erase(0, safe.size());
  return safe;
}

std::string StopMatcher::flush() {
  return std::exchange(held_, {});
}

}  // namespace pmt::model
