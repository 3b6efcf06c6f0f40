#include "text/slots.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "text/english.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

/// "to convert": no place.
bool is_infinitive(const std::vector<Term>& terms, std::size_t to) {
  static const WordSet kLeads = english_words("infinitive_leads");
  static const WordSet kVerbs = english_words("base_verbs");
  if (to + 1 >= terms.size() || terms[to + 1].name) return false;
  return kVerbs.contains(terms[to + 1].folded) || (to > 0 && kLeads.contains(terms[to - 1].folded));
}

/// Reads what stands after which preposition, and what belongs to what.
class SlotReader {
 public:
  explicit SlotReader(const std::vector<Term>& terms)
      : terms_(terms), asks_(std::any_of(terms.begin(), terms.end(), [](const Term& term) {
          return asks_for_a_thing(term.folded);
        })) {}

  Places read() {
    static const int kTo = slot_named("to");
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      const Term& term = terms_[i];
      if (term.folded == "whose") whose(i);
      count(i);
      if (term.folded == "of") {
        if (!inside_name(i)) owner_of_ = head_before(i);
      } else if (const int opened = slot_of(term.folded); opened >= 0 && !term.name) {  // "About Time"
        slot_ = opened == kTo && is_infinitive(terms_, i) ? -1 : opened;
        // "to whom", "bigger than?": what is asked for stands there.
        const bool last = i + 1 == terms_.size() || term.ends_phrase;
        if (asks_ && slot_ >= 0 && (last || asks_for_a_thing(terms_[i + 1].folded)))
          places_.slots.push_back({static_cast<std::uint16_t>(slot_), kAskedFor});
        owner_of_.reset();
      } else if (term.content) {
        take(i);
      } else if (!is_article(term.folded) && !joins(term.folded) && !inside_name(i)) {
        slot_ = -1;
        owner_of_.reset();
      }
      // "Oslo, Norway" is one name.
      if (term.ends_phrase && !(i + 1 < terms_.size() && term.name && terms_[i + 1].name)) {
        slot_ = -1;
        owner_of_.reset();
      }
    }
    return std::move(places_);
  }

 private:
  bool inside_name(std::size_t i) const {
    return i > 0 && i + 1 < terms_.size() && terms_[i - 1].name && terms_[i + 1].name &&
           !terms_[i - 1].ends_phrase;
  }
  /// "Whose husband is Ann" asks the other way round than "who is Ann's husband".
  void whose(std::size_t at) {
    if (at + 3 >= terms_.size() || !terms_[at + 1].content || auxiliary(terms_[at + 2].folded) != "be")
      return;
    for (std::size_t i = at + 3; i < terms_.size() && terms_[i].content; ++i)
      places_.owned.push_back({terms_[i].stem, terms_[at + 1].stem});
  }
  /// "owner" of "the owner of".
  std::optional<std::size_t> head_before(std::size_t of) const {
    if (of == 0 || !terms_[of - 1].content) return std::nullopt;
    return of - 1;
  }

  void take(std::size_t i) {
    const StemHash hash = terms_[i].stem;
    if (terms_[i].possessive) {
      // All of "Sophia of Prussia's child" and "Sir John Hall's child".
      // "The owner of Tom's dog" goes on, "Municipality of Cirkulane's capital" doesn't.
      if (owner_of_ && (*owner_of_ == 0 || !is_article(terms_[*owner_of_ - 1].folded))) owner_of_.reset();
      const std::size_t thing = phrase_end(i + 1);
      if (thing == terms_.size()) return;
      for (std::size_t n = i + 1; n-- > 0 && (n == i || terms_[n].name || inside_name(n));) {
        if (terms_[n].content) places_.owned.push_back({terms_[thing].stem, terms_[n].stem});
      }
      return;
    }
    if (owner_of_) places_.owned.push_back({terms_[*owner_of_].stem, hash});
    if (slot_ >= 0 && !owner_of_) places_.slots.push_back({static_cast<std::uint16_t>(slot_), hash});
  }

  /// The last word of the content that begins there; the end if there is none.
  std::size_t phrase_end(std::size_t from) const {
    std::size_t last = terms_.size();
    for (std::size_t i = from; i < terms_.size() && terms_[i].content; ++i) {
      last = i;
      if (terms_[i].ends_phrase) break;
    }
    return last;
  }

  /// "2 adults and 1 child": how many belongs to what is counted. Apart from other owners: "support for 2.7 ends".
  void count(std::size_t i) {
    constexpr StemHash kCounted = 0x9e3779b9U;
    if (i + 1 >= terms_.size() || terms_[i].ends_phrase || !terms_[i].content || !is_number(terms_[i]))
      return;
    const Term& next = terms_[i + 1];
    if (next.content && !joins(next.folded) && slot_of(next.folded) < 0)
      places_.owned.push_back({next.stem ^ kCounted, terms_[i].stem});
  }

  static bool is_number(const Term& term) { return term.folded.front() >= '0' && term.folded.front() <= '9'; }

  const std::vector<Term>& terms_;
  const bool asks_;
  int slot_ = -1;
  std::optional<std::size_t> owner_of_;
  Places places_;
};

}  // namespace

Places places_of(const std::vector<Term>& terms) {
  return SlotReader(terms).read();
}

}  // namespace pmt::text
