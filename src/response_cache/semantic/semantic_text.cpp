#include "response_cache/semantic/semantic_text.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pmt::response_cache {
namespace {

using Words = std::vector<std::string>;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_word_byte(char c) {
  return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool ends_sentence(char c) {
  return c == '.' || c == '!' || c == '?' || c == ':' || c == '\n';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

/// "cities'" and "city's" are "citie" and "city": only what is cheap and safe.
std::string folded(std::string word) {
  if (word.ends_with("\xE2\x80\x99s")) word.resize(word.size() - 4);
  if (word.ends_with("'s")) word.resize(word.size() - 2);
  if (word.size() > 3 && word.ends_with("s") && !word.ends_with("ss") && !word.ends_with("us") &&
      !word.ends_with("is")) {
    word.pop_back();
  }
  return word;
}

/// For comparing content words: "utilised", "utilising" and "utilise" are near enough.
std::string stem(const std::string& word) {
  for (const std::string_view end :
       {"ization", "isation", "ation", "ing", "ment", "ion", "ed", "er", "ly", "e", "y"}) {
    if (word.size() >= end.size() + 4 && word.ends_with(end)) return word.substr(0, word.size() - end.size());
  }
  return word;
}

const std::unordered_set<std::string_view>& stop_words() {
  static const std::unordered_set<std::string_view> kWords = {
      "a",      "an",    "the",   "of",     "in",   "on",    "at",   "to",   "for",   "from",  "by",
      "with",   "and",   "or",    "but",    "if",   "then",  "than", "that", "this",  "these", "those",
      "it",     "i",     "you",   "he",     "she",  "we",    "they", "me",   "my",    "your",  "his",
      "her",    "their", "our",   "is",     "are",  "was",   "were", "be",   "been",  "being", "am",
      "do",     "doe",   "does",  "did",    "done", "ha",    "has",  "have", "had",   "can",   "could",
      "will",   "would", "shall", "should", "may",  "might", "must", "what", "which", "who",   "whom",
      "whose",  "when",  "where", "why",    "how",  "there", "here", "as",   "so",    "just",  "also",
      "please", "tell",  "give",  "show",   "say",  "know",  "want", "need", "like",  "some",  "any",
      "its",    "into",  "about", "kind",   "type", "sort",  "get",  "let",  "us",    "use",   "im",
      "id",     "'m",    "'re",   "'ve",    "name", "up",    "out",  "thi",  "wa"};
  return kWords;
}

const std::unordered_map<std::string_view, std::string_view>& number_words() {
  static const std::unordered_map<std::string_view, std::string_view> kWords = {
      {"zero", "0"},          {"two", "2"},
      {"three", "3"},         {"four", "4"},
      {"five", "5"},          {"six", "6"},
      {"seven", "7"},         {"eight", "8"},
      {"nine", "9"},          {"ten", "10"},
      {"eleven", "11"},       {"twelve", "12"},
      {"thirteen", "13"},     {"fifteen", "15"},
      {"twenty", "20"},       {"thirty", "30"},
      {"forty", "40"},        {"fifty", "50"},
      {"hundred", "100"},     {"thousand", "1000"},
      {"million", "1000000"}, {"billion", "1000000000"},
      {"half", "1/2"},        {"twice", "2x"},
      {"double", "2x"},       {"triple", "3x"},
      {"dozen", "12"}};
  return kWords;
}

const std::unordered_map<std::string_view, std::string_view>& unit_words() {
  static const std::unordered_map<std::string_view, std::string_view> kWords = {
      {"km", "km"},      {"kilometer", "km"}, {"kilometre", "km"}, {"mile", "mile"},     {"mi", "mile"},
      {"meter", "m"},    {"metre", "m"},      {"foot", "ft"},      {"feet", "ft"},       {"ft", "ft"},
      {"inch", "inch"},  {"inche", "inch"},   {"cm", "cm"},        {"centimeter", "cm"}, {"centimetre", "cm"},
      {"mm", "mm"},      {"kg", "kg"},        {"kilogram", "kg"},  {"gram", "g"},        {"pound", "lb"},
      {"lb", "lb"},      {"ounce", "oz"},     {"oz", "oz"},        {"ton", "t"},         {"tonne", "t"},
      {"celsius", "C"},  {"fahrenheit", "F"}, {"kelvin", "K"},     {"liter", "l"},       {"litre", "l"},
      {"gallon", "gal"}, {"usd", "usd"},      {"dollar", "usd"},   {"euro", "eur"},      {"eur", "eur"},
      {"gbp", "gbp"},    {"yen", "jpy"},      {"second", "s"},     {"minute", "min"},    {"hour", "h"},
      {"day", "d"},      {"week", "wk"},      {"month", "mo"},     {"year", "yr"},       {"byte", "B"},
      {"kb", "kB"},      {"mb", "MB"},        {"gb", "GB"},        {"tb", "TB"},         {"percent", "%"},
      {"kph", "km/h"},   {"mph", "mph"}};
  return kWords;
}

/// In one group: at most one of them is meant, so another one means another answer.
using Group = std::vector<std::string_view>;
const std::vector<Group>& opposites() {
  static const std::vector<Group> kOpposites = {{"more", "less", "fewer"},
                                                {"most", "least"},
                                                {"who", "when", "where", "why"},
                                                {"today", "tomorrow", "yesterday"},
                                                {"north", "south", "east", "west"},
                                                {"maximum", "minimum"},
                                                {"max", "min"},
                                                {"highest", "lowest"},
                                                {"increase", "decrease"},
                                                {"open", "close"},
                                                {"enable", "disable"},
                                                {"before", "after"},
                                                {"first", "last"},
                                                {"buy", "sell"},
                                                {"add", "remove"},
                                                {"start", "stop"},
                                                {"off", "on"},
                                                {"up", "down"},
                                                {"left", "right"},
                                                {"import", "export"},
                                                {"upload", "download"},
                                                {"encrypt", "decrypt"},
                                                {"send", "receive"},
                                                {"deposit", "withdraw"},
                                                {"husband", "wife"},
                                                {"father", "mother"},
                                                {"son", "daughter"},
                                                {"born", "die"},
                                                {"largest", "smallest"},
                                                {"biggest", "smallest"},
                                                {"oldest", "youngest"},
                                                {"longest", "shortest"},
                                                {"fastest", "slowest"},
                                                {"best", "worst"},
                                                {"hot", "cold"},
                                                {"legal", "illegal"},
                                                {"safe", "dangerous"},
                                                {"cheapest", "dearest"},
                                                {"winner", "loser"},
                                                {"above", "below"},
                                                {"over", "under"},
                                                {"old", "new"},
                                                {"install", "uninstall"},
                                                {"lock", "unlock"},
                                                {"male", "female"},
                                                {"arrive", "depart"},
                                                {"activate", "deactivate"},
                                                {"with", "without"},
                                                {"advantage", "disadvantage"},
                                                {"pro", "con"},
                                                {"cause", "prevent"},
                                                {"allow", "forbid"},
                                                {"birth", "death"}};
  return kOpposites;
}

bool is_negation(std::string_view word) {
  static const std::unordered_set<std::string_view> kWords = {"not",     "no",      "never",   "none",
                                                              "without", "neither", "nor",     "cannot",
                                                              "nothing", "nobody",  "nowhere", "non"};
  return kWords.contains(word) || word.ends_with("n't") || word.ends_with("n\xE2\x80\x99t");
}

struct Token {
  std::string_view text;
  bool begins_sentence = false;
};

/// Words with inner apostrophes; numbers with inner points and commas.
std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  bool begins = true;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_word_byte(text[i])) {
      if (ends_sentence(text[i])) begins = true;
      ++i;
      continue;
    }
    std::size_t end = i;
    const bool number = is_digit(text[i]);
    while (end < text.size()) {
      const char c = text[end];
      const bool inner = end + 1 < text.size() && is_word_byte(text[end + 1]) &&
                         (c == '\'' || (number && (c == '.' || c == ',') && is_digit(text[end + 1])));
      if (!is_word_byte(c) && !inner) break;
      ++end;
    }
    tokens.push_back({text.substr(i, end - i), begins});
    begins = false;
    i = end;
  }
  return tokens;
}

