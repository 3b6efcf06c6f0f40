#include "rlm/tables/cell_values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kNumberBytesMax = 40, kDateBytesMax = 48;
constexpr int kDigitsMax = 15;  // a double holds them exactly

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Cuts one of the known signs and names of money, and percent, from both ends.
std::string_view cut_unit(std::string_view& cell) {
  static constexpr std::string_view kUnits[] = {"$",   "€",   "£",   "¥",   "₹",   "%",   "USD",
                                                "EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "US$"};
  for (const std::string_view unit : kUnits) {
    if (cell.size() <= unit.size()) continue;
    if (cell.starts_with(unit)) {
      const std::string_view found = cell.substr(0, unit.size());
      cell = trimmed_cell(cell.substr(unit.size()));
      return found;
    }
    if (cell.ends_with(unit)) {
      const std::string_view found = cell.substr(cell.size() - unit.size());
      cell = trimmed_cell(cell.substr(0, cell.size() - unit.size()));
      return found;
    }
  }
  return {};
}

/// The digits and one point; "": groups of other than three digits, or no number.
std::string plain_number(std::string_view cell, DecimalSign sign) {
  const char point = sign == DecimalSign::kPoint ? '.' : ',';
  const char group = sign == DecimalSign::kPoint ? ',' : '.';
  std::string out;
  int since_group = -1;  // digits since the last sign between groups; -1: there was none
  int whole = 0;
  std::size_t at = 0;
  for (; at < cell.size() && cell[at] != point; ++at) {
    const char c = cell[at];
    if (is_digit(c)) {
      out += c;
      ++whole;
      if (since_group >= 0) ++since_group;
    } else if ((c == group || c == ' ' || c == '\'') && whole > 0 &&
               (since_group < 0 ? whole <= 3 : since_group == 3)) {
      since_group = 0;
    } else {
      return {};
    }
  }
  if (since_group >= 0 && since_group != 3) return {};
  if (whole > 1 && out.front() == '0') return {};
  if (at == cell.size()) return out;
  out += out.empty() ? "0." : ".";
  const std::size_t before = out.size();
  for (++at; at < cell.size(); ++at) {
    if (!is_digit(cell[at])) return {};
    out += cell[at];
  }
  return out.size() > before ? out : std::string();
}

/// Most numbers by far: digits, and at most one point among them. Unset: the rules in full tell.
std::optional<CellNumber> bare_number(std::string_view cell, DecimalSign sign) {
  if (cell.size() > kDigitsMax || !is_digit(cell.back())) return std::nullopt;
  const auto point = cell.find('.');
  if (point != std::string_view::npos && sign != DecimalSign::kPoint) return std::nullopt;
  const std::string_view whole = cell.substr(0, point);
  const auto digits = [](std::string_view part) { return std::ranges::all_of(part, is_digit); };
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0') || !digits(whole)) return std::nullopt;
  if (point != std::string_view::npos && !digits(cell.substr(point + 1))) return std::nullopt;
  CellNumber number{.whole = point == std::string_view::npos};
  std::from_chars(cell.data(), cell.data() + cell.size(), number.value);
  return number;
}

/// "1.5e-3", as programs write numbers.
std::optional<CellNumber> scientific(std::string_view cell) {
  if (cell.empty() || !is_digit(cell.front()) || cell.find_first_of("eE") == std::string_view::npos)
    return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) return std::nullopt;
  return CellNumber{.value = value};
}

struct Token {
  bool word = false;
  int value = 0, digits = 0;
  char before = 0;  // the sign right before it
  std::string_view text;
};

/// Numbers and words of a short cell; none if it can't be a day.
std::vector<Token> tokens_of(std::string_view cell) {
  std::vector<Token> tokens;
  char before = 0;
  for (std::size_t at = 0; at < cell.size();) {
    const auto c = static_cast<unsigned char>(cell[at]);
    const bool digit = is_digit(cell[at]);
    if (!digit && std::isalpha(c) == 0) {
      if (std::string_view("-/.,: +").find(cell[at]) == std::string_view::npos) return {};
      if (cell[at] != ' ' || before == 0) before = cell[at];
      ++at;
      continue;
    }
    std::size_t end = at;
    const auto same = [&](unsigned char next) {
      return digit ? std::isdigit(next) != 0 : std::isalpha(next) != 0;
    };
    while (end < cell.size() && same(static_cast<unsigned char>(cell[end]))) ++end;
    Token token{.word = !digit, .before = before, .text = cell.substr(at, end - at)};
    token.digits = digit ? static_cast<int>(end - at) : 0;
    if (digit && token.digits <= 9) std::from_chars(cell.data() + at, cell.data() + end, token.value);
    tokens.push_back(token);
    before = 0;
    at = end;
  }
  return tokens;
}

