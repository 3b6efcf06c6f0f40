// A context cut into passages, ranked for a question without reading any: BM25 (Robertson and Zaragoza 2009)
// over words in lower case without their plural s. Passages end at a paragraph, a line or a sentence where
// one is near. Thread-safety: immutable after construction. Cost: one pass over the text, some 20 MB/s, and
// about as many bytes again; a search scans the postings of the question's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pmt::rlm {

/// Lower-case words and numbers of `text`; UTF-8 letters count as letters.
std::vector<std::string> words_of(std::string_view text);
/// Words that say nothing about what is asked: the, of, what, ...
bool is_stop_word(const std::string& word);

struct Found {
  std::size_t begin = 0, end = 0;  // bytes in the text
  double score = 0;
};

class Passages {
 public:
  /// Keeps a reference to `text`.
  explicit Passages(const std::string& text, std::size_t passage_bytes = 1'200);

  /// The best `k` with any word of the query, best first.
  std::vector<Found> search(const std::string& query, std::size_t k) const;
  /// Every passage, in order.
  std::vector<Found> all() const;
  std::string_view text_of(const Found& found) const {
    return std::string_view(text_).substr(found.begin, found.end - found.begin);
  }
  std::size_t size() const { return spans_.size(); }
  /// How rare a word is: ln((N - n + .5) / (n + .5) + 1).
  double idf(const std::string& word) const;

 private:
  struct Span {
    std::size_t begin, end;
    std::uint32_t words;
  };
  struct Posting {
    std::uint32_t passage, count;
  };
  const std::string& text_;
  std::vector<Span> spans_;
  std::unordered_map<std::string, std::vector<Posting>> postings_;
  double mean_words_ = 1;
};

}  // namespace pmt::rlm
