#include "model/gbnf.h"

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include "model/gbnf_check.h"

namespace pmt::model {
namespace {

using Kind = GbnfElement::Kind;
using Sequence = std::vector<GbnfElement>;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Recursive descent; each function leaves at_ after what it has read. Spaces between the parts of a rule may
/// be line ends only inside of a group.
class Parser {
 public:
  Parser(std::string_view text, const GbnfLimits& limits) : text_(text), limits_(limits) {}

  base::Result<Gbnf> run() {
    skip_space(true);
    while (at_ < text_.size()) TRY(rule());
    const auto root = names_.find("root");
    if (root == names_.end()) return wrong("there is no rule named root");
    out_.root = root->second;
    for (const auto& [name, id] : names_) {
      if (out_.rules[id].empty()) return wrong(fmt::format("no rule is named {}", name));
    }
    TRY(check_no_left_recursion(out_));
    return std::move(out_);
  }

 private:
  base::Error wrong(std::string_view what) const {
    return base::invalid(fmt::format("makes a form that can't be followed: {} (at byte {})", what, at_));
  }
  static base::Error too_complex(std::string what) {
    return base::invalid("is too complex: " + std::move(what));
  }

  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool ended() const { return at_ >= text_.size(); }

  void skip_space(bool lines) {
    while (!ended()) {
      const char c = peek();
      if (c == '#') {
        while (!ended() && peek() != '\n' && peek() != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view word() {
    const std::size_t from = at_;
    while (!ended() && is_word(peek())) ++at_;
    return text_.substr(from, at_ - from);
  }

  std::uint32_t rule_named(std::string_view name) {
    const auto [found, is_new] = names_.emplace(name, static_cast<std::uint32_t>(out_.rules.size()));
    if (is_new) out_.rules.emplace_back();
    return found->second;
  }

  base::Status rule() {
    const std::string_view name = word();
    if (name.empty()) return wrong("a rule's name is missing");
    const std::uint32_t id = rule_named(name);
    skip_space(false);
    if (text_.substr(at_, 3) != "::=") return wrong("::= is missing");
    at_ += 3;
    skip_space(true);
    TRY(alternatives(id, 0));
    if (!ended() && peek() != '\n' && peek() != '\r') return wrong("a rule doesn't end where it should");
    skip_space(true);
    return {};
  }

  /// A rule of that name that was there before is replaced, as llama.cpp does.
  base::Status alternatives(std::uint32_t id, int depth) {
    std::vector<std::uint32_t> starts;
    while (true) {
      TRY_ASSIGN(Sequence sequence, this->sequence(depth));
      starts.push_back(static_cast<std::uint32_t>(out_.elements.size()));
      TRY(append(sequence));
      if (peek() != '|' || ended()) break;
      ++at_;
      skip_space(true);
    }
    out_.rules[id] = std::move(starts);
    return {};
  }

  base::Status append(const Sequence& sequence) {
    if (out_.elements.size() + sequence.size() >= limits_.elements_max)
      return too_complex(fmt::format("its grammar has more than {} elements", limits_.elements_max));
    if (out_.rules.size() > limits_.rules_max)
      return too_complex(fmt::format("its grammar has more than {} rules", limits_.rules_max));
    out_.elements.insert(out_.elements.end(), sequence.begin(), sequence.end());
    out_.elements.emplace_back();
    return {};
  }

  base::Result<Sequence> sequence(int depth) {
    Sequence out;
    std::size_t last = 0;  // where the last symbol begins
    while (!ended()) {
      const char c = peek();
      if (c == '*' || c == '+' || c == '?' || c == '{') {
        TRY(repetition(out, last));
      } else if (c == '"' || c == '[' || c == '.' || c == '(' || is_word(c)) {
        last = out.size();
        TRY(symbol(out, depth));
      } else {
        break;
      }
      skip_space(depth > 0);
      if (out.size() > limits_.elements_max)
        return too_complex(fmt::format("its grammar has more than {} elements", limits_.elements_max));
    }
    return out;
  }

  base::Status symbol(Sequence& out, int depth) {
    switch (peek()) {
      case '"':
        return literal(out);
      case '[':
        return char_class(out);
      case '.':
        ++at_;
        add_class(out, CharClass(true, {}));
        return {};
      case '(':
        return group(out, depth);
      default:
        out.push_back({Kind::kRule, rule_named(word())});
        return {};
    }
  }

  void add_class(Sequence& out, CharClass one) {
    out.push_back({Kind::kClass, static_cast<std::uint32_t>(out_.classes.size())});
    out_.classes.push_back(std::move(one));
  }

  base::Status group(Sequence& out, int depth) {
    if (depth >= limits_.nesting_max)
      return too_complex(fmt::format("its grammar nests deeper than {} groups", limits_.nesting_max));
    ++at_;
    skip_space(true);
    const auto id = static_cast<std::uint32_t>(out_.rules.size());
    out_.rules.emplace_back();
    TRY(alternatives(id, depth + 1));
    if (peek() != ')') return wrong(") is missing");
    ++at_;
    out.push_back({Kind::kRule, id});
    return {};
  }

  base::Status literal(Sequence& out) {
    ++at_;
    while (peek() != '"' || ended()) {
      TRY_ASSIGN(const std::uint32_t c, character());
      out.push_back({Kind::kChar, c});
    }
    ++at_;
    return {};
  }

  base::Status char_class(Sequence& out) {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    while (peek() != ']' || ended()) {
      TRY_ASSIGN(const std::uint32_t from, character());
      std::uint32_t to = from;
      if (peek() == '-' && peek(1) != ']') {
        ++at_;
        TRY_ASSIGN(to, character());
      }
      ranges.emplace_back(from, to);
    }
    ++at_;
    add_class(out, CharClass(negated, std::move(ranges)));
    return {};
  }

  base::Result<std::uint32_t> character() {
    if (ended()) return wrong("it ends in the middle of a string or class");
    if (peek() != '\\') return utf8();
    const char c = peek(1);
    at_ += 2;
    switch (c) {
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case 't':
        return std::uint32_t{'\t'};
      case 'r':
        return std::uint32_t{'\r'};
      case 'n':
        return std::uint32_t{'\n'};
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
        return static_cast<std::uint32_t>(c);
      default:
        return wrong("an escape is unknown");
    }
  }

  base::Result<std::uint32_t> hex(int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = hex_digit(peek());
      if (digit < 0) return wrong(fmt::format("{} hexadecimal digits are needed", digits));
      value = value * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return value;
  }

  /// A byte that is no UTF-8 stands for itself.
  std::uint32_t utf8() {
    const auto lead = static_cast<unsigned char>(text_[at_++]);
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    std::uint32_t value = more == 0 ? lead : lead & (0x3FU >> more);
    for (int i = 0; i < more && (static_cast<unsigned char>(peek()) & 0xC0U) == 0x80; ++i)
      value = value << 6 | (static_cast<unsigned char>(text_[at_++]) & 0x3FU);
    return value;
  }

  base::Result<std::uint32_t> number() {
    std::uint64_t value = 0;
    const std::size_t from = at_;
    while (!ended() && peek() >= '0' && peek() <= '9') {
      value = std::min<std::uint64_t>(value * 10 + static_cast<std::uint64_t>(peek() - '0'), 0xFFFFFFFE);
      ++at_;
    }
    if (at_ == from) return wrong("a number is missing");
    return static_cast<std::uint32_t>(value);
  }

  base::Status bounds(GbnfElement& repeat) {
    ++at_;
    skip_space(true);
    TRY_ASSIGN(repeat.min, number());
    repeat.max = repeat.min;
    skip_space(true);
    if (peek() == ',') {
      ++at_;
      skip_space(true);
      repeat.max = GbnfElement::kNoMax;
      if (peek() != '}') {
        TRY_ASSIGN(repeat.max, number());
      }
      skip_space(true);
    }
    if (peek() != '}') return wrong("} is missing");
    return {};
  }

  /// What follows the symbol that begins at `last` in `out`, which it replaces.
  base::Status repetition(Sequence& out, std::size_t last) {
    if (last == out.size()) return wrong("nothing stands before * + ? or {");
    GbnfElement repeat{Kind::kRepeat, 0, 0, GbnfElement::kNoMax};
    if (peek() == '+') repeat.min = 1;
    if (peek() == '?') repeat.max = 1;
    if (peek() == '{') TRY(bounds(repeat));
    ++at_;
    if (out.size() == last + 1 && out[last].kind == Kind::kRule) {
      repeat.value = out[last].value;
    } else {
      repeat.value = static_cast<std::uint32_t>(out_.rules.size());
      out_.rules.push_back({static_cast<std::uint32_t>(out_.elements.size())});
      TRY(append(Sequence(out.begin() + static_cast<std::ptrdiff_t>(last), out.end())));
    }
    out.resize(last);
    if (repeat.max > 0 && repeat.min <= repeat.max) {
      out.push_back(repeat);
    } else if (repeat.max > 0) {
      add_class(out, CharClass(false, {}));  // at least more than at most: nothing fits
    }
    return {};
  }

  const std::string_view text_;
  const GbnfLimits limits_;
  std::size_t at_ = 0;
  Gbnf out_;
  std::map<std::string, std::uint32_t, std::less<>> names_;
};

}  // namespace

CharClass::CharClass(bool negated, std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges)
    : negated_(negated) {
  std::erase_if(ranges, [](const auto& range) { return range.first > range.second; });
  std::sort(ranges.begin(), ranges.end());
  for (const auto& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().second) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool CharClass::within(std::uint32_t c) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), c,
                       [](std::uint32_t value, const auto& range) { return value < range.first; });
  return after != ranges_.begin() && c <= std::prev(after)->second;
}

bool CharClass::may_match(std::uint32_t low, std::uint32_t high) const {
  if (!negated_) {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const auto& range) { return range.first <= high && low <= range.second; });
  }
  std::uint32_t free = low;  // the least that no range so far has
  for (const auto& [from, to] : ranges_) {
    if (from > free) break;
    if (to >= high) return false;
    free = std::max(free, to + 1);
  }
  return free <= high;
}

base::Result<Gbnf> Gbnf::parse(std::string_view text, const GbnfLimits& limits) {
  return Parser(text, limits).run();
}

std::size_t Gbnf::bytes() const {
  std::size_t total = elements.size() * sizeof(GbnfElement) + classes.size() * 64;
  for (const auto& rule : rules) total += sizeof(rule) + rule.size() * sizeof(std::uint32_t);
  return total;
}

}  // namespace pmt::model
