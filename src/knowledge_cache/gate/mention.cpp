#include "knowledge_cache/gate/mention.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "knowledge_cache/gate/relation_space.h"
#include "text/english.h"
#include "text/numbers.h"
#include "text/plain_words.h"
#include "text/stop_words.h"

namespace pmt::knowledge_cache {
namespace {

constexpr double kRare = 10.9;         // in more than one piece of the vocabulary
constexpr double kDistinctive = 10.2;  // among the last fifth of it
constexpr std::size_t kTailMax = 2;    // words of a thing's kind after its name: "Velsaska kettle"

/// Verbs and participles that follow the thing that a question asks about.
std::unordered_set<std::string> following_words() {
  std::unordered_set<std::string> out;
  for (const std::string_view line : text::english("following_words")) {
    for (const text::Word& word : text::words_of(line)) out.insert(word.folded);
  }
  return out;
}

bool has_at(const std::vector<text::Word>& words, std::size_t at, const std::vector<std::string>& mention) {
  if (at + mention.size() > words.size()) return false;
  for (std::size_t i = 0; i < mention.size(); ++i) {
    if (words[at + i].folded != mention[i]) return false;
    if (i + 1 < mention.size() && words[at + i].ends_run) return false;
  }
  return true;
}

std::vector<std::string> folded_range(const std::vector<text::Word>& words, std::size_t first,
                                      std::size_t last) {
  std::vector<std::string> out;
  for (std::size_t i = first; i < last; ++i) out.push_back(words[i].folded);
  return out;
}

struct Run {
  std::size_t first = 0, last = 0;  // half-open, in words
  double weight = 0;
};

/// "Python 3.11", "Boeing 747": which one it is; not a year, and not "Zorvane 20 years ago".
bool is_model_number(const std::vector<text::Word>& words, std::size_t at) {
  if (at >= words.size() || !words[at].digits || !words[at - 1].capital || is_year(words[at])) return false;
  if (!std::all_of(words[at].folded.begin(), words[at].folded.end(),
                   [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; }))
    return false;
  return words[at].ends_run || at + 1 >= words.size() || text::unit_of(words[at + 1].folded).empty();
}

/// Names written like names: runs of name-like words, with the small words that names have inside.
std::vector<Run> name_runs(const std::vector<text::Word>& words, const Lexicon& lexicon) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < words.size();) {
    if (!lexicon.is_name_like(words[i])) {
      ++i;
      continue;
    }
    Run run{i, i + 1, lexicon.rarity(words[i].folded)};
    while (run.last < words.size() && !words[run.last - 1].ends_run && !words[run.last - 1].possessive) {
      std::size_t next = run.last;
      // "Museum of Modern Arts" is one name; "ticker of Zorvane" is not.
      while (words[run.last - 1].capital && next < words.size() && next < run.last + 2 &&
             text::is_name_connector(words[next].folded) && !words[next].ends_run)
        ++next;
      if (next == run.last && is_model_number(words, next)) {
        run.last = next + 1;
        break;
      }
      if (next >= words.size() || !lexicon.is_name_like(words[next])) break;
      run.weight += lexicon.rarity(words[next].folded);
      run.last = next + 1;
    }
    i = run.last;
    runs.push_back(run);
  }
  return runs;
}

/// Nothing is written like a name: the rarest word that isn't everyday language.
std::vector<Run> rarest_word(const std::vector<text::Word>& words, const Lexicon& lexicon) {
  Run best;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (lexicon.is_common(words[i].folded)) continue;
    const double rarity = lexicon.rarity(words[i].folded);
    if (rarity > best.weight) best = {i, i + 1, rarity};
  }
  if (best.weight == 0) return {};
  return {best};
}

}  // namespace

Lexicon::Lexicon(Rarity rarity, const BankOptions& bank)
    : rarity_(std::move(rarity)), follows_(following_words()) {
  for (const Relation& relation : relation_bank(bank)) {
    for (const text::Word& word : text::words_of(relation.name)) common_.insert(word.folded);
    for (const std::string& wording : relation.wordings) {
      const auto words = text::words_of(filled(wording, "Xyzzy"));
      for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i].folded == "xyzzy") {
          if (i + 1 < words.size() && !words[i].ends_run) follows_.insert(words[i + 1].folded);
        } else {
          common_.insert(words[i].folded);
        }
      }
    }
  }
}

bool Lexicon::is_common(const std::string& folded) const {
  return text::is_stop_word(folded, text::StopUse::kNames) || common_.contains(folded) ||
         follows_.contains(folded);
}

bool Lexicon::may_follow(const std::string& folded) const {
  return text::is_stop_word(folded, text::StopUse::kNames) || follows_.contains(folded);
}

bool Lexicon::is_name_like(const text::Word& word) const {
  if (text::is_stop_word(word.folded, text::StopUse::kNames)) return false;
  if (word.digits && word.folded.size() > 1) {
    // "X200" names a thing; "25" or "2019" counts or dates it.
    return std::any_of(word.folded.begin(), word.folded.end(),
                       [](unsigned char c) { return std::isalpha(c) != 0; });
  }
  if (word.capital && !word.first) return true;
  if (word.capital) return !is_common(word.folded);
  return !is_common(word.folded) && rarity(word.folded) >= kRare;
}

bool Lexicon::is_distinctive(const std::string& folded) const {
  return !is_common(folded) && rarity(folded) >= kDistinctive;
}

