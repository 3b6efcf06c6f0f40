#include "model/schema/regex.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace pmt::model {
namespace {

using Kind = Regex::Kind;

base::Error no_grammar(std::string what) {
  return base::Error{base::Code::kUnprocessable, std::move(what)};
}

Regex any_text() {
  Regex out{.kind = Kind::kRepeat, .min = 0, .max = Regex::kNoMax};
  out.parts.push_back({.kind = Kind::kSet, .set = CharSet::all()});
  return out;
}

bool has_anchor(const Regex& one) {
  return one.kind == Kind::kBegin || one.kind == Kind::kEnd ||
         std::any_of(one.parts.begin(), one.parts.end(), has_anchor);
}

/// Makes anchors at the ends go away. `open`: any text may stand where no anchor does.
class Ends {
 public:
  explicit Ends(bool open) : open_(open) {}

  base::Result<Regex> settle(const Regex& pattern) {
    if (++steps_ > kStepsMax) return no_grammar("its anchors stand in too many places");
    if (pattern.kind == Kind::kAlternatives) return of_each(pattern.parts);
    std::vector<Regex> parts = pattern.kind == Kind::kSequence ? pattern.parts : std::vector<Regex>{pattern};
    // A sequence in a sequence is one: its anchors are at the ends, too.
    for (const bool front : {true, false}) {
      while (!parts.empty()) {
        Regex end = front ? parts.front() : parts.back();
        if (end.kind == Kind::kSequence && !end.parts.empty()) {
          parts.erase(front ? parts.begin() : parts.end() - 1);
          parts.insert(front ? parts.begin() : parts.end(), end.parts.begin(), end.parts.end());
          continue;
        }
        if (end.kind == Kind::kAlternatives && has_anchor(end)) return of_ends(parts, end, front);
        break;
      }
    }
    return without_anchors(std::move(parts));
  }

 private:
  static constexpr int kStepsMax = 1'000;

  base::Result<Regex> of_each(const std::vector<Regex>& alternatives) {
    Regex out{.kind = Kind::kAlternatives};
    for (const Regex& one : alternatives) {
      TRY_ASSIGN(Regex settled, settle(one));
      out.parts.push_back(std::move(settled));
    }
    return out;
  }

  /// (^|x)rest: each alternative with the rest.
  base::Result<Regex> of_ends(const std::vector<Regex>& parts, const Regex& end, bool front) {
    std::vector<Regex> alternatives;
    for (const Regex& one : end.parts) {
      Regex sequence;
      sequence.parts = parts;
      (front ? sequence.parts.front() : sequence.parts.back()) = one;
      alternatives.push_back(std::move(sequence));
    }
    return of_each(alternatives);
  }

  base::Result<Regex> without_anchors(std::vector<Regex> parts) const {
    bool left = open_, right = open_;
    while (!parts.empty() && parts.front().kind == Kind::kBegin) {
      left = false;
      parts.erase(parts.begin());
    }
    while (!parts.empty() && parts.back().kind == Kind::kEnd) {
      right = false;
      parts.pop_back();
    }
    if (std::any_of(parts.begin(), parts.end(), has_anchor))
      return no_grammar("an anchor stands inside of it");
    Regex out;
    if (left) out.parts.push_back(any_text());
    std::move(parts.begin(), parts.end(), std::back_inserter(out.parts));
    if (right) out.parts.push_back(any_text());
    if (out.parts.size() == 1) return std::move(out.parts.front());
    return out;
  }

  const bool open_;
  int steps_ = 0;
};

std::uint32_t sum(std::uint32_t a, std::uint32_t b) {
  return a > Regex::kNoMax - b ? Regex::kNoMax : a + b;
}
std::uint32_t times(std::uint32_t a, std::uint32_t b) {
  const std::uint64_t product = std::uint64_t{a} * b;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(product, Regex::kNoMax));
}

