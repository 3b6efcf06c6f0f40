#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "model/schema/regex.h"

namespace pmt::model {
namespace {

using Kind = Regex::Kind;

constexpr int kNestingMax = 100;
constexpr std::uint32_t kCountMax = 1'000'000'000;

base::Error no_pattern(std::string what) {
  return base::invalid("is no valid pattern: " + std::move(what));
}
base::Error no_grammar(std::string what) {
  return base::Error{base::Code::kUnprocessable, std::move(what)};
}

const CharSet& digits() {
  static const CharSet kSet = {{'0', '9'}};
  return kSet;
}
const CharSet& word_characters() {
  static const CharSet kSet = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return kSet;
}
const CharSet& white_space() {
  static const CharSet kSet = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                               {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                               {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return kSet;
}
CharSet any_but_line_ends() {
  return CharSet{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}.complement();
}

Regex of_set(CharSet set) {
  return {.kind = Kind::kSet, .set = std::move(set)};
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : text_(characters_of(pattern)) {}

  base::Result<Regex> run() {
    TRY_ASSIGN(Regex all, alternatives(0));
    if (at_ < text_.size()) return no_pattern("a ) has no (");
    return all;
  }

 private:
  bool ended() const { return at_ >= text_.size(); }
  std::uint32_t peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0xFFFFFFFF;
  }
  bool take(std::uint32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view ascii) {
    for (std::size_t i = 0; i < ascii.size(); ++i) {
      if (peek(i) != static_cast<std::uint32_t>(ascii[i])) return false;
    }
    at_ += ascii.size();
    return true;
  }

  base::Result<Regex> alternatives(int depth) {
    if (depth > kNestingMax) return no_grammar(fmt::format("it nests deeper than {} groups", kNestingMax));
    Regex out{.kind = Kind::kAlternatives};
    do {
      TRY_ASSIGN(Regex one, sequence(depth));
      out.parts.push_back(std::move(one));
    } while (take('|'));
    if (out.parts.size() == 1) return std::move(out.parts.front());
    return out;
  }

  base::Result<Regex> sequence(int depth) {
    Regex out;
    while (!ended() && peek() != '|' && peek() != ')') {
      TRY_ASSIGN(Regex one, term(depth));
      TRY(quantifier(one));
      out.parts.push_back(std::move(one));
    }
    if (out.parts.size() == 1) return std::move(out.parts.front());
    return out;
  }

  base::Result<Regex> term(int depth) {
    const std::uint32_t c = peek();
    if (c == '*' || c == '+' || c == '?') return no_pattern("nothing stands before * + or ?");
    ++at_;
    switch (c) {
      case '.':
        return of_set(any_but_line_ends());
      case '^':
        return Regex{.kind = Kind::kBegin};
      case '$':
        return Regex{.kind = Kind::kEnd};
      case '(':
        return group(depth);
      case '[': {
        TRY_ASSIGN(CharSet set, char_class());
        return of_set(std::move(set));
      }
      case '\\':
        return escaped();
      default:
        return of_set(CharSet{{c, c}});
    }
  }

  base::Result<Regex> group(int depth) {
    if (take('?')) {
      if (take('=') || take('!') || take("<=") || take("<!")) return no_grammar("it looks ahead or behind");
      const bool named = take('<') || take("P<");
      if (named) {
        while (!ended() && peek() != '>') ++at_;
        if (!take('>')) return no_pattern("a group's name has no end");
      } else if (!take(':')) {
        return no_grammar("a group begins with (? and isn't (?: or a named one");
      }
    }
    TRY_ASSIGN(Regex inner, alternatives(depth + 1));
    if (!take(')')) return no_pattern("a ( has no )");
    // A part of its own, so that a quantifier takes all of it.
    return inner;
  }

  base::Status quantifier(Regex& one) {
    const std::size_t before = at_;
    std::uint32_t min = 0;
    std::uint32_t max = Regex::kNoMax;
    if (take('?')) {
      max = 1;
    } else if (take('+')) {
      min = 1;
    } else if (take('*')) {
    } else if (!counts(min, max)) {
      at_ = before;
      return {};
    }
    if (one.kind == Kind::kBegin || one.kind == Kind::kEnd) return no_grammar("an anchor is repeated");
    if (min > max) return no_pattern("a repetition has more at least than at most");
    if (peek() == '+') return no_grammar("a repetition is possessive");
    take('?');  // that it is lazy changes no language
    Regex inner = std::move(one);
    one = {.kind = Kind::kRepeat, .min = min, .max = max};
    one.parts.push_back(std::move(inner));
    return {};
  }

  /// {m}, {m,}, {m,n} or Python's {,n}. False: it is no quantifier, so a brace is a character.
  bool counts(std::uint32_t& min, std::uint32_t& max) {
    if (!take('{')) return false;
    const auto least = number();
    if (take('}')) {
      if (!least) return false;
      min = max = *least;
      return true;
    }
    if (!take(',')) return false;
    const auto most = number();
    if (!take('}') || (!least && !most)) return false;
    min = least.value_or(0);
    max = most.value_or(Regex::kNoMax);
    return true;
  }

  std::optional<std::uint32_t> number() {
    std::uint64_t value = 0;
    const std::size_t from = at_;
    while (peek() >= '0' && peek() <= '9')
      value = std::min<std::uint64_t>(value * 10 + (text_[at_++] - '0'), kCountMax);
    if (at_ == from) return std::nullopt;
    return static_cast<std::uint32_t>(value);
  }

  base::Result<Regex> escaped() {
    const std::uint32_t c = peek();
    if (c == 'A') return ++at_, Regex{.kind = Kind::kBegin};
    if (c == 'Z' || c == 'z') return ++at_, Regex{.kind = Kind::kEnd};
    if (c == 'b' || c == 'B') return no_grammar("it has a word boundary");
    if ((c >= '1' && c <= '9') || c == 'k') return no_grammar("it refers back to a group");
    TRY_ASSIGN(CharSet set, class_escape());
    return of_set(std::move(set));
  }

  /// After the backslash. One character, or a class of them.
  base::Result<CharSet> class_escape() {
    if (ended()) return no_pattern("it ends with a backslash");
    const std::uint32_t c = text_[at_++];
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return word_characters();
      case 'W':
        return word_characters().complement();
      case 's':
        return white_space();
      case 'S':
        return white_space().complement();
      case 'p':
      case 'P': {
        TRY_ASSIGN(CharSet set, category());
        return c == 'p' ? set : set.complement();
      }
      default:
        break;
    }
    TRY_ASSIGN(const std::uint32_t one, character_escape(c));
    return CharSet{{one, one}};
  }

  base::Result<CharSet> category() {
    std::string name;
    if (take('{')) {
      while (!ended() && peek() != '}') append_utf8(name, text_[at_++]);
      if (!take('}')) return no_pattern("a \\p{ has no }");
    } else if (!ended()) {
      append_utf8(name, text_[at_++]);
    }
    std::string_view value = name;
    for (const std::string_view lead : {"gc=", "General_Category="}) {
      if (value.starts_with(lead)) value.remove_prefix(lead.size());
    }
    auto set = CharSet::of_category(value);
    if (!set) return no_grammar(fmt::format("\\p{{{}}} is no general category of Unicode", name));
    return std::move(*set);
  }

  base::Result<std::uint32_t> character_escape(std::uint32_t c) {
    switch (c) {
      case 'n':
        return std::uint32_t{'\n'};
      case 't':
        return std::uint32_t{'\t'};
      case 'r':
        return std::uint32_t{'\r'};
      case 'f':
        return std::uint32_t{'\f'};
      case 'v':
        return std::uint32_t{'\v'};
      case '0':
        return std::uint32_t{0};
      case 'x':
        return hex(2);
      case 'u':
        return unicode();
      case 'c': {
        const std::uint32_t letter = peek() | 0x20U;
        if (letter < 'a' || letter > 'z') return no_pattern("\\c needs a letter");
        return text_[at_++] & 0x1FU;
      }
      default:
        break;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) return no_grammar(fmt::format("the escape \\{} is unknown", static_cast<char>(c)));
    return c;
  }

  base::Result<std::uint32_t> hex(int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const auto digit = hex_digit(peek());
      if (!digit) return no_pattern(fmt::format("an escape needs {} hexadecimal digits", digits));
      value = value * 16 + *digit;
      ++at_;
    }
    return value;
  }

