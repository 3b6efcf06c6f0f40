#include "text/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "text/english.h"
#include "text/plain_words.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct NumberWord {
  enum class Kind { kPlain, kScale, kOrdinal, kOther };
  std::string_view value;
  Kind kind = Kind::kPlain;
};

const NumberWord* number_word(std::string_view word) {
  using Words = std::unordered_map<std::string_view, NumberWord>;
  static const Words kWords = [] {
    Words words;
    for (const std::string_view line : english("number_words")) {
      const auto fields = fields_of(line);
      NumberWord::Kind kind = NumberWord::Kind::kOther;
      if (fields[2] == "plain") kind = NumberWord::Kind::kPlain;
      if (fields[2] == "scale") kind = NumberWord::Kind::kScale;
      if (fields[2] == "ordinal") kind = NumberWord::Kind::kOrdinal;
      words[fields[0]] = {fields[1], kind};
    }
    return words;
  }();
  const auto found = kWords.find(word);
  return found == kWords.end() ? nullptr : &found->second;
}

double value_of(const NumberWord& word) {
  return std::strtod(std::string(word.value).c_str(), nullptr);
}

std::string written(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.10g}", value);
}

/// "1,500" -> "1500", "007" -> "7", "5.00" -> "5"; "3.10" stays, since it may be a version.
std::string plain_numeral(std::string_view numeral) {
  std::string out;
  for (const char c : numeral) {
    if (c != ',') out += c;
  }
  while (out.size() > 1 && out.front() == '0' && is_digit(out[1])) out.erase(0, 1);
  const auto point = out.find('.');
  if (point != std::string::npos && out.find_first_not_of('0', point + 1) == std::string::npos)
    out.resize(point);
  return out;
}

bool is_scale(const std::vector<Word>& words, std::size_t at) {
  const NumberWord* const word = at < words.size() ? number_word(words[at].folded) : nullptr;
  return word != nullptr && word->kind == NumberWord::Kind::kScale;
}

/// "1.5 million".
void scale(const std::vector<Word>& words, std::size_t at, Number& number) {
  while (!words[at + number.words - 1].ends_run && is_scale(words, at + number.words)) {
    const double factor = value_of(*number_word(words[at + number.words].folded));
    number.value = written(std::strtod(number.value.c_str(), nullptr) * factor);
    ++number.words;
  }
}

/// A word with a digit in it: "25", "3.11", "5km", "2nd", "1990s", "v2", "q3", "10:30".
Number numeral_at(const std::vector<Word>& words, std::size_t at) {
  const std::string& word = words[at].folded;
  Number number{.value = word, .words = 1, .unit = {}};
  if (!is_digit(word.front())) {
    if (word.front() == 'v' && word.size() > 1 && is_digit(word[1]))
      number.value = plain_numeral(word.substr(1));
    return number;
  }
  const std::size_t letters = word.find_first_not_of("0123456789.,");
  if (letters == std::string::npos) {
    number.value = plain_numeral(word);
    scale(words, at, number);
    return number;
  }
  const std::string_view tail = std::string_view(word).substr(letters);
  const std::string digits = plain_numeral(std::string_view(word).substr(0, letters));
  if (tail == "st" || tail == "nd" || tail == "rd" || tail == "th") {
    number.value = digits;
  } else if (tail == "k") {
    number.value = written(std::strtod(digits.c_str(), nullptr) * 1000);
  } else if (tail == "bn") {
    number.value = written(std::strtod(digits.c_str(), nullptr) * 1e9);
  } else if (const std::string_view unit = unit_of(tail); !unit.empty()) {
    number.value = digits;
    number.unit = unit;
  }
  return number;
}

/// "second" is an ordinal where it says which: "the second largest", not "a second", "per second".
bool says_which(const std::vector<Word>& words, std::size_t at) {
  if (words[at].folded != "second") return true;
  if (at + 1 >= words.size() || words[at].ends_run || is_stop_word(words[at + 1].folded, StopUse::kMeaning))
    return false;
  const std::string_view before = at > 0 ? std::string_view(words[at - 1].folded) : std::string_view();
  return before != "per" && before != "a" && before != "each" && before != "every";
}

