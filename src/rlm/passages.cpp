#include "rlm/passages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>

namespace pmt::rlm {
namespace {

constexpr double kSaturation = 1.2, kLengthShare = 0.75;  // BM25's k1 and b, as published

bool is_word_byte(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

void singular(std::string& word) {
  if (word.size() > 3 && word.back() == 's' && word[word.size() - 2] != 's') word.pop_back();
}

/// Where a passage that begins at `begin` had best end: at most `bytes` later.
std::size_t end_of(const std::string& text, std::size_t begin, std::size_t bytes) {
  const std::size_t limit = begin + bytes;
  if (limit >= text.size()) return text.size();
  for (const std::string_view mark : {"\n\n", "\n", ". ", " "}) {
    const std::size_t at = text.rfind(mark, limit);
    if (at != std::string::npos && at > begin + bytes / 2) return at + mark.size();
  }
  std::size_t at = limit;  // never inside a character
  while (at > begin + 1 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return at;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto c = i < text.size() ? static_cast<unsigned char>(text[i]) : ' ';
    if (is_word_byte(c)) {
      word += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else if (!word.empty()) {
      singular(word);
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

bool is_stop_word(const std::string& word) {
  static const std::unordered_set<std::string> kWords = {
      "a",         "an",    "the",   "of",    "in",     "on",   "at",   "to",      "for",      "from",
      "by",        "with",  "and",   "or",    "is",     "are",  "was",  "were",    "be",       "been",
      "has",       "have",  "had",   "do",    "does",   "doe",  "did",  "what",    "which",    "who",
      "whom",      "whose", "when",  "where", "why",    "how",  "many", "much",    "there",    "this",
      "that",      "these", "those", "it",    "its",    "as",   "all",  "any",     "i",        "you",
      "me",        "my",    "we",    "they",  "he",     "she",  "his",  "her",     "their",    "than",
      "into",      "out",   "only",  "tell",  "please", "give", "text", "context", "document", "according",
      "mentioned", "wa",    "ha",    "thi"};
  return kWords.contains(word);
}

Passages::Passages(const std::string& text, std::size_t passage_bytes) : text_(text) {
  std::unordered_map<std::string, std::uint32_t> counts;
  std::size_t total = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = end_of(text, begin, passage_bytes);
    const auto passage = static_cast<std::uint32_t>(spans_.size());
    counts.clear();
    std::uint32_t words = 0;
    for (std::string& word : words_of(std::string_view(text).substr(begin, end - begin))) {
      ++words;
      if (!is_stop_word(word)) ++counts[std::move(word)];
    }
    for (const auto& [word, count] : counts) postings_[word].push_back({passage, count});
    spans_.push_back({begin, end, words});
    total += words;
    begin = end;
  }
  if (!spans_.empty())
    mean_words_ = std::max(1.0, static_cast<double>(total) / static_cast<double>(spans_.size()));
}

double Passages::idf(const std::string& word) const {
  const auto found = postings_.find(word);
  const double n = found == postings_.end() ? 0 : static_cast<double>(found->second.size());
  return std::log((static_cast<double>(spans_.size()) - n + 0.5) / (n + 0.5) + 1);
}

std::vector<Found> Passages::search(const std::string& query, std::size_t k) const {
  std::unordered_map<std::uint32_t, double> scores;
  const auto words = words_of(query);
  for (const std::string& word : std::unordered_set<std::string>(words.begin(), words.end())) {
    const auto found = postings_.find(word);
    if (found == postings_.end()) continue;
    const double weight = idf(word);
    for (const Posting& p : found->second) {
      const double length = 1 - kLengthShare + kLengthShare * spans_[p.passage].words / mean_words_;
      scores[p.passage] += weight * p.count * (kSaturation + 1) / (p.count + kSaturation * length);
    }
  }
  std::vector<Found> ranked;
  for (const auto& [passage, score] : scores)
    ranked.push_back({spans_[passage].begin, spans_[passage].end, score});
  const auto better = [](const Found& a, const Found& b) {
    return a.score != b.score ? a.score > b.score : a.begin < b.begin;
  };
  const std::size_t n = std::min(k, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(n), ranked.end(), better);
  ranked.resize(n);
  return ranked;
}

std::vector<Found> Passages::all() const {
  std::vector<Found> all;
  for (const Span& span : spans_) all.push_back({span.begin, span.end, 0});
  return all;
}

}  // namespace pmt::rlm