  base::Result<std::uint32_t> unicode() {
    if (!take('{')) {
      TRY_ASSIGN(const std::uint32_t high, hex(4));
      if (high < 0xD800 || high > 0xDBFF || !take("\\u")) return high;
      TRY_ASSIGN(const std::uint32_t low, hex(4));
      if (low < 0xDC00 || low > 0xDFFF) return no_pattern("half a pair of surrogates");
      return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    std::uint32_t value = 0;
    while (const auto digit = hex_digit(peek())) {
      value = std::min<std::uint32_t>(value * 16 + *digit, 0x110000);
      ++at_;
    }
    if (!take('}') || value > 0x10FFFF) return no_pattern("a \\u{ } holds no character");
    return value;
  }

  static std::optional<std::uint32_t> hex_digit(std::uint32_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
  }

  base::Result<CharSet> char_class() {
    const bool negated = take('^');
    CharSet out;
    while (!ended() && peek() != ']') {
      TRY_ASSIGN(const CharSet from, class_atom());
      const bool is_range = peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size() && is_single(from);
      if (!is_range) {
        out.add(from);
        continue;
      }
      ++at_;
      TRY_ASSIGN(const CharSet to, class_atom());
      if (!is_single(to)) return no_pattern("a range in [ ] ends with a class");
      const std::uint32_t low = from.ranges().front().first, high = to.ranges().front().first;
      if (low > high) return no_pattern("a range in [ ] goes backwards");
      out.add(CharSet{{low, high}});
    }
    if (!take(']')) return no_pattern("a [ has no ]");
    return negated ? out.complement() : out.both(CharSet::all());
  }

  static bool is_single(const CharSet& set) {
    return set.ranges().size() == 1 && set.ranges().front().first == set.ranges().front().second;
  }

  base::Result<CharSet> class_atom() {
    const std::uint32_t c = text_[at_++];
    if (c != '\\') return CharSet{{c, c}};
    if (take('b')) return CharSet{{'\b', '\b'}};
    return class_escape();
  }

  const std::vector<std::uint32_t> text_;
  std::size_t at_ = 0;
};

}  // namespace

base::Result<Regex> parse_regex(std::string_view pattern) {
  return Parser(pattern).run();
}

}  // namespace pmt::model
