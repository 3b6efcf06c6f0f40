#include "text/claims.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "text/english.h"
#include "text/stems.h"
#include "text/stop_words.h"

namespace pmt::text {
namespace {

/// One sentence read for who acts on whom.
class ClaimReader {
 public:
  explicit ClaimReader(std::span<const Term> terms) : terms_(terms) {
    for (std::size_t i = 0; i < std::min(terms_.size(), kWhReach) && !wh_; ++i) {
      if (asks_for_a_thing(terms_[i].folded)) wh_ = i;
    }
  }

  std::vector<Claim> read() {
    if (!passive()) {
      if (const auto at = inverting_auxiliary()) {
        inverted(*at);
      } else if (wh_) {
        subject_question();
      } else {
        statement();
      }
    }
    return std::move(claims_);
  }

 private:
  static constexpr std::size_t kWhReach = 4;
  using Indices = std::vector<std::size_t>;

  bool content(std::size_t i) const { return terms_[i].content; }
  bool opens_slot(std::size_t i) const { return is_preposition(terms_[i].folded); }
  void claim(std::size_t verb, std::size_t other, bool acts) {
    const StemHash v = terms_[verb].stem, o = terms_[other].stem;
    if (v != o) claims_.push_back({v, o, acts});
  }

  /// Content in [from, to), without what belongs to something else ("of Ann", "Ann's") or says how ("by hand").
  Indices things(std::size_t from, std::size_t to) const {
    Indices out;
    bool apart = false;
    for (std::size_t i = from; i < to && i < terms_.size(); ++i) {
      if (opens_slot(i)) {
        apart = terms_[i].folded == "of" || terms_[i].folded == "by";
      } else if (content(i) && !apart && !terms_[i].possessive) {
        out.push_back(i);
      }
    }
    return out;
  }

  /// Content right from `from` on, before the next preposition or the phrase's end.
  Indices phrase(std::size_t from) const {
    Indices out;
    for (std::size_t i = from; i < terms_.size(); ++i) {
      if (content(i)) {
        if (!terms_[i].possessive) out.push_back(i);
      } else if (!is_article(terms_[i].folded)) {
        break;
      }
      if (terms_[i].ends_phrase) break;
    }
    return out;
  }

  std::optional<std::size_t> find_auxiliary(std::string_view kind, std::size_t from = 0) const {
    for (std::size_t i = from; i < terms_.size(); ++i) {
      if (auxiliary(terms_[i].folded) == kind) return i;
    }
    return std::nullopt;
  }

  /// "was Rome attacked by Ann", "by whom was Rome attacked", "who was Rome attacked by".
  bool passive() {
    const auto be = find_auxiliary("be");
    if (!be) return false;
    for (std::size_t by = 0; by < terms_.size(); ++by) {
      if (terms_[by].folded != "by") continue;
      std::size_t verb = by;
      if (by > *be + 1) {
        verb = by - 1;
      } else if (by < *be && wh_ && *wh_ == by + 1) {
        for (std::size_t i = terms_.size(); i-- > *be + 1;) {
          if (may_be_participle(terms_[i].folded)) {
            verb = i;
            break;
          }
        }
      }
      if (verb == by || !may_be_participle(terms_[verb].folded)) continue;
      // "by setting it": how, not who.
      if (by > *be && by + 1 < terms_.size() && terms_[by + 1].folded.ends_with("ing")) continue;
      if (by > *be) {
        for (const std::size_t i : phrase(by + 1)) claim(verb, i, true);
      }
      Indices done_to = things(*be + 1, verb);
      if (done_to.empty() && by > *be) done_to = things(wh_ ? *wh_ + 1 : 0, *be);
      for (const std::size_t i : done_to) claim(verb, i, false);
      return true;
    }
    return false;
  }

  /// "attacking", but not "thing".
  static bool is_progressive(const Term& term) {
    return term.content && term.folded.ends_with("ing") && stem_of(term.folded) != term.word;
  }

  /// One before who acts: "did Rome attack", "will Rome attack", "is Rome attacking", "has Rome attacked".
  std::optional<std::size_t> inverting_auxiliary() const {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      const std::string_view kind = auxiliary(terms_[i].folded);
      if (kind == "do" || kind == "modal") return i;
      const auto later = [&](const auto& is) {
        return std::any_of(terms_.begin() + static_cast<std::ptrdiff_t>(i) + 1, terms_.end(), is);
      };
      if (kind == "be" && later(is_progressive)) return i;
      if (kind == "have" && later([](const Term& t) { return t.content && may_be_participle(t.folded); }))
        return i;
    }
    return std::nullopt;
  }

