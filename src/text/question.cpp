#include "text/question.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "text/calendar.h"
#include "text/english.h"
#include "text/numbers.h"
#include "text/phrases.h"
#include "text/plain_words.h"
#include "text/sorted.h"
#include "text/stop_words.h"
#include "text/tasks.h"
#include "text/words.h"

namespace pmt::text {
namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

/// camelCase, snake_case, ALLCAPS: spelt like nothing else.
bool is_code_like(std::string_view word) {
  if (word.size() < 2) return false;
  return word.find('_') != std::string_view::npos || std::any_of(word.begin() + 1, word.end(), is_upper);
}

/// Countries and parts of the world.
const Phrases& places() {
  static const Phrases kPlaces("places");
  return kPlaces;
}

/// Reads one text.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text), words_(words_of(text, {.parts = true})) {}

  Question read() {
    question_.tasks = tasks_of(words_);
    for (std::size_t i = 0; i < words_.size();) {
      i += read_word(i);
      if (i < words_.size()) read_gap(i);
    }
    read_quotes();
    question_.opposites = opposites_of(question_.words);
    question_.negated = is_negated();
    for (std::size_t i = 0; i + 1 < terms_.size(); ++i) {
      if (terms_[i].folded == "or") alternatives_.insert(alternatives_.end(), {i - (i > 0 ? 1 : 0), i + 1});
    }
    finish_names();
    for (const Term& term : terms_) {
      question_.flags.content.push_back(term.content);
      question_.flags.name.push_back(term.name);
    }
    if (terms_.size() <= kRoleWordsMax) {
      for (Term& term : terms_) term.stem = stem_hash(term.folded);
    }
    question_.roles = roles_of(terms_);
    std::sort(question_.numbers.begin(), question_.numbers.end());
    std::sort(question_.lengths.begin(), question_.lengths.end());
    std::sort(question_.quantities.begin(), question_.quantities.end());
    for (auto* list : {&question_.content, &question_.names, &question_.told_names, &question_.units,
                       &question_.times, &question_.tasks})
      sort_unique(*list);
    sort_unique(question_.quotes);
    return std::move(question_);
  }

 private:
  std::string_view slice(const Word& word) const { return text_.substr(word.begin, word.end - word.begin); }
  std::string_view folded(std::size_t i) const {
    return i < words_.size() ? std::string_view(words_[i].folded) : std::string_view();
  }

  /// Punctuation that parts phrases; a hyphen or a slash between two words doesn't.
  bool ends_phrase(std::size_t i) const {
    if (i + 1 >= words_.size()) return true;
    const std::string_view gap = text_.substr(words_[i].end, words_[i + 1].begin - words_[i].end);
    return gap.find_first_of(",;:.!?()[]\"\n") != std::string_view::npos;
  }

  /// How many words it took.
  std::size_t read_word(std::size_t i) {
    if (const std::string_view place = places().at(words_, i); !place.empty())
      question_.names.emplace_back(place);
    if (auto number = number_at(words_, i)) return take_number(i, *std::move(number));
    Term term = term_of(i);
    if (!read_time(i)) read_unit(i);
    if (is_name(i)) {
      question_.names.push_back(term.word);
      term.name = true;
      // "Does A imply B": no article.
      if (term.word.size() == 1 && !(i + 1 < words_.size() && words_[i + 1].capital && !words_[i].ends_run))
        term.content = true;
    }
    add(std::move(term), words_[i].begin);
    return 1;
  }

  /// What stands before word `i`: a colon, or a sign of arithmetic, which is read as its word.
  void read_gap(std::size_t i) {
    std::string_view gap = text_.substr(words_[i - 1].end, words_[i].begin - words_[i - 1].end);
    if (question_.words_before_colon == 0 && gap.find(':') != std::string_view::npos)
      question_.words_before_colon = question_.words.size();
    while (!gap.empty() && gap.front() == ' ') gap.remove_prefix(1);
    while (!gap.empty() && gap.back() == ' ') gap.remove_suffix(1);
    const bool numbers = words_[i].digits && words_[i - 1].digits;
    std::string_view word;
    if (gap == "+") word = "plus";
    if (gap == "*" || gap == "\xC3\x97") word = "times";
    if (numbers && (gap == "-" || gap == "\xE2\x88\x92")) word = "minus";
    if (numbers && (gap == "^" || gap == "**")) word = "power";
    if (word.empty()) return;
    Term term;
    term.folded = term.word = word;
    add(std::move(term), words_[i - 1].end);
  }

  Term term_of(std::size_t i) const {
    const Word& word = words_[i];
    Term term;
    term.folded = word.folded;
    term.word = singular(word.folded);
    term.content = !is_stop_word(term.word, StopUse::kMeaning) &&
                   !is_stop_word(word.folded, StopUse::kMeaning) && !is_negation(word.folded);
    term.possessive = word.possessive;
    term.ends_phrase = ends_phrase(i);
    term.first = word.first;
    return term;
  }

  /// `begin`: of it in the text.
  void add(Term term, std::size_t begin) {
    if (term.content) question_.content.push_back(term.word);
    question_.words.push_back(term.word);
    // A gap to fill in takes no part: "___ is the capital", "the capital is ___".
    if (term.folded.find_first_not_of('_') == std::string::npos) term.content = term.name = false;
    terms_.push_back(std::move(term));
    begins_.push_back(begin);
  }

