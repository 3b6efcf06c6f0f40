#include "text/opposites.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "text/english.h"
#include "text/stems.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

struct Place {
  int group = 0, member = 0;
};

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

const std::unordered_map<std::string, std::vector<Place>>& places() {
  static const auto kPlaces = [] {
    std::unordered_map<std::string, std::vector<Place>> places;
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

/// The members of each group that occur.
std::map<int, std::set<int>> members_of(const std::vector<std::string>& words) {
  std::map<int, std::set<int>> members;
  const auto look_up = [&](const std::string& key) {
    const auto found = places().find(key);
    if (found == places().end()) return;
    for (const Place& place : found->second) members[place.group].insert(place.member);
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    look_up(stem_of(words[i]));
    if (const std::string positive = positive_of(words[i]); !positive.empty()) look_up(stem_of(positive));
    if (i + 1 < words.size()) look_up(stem_of(words[i]) + '_' + words[i + 1]);
  }
  return members;
}

bool has_more(const std::set<int>& a, const std::set<int>& b) {
  return !std::includes(b.begin(), b.end(), a.begin(), a.end());
}

struct Prefixes {
  std::string_view one, other;  // "" for none
  std::vector<std::string_view> endings;
};

const std::vector<Prefixes>& prefixes() {
  static const std::vector<Prefixes> kPrefixes = [] {
    std::vector<Prefixes> all;
    for (const std::string_view line : english("opposite_prefixes")) {
      auto fields = fields_of(line);
      Prefixes one{fields[0] == "-" ? std::string_view() : fields[0], fields[1], {}};
      one.endings.assign(fields.begin() + 2, fields.end());
      all.push_back(std::move(one));
    }
    return all;
  }();
  return kPrefixes;
}

bool by_prefix(std::string_view a, std::string_view b) {
  constexpr std::size_t kStem = 3;
  const auto fits = [&](std::string_view one, std::string_view other, const Prefixes& p) {
    if (!one.starts_with(p.one) || !other.starts_with(p.other)) return false;
    one.remove_prefix(p.one.size());
    other.remove_prefix(p.other.size());
    if (one.size() < kStem || stem_of(one) != stem_of(other)) return false;
    return p.endings.empty() || std::any_of(p.endings.begin(), p.endings.end(),
                                            [&](std::string_view ending) { return other.ends_with(ending); });
  };
  return std::any_of(prefixes().begin(), prefixes().end(),
                     [&](const Prefixes& p) { return fits(a, b, p) || fits(b, a, p); });
}

/// "careless" and "careful".
bool by_ending(std::string_view a, std::string_view b) {
  const auto fits = [](std::string_view with, std::string_view without) {
    return with.ends_with("ful") && without.ends_with("less") &&
           with.substr(0, with.size() - 3) == without.substr(0, without.size() - 4);
  };
  return fits(a, b) || fits(b, a);
}

std::vector<std::string_view> not_in(const std::vector<std::string>& words,
                                     const std::vector<std::string>& others) {
  std::vector<std::string_view> out;
  for (const std::string& word : words) {
    if (std::find(others.begin(), others.end(), word) == others.end()) out.push_back(word);
  }
  return out;
}

}  // namespace

bool opposed(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto of_a = members_of(a), of_b = members_of(b);
  for (const auto& [group, members] : of_a) {
    const auto others = of_b.find(group);
    if (others != of_b.end() && has_more(members, others->second) && has_more(others->second, members))
      return true;
  }
  constexpr std::size_t kWords = 64;  // longer texts aren't one question, and pairs of words are many
  if (a.size() > kWords || b.size() > kWords) return false;
  const auto only_a = not_in(a, b), only_b = not_in(b, a);
  for (const std::string_view one : only_a) {
    for (const std::string_view other : only_b) {
      if (by_prefix(one, other) || by_ending(one, other)) return true;
    }
  }
  return false;
}

}  // namespace pmt::text
