// Passages ranked for a question by the words that they share with it: BM25 (Robertson and Zaragoza 2009) over stems
// of folded words, stop words left out. For some ten thousand passages that are asked often: postings are kept.
//
// Thread-safety: const after the last add(). Cost: add is 50 ns a byte and 8 B a different word of a passage; a search
// visits the passages that hold a word of the question, 10 ns each.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pmt::text {

/// Of a word that `holding` of `passages` passages hold.
inline double bm25_weight(double passages, std::size_t holding) {
  const auto n = static_cast<double>(holding);
  return std::log((passages - n + 0.5) / (n + 0.5) + 1);
}
/// What a word of that weight adds to the score of a passage of so many `words` that holds it so many `times`.
/// `mean`: words of a passage.
inline double bm25_part(double weight, double times, double words, double mean) {
  constexpr double kSaturation = 1.2, kLengthShare = 0.75;  // k1 and b, as published
  const double norm = 1 - kLengthShare + kLengthShare * words / mean;
  return weight * times * (kSaturation + 1) / (times + kSaturation * norm);
}

class Bm25 {
 public:
  /// Its number: 0, 1, ...
  std::size_t add(std::string_view passage);
  std::size_t size() const { return lengths_.size(); }

  struct Hit {
    std::size_t passage = 0;
    double score = 0;
    /// Of what the question's words weigh, the share that the passage holds: 0..1. A word that no passage holds weighs
    /// most, so a question about something else covers little.
    double covered = 0;
  };
  /// The best `count` that hold any of its words, best first.
  std::vector<Hit> search(std::string_view question, std::size_t count) const;

 private:
  struct Posting {
    std::uint32_t passage = 0, times = 0;
  };
  std::unordered_map<std::string, std::vector<Posting>> postings_;
  std::vector<std::uint32_t> lengths_;  // words of each passage
  std::uint64_t words_ = 0;
};

}  // namespace pmt::text