  /// A quotation's words are those of the question: cut by another rule, "snake_case" and "1,500" would be found in
  /// no question that says them without the marks.
  void read_quotes() {
    for (const Range& range : quotes_of(text_)) {
      const auto first = std::lower_bound(begins_.begin(), begins_.end(), range.begin);
      const auto end = std::lower_bound(first, begins_.end(), range.end) - begins_.begin();
      Quote quote;
      for (auto i = first - begins_.begin(); i < end; ++i, ++quote.count) {
        const char* const between = quote.count > 0 ? " " : "";
        quote.folded.append(between).append(terms_[i].folded);
        quote.words.append(between).append(terms_[i].word);
      }
      if (quote.count > 0) question_.quotes.push_back(std::move(quote));
    }
  }

  std::size_t take_number(std::size_t i, Number number) {
    const std::size_t last = i + number.words - 1;
    static const WordSet kMeasures = english_words("text_measures");
    const bool length = kMeasures.contains(folded(last + 1)) && !words_[last].ends_run;
    (length ? question_.lengths : question_.numbers).push_back(number.value);
    std::string unit = number.unit;
    if (unit.empty()) unit = unit_before(text_, words_[i].begin);
    if (unit.empty()) unit = unit_after(text_, words_[last].end);
    if (!unit.empty()) question_.units.push_back(unit);
    if (unit.empty() && last + 1 < words_.size()) unit = unit_of(folded(last + 1));
    if (unit.empty()) unit = month_beside(i, last);
    if (!unit.empty()) question_.quantities.push_back(number.value + ' ' + unit);
    Term term = term_of(i);
    term.folded = term.word = number.value;
    // "The second half" is opposed to the first one, which is no number.
    if (number.words == 1 && !words_[i].digits) term.word = words_[i].folded;
    term.content = term.name = true;
    term.ends_phrase = ends_phrase(last);
    // A code with letters in it is a name, too: "X200".
    const Word& word = words_[i];
    if (word.digits && !word.folded.empty() && (word.folded[0] < '0' || word.folded[0] > '9') && is_name(i))
      question_.names.push_back(word.folded);
    add(std::move(term), word.begin);
    return number.words;
  }

  std::string_view month_beside(std::size_t first, std::size_t last) const {
    const std::string_view after = calendar_name(folded(last + 1));
    return after.empty() && first > 0 ? calendar_name(folded(first - 1)) : after;
  }

  /// A month, a weekday, "last year".
  bool read_time(std::size_t i) {
    if (std::string span = span_at(words_, i); !span.empty()) question_.times.push_back(std::move(span));
    const std::string_view time = calendar_time(words_, i);
    if (!time.empty()) question_.times.emplace_back(time);
    return !time.empty();
  }

  void read_unit(std::size_t i) {
    const std::string_view unit = unit_of(folded(i));
    if (unit.empty()) return;
    // "second" counts time only beside a number or in "per second"; "am" and "bit" are words of everyday.
    static constexpr std::array<std::string_view, 5> kDoubtful = {"s", "am", "bit", "bar", "stone"};
    const bool letter = folded(i).size() == 1;
    const bool counted = i > 0 && (words_[i - 1].digits || folded(i - 1) == "per" || folded(i - 1) == "in" ||
                                   (!terms_.empty() && terms_.back().name && terms_.back().content));
    if ((letter || std::find(kDoubtful.begin(), kDoubtful.end(), unit) != kDoubtful.end()) && !counted)
      return;
    question_.units.emplace_back(unit);
  }

  bool is_name(std::size_t i) const {
    const std::string_view written = slice(words_[i]);
    if (written.empty() || (written[0] >= '0' && written[0] <= '9')) return false;
    if (!calendar_name(folded(i)).empty()) return false;
    if (is_code_like(written)) return true;
    return words_[i].capital && !words_[i].first && is_capital_letter(i) && words_[i].folded != "i" &&
           !written.starts_with("I'") && !written.starts_with("I\xE2\x80\x99");
  }
  bool is_capital_letter(std::size_t i) const {
    const char c = text_[words_[i].begin];
    return is_upper(c) || static_cast<unsigned char>(c) >= 0x80;
  }

  static bool is_negation(std::string_view word) {
    static const WordSet kWords = english_words("negations");
    return kWords.contains(word);
  }

  /// Any, but for those of politeness: "can't you tell me".
  bool is_negated() const {
    static const Phrases kPolite("polite_negations");
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (const std::string_view polite = kPolite.at(words_, i); !polite.empty()) {
        i += static_cast<std::size_t>(std::count(polite.begin(), polite.end(), '_'));
      } else if (is_negation(words_[i].folded)) {
        return true;
      }
    }
    return false;
  }

  /// Names that a preposition leads to.
  void finish_names() {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      const bool known =
          std::find(question_.names.begin(), question_.names.end(), terms_[i].folded) !=
              question_.names.end() ||
          std::find(question_.names.begin(), question_.names.end(), terms_[i].word) != question_.names.end();
      if (!known || std::find(alternatives_.begin(), alternatives_.end(), i) != alternatives_.end()) continue;
      std::size_t before = i;
      while (before > 0 && (terms_[before - 1].name || is_article(terms_[before - 1].folded))) --before;
      if (before > 0 && is_preposition(terms_[before - 1].folded))
        question_.told_names.push_back(terms_[i].word);
    }
  }

  const std::string_view text_;
  const std::vector<Word> words_;
  std::vector<Term> terms_;
  std::vector<std::size_t> begins_;        // of each term, in the text
  std::vector<std::size_t> alternatives_;  // terms beside an "or"
  Question question_;
};

}  // namespace

Question question_of(std::string_view text) {
  return Reader(text).read();
}

}  // namespace pmt::text
