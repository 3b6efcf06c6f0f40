#include "knowledge_cache/gate/sighting.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

#include "text/stop_words.h"

namespace pmt::knowledge_cache {
namespace {

/// A word of the text that may be a word of names.
struct Hit {
  std::size_t domain = 0, thing = 0;
  std::string word;  // of the name
};

bool has_digit(const std::string& word) {
  return std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

class Finder {
 public:
  Finder(const std::vector<text::Word>& words, const Domains& domains, const Lexicon& lexicon,
         Consulted* consulted)
      : words_(words), domains_(domains), lexicon_(lexicon), consulted_(consulted) {}

  std::vector<Sighting> find() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (text::is_stop_word(words_[i].folded, text::StopUse::kNames)) continue;
      for (const Hit& hit : hits(words_[i].folded)) align(i, hit);
    }
    return resolve();
  }

 private:
  std::vector<Hit> hits(const std::string& word) const {
    std::vector<Hit> out;
    const auto add = [&](std::size_t d, const std::string& of_name) {
      for (const std::size_t thing : things_with(d, of_name)) out.push_back({d, thing, of_name});
    };
    for (std::size_t d = 0; d < domains_.size(); ++d) add(d, word);
    if (!out.empty() || lexicon_.is_common(word)) return out;
    for (std::size_t d = 0; d < domains_.size(); ++d) {
      for (const std::string& near : domains_[d]->words_near(word)) add(d, near);
    }
    return out;
  }

  const std::vector<std::size_t>& things_with(std::size_t domain, const std::string& word) const {
    const std::vector<std::size_t>& things = domains_[domain]->things_with(word);
    if (!things.empty() && consulted_ != nullptr) (*consulted_)[domain] = true;
    return things;
  }

  const Thing& thing(const Sighting& s) const { return domains_[s.domain]->things()[s.thing]; }

  /// Grows the match of one word to both sides, along the name.
  void align(std::size_t at, const Hit& hit) {
    const Thing& of = domains_[hit.domain]->things()[hit.thing];
    Sighting s{.domain = hit.domain, .thing = hit.thing, .first = at, .last = at + 1};
    s.wrong_letters = words_[at].folded == hit.word ? 0 : 1;
    const auto place = std::find(of.words.begin(), of.words.end(), hit.word);
    auto low = static_cast<std::size_t>(place - of.words.begin());
    std::size_t high = low + 1;
    const auto same = [&](std::size_t word, const std::string& wanted) {
      if (words_[word].folded == wanted) return true;
      if (s.wrong_letters > 0 || wanted.size() < 4 || words_[word].folded.size() < 4 ||
          lexicon_.is_common(words_[word].folded) || !text::one_letter_apart(words_[word].folded, wanted))
        return false;
      s.wrong_letters = 1;
      return true;
    };
    while (low > 0 && s.first > 0 && !words_[s.first - 1].ends_run && same(s.first - 1, of.words[low - 1])) {
      --low;
      --s.first;
    }
    while (high < of.words.size() && s.last < words_.size() && !words_[s.last - 1].ends_run &&
           !words_[s.last - 1].possessive && same(s.last, of.words[high])) {
      ++high;
      ++s.last;
    }
    s.whole = low == 0 && high == of.words.size();
    if (!s.whole && !enough(of, low, high, s.wrong_letters)) return;
    if (another_name(s)) return;
    for (std::size_t i = 0; i < of.words.size(); ++i) {
      if ((i < low || i >= high) && has_digit(of.words[i])) s.number_left_out = true;
    }
    s.begin = words_[s.first].begin;
    s.end = words_[s.last - 1].end;
    found_.push_back(s);
  }

  /// A part of the name that says which: a word that no other taught thing has.
  bool enough(const Thing& of, std::size_t low, std::size_t high, int wrong_letters) const {
    for (std::size_t i = low; i < high; ++i) {
      const std::string& word = of.words[i];
      if (text::is_name_connector(word) || (wrong_letters > 0 && word.size() < 6)) continue;
      if (!is_distinctive(word)) continue;
      std::size_t things = 0;
      for (std::size_t d = 0; d < domains_.size(); ++d) things += things_with(d, word).size();
      if (things == 1 || same_name_everywhere(word, of)) return true;
    }
    return false;
  }

