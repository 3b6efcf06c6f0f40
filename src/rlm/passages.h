// A context cut into passages, ranked for a question without reading any: BM25 (Robertson and Zaragoza 2009)
// over words in lower case without their plural s. A passage is whole paragraphs with the heading before them;
// a paragraph that is too long for one is cut after a line or a sentence.
//
// There are no postings: each passage has a signature of 1,024 bits (Faloutsos 1985) that tells which words
// it can't hold, and a search counts the question's words in those that may hold one. So it takes a tenth of
// the text's memory, whatever the text is. Words are compared by 64-bit hashes. Thread-safety: immutable
// after construction. Cost, on one slow core: 3 s/GB to cut and index; a search reads what may match, at most
// the whole text at the same speed. Errors of all that take a Watch: its own.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rlm/watch.h"

namespace pmt::rlm {

/// The words of `text` as passages are searched by: text::plain_words without a plural's s.
std::vector<std::string> words_of(std::string_view text);

/// At most. Some 300 tokens; where paragraphs allow, a passage has three quarters of it or less.
inline constexpr std::size_t kPassageBytes = 1'300;

struct Span {
  std::size_t begin = 0, end = 0;  // bytes in the text
};
inline std::string_view text_of(std::string_view text, const Span& span) {
  return text.substr(span.begin, span.end - span.begin);
}

struct Found {
  std::size_t begin = 0, end = 0;  // bytes in the text
  /// The same in characters: what a program's slices count in.
  std::size_t begin_character = 0, end_character = 0;
  double score = 0;
};

struct Ranked {
  std::vector<Found> best;
  std::map<std::string, double> rarity;  // of the query's words: ln((N - n + .5) / (n + .5) + 1)
  std::set<std::string> absent;          // of them, what stands in no passage
};

class Passages {
 public:
  /// Keeps a reference to `text`.
  static base::Result<Passages> index(const std::string& text, Watch& watch,
                                      std::size_t passage_bytes = kPassageBytes);

  /// The best `k` with any word of the query, best first.
  base::Result<Ranked> search(const std::string& query, std::size_t k, Watch& watch) const;
  std::string_view text_of(const Found& found) const {
    return rlm::text_of(text_, {.begin = found.begin, .end = found.end});
  }
  std::size_t size() const { return entries_.size(); }
  /// In the text's order: all of it.
  const Span& span(std::size_t i) const { return entries_[i].span; }

 private:
  struct Entry {
    Span span;
    std::size_t characters_before = 0;
    std::uint32_t words = 0;
    std::array<std::uint64_t, 16> signature = {};
  };
  struct Hit {
    std::uint32_t passage, word, count;
  };
  class Query;

  explicit Passages(const std::string& text) : text_(text) {}
  base::Result<std::vector<Hit>> hits(const Query& query, Watch& watch) const;

  const std::string& text_;
  std::vector<Entry> entries_;
  double mean_words_ = 1;
};

}  // namespace pmt::rlm
