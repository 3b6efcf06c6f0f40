#include "text/roles.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "text/english.h"
#include "text/sorted.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

bool knows(const Roles& roles, StemHash stem) {
  return has_sorted(roles.stems, stem);
}

bool fills_any(const Roles& roles, StemHash filler) {
  return std::any_of(roles.slots.begin(), roles.slots.end(),
                     [&](const Filled& one) { return one.filler == filler; });
}

/// What fills `slot` in `a` and not in `b`, and is a word of `b` too.
bool moved(const Roles& a, const Roles& b, std::uint16_t slot) {
  const bool ordered = is_ordered(slot);
  return std::any_of(a.slots.begin(), a.slots.end(), [&](const Filled& one) {
    return one.slot == slot && knows(b, one.filler) && !has_sorted(b.slots, one) &&
           (ordered || !fills_any(b, one.filler));
  });
}

bool slots_exchanged(const Roles& a, const Roles& b, bool same_words) {
  return std::any_of(a.slots.begin(), a.slots.end(), [&](const Filled& one) {
    return (same_words || is_ordered(one.slot)) && moved(a, b, one.slot) && moved(b, a, one.slot);
  });
}

/// But for a few: a text that says much else may also say it in another way.
bool have_the_same_words(const Roles& a, const Roles& b) {
  constexpr std::size_t kOthers = 4;
  std::vector<StemHash> others;
  std::set_symmetric_difference(a.content.begin(), a.content.end(), b.content.begin(), b.content.end(),
                                std::back_inserter(others));
  return others.size() <= kOthers;
}

/// "The owner of the dog" and "the dog of the owner", "Ann's mother is Eve" and "Eve's mother is Ann".
bool owners_exchanged(const Roles& a, const Roles& b) {
  const auto has = [](const Roles& roles, Owned one) { return has_sorted(roles.owned, one); };
  return std::any_of(a.owned.begin(), a.owned.end(), [&](const Owned& one) {
    if (has(b, one)) return false;
    if (has(b, {one.owner, one.thing}) && !has(a, {one.owner, one.thing})) return true;
    return knows(b, one.owner) && std::any_of(b.owned.begin(), b.owned.end(), [&](const Owned& other) {
             return other.thing == one.thing && !has(a, other) && knows(a, other.owner);
           });
  });
}

bool slots_opposed(const Roles& a, const Roles& b) {
  using Pair = std::pair<std::uint16_t, std::uint16_t>;
  static const std::vector<Pair> kOpposed = [] {
    std::vector<Pair> all;
    for (const std::string_view line : english("opposed_slots")) {
      const auto names = fields_of(line);
      all.emplace_back(slot_named(names[0]), slot_named(names[1]));
    }
    return all;
  }();
  const auto has = [](const Roles& roles, std::uint16_t slot, StemHash filler) {
    return has_sorted(roles.slots, Filled{slot, filler});
  };
  return std::any_of(a.slots.begin(), a.slots.end(), [&](const Filled& one) {
    return std::any_of(kOpposed.begin(), kOpposed.end(), [&](const Pair& pair) {
      if (one.slot != pair.first && one.slot != pair.second) return false;
      const std::uint16_t other = one.slot == pair.first ? pair.second : pair.first;
      return !has(a, other, one.filler) && has(b, other, one.filler) && !has(b, one.slot, one.filler);
    });
  });
}

/// Who acts in the one is acted on in the other, and does both in neither.
bool claims_conflict(const Roles& a, const Roles& b) {
  const auto has = [](const Roles& roles, Claim claim) { return has_sorted(roles.claims, claim); };
  return std::any_of(a.claims.begin(), a.claims.end(), [&](const Claim& one) {
    const Claim turned{one.verb, one.other, !one.acts};
    return has(b, turned) && !has(a, turned) && !has(b, one);
  });
}

}  // namespace

Roles roles_of(const std::vector<Term>& terms) {
  Roles roles;
  if (terms.size() > kRoleWordsMax) return roles;
  static const WordSet kSymmetric = english_words("symmetric_words");
  for (const Term& term : terms) {
    roles.stems.push_back(term.stem);
    if (term.content) roles.content.push_back(roles.stems.back());
    roles.symmetric = roles.symmetric || kSymmetric.contains(term.folded) || kSymmetric.contains(term.word);
  }
  if (std::any_of(terms.begin(), terms.end(), [](const Term& term) { return asks_for_a_thing(term.folded); }))
    roles.stems.push_back(kAskedFor);
  sort_unique(roles.stems);
  sort_unique(roles.content);
  Places places = places_of(terms);
  roles.slots = std::move(places.slots);
  roles.owned = std::move(places.owned);
  sort_unique(roles.slots);
  sort_unique(roles.owned);
  for (std::size_t begin = 0; begin < terms.size();) {
    std::size_t end = begin + 1;
    while (end < terms.size() && !terms[end].first) ++end;
    const auto found = claims_of(std::span(terms).subspan(begin, end - begin));
    roles.claims.insert(roles.claims.end(), found.begin(), found.end());
    begin = end;
  }
  sort_unique(roles.claims);
  return roles;
}

bool roles_differ(const Roles& a, const Roles& b) {
  if (a.symmetric || b.symmetric) return false;
  const bool same_words = have_the_same_words(a, b);
  return slots_exchanged(a, b, same_words) || slots_opposed(a, b) ||
         (same_words && (owners_exchanged(a, b) || claims_conflict(a, b)));
}

bool phrases_exchanged(const std::vector<std::string>& a, const std::vector<std::string>& b,
                       const WordFlags& of_a) {
  if (a.size() != b.size() || a == b || a.size() > kRoleWordsMax) return false;
  std::size_t front = 0, back = 0;
  while (a[front] == b[front]) ++front;
  while (a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  const std::size_t n = a.size() - back - front;
  const auto* const x = a.data() + front;
  const auto* const y = b.data() + front;
  const auto any = [&](const std::vector<bool>& flags, std::size_t from, std::size_t to) {
    return std::any_of(flags.begin() + static_cast<std::ptrdiff_t>(front + from),
                       flags.begin() + static_cast<std::ptrdiff_t>(front + to),
                       [](bool flag) { return flag; });
  };
  for (std::size_t i = 1; i < n; ++i) {         // a: i words, what is between, j words
    for (std::size_t j = 1; i + j <= n; ++j) {  // b: j words, what is between, i words
      if (!std::equal(x, x + i, y + n - i) || !std::equal(y, y + j, x + n - j) ||
          !std::equal(x + i, x + n - j, y + j))
        continue;
      if (!any(of_a.content, 0, i) || !any(of_a.content, n - j, n)) continue;
      const bool adjacent = i + j == n;
      if (adjacent) return any(of_a.name, 0, i) && any(of_a.name, n - j, n);
      const bool joined =
          std::all_of(x + i, x + n - j,
                      [](const std::string& word) { return joins(word) || is_article(word); }) &&
          std::any_of(x + i, x + n - j, [](const std::string& word) { return joins(word); });
      return !joined;
    }
  }
  return false;
}

}  // namespace pmt::text