int month_of(std::string_view word) {
  static constexpr std::array<std::string_view, 12> kMonths = {
      "january", "february", "march",     "april",   "may",      "june",
      "july",    "august",   "september", "october", "november", "december"};
  const std::string lower = text::lower(word);
  if (lower == "sept") return 9;
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (lower == kMonths[i] || lower == kMonths[i].substr(0, 3)) return static_cast<int>(i) + 1;
  }
  return 0;
}

bool is_weekday(std::string_view word) {
  static constexpr std::string_view kDays[] = {"monday", "tuesday",  "wednesday", "thursday",
                                               "friday", "saturday", "sunday"};
  const std::string lower = text::lower(word);
  return std::ranges::any_of(kDays,
                             [&](std::string_view day) { return lower == day || lower == day.substr(0, 3); });
}

/// "2026-03-01", as most files have it. Unset: the rules in full tell.
std::optional<CellDate> iso_day(std::string_view cell) {
  if (cell.size() != 10 || cell[4] != '-' || cell[7] != '-') return std::nullopt;
  for (const std::size_t at : {0, 1, 2, 3, 5, 6, 8, 9}) {
    if (!is_digit(cell[at])) return std::nullopt;
  }
  const auto two = [&](std::size_t at) { return 10 * (cell[at] - '0') + cell[at + 1] - '0'; };
  const int month = two(5), day = two(8);
  if (two(0) + two(2) == 0 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  return CellDate{.iso = std::string(cell)};
}

/// Reads a day and a time out of tokens, one after the other.
class DateReader {
 public:
  DateReader(std::vector<Token> tokens, DayOrder order) : tokens_(std::move(tokens)), order_(order) {}

  std::optional<CellDate> read() {
    if (at_ < tokens_.size() && tokens_[at_].word && is_weekday(tokens_[at_].text)) ++at_;
    std::erase_if(tokens_, [](const Token& t) { return t.word && t.before == 0 && is_ordinal(t.text); });
    if (!read_day() || month_ < 1 || month_ > 12 || day_ < 1 || day_ > 31 || year_ < 1 || year_ > 9999)
      return std::nullopt;
    out_.iso = fmt::format("{:04}-{:02}-{:02}", year_, month_, day_);
    if (at_ < tokens_.size() && !read_time()) return std::nullopt;
    return std::move(out_);
  }

 private:
  static bool is_ordinal(std::string_view text) {
    return text == "st" || text == "nd" || text == "rd" || text == "th";
  }
  const Token* token(std::size_t ahead) const {
    return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr;
  }

  bool read_day() {
    const Token *a = token(0), *b = token(1), *c = token(2);
    if (a == nullptr || b == nullptr || c == nullptr || c->word) return false;
    at_ += 3;
    year_ = c->digits <= 2 ? c->value + (c->value < 70 ? 2000 : 1900) : c->value;
    if (a->word) {
      month_ = month_of(a->text);
      day_ = b->value;
      return !b->word && c->digits == 4;
    }
    if (b->word) {
      month_ = month_of(b->text);
      day_ = a->value;
      return c->digits == 4 || c->digits == 2;
    }
    if (std::string_view("-/.").find(b->before) == std::string_view::npos || b->before != c->before)
      return false;
    if (a->digits == 4) {
      year_ = a->value, month_ = b->value, day_ = c->value;
      return b->digits <= 2 && c->digits <= 2;
    }
    if (a->digits > 2 || b->digits > 2 || (c->digits != 4 && (c->digits != 2 || b->before == '.')))
      return false;
    out_.proves_day_first = a->value > 12;
    out_.proves_month_first = b->value > 12;
    const bool day_first =
        out_.proves_day_first || (!out_.proves_month_first && order_ == DayOrder::kDayFirst);
    day_ = day_first ? a->value : b->value;
    month_ = day_first ? b->value : a->value;
    return true;
  }

  bool read_time() {
    if (const Token* t = token(0); t->word && (t->text == "T" || t->text == "at")) ++at_;
    const Token *hour = token(0), *minute = token(1);
    if (hour == nullptr || minute == nullptr || hour->word || minute->word || minute->before != ':')
      return false;
    int hours = hour->value, seconds = 0;
    at_ += 2;
    if (const Token* t = token(0); t != nullptr && !t->word && t->before == ':') {
      seconds = t->value;
      ++at_;
      if (const Token* f = token(0); f != nullptr && !f->word && (f->before == '.' || f->before == ','))
        ++at_;
    }
    if (const Token* t = token(0); t != nullptr && t->word) {
      const std::string half = text::lower(t->text);
      if (half == "am" || half == "pm") {
        hours = hours % 12 + (half == "pm" ? 12 : 0);
        ++at_;
      }
    }
    if (!read_zone() || hours > 23 || minute->value > 59 || seconds > 60) return false;
    out_.iso += fmt::format(" {:02}:{:02}:{:02}", hours, minute->value, seconds);
    return true;
  }

  bool read_zone() {
    for (int parts = 0; at_ < tokens_.size(); ++at_, ++parts) {
      const Token& t = tokens_[at_];
      const bool name = t.word && (t.text == "Z" || t.text == "UTC" || t.text == "GMT");
      const bool offset = !t.word && (t.before == '+' || t.before == '-' || (parts > 0 && t.before == ':'));
      if (!name && !offset) return false;
    }
    return true;
  }

  std::vector<Token> tokens_;
  DayOrder order_;
  std::size_t at_ = 0;
  int year_ = 0, month_ = 0, day_ = 0;
  CellDate out_;
};

}  // namespace

