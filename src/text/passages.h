// A document cut where its writer cut it, into pieces that can be read one by one: whole paragraphs, lists and tables,
// each behind its heading. Only a paragraph that is too long by itself is cut, at a sentence.
//
// Thread-safety: pure function. Cost: one pass.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::text {

struct Passage {
  std::size_t begin = 0, end = 0;  // bytes of the text; no space at either end
  bool goes_on = false;            // it is the later part of a paragraph
  std::string headings;            // those above it that aren't part of it, the outermost first, a line each
};

struct PassageRule {
  /// A passage of so many bytes takes no further paragraph. English has 4 to 5 bytes a token.
  std::size_t bytes_enough = 600;
  /// No passage has more, unless one sentence does.
  std::size_t bytes_max = 1'200;
};

/// In order, disjoint. Paragraphs are what empty lines part; a Markdown heading ("# ...") begins a passage.
std::vector<Passage> passages_of(std::string_view text, const PassageRule& rule = {});

}  // namespace pmt::text