  void after(std::size_t verb, std::size_t auxiliary_at) {
    for (const std::size_t i : things(verb + 1, terms_.size())) claim(verb, i, false);
    if (wh_ && *wh_ < auxiliary_at) {  // "which team did Rome beat"
      for (const std::size_t i : things(*wh_ + 1, auxiliary_at)) claim(verb, i, false);
    }
  }

  void inverted(std::size_t at) {
    std::size_t i = at + 1;
    while (i < terms_.size() && !content(i) && is_article(terms_[i].folded)) ++i;
    if (i >= terms_.size()) return;
    if (is_pronoun(terms_[i].folded)) {
      // "how long will it take the card": nothing acts.
      if (terms_[i].folded != "it" && terms_[i].folded != "there" && i + 1 < terms_.size() && content(i + 1))
        after(i + 1, at);
      return;
    }
    if (!content(i)) return;
    const Indices run = noun_run(i);
    static const WordSet kStopVerbs = english_words("stop_verbs");
    const std::size_t next = run.back() + 1;
    if (!terms_[run.back()].ends_phrase && next < terms_.size() && kStopVerbs.contains(terms_[next].folded))
      return;
    const bool by_do = auxiliary(terms_[at].folded) == "do";
    const bool may_be_subject = !by_do && wh_ && *wh_ < at && things(*wh_ + 1, at).empty() && *wh_ + 1 == at;
    const auto is_name = [&](std::size_t n) { return terms_[n].name; };
    if (is_name(run.front())) {
      // A name, then what it does.
      const auto verb = std::find_if_not(run.begin(), run.end(), is_name);
      if (verb != run.end()) {
        for (auto it = run.begin(); it != verb; ++it) claim(*verb, *it, true);
        return after(*verb, at);
      }
    } else if (may_be_subject) {
      after(run.front(), at);  // "who will beat Rome"
      if (std::any_of(run.begin(), run.end(), is_name)) return;
    }
    // Without capitals any of them may be the verb.
    for (std::size_t v = 1; v < run.size(); ++v) {
      if (!content(run[v] - 1) || terms_[run[v] - 1].possessive) continue;  // "the dog", "of dogs"
      for (std::size_t n = 0; n < v; ++n) claim(run[v], run[n], true);
      after(run[v], at);
    }
  }

  /// Content from `from` on with the articles, "of" and "and" between.
  Indices noun_run(std::size_t from) const {
    Indices run;
    for (std::size_t i = from; i < terms_.size(); ++i) {
      if (content(i)) {
        run.push_back(i);
      } else if (!is_article(terms_[i].folded) && !joins(terms_[i].folded) && terms_[i].folded != "of") {
        break;
      }
      if (terms_[i].ends_phrase) break;
    }
    return run;
  }

  /// "who lent money", "which team beat Rome".
  void subject_question() {
    if (find_auxiliary("be")) return;
    const Indices run = phrase(*wh_ + 1);
    if (run.empty() || run.front() != *wh_ + 1) return;
    const bool person = terms_[*wh_].folded == "who" || terms_[*wh_].folded == "whom";
    constexpr std::size_t kBeforeVerb = 3;
    for (std::size_t v = 0; v < std::min(run.size(), person ? 1 : kBeforeVerb); ++v) {
      for (std::size_t n = 0; n < v; ++n) claim(run[v], run[n], true);
      for (const std::size_t i : things(run[v] + 1, terms_.size())) claim(run[v], i, false);
    }
  }

  /// "Rome attacked Carthage": a verb in the past says that it is one.
  void statement() {
    if (find_auxiliary("be")) return;
    for (std::size_t v = 1; v < terms_.size(); ++v) {
      if (!content(v) || terms_[v].name || !may_be_participle(terms_[v].folded) ||
          stem_of(terms_[v].folded) == terms_[v].folded)
        continue;
      // "a product made by", "what I lost".
      if (!content(v - 1) || terms_[v - 1].ends_phrase ||
          (v + 1 < terms_.size() && terms_[v + 1].folded == "by"))
        continue;
      std::size_t subject = v - 1;
      while (subject > 0 && (content(subject - 1) || is_article(terms_[subject - 1].folded))) --subject;
      if (subject > 0 && opens_slot(subject - 1)) continue;
      for (const std::size_t i : things(subject, v)) claim(v, i, true);
      for (const std::size_t i : things(v + 1, terms_.size())) claim(v, i, false);
      return;
    }
  }

  std::span<const Term> terms_;
  std::optional<std::size_t> wh_;
  std::vector<Claim> claims_;
};

}  // namespace

std::vector<Claim> claims_of(std::span<const Term> sentence) {
  return ClaimReader(sentence).read();
}

}  // namespace pmt::text