  /// Asked once a word, not once for each thing that is called "Labs".
  bool is_distinctive(const std::string& word) const {
    const auto [known, is_new] = distinctive_.try_emplace(word);
    if (is_new) known->second = lexicon_.is_distinctive(word);
    return known->second;
  }

  /// Several domains may teach about one thing.
  bool same_name_everywhere(const std::string& word, const Thing& of) const {
    for (std::size_t d = 0; d < domains_.size(); ++d) {
      for (const std::size_t thing : things_with(d, word)) {
        if (domains_[d]->things()[thing].words != of.words) return false;
      }
    }
    return true;
  }

  bool another_name(const Sighting& s) const {
    const bool one_word = s.last - s.first == 1;
    if (s.first > 0 && !words_[s.first - 1].ends_run) {
      const text::Word& before = words_[s.first - 1];
      const bool plain = text::is_stop_word(before.folded, text::StopUse::kNames) ||
                         text::is_title(before.folded) || before.possessive;
      const bool title_case = before.first && lexicon_.is_common(before.folded);
      if (!plain && !title_case &&
          (before.capital ? !lexicon_.may_follow(before.folded) : !s.whole || one_word)) {
        if (before.capital || (!lexicon_.is_common(before.folded) && lexicon_.is_distinctive(before.folded)))
          return true;
      }
    }
    const text::Word& end = words_[s.last - 1];
    if (end.ends_run || end.possessive || s.last >= words_.size()) return false;
    const text::Word& next = words_[s.last];
    if (lexicon_.may_follow(next.folded) || is_year(next)) return false;
    if (next.capital && end.capital) return true;
    return !s.whole || one_word;
  }

  /// Of matches that overlap the one that explains more words stays; two that explain as much cancel out.
  std::vector<Sighting> resolve() {
    const auto better = [](const Sighting& a, const Sighting& b) {
      if (a.last - a.first != b.last - b.first) return a.last - a.first > b.last - b.first;
      if (a.whole != b.whole) return a.whole;
      return a.wrong_letters < b.wrong_letters;
    };
    std::stable_sort(found_.begin(), found_.end(), better);
    std::vector<Sighting> out;
    std::vector<bool> taken(words_.size(), false);
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const Sighting& s = found_[i];
      const auto first = taken.begin() + static_cast<std::ptrdiff_t>(s.first);
      const auto last = taken.begin() + static_cast<std::ptrdiff_t>(s.last);
      if (std::find(first, last, true) != last) continue;
      std::vector<Sighting> same;
      bool ambiguous = false;
      for (std::size_t j = i; j < found_.size(); ++j) {
        const Sighting& other = found_[j];
        if (better(s, other) || other.first != s.first || other.last != s.last) continue;
        if (thing(other).words != thing(s).words) ambiguous = true;
        const bool known = std::any_of(same.begin(), same.end(), [&](const Sighting& k) {
          return k.domain == other.domain && k.thing == other.thing;
        });
        if (!known) same.push_back(other);
      }
      std::fill(first, last, true);
      if (!ambiguous) out.insert(out.end(), same.begin(), same.end());
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const Sighting& a, const Sighting& b) { return a.first < b.first; });
    return out;
  }

  const std::vector<text::Word>& words_;
  const Domains& domains_;
  const Lexicon& lexicon_;
  Consulted* const consulted_;
  mutable std::unordered_map<std::string, bool> distinctive_;
  std::vector<Sighting> found_;
};

}  // namespace

std::vector<Sighting> find_sightings(const std::vector<text::Word>& words, const Domains& domains,
                                     const Lexicon& lexicon, Consulted* consulted) {
  return Finder(words, domains, lexicon, consulted).find();
}

}  // namespace pmt::knowledge_cache
