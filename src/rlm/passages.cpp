#include "rlm/passages.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "text/bm25.h"
#include "text/plain_words.h"
#include "text/stop_words.h"

#include "base/utf8.h"

namespace pmt::rlm {
namespace {

/// A longer question is met by every passage: to ask the signatures first would only cost.
constexpr std::size_t kSignatureWordsMax = 64;
/// What is asked stands in its first so many bytes.
constexpr std::size_t kQueryBytesMax = 64 << 10;

/// FNV-1a, byte by byte as a word is read.
class WordHash {
 public:
  void add(unsigned char folded) {
    before_ = hash_;
    hash_ = (hash_ ^ folded) * 0x100000001b3ULL;
    before_last_ = last_;
    last_ = folded;
    ++bytes_;
  }
  bool empty() const { return bytes_ == 0; }
  /// As text::is_plural.
  bool is_plural() const { return bytes_ > 3 && last_ == 's' && before_last_ != 's'; }
  /// Without a plural's s. Mixed, so that every bit hangs on every byte.
  std::uint64_t value() const {
    std::uint64_t h = is_plural() ? before_ : hash_;
    h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15ULL;
    return h ^ (h >> 29);
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325ULL, before_ = 0;
  std::size_t bytes_ = 0;
  unsigned char last_ = 0, before_last_ = 0;
};

template <class Each>
void hash_words(std::string_view text, Each&& each) {
  WordHash word;
  for (const char c : text) {
    const unsigned char folded = text::kPlainByte[static_cast<unsigned char>(c)];
    if (folded != 0) {
      word.add(folded);
    } else if (!word.empty()) {
      each(word.value());
      word = {};
    }
  }
  if (!word.empty()) each(word.value());
}

using Signature = std::array<std::uint64_t, 16>;

/// Two bits a word: of some 150 words of a passage they set a quarter.
void sign(Signature& signature, std::uint64_t hash) {
  signature[hash >> 60] |= 1ULL << ((hash >> 54) & 63);
  signature[(hash >> 50) & 15] |= 1ULL << ((hash >> 44) & 63);
}

bool may_hold(const Signature& signature, std::uint64_t hash) {
  return ((signature[hash >> 60] >> ((hash >> 54) & 63)) &
          (signature[(hash >> 50) & 15] >> ((hash >> 44) & 63)) & 1) != 0;
}

/// The end of the last `mark` (one byte or two) that begins in [from, to]; npos if there is none.
std::size_t after_last(std::string_view text, std::string_view mark, std::size_t from, std::size_t to) {
  for (std::size_t end = to + 1; end > from;) {
    const void* const found = memrchr(text.data() + from, mark[0], end - from);
    if (found == nullptr) return std::string_view::npos;
    end = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    if (text.substr(end, mark.size()) == mark) return end + mark.size();
  }
  return std::string_view::npos;
}

/// Where the paragraph that begins at `begin` ends, with the empty line after it: `limit` if that is later.
std::size_t paragraph_end(std::string_view text, std::size_t begin, std::size_t limit) {
  text = text.substr(0, limit);
  for (std::size_t at = begin; at < limit; ++at) {
    at = std::min(text.find('\n', at), limit);
    const std::size_t next = text.find_first_not_of(" \t\r", at + 1);
    if (at < limit && next < limit && text[next] == '\n') return next + 1;
  }
  return limit;
}

/// Of Markdown, or one short line that doesn't end as a sentence does.
bool is_heading(std::string_view paragraph) {
  constexpr std::size_t kHeadingBytesMax = 80;
  constexpr std::string_view kSpaces = " \t\r\n";
  paragraph = paragraph.substr(0, paragraph.find_last_not_of(kSpaces) + 1);
  if (paragraph.starts_with('#')) return true;
  return !paragraph.empty() && paragraph.size() <= kHeadingBytesMax &&
         paragraph.find('\n') == std::string_view::npos &&
         std::string_view(".!?:;,\"'").find(paragraph.back()) == std::string_view::npos;
}

/// Inside a paragraph that is too long: after a line, a sentence or a word in the second half.
std::size_t cut_of(std::string_view text, std::size_t begin, std::size_t bytes) {
  const std::size_t limit = begin + bytes;
  for (const std::string_view mark : {"\n", ". ", " "}) {
    const std::size_t end = after_last(text, mark, begin + bytes / 2 + 1, limit);
    if (end != std::string_view::npos) return end;
  }
  for (std::size_t back = 0; back < 4; ++back) {  // never inside a character
    if ((static_cast<unsigned char>(text[limit - back]) & 0xC0U) != 0x80U && limit - back > begin)
      return limit - back;
  }
  return limit;  // bytes that are no characters
}

/// Where a passage that begins at `begin` had best end: at most `bytes`, and a mark's two, later. It takes
/// whole paragraphs up to three quarters of that, or one that is longer. A heading goes with what follows it.
std::size_t end_of(std::string_view text, std::size_t begin, std::size_t bytes) {
  const std::size_t limit = std::min(text.size(), begin + bytes), enough = begin + bytes * 3 / 4;
  std::size_t end = begin, last = begin;  // of whole paragraphs, and where the last of them begins
  while (end < enough) {
    const std::size_t next = paragraph_end(text, end, limit);
    const bool whole = next < limit || limit == text.size();
    // Only asked where it decides: of a text of empty lines each look is as long as the passage.
    const auto begun = [&] { return end > begin && !is_heading(text.substr(begin, end - begin)); };
    if (!whole || (next > enough && begun())) break;
    if (end >= begin + bytes / 4 && text[end] == '#') break;
    last = std::exchange(end, next);
    if (end == text.size()) break;
  }
  if (end == begin) return cut_of(text, begin, bytes);
  const bool heads = end < text.size() && last > begin && is_heading(text.substr(last, end - last));
  return heads ? last : end;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  return text::plain_words(text, {.singular = true});
}

base::Result<Passages> Passages::index(const std::string& text, Watch& watch, std::size_t passage_bytes) {
  watch.begin("indexing", text.size());
  Passages passages(text);
  passages.entries_.reserve(text.size() / passage_bytes + 1);
  std::size_t words = 0, characters = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    Entry& entry = passages.entries_.emplace_back();
    entry.span = {.begin = begin, .end = end_of(text, begin, passage_bytes)};
    entry.characters_before = characters;
    characters += static_cast<std::size_t>(base::characters(rlm::text_of(text, entry.span)));
    hash_words(rlm::text_of(text, entry.span), [&entry](std::uint64_t hash) {
      ++entry.words;
      sign(entry.signature, hash);
    });
    words += entry.words;
    begin = entry.span.end;
    TRY(watch.step(entry.span.end - entry.span.begin));
  }
  if (!passages.entries_.empty()) {
    passages.mean_words_ =
        std::max(1.0, static_cast<double>(words) / static_cast<double>(passages.entries_.size()));
  }
  return passages;
}

/// The question's words, each once.
class Passages::Query {
 public:
  explicit Query(const std::string& text) {
    for (std::string& word : words_of(std::string_view(text).substr(0, kQueryBytesMax))) {
      if (text::is_stop_word(word, text::StopUse::kSearch)) continue;
      std::uint64_t hash = 0;
      hash_words(word, [&hash](std::uint64_t h) { hash = h; });
      if (numbers_.emplace(hash, static_cast<std::uint32_t>(words_.size())).second)
        words_.push_back({std::move(word), hash});
    }
    for (const Word& word : words_) near_[word.hash % kNear] = true;
  }