std::size_t find_mention(const std::vector<text::Word>& words, const std::vector<std::string>& mention) {
  if (mention.empty()) return std::string::npos;
  for (std::size_t at = 0; at + mention.size() <= words.size(); ++at) {
    if (has_at(words, at, mention)) return at;
  }
  return std::string::npos;
}

base::Result<Mention> choose_mention(const std::vector<std::string>& phrasings, const std::string& subject,
                                     const Lexicon& lexicon) {
  std::vector<std::vector<text::Word>> all;
  for (const std::string& phrasing : phrasings) all.push_back(text::words_of(phrasing));
  const std::vector<text::Word>& words = all.front();
  const auto mention_at = [&](std::size_t first, std::size_t last) {
    return Mention{words[first].begin, words[last - 1].end, folded_range(words, first, last)};
  };
  if (!subject.empty()) {
    auto wanted = folded_range(text::words_of(subject), 0, text::words_of(subject).size());
    while (!wanted.empty() && text::is_article(wanted.front())) wanted.erase(wanted.begin());
    const std::size_t at = find_mention(words, wanted);
    if (at == std::string::npos)
      return base::invalid(fmt::format("\"subject\" {} isn't in \"prompt\"", subject), "subject");
    return mention_at(at, at + wanted.size());
  }
  const auto shared_by = [&](const std::vector<std::string>& mention) {
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) {
      return find_mention(each, mention) != std::string::npos;
    }));
  };
  std::vector<Run> runs = name_runs(words, lexicon);
  // What is written with a capital is the name; a rare word without one may be what is asked for ("ticker").
  const auto is_capital = [&](const Run& run) { return words[run.first].capital; };
  if (std::any_of(runs.begin(), runs.end(), is_capital))
    std::erase_if(runs, [&](const Run& run) { return !is_capital(run); });
  if (runs.empty()) runs = rarest_word(words, lexicon);
  // The run that most phrasings share, and of those the one that is least expected elsewhere.
  const Run* best = nullptr;
  std::size_t best_shared = 0;
  for (Run& run : runs) {
    while (run.last - run.first > 1 && shared_by(folded_range(words, run.first, run.last)) < all.size()) {
      // A run that the others have only a part of: that part is the name.
      if (shared_by(folded_range(words, run.first, run.last - 1)) == all.size()) {
        --run.last;
      } else if (shared_by(folded_range(words, run.first + 1, run.last)) == all.size()) {
        ++run.first;
      } else {
        break;
      }
    }
    const std::size_t shared = shared_by(folded_range(words, run.first, run.last));
    if (best == nullptr || shared > best_shared || (shared == best_shared && run.weight > best->weight)) {
      best = &run;
      best_shared = shared;
    }
  }
  if (best == nullptr) {
    return base::invalid("no word of \"prompt\" says what the fact is about: name it, or add \"subject\"",
                         "prompt");
  }
  Run run = *best;
  // "the Velsaska kettle": the kind of thing after its name belongs to it.
  const bool article = run.first > 0 && text::is_article(words[run.first - 1].folded);
  for (std::size_t tail = 0; article && tail < kTailMax && run.last < words.size(); ++tail) {
    const text::Word& next = words[run.last];
    if (words[run.last - 1].ends_run || words[run.last - 1].possessive || lexicon.may_follow(next.folded))
      break;
    if (shared_by(folded_range(words, run.first, run.last + 1)) < best_shared) break;
    ++run.last;
  }
  return mention_at(run.first, run.last);
}

bool is_year(const text::Word& word) {
  return word.folded.size() == 4 && (word.folded.starts_with("19") || word.folded.starts_with("20")) &&
         std::all_of(word.folded.begin(), word.folded.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string masked_mention(std::string_view text, const std::vector<std::string>& mention) {
  const auto words = text::words_of(text);
  const std::size_t at = find_mention(words, mention);
  if (at == std::string::npos) return {};
  return masked(text, words[at].begin, words[at + mention.size() - 1].end);
}

std::string masked(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t from = begin;
  while (from > 0 && text[from - 1] == ' ') --from;
  std::size_t word = from;
  while (word > 0 && std::isalpha(static_cast<unsigned char>(text[word - 1])) != 0) --word;
  const std::size_t cut = text::is_article(text::lower(text.substr(word, from - word))) ? word : begin;
  std::string out(text.substr(0, cut));
  out += kThing;
  out += text.substr(end);
  const auto first = out.find_first_not_of(" \t\r\n\"");
  if (first == std::string::npos) return out;
  out = out.substr(first, out.find_last_not_of(" \t\r\n") - first + 1);
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out;
}

std::string statement_of(const Fact& fact, std::string_view mention) {
  if (!fact.text.empty()) return fact.text;
  static constexpr std::string_view kAsks[] = {"What is ", "What are ", "What was ", "What were "};
  const std::string& prompt = fact.prompt;
  const std::string end =
      !fact.answer.empty() && (fact.answer.back() == '.' || fact.answer.back() == '!') ? "" : ".";
  for (const std::string_view ask : kAsks) {
    if (prompt.rfind(ask, 0) != 0 || prompt.back() != '?') continue;
    std::string what = prompt.substr(ask.size(), prompt.size() - ask.size() - 1);
    what[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(what[0])));
    return fmt::format("{}{}{}{}", what, ask.substr(4), fact.answer, end);
  }
  if (prompt.back() == '?' || prompt.back() == '.') return fmt::format("{}: {}{}", mention, fact.answer, end);
  return fmt::format("{} {}{}", prompt, fact.answer, end);
}

}  // namespace pmt::knowledge_cache