std::string_view trimmed_cell(std::string_view cell) {
  const auto begin = cell.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return cell.substr(begin, cell.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<CellNumber> read_number(std::string_view cell, DecimalSign sign) {
  cell = trimmed_cell(cell);
  if (cell.empty() || cell.size() > kNumberBytesMax) return std::nullopt;
  if (const auto bare = bare_number(cell, sign)) return bare;
  bool negative = false;
  if (cell.size() > 2 && cell.front() == '(' && cell.back() == ')') {  // as bookkeepers write it
    negative = true;
    cell = cell.substr(1, cell.size() - 2);
  }
  const auto cut_sign = [&] {
    if (cell.empty() || (cell.front() != '-' && cell.front() != '+')) return;
    negative = negative || cell.front() == '-';
    cell.remove_prefix(1);
  };
  cut_sign();
  CellNumber number;
  if (!cell.empty() && !(is_digit(cell.front()) && is_digit(cell.back()))) number.unit = cut_unit(cell);
  if (!number.unit.empty()) cut_sign();
  if (cell.empty() || (!is_digit(cell.front()) && cell.front() != '.')) return std::nullopt;
  if (auto exact = scientific(cell)) {
    exact->value = negative ? -exact->value : exact->value;
    return exact;
  }
  const std::string plain = plain_number(cell, sign);
  const auto digits = std::ranges::count_if(plain, is_digit);
  if (plain.empty() || digits > kDigitsMax + 3 ||
      (plain.find('.') == std::string::npos && digits > kDigitsMax))
    return std::nullopt;
  std::from_chars(plain.data(), plain.data() + plain.size(), number.value);
  number.whole = plain.find('.') == std::string::npos;
  if (negative) number.value = -number.value;
  return number;
}

std::optional<CellDate> read_date(std::string_view cell, DayOrder order) {
  cell = trimmed_cell(cell);
  if (cell.size() < 6 || cell.size() > kDateBytesMax ||
      cell.find_first_of("0123456789") == std::string_view::npos)
    return std::nullopt;
  if (auto day = iso_day(cell)) return day;
  auto tokens = tokens_of(cell);
  if (tokens.size() < 3) return std::nullopt;
  return DateReader(std::move(tokens), order).read();
}

std::string time_of_day(std::string_view text) {
  if (text.size() > 1 && is_digit(text[0]) && text[1] == ':') return time_of_day("0" + std::string(text));
  const bool seconds = text.size() == 8;
  if (text.size() != 5 && !seconds) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != ':' : !is_digit(text[i])) return {};
  }
  const bool fits = text[0] < '2' || (text[0] == '2' && text[1] < '4');
  return fits && text[3] < '6' && (!seconds || text[6] < '6') ? std::string(text) : std::string();
}

bool is_missing(std::string_view cell) {
  return cell.empty() || cell == "null" || cell == "NULL" || cell == "N/A" || cell == "n/a";
}

bool may_be_missing(std::string_view cell) {
  static constexpr std::string_view kWords[] = {"-",   "--",   "—",    "–", "NA", "na",  "nan",
                                                "NaN", "none", "None", "?", ".",  "nil", "unknown"};
  return std::ranges::find(kWords, cell) != std::end(kWords);
}

}  // namespace pmt::rlm
