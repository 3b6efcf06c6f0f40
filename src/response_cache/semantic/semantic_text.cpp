#include "response_cache/semantic/semantic_text.h"

#include <algorithm>
#include <string>
#include <vector>

#include "text/sorted.h"
#include "text/stems.h"

namespace pmt::response_cache {
namespace {

using Words = std::vector<std::string>;

int shared_count(const Words& a, const Words& b) {
  int count = 0;
  for (const std::string& word : a) {
    if (text::has_sorted(b, word) ||
        std::any_of(b.begin(), b.end(), [&](const std::string& w) { return text::alike(word, w); }))
      ++count;
  }
  return count;
}

}  // namespace

Likeness likeness(const text::Question& a, const text::Question& b) {
  Likeness out;
  const int from_a = shared_count(a.content, b.content), from_b = shared_count(b.content, a.content);
  const auto sizes = a.content.size() + b.content.size();
  if (sizes > 0) out.shared = static_cast<float>(from_a + from_b) / static_cast<float>(sizes);
  const bool a_shorter = a.content.size() <= b.content.size();
  const auto shorter = std::max<std::size_t>(1, std::min(a.content.size(), b.content.size()));
  out.contained = static_cast<float>(a_shorter ? from_a : from_b) / static_cast<float>(shorter);

  const std::size_t n = std::min(a.words.size(), b.words.size());
  std::size_t front = 0, back = 0;
  while (front < n && a.words[front] == b.words[front]) ++front;
  while (front + back < n && a.words[a.words.size() - 1 - back] == b.words[b.words.size() - 1 - back]) ++back;
  const std::size_t longer = std::max(a.words.size(), b.words.size());
  const bool lost_a = from_a < static_cast<int>(a.content.size());
  const bool lost_b = from_b < static_cast<int>(b.content.size());
  if (front + back < n && longer > 0 && lost_a && lost_b) {
    out.substituted = static_cast<float>(front + back) / static_cast<float>(longer);
  }
  int named = 0;
  for (const std::string& name : a.names) named += text::has_sorted(b.names, name) ? 1 : 0;
  named += static_cast<int>(a.numbers == b.numbers ? a.numbers.size() : 0);
  out.named = std::min(1.0F, 0.5F * static_cast<float>(named));
  return out;
}

}  // namespace pmt::response_cache