/// "two hundred and five", "twenty twenty-three", "fifteen hundred".
Number worded_at(const std::vector<Word>& words, std::size_t at) {
  double total = 0, group = 0, last = 0;
  bool begun = false;
  std::size_t next = at;
  while (next < words.size()) {
    std::size_t here = next;
    if (begun && words[here].folded == "and" && group >= 100 && here + 1 < words.size()) ++here;
    const std::string& word = words[here].folded;
    const NumberWord* found = number_word(word);
    static const NumberWord kOne{"1", NumberWord::Kind::kPlain};
    if (found == nullptr && word == "one" && (begun ? last >= 20 : is_scale(words, here + 1))) found = &kOne;
    if (found == nullptr || found->kind == NumberWord::Kind::kOther) break;
    const double value = value_of(*found);
    if (found->kind == NumberWord::Kind::kScale) {
      if (value > 100) {
        total += std::max(group, 1.0) * value;
        group = 0;
      } else {
        group = std::max(group, 1.0) * value;
      }
    } else if (found->kind == NumberWord::Kind::kOrdinal && (!begun || last < 20)) {
      break;
    } else if (begun && last >= 10 && last < 100 && value >= 10) {
      group = group * 100 + value;  // a year in two halves
    } else if (begun && last < value) {
      break;  // "two three"
    } else if (begun && last < 10) {
      break;
    } else {
      group += value;
    }
    last = value;
    begun = true;
    next = here + 1;
    if (words[here].ends_run &&
        !(here + 1 < words.size() && words[here + 1].begin == words[here].end + 1 && last >= 20))
      break;
  }
  return {.value = written(total + group), .words = next - at, .unit = {}};
}

std::string_view unit_sign(std::string_view sign) {
  static const WordMap kUnits = english_names("units");
  const auto found = kUnits.find(sign);
  return found == kUnits.end() ? std::string_view() : found->second;
}

}  // namespace

std::optional<Number> number_at(const std::vector<Word>& words, std::size_t at) {
  const Word& word = words[at];
  if (word.digits && !word.folded.empty()) return numeral_at(words, at);
  const NumberWord* found = number_word(word.folded);
  if (found == nullptr) {
    // "one hundred": otherwise it is a pronoun.
    if (word.folded == "one" && !word.ends_run && is_scale(words, at + 1)) return worded_at(words, at);
    return std::nullopt;
  }
  if (found->kind == NumberWord::Kind::kOther) return Number{std::string(found->value), 1, {}};
  if (found->kind == NumberWord::Kind::kOrdinal) {
    if (!says_which(words, at)) return std::nullopt;
    return Number{std::string(found->value), 1, {}};
  }
  // "several thousand" is no number, "a thousand" is.
  if (found->kind == NumberWord::Kind::kScale && (at == 0 || words[at - 1].folded != "a"))
    return std::nullopt;
  return worded_at(words, at);
}

std::string_view unit_of(std::string_view word) {
  const std::string_view whole = unit_sign(word);
  return whole.empty() && is_plural(word) ? unit_sign(word.substr(0, word.size() - 1)) : whole;
}

std::string_view unit_before(std::string_view text, std::size_t begin) {
  for (const std::size_t bytes : {1, 2, 3}) {
    if (begin < bytes) break;
    const std::string_view sign = text.substr(begin - bytes, bytes);
    if (std::none_of(sign.begin(), sign.end(), [](unsigned char c) { return c < 0x80 && c != '$'; })) {
      if (const std::string_view unit = unit_sign(sign); !unit.empty()) return unit;
    }
  }
  return {};
}

std::string_view unit_after(std::string_view text, std::size_t end) {
  while (end < text.size() && text[end] == ' ') ++end;
  return end < text.size() && text[end] == '%' ? std::string_view("%") : std::string_view();
}

}  // namespace pmt::text
