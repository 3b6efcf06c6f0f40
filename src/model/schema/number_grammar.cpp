#include "model/schema/number_grammar.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace pmt::model {
namespace {

constexpr std::int64_t kWholeMax = 999'999'999'999'999;  // 15 digits
constexpr int kFractionDigitsMax = 16;
constexpr int kScaleMax = 3;  // of multiples: they are counted in 10^-scale, in 64 bits
constexpr std::int64_t kRemaindersMax = 300;

std::int64_t power_of_ten(int exponent) {
  std::int64_t out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

std::string digit_class(int from, int to) {
  if (from > to) return kGbnfNever;
  return from == to ? fmt::format("\"{}\"", from) : fmt::format("[{}-{}]", from, to);
}

/// Which whole numbers N, of those in [low, high], are written; as N / 10^scale with all its digits.
struct Counted {
  std::int64_t low = 0, high = 0;
  std::int64_t multiple = 1;
  int scale = 0;
};

/// Digit by digit, with what is left to be a multiple. States that lead nowhere are left out.
class Digits {
 public:
  Digits(const Counted& wanted, GbnfWriter& rules)
      : wanted_(wanted), multiple_(wanted.multiple), rules_(rules) {
    while (multiple_ % 10 == 0) {
      multiple_ /= 10;
      ++zeros_;
    }
  }

  std::string run() {
    if (multiple_ > kRemaindersMax) return {};
    std::vector<std::string> lengths;
    const int shortest = std::max(count(wanted_.low), wanted_.scale + 1);
    for (int length = shortest; length <= std::max(count(wanted_.high), shortest); ++length) {
      const std::int64_t least = length == wanted_.scale + 1 ? 0 : power_of_ten(length - 1);
      low_ = padded(std::max(wanted_.low, least), length);
      high_ = padded(std::min(wanted_.high, power_of_ten(length) - 1), length);
      tight_.clear();
      if (low_ <= high_) lengths.push_back(state(0, true, true, 0));
    }
    return gbnf_alternatives(lengths);
  }

 private:
  static int count(std::int64_t value) { return static_cast<int>(std::to_string(value).size()); }
  static std::string padded(std::int64_t value, int length) { return fmt::format("{:0{}}", value, length); }

  /// What follows the first `at` digits.
  std::string state(int at, bool at_low, bool at_high, std::int64_t rest) {
    const int left = static_cast<int>(low_.size()) - at;
    if (left == 0) return rest == 0 ? "\"\"" : kGbnfNever;
    if (!at_low && !at_high && multiple_ == 1 && zeros_ == 0) return free_digits(left);
    const auto key = std::make_tuple(left, at_low, at_high, rest);
    auto& known = at_low || at_high ? tight_ : free_;
    if (const auto found = known.find(key); found != known.end()) return found->second;
    std::string out = choices(at, at_low, at_high, rest);
    if (out != kGbnfNever) out = rules_.rule(out);
    known.emplace(key, out);
    return out;
  }

  std::string choices(int at, bool at_low, bool at_high, std::int64_t rest) {
    const int left = static_cast<int>(low_.size()) - at;
    const int from = at_low ? low_[static_cast<std::size_t>(at)] - '0' : 0;
    const int to = at_high ? high_[static_cast<std::size_t>(at)] - '0' : 9;
    std::vector<std::pair<std::string, std::pair<int, int>>> ways;  // what follows, after which digits
    for (int digit = from; digit <= to; ++digit) {
      if (left <= zeros_ && (digit != 0 || rest != 0)) break;
      const std::int64_t next = left <= zeros_ ? 0 : (rest * 10 + digit) % multiple_;
      std::string follows = state(at + 1, at_low && digit == from, at_high && digit == to, next);
      if (follows == kGbnfNever) continue;
      const bool joins =
          !ways.empty() && ways.back().first == follows && ways.back().second.second == digit - 1;
      if (joins) {
        ways.back().second.second = digit;
      } else {
        ways.push_back({follows, {digit, digit}});
      }
    }
    std::vector<std::string> out;
    const std::string point = wanted_.scale > 0 && left == wanted_.scale ? "\".\" " : "";
    out.reserve(ways.size());
    for (const auto& [follows, digits] : ways)
      out.push_back(point + digit_class(digits.first, digits.second) + " " + follows);
    return gbnf_alternatives(out);
  }

  std::string free_digits(int left) const {
    if (wanted_.scale == 0 || left < wanted_.scale) return fmt::format("[0-9]{{{}}}", left);
    const std::string fraction = fmt::format("\".\" [0-9]{{{}}}", wanted_.scale);
    return left == wanted_.scale ? fraction : fmt::format("[0-9]{{{}}} {}", left - wanted_.scale, fraction);
  }

  using Key = std::tuple<int, bool, bool, std::int64_t>;
  const Counted wanted_;
  std::int64_t multiple_;  // without its tens
  int zeros_ = 0;          // so many digits at the end are 0 for those
  GbnfWriter& rules_;
  std::string low_, high_;  // of the length that is written
  std::map<Key, std::string> free_, tight_;
};

/// The digits after the point that keep a number above and below bounds with the same whole part.
class Fraction {
 public:
  struct Side {
    bool binds = false;
    bool excluded = false;
    std::string digits = {};
  };
  Fraction(Side low, Side high) : low_(std::move(low)), high_(std::move(high)) {}

  /// With the point, or nothing where the whole part is enough.
  std::string run() const {
    const auto digits = after(0, low_.binds, high_.binds);
    const bool may_lack = stops(0, low_.binds, high_.binds);
    if (!digits) return may_lack ? "\"\"" : kGbnfNever;
    return may_lack ? "(\".\" (" + *digits + "))?" : "\".\" (" + *digits + ")";
  }

 private:
  static int digit_of(const Side& side, std::size_t at) {
    return at < side.digits.size() ? side.digits[at] - '0' : 0;
  }
  /// Whether the digits before `at` are enough, zeros understood.
  bool stops(std::size_t at, bool at_low, bool at_high) const {
    const bool above = !at_low || (at >= low_.digits.size() && !low_.excluded);
    const bool below = !at_high || at < high_.digits.size() || !high_.excluded;
    return above && below;
  }

  /// One digit or more. Null: none fits.
  std::optional<std::string> after(std::size_t at, bool at_low, bool at_high) const {
    if (at >= kFractionDigitsMax) return std::nullopt;
    if (at_low && at >= low_.digits.size() && !low_.excluded) at_low = false;
    if (at_high && at >= high_.digits.size()) return std::nullopt;  // only zeros could follow
    if (!at_low && !at_high) return fmt::format("[0-9]{{1,{}}}", kFractionDigitsMax - at);
    const int from = at_low ? digit_of(low_, at) : 0;
    const int to = at_high ? digit_of(high_, at) : 9;
    std::vector<std::string> ways;
    const auto add = [&](int first, int last, bool low, bool high) {
      if (first > last) return;
      const auto more = after(at + 1, low, high);
      const bool enough = stops(at + 1, low, high);
      if (!more && !enough) return;
      std::string way = digit_class(first, last);
      if (more) way += enough ? " (" + *more + ")?" : " (" + *more + ")";
      ways.push_back(std::move(way));
    };
    if (from == to) {
      add(from, to, at_low, at_high);
    } else {
      add(from, from, at_low, false);
      add(from + 1, to - 1, false, false);
      add(to, to, false, at_high);
    }
    if (ways.empty()) return std::nullopt;
    return gbnf_alternatives(ways);
  }

  const Side low_, high_;
};

/// Positive numbers (zero too, if it fits) between two bounds, without a sign.
struct Magnitudes {
  NumberBounds::Bound low;
  NumberBounds::Bound high;
};

std::string gbnf_of_decimals(const Magnitudes& range, GbnfWriter& rules) {
  const auto& [low, high] = range;
  const Fraction::Side above = {true, low.excluded, low.value.fraction};
  const Fraction::Side below = {true, high.excluded, high.value.fraction};
  const auto with = [&](std::int64_t whole, const Fraction::Side& a, const Fraction::Side& b) {
    const std::string fraction = Fraction(a, b).run();
    return fraction == kGbnfNever ? std::string(kGbnfNever) : fmt::format("\"{}\" {}", whole, fraction);
  };
  if (low.value.whole == high.value.whole) return with(low.value.whole, above, below);
  std::vector<std::string> ways = {with(low.value.whole, above, {})};
  if (low.value.whole + 1 <= high.value.whole - 1) {
    const Counted between = {.low = low.value.whole + 1, .high = high.value.whole - 1};
    ways.push_back(
        fmt::format("({}) (\".\" [0-9]{{1,{}}})?", Digits(between, rules).run(), kFractionDigitsMax));
  }
  ways.push_back(with(high.value.whole, {}, below));
  return gbnf_alternatives(ways);
}

/// value x 10^scale, rounded into the range that the bound allows.
std::int64_t scaled(const NumberBounds::Bound& bound, int scale, bool up) {
  std::string digits = bound.value.fraction;
  const bool cut = digits.size() > static_cast<std::size_t>(scale);
  digits.resize(static_cast<std::size_t>(scale), '0');
  const std::int64_t part = digits.empty() ? 0 : std::stoll(digits);
  const std::int64_t value = bound.value.whole * power_of_ten(scale) + part;
  if (up) return value + (cut || bound.excluded ? 1 : 0);
  return value - (!cut && bound.excluded ? 1 : 0);
}

/// A lower bound that is below zero binds no magnitude, and so on: the part of [min, max] on one side of zero.
std::optional<Magnitudes> one_side(const NumberBounds& bounds, bool negative) {
  const Decimal most{.whole = kWholeMax};
  auto near = negative ? bounds.max : bounds.min;
  auto far = negative ? bounds.min : bounds.max;
  Magnitudes out{{.value = {}, .excluded = negative}, {.value = most}};  // -0 isn't written
  if (near && near->value.negative == negative && !near->value.is_zero()) out.low = *near;
  if (near && near->value.is_zero() && near->excluded) out.low = {.value = {}, .excluded = true};
  if (far && far->value.negative != negative && !far->value.is_zero()) return std::nullopt;
  if (far && far->value.is_zero() && negative) return std::nullopt;
  if (far && (far->value.negative == negative || far->value.is_zero())) out.high = *far;
  out.low.value.negative = out.high.value.negative = false;
  if (less(out.high.value, out.low.value)) return std::nullopt;
  return out;
}

base::Result<std::string> gbnf_of_side(const NumberBounds& bounds, bool negative, GbnfWriter& rules) {
  const auto range = one_side(bounds, negative);
  if (!range) return std::string(kGbnfNever);
  if (!bounds.whole && !bounds.multiple_of) return gbnf_of_decimals(*range, rules);
  Counted wanted;
  if (bounds.multiple_of) {
    const Decimal& multiple = *bounds.multiple_of;
    wanted.scale = bounds.whole && multiple.fraction.empty() ? 0 : static_cast<int>(multiple.fraction.size());
    if (wanted.scale > kScaleMax)
      return base::Error{base::Code::kUnprocessable,
                         fmt::format("has more than {} digits after its point", kScaleMax)};
    wanted.multiple = multiple.whole * power_of_ten(wanted.scale) +
                      (multiple.fraction.empty() ? 0 : std::stoll(multiple.fraction));
  }
  if (bounds.whole && wanted.scale > 0) {  // whole numbers of them: the least common multiple with 1
    std::int64_t unit = power_of_ten(wanted.scale);
    wanted.multiple = wanted.multiple / std::gcd(wanted.multiple, unit);
    wanted.scale = 0;
  }
  wanted.low = scaled(range->low, wanted.scale, true);
  wanted.high = scaled(range->high, wanted.scale, false);
  if (wanted.low > wanted.high) return std::string(kGbnfNever);
  std::string out = Digits(wanted, rules).run();
  if (out.empty()) {
    return base::Error{base::Code::kUnprocessable,
                       fmt::format("leaves more than {} remainders to count", kRemaindersMax)};
  }
  return out;
}

std::string unbounded(bool whole) {
  if (whole) return "\"0\" | \"-\"? [1-9] [0-9]{0,14}";
  return "\"-\"? (\"0\" | [1-9] [0-9]{0,14}) (\".\" [0-9]{1,16})? ([eE] [-+]? [1-9] [0-9]?)?";
}

}  // namespace

std::optional<Decimal> Decimal::parse(const std::string& json) {
  Decimal out;
  std::string digits;
  int point = -1, exponent = 0;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '-' && i == 0) {
      out.negative = true;
    } else if (c == '.') {
      point = static_cast<int>(digits.size());
    } else if (c == 'e' || c == 'E') {
      exponent = static_cast<int>(std::strtol(json.c_str() + i + 1, nullptr, 10));
      break;
    } else {
      digits += c;
    }
  }
  point = (point < 0 ? static_cast<int>(digits.size()) : point) + std::clamp(exponent, -400, 400);
  if (point < 0) digits.insert(0, static_cast<std::size_t>(-point), '0');
  point = std::max(point, 0);
  if (static_cast<int>(digits.size()) < point)
    digits.append(static_cast<std::size_t>(point) - digits.size(), '0');
  std::string whole = digits.substr(0, static_cast<std::size_t>(point));
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  out.fraction = digits.substr(static_cast<std::size_t>(point));
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  if (whole.size() > 15 || out.fraction.size() > kFractionDigitsMax - 1) return std::nullopt;
  out.whole = whole.empty() ? 0 : std::stoll(whole);
  out.negative = out.negative && !out.is_zero();
  return out;
}

bool less(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative;
  const auto smaller = [](const Decimal& x, const Decimal& y) {
    return x.whole != y.whole ? x.whole < y.whole : x.fraction < y.fraction;  // no zeros end a fraction
  };
  return a.negative ? smaller(b, a) : smaller(a, b);
}

base::Result<std::string> gbnf_of_number(const NumberBounds& bounds, GbnfWriter& rules) {
  if (!bounds.min && !bounds.max && !bounds.multiple_of) return unbounded(bounds.whole);
  TRY_ASSIGN(const std::string positive, gbnf_of_side(bounds, false, rules));
  TRY_ASSIGN(const std::string negative, gbnf_of_side(bounds, true, rules));
  std::vector<std::string> ways = {positive};
  if (negative != kGbnfNever) ways.push_back("\"-\" (" + negative + ")");
  return gbnf_alternatives(ways);
}

}  // namespace pmt::model