bool has_digit(std::string_view word) {
  return std::any_of(word.begin(), word.end(), is_digit);
}

/// camelCase, snake_case, ALLCAPS: spelt like nothing else.
bool is_code_like(std::string_view word) {
  if (word.size() < 2) return false;
  return word.find('_') != std::string_view::npos || std::any_of(word.begin() + 1, word.end(), is_upper);
}

std::string plain_number(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_digit(c) || c == '.') out += c;
  }
  while (out.size() > 1 && out.front() == '0' && is_digit(out[1])) out.erase(0, 1);
  if (out.find('.') != std::string::npos) {
    while (out.back() == '0') out.pop_back();
    if (out.back() == '.') out.pop_back();
  }
  return out;
}

void sort_unique(Words& words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
}

bool has(const Words& sorted, const std::string& word) {
  return std::binary_search(sorted.begin(), sorted.end(), word);
}

bool has_any_form(const Words& words, std::string_view word) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& w) {
    return w == word ||
           (w.size() <= word.size() + 3 && w.size() > word.size() && w.starts_with(word) &&
            (w.ends_with("d") || w.ends_with("ing") || w.ends_with("r"))) ||
           (word.ends_with("e") && w.size() == word.size() + 2 && w.ends_with("ing") &&
            w.starts_with(word.substr(0, word.size() - 1)));
  });
}