/// All places of the text where the pattern may end that begins at one of `from`.
std::vector<std::size_t> ends_of(const Regex& one, const std::vector<std::uint32_t>& text,
                                 std::vector<std::size_t> from) {
  const auto settle = [](std::vector<std::size_t>& all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  };
  std::vector<std::size_t> out;
  switch (one.kind) {
    case Kind::kSet:
      for (const std::size_t at : from) {
        if (at < text.size() && one.set.contains(text[at])) out.push_back(at + 1);
      }
      return out;
    case Kind::kSequence:
      for (const Regex& part : one.parts) from = ends_of(part, text, std::move(from));
      return from;
    case Kind::kAlternatives:
      for (const Regex& part : one.parts) {
        const auto ends = ends_of(part, text, from);
        out.insert(out.end(), ends.begin(), ends.end());
      }
      settle(out);
      return out;
    case Kind::kRepeat:
      // Past the text's length more rounds change nothing.
      for (std::uint32_t round = 0; round <= one.max && !from.empty(); ++round) {
        const std::size_t before = out.size();
        if (round >= one.min) out.insert(out.end(), from.begin(), from.end());
        settle(out);
        if (round > one.min + text.size() || (round > one.min && out.size() == before)) break;
        from = ends_of(one.parts.front(), text, std::move(from));
      }
      return out;
    default:
      return from;
  }
}

/// No text.
Regex never() {
  return {.kind = Kind::kSet};
}
bool is_never(const Regex& one) {
  return one.kind == Kind::kSet && one.set.empty();
}

Regex shortened(Regex one, std::uint32_t max);

/// At most so many rounds, and each of them within its share.
Regex shortened_repeat(Regex one, std::uint32_t max) {
  constexpr std::uint32_t kWidths = 8;  // rounds of open length are taken for so many times their shortest
  Regex& inner = one.parts.front();
  const RegexLengths each = lengths_of(inner);
  if (each.max == 0) return one;
  if (times(each.min, one.min) > max) return never();
  std::uint32_t rounds =
      each.max == Regex::kNoMax ? max / std::max(times(each.min, kWidths), 1U) : max / each.max;
  rounds = std::min(std::max({rounds, one.min, 1U}), one.max);
  inner = shortened(std::move(inner), max / std::max(rounds, 1U));
  one.max = rounds;
  if (is_never(inner)) one.max = 0;
  return one.max < one.min ? never() : one;
}

/// Some of its texts, all of which have at most `max` characters: open parts get equal shares of what is left.
Regex shortened(Regex one, std::uint32_t max) {
  const RegexLengths own = lengths_of(one);
  if (own.max <= max) return one;
  if (own.min > max) return never();
  if (one.kind == Kind::kRepeat) return shortened_repeat(std::move(one), max);
  if (one.kind == Kind::kAlternatives) {
    for (Regex& part : one.parts) part = shortened(std::move(part), max);
    std::erase_if(one.parts, is_never);
    return one;
  }
  const auto is_open = [](const Regex& part) {
    const RegexLengths lengths = lengths_of(part);
    return lengths.max > lengths.min;
  };
  auto open = static_cast<std::uint32_t>(std::count_if(one.parts.begin(), one.parts.end(), is_open));
  std::uint32_t left = max - own.min;
  for (Regex& part : one.parts) {
    if (!is_open(part)) continue;
    const std::uint32_t least = lengths_of(part).min;
    part = shortened(std::move(part), least + left / open--);
    left -= std::min(left, lengths_of(part).max - least);
  }
  return one;
}

/// Makes its texts have at least `min` characters, by more rounds of what repeats. False: they can't.
bool lengthen(Regex& one, std::uint32_t min) {
  const RegexLengths own = lengths_of(one);
  if (own.min >= min) return true;
  if (own.max < min) return one = never(), true;
  if (one.kind == Kind::kAlternatives) {
    std::erase_if(one.parts, [min](Regex& part) { return !lengthen(part, min) || is_never(part); });
    return !one.parts.empty();
  }
  if (one.kind == Kind::kRepeat) {
    const RegexLengths each = lengths_of(one.parts.front());
    if (each.min != each.max || each.min == 0) return false;
    one.min = std::max(one.min, (min + each.min - 1) / each.min);
    return one.min <= one.max;
  }
  for (Regex& part : one.parts) {
    const RegexLengths lengths = lengths_of(part);
    const std::uint32_t missing = min - lengths_of(one).min;
    const std::uint32_t more =
        lengths.max == Regex::kNoMax ? missing : std::min(missing, lengths.max - lengths.min);
    Regex longer = part;
    if (more > 0 && lengthen(longer, lengths.min + more)) part = std::move(longer);
    if (lengths_of(one).min >= min) return true;
  }
  return false;
}