  struct Word {
    std::string text;
    std::uint64_t hash;
  };
  const std::vector<Word>& words() const { return words_; }

  bool may_be_in(const Signature& signature) const {
    return words_.size() > kSignatureWordsMax ||
           std::ranges::any_of(words_, [&](const Word& w) { return may_hold(signature, w.hash); });
  }
  /// The word's place in words(), if it is one of them.
  const std::uint32_t* find(std::uint64_t hash) const {
    if (!near_[hash % kNear]) return nullptr;
    const auto found = numbers_.find(hash);
    return found == numbers_.end() ? nullptr : &found->second;
  }

 private:
  static constexpr std::size_t kNear =
      4'096;  // most words of a text are told from the question's by this alone

  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
  std::array<bool, kNear> near_ = {};
};

/// In the passages' order.
base::Result<std::vector<Passages::Hit>> Passages::hits(const Query& query, Watch& watch) const {
  std::vector<Hit> hits;
  std::vector<std::uint32_t> counts(query.words().size()), met;
  for (std::size_t passage = 0; passage < entries_.size(); ++passage) {
    const Entry& entry = entries_[passage];
    TRY(watch.step(entry.span.end - entry.span.begin));
    if (!query.may_be_in(entry.signature)) continue;
    met.clear();
    hash_words(rlm::text_of(text_, entry.span), [&](std::uint64_t hash) {
      const std::uint32_t* word = query.find(hash);
      if (word != nullptr && counts[*word]++ == 0) met.push_back(*word);
    });
    for (const std::uint32_t word : met) {
      hits.push_back({static_cast<std::uint32_t>(passage), word, std::exchange(counts[word], 0)});
    }
  }
  return hits;
}

base::Result<Ranked> Passages::search(const std::string& text, std::size_t k, Watch& watch) const {
  watch.begin("searching", text_.size());
  const Query query(text);
  TRY_ASSIGN(const std::vector<Hit> all, hits(query, watch));
  std::vector<std::size_t> holding(query.words().size());
  for (const Hit& hit : all) ++holding[hit.word];
  std::vector<double> weights;
  Ranked ranked;
  for (std::size_t i = 0; i < holding.size(); ++i) {
    weights.push_back(text::bm25_weight(static_cast<double>(entries_.size()), holding[i]));
    ranked.rarity.emplace(query.words()[i].text, weights.back());
    if (holding[i] == 0) ranked.absent.insert(query.words()[i].text);
  }
  std::uint32_t last = 0;
  for (const Hit& hit : all) {
    const Entry& entry = entries_[hit.passage];
    if (ranked.best.empty() || hit.passage != last)
      ranked.best.push_back(
          {.begin = entry.span.begin, .end = entry.span.end, .begin_character = entry.characters_before});
    last = hit.passage;
    ranked.best.back().score += text::bm25_part(weights[hit.word], hit.count, entry.words, mean_words_);
  }
  const auto better = [](const Found& a, const Found& b) {
    return a.score != b.score ? a.score > b.score : a.begin < b.begin;
  };
  const auto n = static_cast<std::ptrdiff_t>(std::min(k, ranked.best.size()));
  std::partial_sort(ranked.best.begin(), ranked.best.begin() + n, ranked.best.end(), better);
  ranked.best.resize(static_cast<std::size_t>(n));
  for (Found& found : ranked.best)
    found.end_character = found.begin_character + static_cast<std::size_t>(base::characters(text_of(found)));
  return ranked;
}

}  // namespace pmt::rlm
