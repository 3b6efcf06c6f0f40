#include "rlm/evidence.h"

#include <algorithm>
#include <utility>

#include "base/trimmed.h"
#include "base/utf8.h"
#include "text/sentences.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kSentencesMax = 4;
constexpr std::size_t kSentenceBytesMax = 400;

/// Verse, tables and broken-off sentences have no stop for long: they end with a line.
constexpr text::SentenceRule kProse = {.line_bytes_min = kSentenceBytesMax / 2, .bytes_min = 20};

/// The sentence at `range` of a passage. Lines before it that lost their stop don't belong to one that holds
/// all.
Evidence evidence_at(std::string_view passage, const text::Range& range, std::size_t passage_begin,
                     const std::set<std::string>& asked) {
  std::string_view sentence = passage.substr(range.begin, range.end - range.begin);
  const bool whole = std::ranges::includes(word_set(sentence), asked);
  for (auto line = sentence.find('\n'); whole && line != std::string_view::npos; line = sentence.find('\n')) {
    if (!std::ranges::includes(word_set(sentence.substr(line + 1)), asked)) break;
    sentence.remove_prefix(line + 1);
  }
  sentence = base::cut_utf8(sentence, kSentenceBytesMax);
  const std::size_t begin = passage_begin + static_cast<std::size_t>(sentence.data() - passage.data());
  Evidence evidence{.score = 0,
                    .whole = whole,
                    .span = {.begin = begin, .end = begin + sentence.size()},
                    .text = std::string(sentence)};
  std::ranges::replace(evidence.text, '\n', ' ');
  return evidence;
}

std::set<std::string> asked_by(const Ranked& found) {
  std::set<std::string> asked;
  for (const auto& word : found.rarity) asked.insert(asked.end(), word.first);
  return asked;
}

double weight_of(const std::set<std::string>& words, const Ranked& found) {
  double sum = 0;
  for (const std::string& word : words) {
    if (const auto weight = found.rarity.find(word); weight != found.rarity.end()) sum += weight->second;
  }
  return sum;
}

}  // namespace

std::size_t order_by_sentences(const Passages& passages, Ranked& found) {
  const std::set<std::string> asked = asked_by(found);
  struct Order {
    bool whole = false;
    double score = 0;
    Found passage = {};
  };
  std::vector<Order> orders;
  for (const Found& passage : found.best) {
    Order order{.passage = passage};
    const std::string_view text = passages.text_of(passage);
    for (const text::Range& range : text::sentences_of(text, kProse)) {
      const std::set<std::string> words = word_set(text.substr(range.begin, range.end - range.begin));
      order.score = std::max(order.score, weight_of(words, found));
      order.whole = order.whole || std::ranges::includes(words, asked);
    }
    order.passage.score += order.score;
    orders.push_back(order);
  }
  std::ranges::stable_sort(orders, [](const Order& a, const Order& b) {
    return a.whole != b.whole ? a.whole : a.passage.score > b.passage.score;
  });
  for (std::size_t i = 0; i < orders.size(); ++i) found.best[i] = orders[i].passage;
  return static_cast<std::size_t>(std::ranges::count_if(orders, &Order::whole));
}

double share_held(const Ranked& found, const std::set<std::string>& names, std::string_view passage) {
  const std::set<std::string> words = word_set(passage);
  double all = 0, held = 0;
  for (const auto& [word, weight] : found.rarity) {
    if (names.contains(word)) continue;
    all += weight;
    held += words.contains(word) ? weight : 0;
  }
  return all > 0 ? held / all : 1;
}

Span sentence_around(std::string_view passage, std::size_t at) {
  for (const text::Range& range : text::sentences_of(passage, kProse)) {
    if (range.begin <= at && at < range.end) return {.begin = range.begin, .end = range.end};
  }
  return {.begin = at, .end = at};
}

std::set<std::string> word_set(std::string_view text) {
  std::set<std::string> words;
  for (std::string& word : words_of(text)) words.insert(std::move(word));
  return words;
}

std::vector<Evidence> evidence_of(const Passages& passages, const std::vector<Found>& read,
                                  const Ranked& found) {
  const std::set<std::string> asked = asked_by(found);
  std::vector<Evidence> evidence;
  for (const Found& passage : read) {
    const std::string_view text = passages.text_of(passage);
    for (const text::Range& range : text::sentences_of(text, kProse)) {
      Evidence one = evidence_at(text, range, passage.begin, asked);
      one.score = weight_of(word_set(one.text), found);
      evidence.push_back(std::move(one));
    }
  }
  std::ranges::stable_sort(evidence, [](const Evidence& a, const Evidence& b) { return a.score > b.score; });
  evidence.resize(std::min(evidence.size(), kSentencesMax));
  while (evidence.size() > 1 && evidence.back().score < 0.5 * evidence.front().score) evidence.pop_back();
  if (!evidence.empty() && evidence.front().whole)
    std::erase_if(evidence, [](const Evidence& e) { return !e.whole; });
  std::ranges::sort(evidence, {}, [](const Evidence& e) { return e.span.begin; });
  return evidence;
}

std::vector<Found> whole_sentences(const Passages& passages, const std::vector<Found>& read,
                                   const Ranked& found) {
  std::vector<Found> sentences;
  for (const Evidence& one : evidence_of(passages, read, found)) {
    if (one.whole) sentences.push_back({.begin = one.span.begin, .end = one.span.end, .score = one.score});
  }
  const bool was_read =
      sentences.size() == 1 && read.size() == 1 &&
      base::trimmed(passages.text_of(read[0])).size() <= sentences[0].end - sentences[0].begin;
  if (was_read) sentences.clear();
  return sentences;
}

}  // namespace pmt::rlm