bool opposed(const QuestionFacts& a, const QuestionFacts& b) {
  for (const Group& group : opposites()) {
    int only_a = 0, only_b = 0;
    for (const std::string_view word : group) {
      const bool in_a = has_any_form(a.words, word), in_b = has_any_form(b.words, word);
      only_a += in_a && !in_b ? 1 : 0;
      only_b += in_b && !in_a ? 1 : 0;
    }
    if (only_a > 0 && only_b > 0) return true;
  }
  return false;
}

/// Every name of `a` is a word of `b`, however it is written there.
bool names_found(const QuestionFacts& a, const QuestionFacts& b) {
  return std::all_of(a.names.begin(), a.names.end(), [&](const std::string& name) {
    return std::find(b.words.begin(), b.words.end(), name) != b.words.end();
  });
}

/// Equal stems, or one word grown out of the other.
bool alike(const std::string& a, const std::string& b) {
  const std::string x = stem(a), y = stem(b);
  if (x == y) return true;
  const std::size_t shorter = std::min(x.size(), y.size());
  return shorter >= 5 && x.compare(0, shorter, y, 0, shorter) == 0;
}

int shared_count(const Words& a, const Words& b) {
  int count = 0;
  for (const std::string& word : a) {
    if (has(b, word) || std::any_of(b.begin(), b.end(), [&](const std::string& w) { return alike(word, w); }))
      ++count;
  }
  return count;
}

}  // namespace

const char* to_string(Veto veto) {
  static constexpr const char* kNames[kVetoes] = {"none",     "numbers",        "names",
                                                  "negation", "opposite words", "units"};
  return kNames[static_cast<int>(veto)];
}

QuestionFacts facts_of(std::string_view text) {
  QuestionFacts facts;
  for (const Token& token : tokens_of(text)) {
    const std::string low = lower(token.text);
    if (is_negation(low)) facts.negated = true;
    const std::string word = folded(low);
    if (word.empty()) continue;
    if (has_digit(token.text)) {
      facts.numbers.push_back(plain_number(token.text));
    } else if (const auto number = number_words().find(word); number != number_words().end()) {
      facts.numbers.emplace_back(number->second);
    }
    if (const auto unit = unit_words().find(word); unit != unit_words().end()) {
      facts.units.emplace_back(unit->second);
    }
    const bool capital = is_upper(token.text.front()) && low != "i" && !low.starts_with("i'");
    if (!is_digit(token.text.front()) && (is_code_like(token.text) || (capital && !token.begins_sentence))) {
      facts.names.push_back(word);
    }
    if (!stop_words().contains(word) && !is_negation(low)) facts.content.push_back(word);
    facts.words.push_back(word);
  }
  std::sort(facts.numbers.begin(), facts.numbers.end());
  sort_unique(facts.content);
  sort_unique(facts.names);
  sort_unique(facts.units);
  return facts;
}

Veto veto(const QuestionFacts& a, const QuestionFacts& b) {
  if (a.numbers != b.numbers) return Veto::kNumber;
  if (!names_found(a, b) || !names_found(b, a)) return Veto::kName;
  if (a.negated != b.negated) return Veto::kNegation;
  if (opposed(a, b)) return Veto::kOpposite;
  if (!a.units.empty() && !b.units.empty() && a.units != b.units) return Veto::kUnit;
  return Veto::kNone;
}

Likeness likeness(const QuestionFacts& a, const QuestionFacts& b) {
  Likeness out;
  const int from_a = shared_count(a.content, b.content), from_b = shared_count(b.content, a.content);
  const auto sizes = a.content.size() + b.content.size();
  if (sizes > 0) out.shared = static_cast<float>(from_a + from_b) / static_cast<float>(sizes);
  const bool a_shorter = a.content.size() <= b.content.size();
  const auto shorter = std::max<std::size_t>(1, std::min(a.content.size(), b.content.size()));
  out.contained = static_cast<float>(a_shorter ? from_a : from_b) / static_cast<float>(shorter);

  const std::size_t n = std::min(a.words.size(), b.words.size());
  std::size_t front = 0, back = 0;
  while (front < n && a.words[front] == b.words[front]) ++front;
  while (front + back < n && a.words[a.words.size() - 1 - back] == b.words[b.words.size() - 1 - back]) ++back;
  const std::size_t longer = std::max(a.words.size(), b.words.size());
  const bool lost_a = from_a < static_cast<int>(a.content.size());
  const bool lost_b = from_b < static_cast<int>(b.content.size());
  if (front + back < n && longer > 0 && lost_a && lost_b) {
    out.substituted = static_cast<float>(front + back) / static_cast<float>(longer);
  }
  int named = 0;
  for (const std::string& name : a.names) named += has(b.names, name) ? 1 : 0;
  named += static_cast<int>(a.numbers == b.numbers ? a.numbers.size() : 0);
  out.named = std::min(1.0F, 0.5F * static_cast<float>(named));
  return out;
}

}  // namespace pmt::response_cache
