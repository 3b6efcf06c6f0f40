#include "text/difference.h"

#include <algorithm>
#include <string>
#include <vector>

#include "text/english.h"
#include "text/opposites.h"
#include "text/sorted.h"
#include "text/stems.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

using Words = std::vector<std::string>;

template <class One>
bool has(const std::vector<One>& all, const One& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// Says it, however it is written there.
bool says(const Question& question, const std::string& name) {
  return has_sorted(question.content, name) || has_sorted(question.names, name) || has(question.words, name);
}

bool names_found(const Question& a, const Question& b) {
  return std::all_of(a.names.begin(), a.names.end(), [&](const std::string& name) { return says(b, name); });
}

/// A quotation's words stand in `text` one after another.
bool holds_phrase(const Words& text, const Quote& quote) {
  std::string all = " ";
  for (const std::string& word : text) all += word + ' ';
  return all.find(' ' + quote.words + ' ') != std::string::npos;
}

/// What one quotes, the other must say, too. Where all that it says is the quotation, the one that quotes asks
/// something about it.
bool quotes_differ(const Question& a, const Question& b) {
  if (!a.quotes.empty() && !b.quotes.empty()) return a.quotes != b.quotes;
  constexpr std::size_t kQuotes = 8;
  const auto end = a.quotes.begin() + static_cast<std::ptrdiff_t>(std::min(a.quotes.size(), kQuotes));
  return std::any_of(a.quotes.begin(), end, [&](const Quote& quote) {
    if (!holds_phrase(b.words, quote)) return true;
    constexpr std::size_t kSentence = 3;
    return quote.count >= kSentence && quote.count + 1 >= b.words.size() && a.words.size() > quote.count + 1;
  });
}

/// "Ignore this: who wrote it?" beside "who wrote it?".
bool is_told_about(const Question& a, const Question& b) {
  static const WordSet kLeadIns = english_words("lead_ins");
  const std::size_t before = a.words_before_colon;
  if (before == 0 || a.words.size() != before + b.words.size()) return false;
  const auto colon = a.words.begin() + static_cast<std::ptrdiff_t>(before);
  return std::equal(colon, a.words.end(), b.words.begin()) &&
         std::any_of(a.words.begin(), colon, [](const std::string& word) {
           return !kLeadIns.contains(word) && !is_stop_word(word, StopUse::kMeaning);
         });
}

Difference role_difference(const Question& a, const Question& b) {
  if (roles_differ(a.roles, b.roles)) return Difference::kRoles;
  const bool symmetric = a.roles.symmetric || b.roles.symmetric;
  if (!symmetric && phrases_exchanged(a.words, b.words, a.flags)) return Difference::kRoles;
  return Difference::kNone;
}

bool includes(const Words& all, const Words& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

/// The share of the shorter one's content that the other has, too: how alike they are worded.
double shared_words(const Question& a, const Question& b) {
  const Words& shorter = a.content.size() <= b.content.size() ? a.content : b.content;
  const Words& longer = &shorter == &a.content ? b.content : a.content;
  constexpr std::size_t kWords = 64;  // more is no wording of one question
  if (longer.size() > kWords) return 0;
  double shared = 0, all = 0;
  for (const std::string& word : shorter) {
    if (word == "thing") continue;  // what both are about
    ++all;
    shared += std::any_of(longer.begin(), longer.end(), [&](const std::string& w) { return alike(word, w); })
                  ? 1
                  : 0;
  }
  return all > 0 ? shared / all : 0;
}

/// But for one word they are the same.
bool one_word_apart(const Words& a, const Words& b) {
  if (a.size() != b.size()) return false;
  std::size_t apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) apart += a[i] == b[i] ? 0 : 1;
  return apart == 1;
}

/// It asks for something to be done with the known question: "translate '...'". Writing a text that tells the answer
/// is not among it.
bool asks_about(const Question& asked, const Question& known) {
  constexpr std::size_t kSentence = 4;
  const bool quotes = std::any_of(asked.quotes.begin(), asked.quotes.end(), [&](const Quote& quote) {
    return !has(known.quotes, quote) && quote.count >= kSentence && quote.count < asked.words.size();
  });
  return quotes || std::any_of(asked.tasks.begin(), asked.tasks.end(), [&](const std::string& task) {
           return !task.starts_with("write ") && !has(known.tasks, task);
         });
}

/// Of one kind of qualifier. Both sorted.
void compare(const Words& asked, const Words& known, Difference kind, Qualified& out) {
  if (!includes(known, asked)) out.difference = kind;
  if (asked.size() < known.size()) out.leaves_out = true;
}

}  // namespace

const char* to_string(Difference difference) {
  static constexpr const char* kNames[kDifferences] = {
      "none", "numbers", "names", "negation", "opposite words", "units", "times", "the task", "roles"};
  return kNames[static_cast<int>(difference)];
}

Difference difference(const Question& a, const Question& b) {
  if (a.numbers != b.numbers || a.lengths != b.lengths) return Difference::kNumber;
  if (!names_found(a, b) || !names_found(b, a)) return Difference::kName;
  if (a.times != b.times) return Difference::kTime;
  if (a.negated != b.negated) return Difference::kNegation;
  if (opposed(a.opposites, b.opposites)) return Difference::kOpposite;
  if (!a.units.empty() && !b.units.empty() && a.units != b.units) return Difference::kUnit;
  if (a.quantities.size() == b.quantities.size() && a.quantities != b.quantities) return Difference::kUnit;
  if (a.tasks != b.tasks || quotes_differ(a, b) || quotes_differ(b, a) || is_told_about(a, b) ||
      is_told_about(b, a))
    return Difference::kTask;
  return role_difference(a, b);
}

Qualified qualified(const Question& asked, const Question& known) {
  Qualified out;
  out.difference = role_difference(asked, known);
  const double shared = shared_words(asked, known);
  if (shared >= 0.5) {
    if (asks_about(asked, known) || is_told_about(asked, known)) out.difference = Difference::kTask;
  }
  if ((shared >= 0.5 || one_word_apart(asked.words, known.words)) &&
      opposed(asked.opposites, known.opposites))
    out.difference = Difference::kOpposite;
  // "On which day is it not open?" asks for its rest day.
  if (shared > 0.5 && asked.negated != known.negated) out.difference = Difference::kNegation;
  if (!asked.units.empty() && !known.units.empty() && asked.units != known.units)
    out.difference = Difference::kUnit;
  if (asked.quantities.size() == known.quantities.size() && asked.quantities != known.quantities)
    out.difference = Difference::kUnit;
  const auto named = [](const Question& one, const Question& other) {
    return std::all_of(one.told_names.begin(), one.told_names.end(),
                       [&](const std::string& name) { return says(other, name); });
  };
  if (!named(asked, known)) out.difference = Difference::kName;
  out.leaves_out = !named(known, asked);
  compare(asked.times, known.times, Difference::kTime, out);
  compare(asked.numbers, known.numbers, Difference::kNumber, out);
  return out;
}

}  // namespace pmt::text
