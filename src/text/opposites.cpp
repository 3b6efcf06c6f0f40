#include "text/opposites.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "text/english.h"
#include "text/sorted.h"
#include "text/stems.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

/// Of two words the first one's stem: "logged out".
std::string key_of(std::string_view word) {
  const std::size_t sign = word.find('_');
  if (sign == std::string_view::npos) return stem_of(word);
  return stem_of(word.substr(0, sign)) + std::string(word.substr(sign));
}

/// "rich" of "richer" and "richest", "easy" of "easier": opposites stay opposites when they are compared. "" if the word
/// isn't one of comparison.
std::string positive_of(std::string_view word) {
  for (const std::string_view ending : {"est", "er"}) {
    constexpr std::size_t kLeft = 3;
    if (!word.ends_with(ending) || word.size() < ending.size() + kLeft) continue;
    std::string positive(word.substr(0, word.size() - ending.size()));
    if (positive.back() == 'i') {
      positive.back() = 'y';
    } else if (positive.size() > kLeft && positive.back() == positive[positive.size() - 2] &&
               positive.back() != 'l') {
      positive.pop_back();  // "bigger"
    }
    // "offer", "upper".
    return is_stop_word(positive, StopUse::kNames) ? std::string() : positive;
  }
  return {};
}

const std::unordered_map<std::string, std::vector<Opposites::Member>>& places() {
  static const auto kPlaces = [] {
    std::unordered_map<std::string, std::vector<Opposites::Member>> places;
    int group = 0;
    for (const std::string_view line : english("opposites")) {
      int member = 0;
      for (const std::string_view field : fields_of(line)) {
        for (const std::string_view word : fields_of(field, '/'))
          places[key_of(word)].push_back({group, member});
        ++member;
      }
      ++group;
    }
    return places;
  }();
  return kPlaces;
}

std::vector<Opposites::Member> members_of(const std::vector<std::string>& words,
                                          const std::vector<std::string>& stems) {
  std::vector<Opposites::Member> members;
  const auto look_up = [&](const std::string& key) {
    const auto found = places().find(key);
    if (found != places().end()) members.insert(members.end(), found->second.begin(), found->second.end());
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    look_up(stems[i]);
    if (const std::string positive = positive_of(words[i]); !positive.empty()) look_up(stem_of(positive));
    if (i + 1 < words.size()) look_up(stems[i] + '_' + words[i + 1]);
  }
  sort_unique(members);
  return members;
}

/// What a word may begin with, and what must be true of the rest.
struct Affix {
  std::string_view prefix;  // "" for none
  std::vector<std::string_view> endings;
  std::size_t rest_min = 0;
};

struct Affixes {
  std::vector<Affix> prefixes;
  /// By their numbers, and those of kFul and kLess; either way round.
  std::set<std::pair<std::uint16_t, std::uint16_t>> opposed;
};

/// "careful" and "careless": endings, not prefixes, with numbers of their own.
constexpr std::uint16_t kFul = 0xFFFE, kLess = 0xFFFF;

const Affixes& affixes() {
  static const Affixes kAffixes = [] {
    Affixes all;
    std::unordered_map<std::string_view, std::uint16_t> numbers;  // of a line's first
    const auto add = [&](Affix affix) {
      all.prefixes.push_back(std::move(affix));
      return static_cast<std::uint16_t>(all.prefixes.size() - 1);
    };
    const auto oppose = [&](std::uint16_t one, std::uint16_t other) {
      all.opposed.emplace(one, other);
      all.opposed.emplace(other, one);
    };
    for (const std::string_view line : english("opposite_prefixes")) {
      const auto fields = fields_of(line);
      const std::string_view prefix = fields[0] == "-" ? std::string_view() : fields[0];
      constexpr std::size_t kStem = 3;
      auto found = numbers.find(prefix);
      if (found == numbers.end())
        found = numbers.emplace(prefix, add({.prefix = prefix, .endings = {}, .rest_min = kStem})).first;
      oppose(found->second,
             add({.prefix = fields[1],
                  .endings = std::vector<std::string_view>(fields.begin() + 2, fields.end())}));
    }
    oppose(kFul, kLess);
    return all;
  }();
  return kAffixes;
}

bool fits(std::string_view word, const Affix& affix) {
  if (!word.starts_with(affix.prefix)) return false;
  word.remove_prefix(affix.prefix.size());
  return word.size() >= affix.rest_min &&
         (affix.endings.empty() || std::any_of(affix.endings.begin(), affix.endings.end(),
                                               [&](auto ending) { return word.ends_with(ending); }));
}

void add_parts(std::string_view word, const std::string& stem, std::vector<Opposites::Part>& parts) {
  const StemHash whole = hash_of(word);
  const auto& prefixes = affixes().prefixes;
  for (std::uint16_t i = 0; i < prefixes.size(); ++i) {
    if (!fits(word, prefixes[i])) continue;
    const std::size_t cut = prefixes[i].prefix.size();
    parts.push_back({cut == 0 ? hash_of(stem) : stem_hash(word.substr(cut)), whole, i});
  }
  for (const auto& [ending, number] : {std::pair(std::string_view("ful"), kFul), {"less", kLess}}) {
    if (word.ends_with(ending))
      parts.push_back({hash_of(word.substr(0, word.size() - ending.size())), whole, number});
  }
}

/// Each has a member of one group that the other lacks.
bool members_opposed(const Opposites& a, const Opposites& b) {
  return std::any_of(a.members.begin(), a.members.end(), [&](const Opposites::Member& one) {
    if (has_sorted(b.members, one)) return false;
    auto other = std::lower_bound(b.members.begin(), b.members.end(), Opposites::Member{one.group, 0});
    for (; other != b.members.end() && other->group == one.group; ++other) {
      if (!has_sorted(a.members, *other)) return true;
    }
    return false;
  });
}

bool parts_opposed(const Opposites& a, const Opposites& b) {
  auto from = b.parts.begin();
  for (const Opposites::Part& one : a.parts) {
    while (from != b.parts.end() && from->stem < one.stem) ++from;
    for (auto other = from; other != b.parts.end() && other->stem == one.stem; ++other) {
      if (affixes().opposed.contains({one.affix, other->affix}) && !has_sorted(b.words, one.word) &&
          !has_sorted(a.words, other->word))
        return true;
    }
  }
  return false;
}

}  // namespace

Opposites opposites_of(const std::vector<std::string>& words) {
  std::vector<std::string> stems;
  stems.reserve(words.size());
  for (const std::string& word : words) stems.push_back(stem_of(word));
  Opposites out;
  out.members = members_of(words, stems);
  constexpr std::size_t kWords = 64;  // longer texts aren't one question
  if (words.size() > kWords) return out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    out.words.push_back(hash_of(words[i]));
    add_parts(words[i], stems[i], out.parts);
  }
  sort_unique(out.words);
  sort_unique(out.parts);
  return out;
}

bool opposed(const Opposites& a, const Opposites& b) {
  return members_opposed(a, b) || parts_opposed(a, b);
}

}  // namespace pmt::text