class Speller {
 public:
  Speller(bool in_json, GbnfWriter& rules) : in_json_(in_json), rules_(rules) {}

  /// One symbol of GBNF, so that a repetition can follow it.
  std::string symbol(const Regex& one) {
    switch (one.kind) {
      case Kind::kSet:
        return set(one.set);
      case Kind::kRepeat:
        return "(" + repeat(one) + ")";
      default:
        return "(" + body(one) + ")";
    }
  }

  std::string body(const Regex& one) {
    if (one.kind == Kind::kSequence) return sequence(one.parts);
    if (one.kind == Kind::kRepeat) return repeat(one);
    if (one.kind != Kind::kAlternatives) return symbol(one);
    std::string out;
    for (const Regex& part : one.parts) {
      if (&part != &one.parts.front()) out += " | ";
      out += body(part);
    }
    return out;
  }

 private:
  std::string set(const CharSet& set) {
    std::string spelled = in_json_ ? gbnf_json_class(set) : gbnf_class(set);
    constexpr std::size_t kShort = 40;
    return spelled.size() <= kShort ? spelled : rules_.rule(spelled);
  }

  std::string sequence(const std::vector<Regex>& parts) {
    std::string out;
    for (const Regex& part : parts) {
      if (!out.empty()) out += ' ';
      out += part.kind == Kind::kAlternatives ? symbol(part) : body(part);
    }
    return out.empty() ? "\"\"" : out;
  }

  std::string repeat(const Regex& one) {
    const std::string what = symbol(one.parts.front());
    if (one.max == Regex::kNoMax) return fmt::format("{}{{{},}}", what, one.min);
    if (one.max == 0) return "\"\"";
    return fmt::format("{}{{{},{}}}", what, one.min, one.max);
  }

  const bool in_json_;
  GbnfWriter& rules_;
};

}  // namespace

base::Result<Regex> found_anywhere(const Regex& pattern) {
  return Ends(true).settle(pattern);
}

base::Result<Regex> matched_whole(const Regex& pattern) {
  return Ends(false).settle(pattern);
}

RegexLengths lengths_of(const Regex& one) {
  RegexLengths out;
  switch (one.kind) {
    case Kind::kSet:
      return {1, 1};
    case Kind::kRepeat: {
      const RegexLengths inner = lengths_of(one.parts.front());
      const bool endless = one.max == Regex::kNoMax && inner.max > 0;
      return {times(inner.min, one.min), endless ? Regex::kNoMax : times(inner.max, one.max)};
    }
    case Kind::kSequence:
      for (const Regex& part : one.parts) {
        const RegexLengths inner = lengths_of(part);
        out = {sum(out.min, inner.min), sum(out.max, inner.max)};
      }
      return out;
    case Kind::kAlternatives:
      out.min = Regex::kNoMax;
      for (const Regex& part : one.parts) {
        const RegexLengths inner = lengths_of(part);
        out = {std::min(out.min, inner.min), std::max(out.max, inner.max)};
      }
      return out;
    default:
      return {0, 0};
  }
}

base::Result<Regex> with_lengths(Regex pattern, std::uint32_t min, std::uint32_t max) {
  if (lengths_of(pattern).max > max) pattern = shortened(std::move(pattern), max);
  if (lengths_of(pattern).min < min && !lengthen(pattern, min))
    return no_grammar("its parts have no open length that could be made longer");
  return pattern;
}

bool matches(const Regex& pattern, std::string_view text) {
  const auto characters = characters_of(text);
  const auto ends = ends_of(pattern, characters, {0});
  return std::find(ends.begin(), ends.end(), characters.size()) != ends.end();
}

std::string gbnf_of_regex(const Regex& pattern, bool in_json, GbnfWriter& rules) {
  return Speller(in_json, rules).body(pattern);
}

}  // namespace pmt::model
