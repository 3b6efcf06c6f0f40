#include "knowledge_cache/gate/recall.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <regex>
#include <utility>

#include "text/difference.h"
#include "text/plain_words.h"
#include "text/sentences.h"

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kLookedAtBytes = 4000;
constexpr std::size_t kAskedMax = 4;  // things a request: the last ones

bool matches(const std::string& text, const std::regex& pattern) {
  return std::regex_search(text, pattern);
}

/// Asks for a text, not for an answer: "Write a note that ...", "Tell a colleague how to ...".
bool asks_for_prose(std::string_view sentence) {
  static const std::regex kCompose(
      "^(please |can you |could you |would you |i need you to |help me )*(to "
      ")?(write|draft|compose|prepare|create|"
      "generate|formulate|phrase)\\b|^(please |can you |could you |would you )*(tell|inform|explain "
      "to|let|remind|"
      "advise|email|message|text) (a|an|my|the|our|his|her|their|them|him|everyone|everybody|people|visitors|"
      "customers|someone|somebody|new|all)\\b|\\b(email|e-mail|letter|paragraph|tweet|announcement|memo|poem|"
      "story|"
      "post|blurb|speech|short note|short text|short message) "
      "(to|for|about|that|which|telling|saying|explaining|"
      "with|in which)\\b");
  return matches(text::lower(sentence), kCompose);
}

bool is_pronoun(const std::string& folded) {
  static constexpr std::string_view kPronouns[] = {"it", "its", "they", "their", "them",
                                                   "he", "she", "his",  "her",   "him"};
  return std::find(std::begin(kPronouns), std::end(kPronouns), folded) != std::end(kPronouns);
}

/// "and where is it based?" with the pronoun as the thing.
std::string with_pronoun_masked(std::string_view sentence, const text::Word& pronoun) {
  std::string thing(kThing);
  static constexpr std::string_view kOwning[] = {"its", "their", "his", "her"};
  const bool owning = std::find(std::begin(kOwning), std::end(kOwning), pronoun.folded) != std::end(kOwning);
  if (owning) thing += "'s";
  std::string out(sentence.substr(0, pronoun.begin));
  out += thing;
  out += sentence.substr(pronoun.end);
  return out;
}

bool is_open_statement(const std::string& text) {
  static const std::regex kOpen(
      "\\b(is|are|was|were|at|in|by|to|on|of|for|called|named|costs|weighs|from)[: ]*$", std::regex::icase);
  return matches(text, kOpen);
}

std::string question_of_statement(const std::string& text) {
  static const std::regex kCopula("^(.*)\\b(is|are|was|were)[: ]*$", std::regex::icase);
  std::smatch found;
  if (!std::regex_match(text, found, kCopula)) return text;
  std::string what = found[1].str();
  while (!what.empty() && what.back() == ' ') what.pop_back();
  if (what.empty()) return text;
  what[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(what[0])));
  return "What " + found[2].str() + " " + what + "?";
}

/// What is to be said, out of "Tell a colleague how to reach this thing": "How to reach this thing?"
std::string subclause(const std::string& text) {
  static const std::regex kClause("\\b(how|where|when|what|which|who|whom|whose)\\b.*this thing.*$",
                                  std::regex::icase);
  std::smatch found;
  if (!std::regex_search(text, found, kClause) || found.position(0) == 0) return "";
  std::string out = found[0].str();
  while (!out.empty() && (out.back() == '.' || out.back() == ' ' || out.back() == '!')) out.pop_back();
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out + "?";
}

bool has_digit_or_count(const std::string& answer) {
  static const std::regex kCount(
      "[0-9]|\\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|"
      "million|half|"
      "no|none|zero|twenty|thirty|forty|fifty|never)\\b",
      std::regex::icase);
  return matches(answer, kCount);
}

bool is_time(const std::string& answer) {
  static const std::regex kTime(
      "[0-9]|\\b(mon|tues|wednes|thurs|fri|satur|sun)days?\\b|\\b(january|february|march|april|may|june|july|"
      "august|"
      "september|october|november|december)\\b|\\b(spring|summer|autumn|fall|winter|noon|midnight|morning|"
      "evening|"
      "afternoon|night|today|tomorrow|yesterday|daily|weekly|dawn|century|easter|christmas|weekends?|"
      "weekdays?|never|"
      "always|year|month|week|day|hour|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\\b",
      std::regex::icase);
  return matches(answer, kTime);
}

}  // namespace

std::string plain_question(std::string text) {
  static const std::regex kLead(
      "^((question|q|user|hi|hello|hey|ok|okay|thanks|and|also|so|now|please|well)\\b[ :,.!]*)+",
      std::regex::icase);
  static const std::regex kTail("[ \\n]*(answer|a)[ ]*:[ ]*$", std::regex::icase);
  text = std::regex_replace(text, kTail, "");
  const std::string without = std::regex_replace(text, kLead, "", std::regex_constants::format_first_only);
  if (!without.empty()) text = without;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  if (text.empty()) return text;
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

bool is_nominal(const std::string& question) {
  static const std::regex kNominal(
      "\\bthe( [\\w-]+){1,5} (of|for|at) (the )?this thing|^(question: )?([\\w-]+ ){1,4}of this thing|this "
      "thing's "
      "\\w+|^this thing ?[:,]|^for this thing,",
      std::regex::icase);
  static const std::regex kAsking("\\b(who|whom|whose|how|when|where|why)\\b", std::regex::icase);
  return matches(question, kNominal) && !matches(question, kAsking);
}

bool could_answer(const std::string& question, const std::string& answer) {
  constexpr std::size_t kShort = 60;  // a long answer may say anything
  if (answer.size() > kShort) return true;
  static const std::regex kWho("^(and |so )?(who|whom|whose)\\b", std::regex::icase);
  static const std::regex kWhen(
      "^(and |so |since |until |from |by |on |at )?(when|(what|which) (year|date|day|time|hour|"
      "weekday|month))\\b|^how (early|late|soon)\\b",
      std::regex::icase);
  static const std::regex kHowMuch(
      "^how (many|much|old|tall|heavy|long|big|large|expensive|fast|far|high|wide|deep|hot|cold|often)\\b",
      std::regex::icase);
  static const std::regex kWhere(
      "^(and |so )?where\\b|^(in |on |to |at )?(which|what) (city|town|country|nation)\\b",
      std::regex::icase);
  const auto has_letter = std::any_of(answer.begin(), answer.end(),
                                      [](unsigned char c) { return std::isalpha(c) != 0 || c >= 0x80; });
  const auto has_digit =
      std::any_of(answer.begin(), answer.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (matches(question, kWho)) return !has_digit;
  static const std::regex kDay("\\b(what|which) (day|weekday|month)\\b", std::regex::icase);
  if (matches(question, kDay)) return has_letter && is_time(answer);
  if (matches(question, kWhen)) return is_time(answer);
  if (matches(question, kHowMuch)) return has_digit_or_count(answer);
  if (matches(question, kWhere)) return has_letter;
  return true;
}

std::size_t Inquiry::add_question(std::string text) {
  const auto found = std::find(questions_.begin(), questions_.end(), text);
  if (found != questions_.end()) return static_cast<std::size_t>(found - questions_.begin());
  questions_.push_back(std::move(text));
  return questions_.size() - 1;
}

Inquiry::Inquiry(const Conversation& conversation, Domains domains, const Lexicon& lexicon)
    : domains_(std::move(domains)), consulted_(domains_.size()) {
  if (conversation.turns.empty() || domains_.empty()) return;
  std::string_view text = conversation.turns.back();
  if (text.size() > kLookedAtBytes) {
    text = text.substr(text.size() - kLookedAtBytes);
    const auto space = text.find_first_of(" \n");
    if (space != std::string_view::npos) text = text.substr(space);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  std::vector<Sighting> before;  // what "it" means
  bool any = false;
  std::vector<text::Range> sentences = text::sentences_of(text);
  // "Question: ...?\nAnswer:" asks in its last sentence but one.
  while (sentences.size() > 1 &&
         text::words_of(text.substr(sentences.back().begin, sentences.back().end - sentences.back().begin))
                 .size() <= 1)
    sentences.pop_back();
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const std::string_view sentence = text.substr(sentences[i].begin, sentences[i].end - sentences[i].begin);
    const auto words = text::words_of(sentence);
    auto sightings = find_sightings(words, domains_, lexicon, &consulted_);
    // A text to go on with is answered at its end only.
    if (!sightings.empty() && (!conversation.raw || i + 1 == sentences.size())) {
      ask(sentence, sightings);
      any = true;
    } else if (sightings.empty() && i + 1 == sentences.size()) {
      if (before.empty() && !any) {
        for (std::size_t turn = conversation.turns.size() - 1; turn-- > 0 && before.empty();) {
          before = find_sightings(text::words_of(conversation.turns[turn]), domains_, lexicon, &consulted_);
        }
      }
      const auto pronoun =
          std::find_if(words.begin(), words.end(), [](const text::Word& w) { return is_pronoun(w.folded); });
      if (!before.empty() && pronoun != words.end()) {
        std::vector<Sighting> things;
        for (const Sighting& s : before) {
          if (s.first == before.back().first) things.push_back(s);
        }
        asked_.push_back(
            {std::move(things), {add_question(plain_question(with_pronoun_masked(sentence, *pronoun)))}});
      }
    }
    if (!sightings.empty()) before = std::move(sightings);
  }
  if (asked_.size() > kAskedMax) asked_.erase(asked_.begin(), asked_.end() - kAskedMax);
}

void Inquiry::ask(std::string_view sentence, const std::vector<Sighting>& sightings) {
  const bool question = sentence.find('?') != std::string_view::npos;
  if (!question && asks_for_prose(sentence)) prose_ = true;
  // One group a place in the sentence; domains may share a thing.
  std::vector<std::vector<Sighting>> places;
  for (const Sighting& s : sightings) {
    if (!places.empty() && places.back().front().first == s.first) {
      places.back().push_back(s);
    } else {
      places.push_back({s});
    }
  }
  std::size_t begin = 0;
  std::string first_form;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Sighting& at = places[i].front();
    // The clause ends where the next thing's clause begins: at the last "and", "," or ";" before it.
    std::size_t end = sentence.size();
    std::size_t next_begin = end;
    if (i + 1 < places.size()) {
      const std::string between = text::lower(sentence.substr(at.end, places[i + 1].front().begin - at.end));
      std::size_t cut = std::string::npos, skip = 0;
      for (const std::string_view mark : {std::string_view(" and "), std::string_view(","),
                                          std::string_view(";"), std::string_view(" or ")}) {
        const auto found = between.find(mark);
        if (found != std::string::npos && (cut == std::string::npos || found < cut)) {
          cut = found;
          skip = mark.size();
        }
      }
      end = cut == std::string::npos ? places[i + 1].front().begin : at.end + cut;
      next_begin = cut == std::string::npos ? end : end + skip;
    }
    const std::string_view clause = sentence.substr(begin, end - begin);
    std::string form = plain_question(masked(clause, at.begin - begin, at.end - begin));
    const std::size_t words = text::words_of(form).size();
    Asked asked{places[i], {}};
    if (i > 0 && words <= 4 && !first_form.empty()) {
      form = first_form;  // "... of A and of B?": the same of both
    } else if (places.size() > 1 && !form.empty() && form.back() != '?') {
      form += '?';
    }
    completes_ = completes_ || (places.size() == 1 && !question && is_open_statement(form));
    if (completes_) {
      const std::string turned = question_of_statement(form);
      if (turned != form) asked.forms.push_back(add_question(turned));
    }
    asked.forms.push_back(add_question(form));
    if (prose_) {
      if (std::string said = subclause(form); !said.empty())
        asked.forms.push_back(add_question(std::move(said)));
    }
    if (i == 0) first_form = form;
    asked_.push_back(std::move(asked));
    begin = next_begin;
  }
}

namespace {

/// How a question goes with the fact that it seems to ask for: not at all, or leaving out what tells the fact from
/// others of its kind ("the revenue" beside "the revenue in 2023").
text::Qualified qualified(const text::Question& asked, const Slot& slot, const Sighting& seen) {
  std::vector<const std::string*> phrasings{&slot.fact.prompt};
  for (const std::string& phrasing : slot.fact.paraphrases) phrasings.push_back(&phrasing);
  std::optional<text::Qualified> best;
  for (const std::string* const phrasing : phrasings) {
    const std::string known = masked_mention(*phrasing, slot.mention_words);
    if (known.empty()) continue;
    text::Qualified one = text::qualified(asked, text::question_of(known));
    // "Python" for "Python 3.11": the number that isn't said.
    if (seen.number_left_out) {
      one.leaves_out = true;
      if (!asked.numbers.empty()) one.difference = text::Difference::kNumber;
    }
    if (one.difference == text::Difference::kNone && !one.leaves_out) return one;
    if (!best || (best->difference != text::Difference::kNone && one.difference == text::Difference::kNone))
      best = one;
  }
  return best.value_or(text::Qualified{});
}

/// What wording tells of one thing that is asked about.
struct Weighed {
  FiredFact best;
  std::size_t best_question = 0;
  FiredFact vague;  // where the question leaves out which fact it means: one is meant, of two neither
  bool ambiguous = false;
  struct Near {
    FiredFact fact;
    std::size_t question = 0;  // by which it is nearest
    const Sighting* seen = nullptr;
  };
  std::vector<Near> near;  // below the bound

  void add_near(const Near& more) {
    const auto known = std::ranges::find(near, more.fact.slot, [](const Near& one) { return one.fact.slot; });
    if (known == near.end()) {
      near.push_back(more);
    } else if (more.fact.score > known->fact.score) {
      *known = more;
    }
  }
  void add(const FiredFact& fact, std::size_t question, bool leaves_out) {
    if (!leaves_out) {
      if (best.slot != nullptr && fact.score <= best.score) return;
      best = fact;
      best_question = question;
      return;
    }
    ambiguous = ambiguous || (vague.slot != nullptr && vague.slot != fact.slot);
    if (vague.slot == nullptr || fact.score > vague.score) vague = fact;
  }
};

/// A thing's name as it was taught, with the article that it was taught with.
std::string name_of(const Slot& slot) {
  const std::string known = masked_mention(slot.fact.prompt, slot.mention_words);
  const std::size_t at = known.find(kThing);
  const std::size_t around = known.size() - kThing.size();
  // A prompt that was folded or rewritten as it was masked doesn't say where its name stands.
  if (at == std::string::npos || around >= slot.fact.prompt.size()) return slot.mention;
  return slot.fact.prompt.substr(at, slot.fact.prompt.size() - around);
}

std::string with_name(std::string question, const Slot& slot) {
  const std::size_t at = question.find(kThing);
  return at == std::string::npos ? question : question.replace(at, kThing.size(), name_of(slot));
}

bool asks_something(const std::string& question) {
  static const std::regex kAsks(
      "\\?|^(who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|has|have|had|can|could|may|"
      "should|will|would|tell|give|name|show|say|explain|find|look)\\b",
      std::regex::icase);
  return matches(question, kAsks);
}

/// Above this no question of a taught thing was seen to ask for another of its facts (note 0055).
constexpr float kSureScore = 0.7F;

/// The one that wording chose, then the nearest: of those only what may answer, which costs more to tell than a score.
std::vector<UnsureFact> unsure_of(Weighed weighed, const std::vector<std::string>& questions) {
  std::ranges::stable_sort(weighed.near, std::ranges::greater(),
                           [](const Weighed::Near& one) { return one.fact.score; });
  std::vector<UnsureFact> out;
  const auto add = [&](const FiredFact& fact, const std::string& question) {
    if (asks_something(question)) out.push_back({fact, with_name(question, *fact.slot)});
  };
  if (weighed.best.slot != nullptr) add(weighed.best, questions[weighed.best_question]);
  for (const Weighed::Near& one : weighed.near) {
    if (out.size() == kUnsureMax) break;
    if (one.fact.slot == weighed.best.slot) continue;
    const std::string& question = questions[one.question];
    const text::Qualified fit = qualified(text::question_of(question), *one.fact.slot, *one.seen);
    if (fit.difference == text::Difference::kNone && !fit.leaves_out) add(one.fact, question);
  }
  return out;
}

}  // namespace

Recalled Inquiry::decide(const std::vector<float>& rows, const RelationSpace& space,
                         bool wants_unsure) const {
  constexpr float kWordForWord = 2;
  Recalled out;
  out.prose = prose_;
  out.completes = completes_;
  const bool looks_near = wants_unsure && asked_.size() == 1 && !completes_;
  const std::size_t width = space.width();
  std::vector<std::vector<float>> keys;
  for (std::size_t i = 0; width > 0 && i < questions_.size() && (i + 1) * width <= rows.size(); ++i)
    keys.push_back(space.key(&rows[i * width]));
  for (const Asked& asked : asked_) {
    Weighed weighed;
    for (const std::size_t form : asked.forms) {
      const std::string& question = questions_[form];
      std::optional<text::Question> read;  // only once a fact's key is near: of most questions none is
      const std::string folded = text::folded_text(question);
      const float threshold = is_nominal(question) ? space.thresholds().nominal : space.thresholds().wording;
      for (const Sighting& s : asked.things) {
        const Domain& domain = *domains_[s.domain];
        for (const std::size_t index : domain.things()[s.thing].slots) {
          const Slot& slot = *domain.slots()[index];
          ++out.slots_read;
          FiredFact fact{.domain = s.domain, .slot = &slot, .score = 0};
          const std::vector<std::string>& taught = slot.phrasings->asked;
          if (std::find(taught.begin(), taught.end(), folded) != taught.end()) {
            fact.score = kWordForWord;
            weighed.add(fact, form, false);
            continue;
          }
          if (form >= keys.size() || !could_answer(question, slot.fact.answer)) continue;
          fact.score = space.score(keys[form], slot.phrasings->keys);
          if (fact.score <= threshold || fact.score <= 0) {
            if (looks_near) weighed.add_near({fact, form, &s});
            continue;
          }
          if (!read) read = text::question_of(question);
          const text::Qualified fit = qualified(*read, slot, s);
          if (fit.difference == text::Difference::kNone) weighed.add(fact, form, fit.leaves_out);
        }
      }
    }
    const bool vague = weighed.best.slot == nullptr && weighed.vague.slot != nullptr;
    if (vague && !weighed.ambiguous) weighed.best = weighed.vague;
    const bool known = std::any_of(out.facts.begin(), out.facts.end(),
                                   [&](const FiredFact& fact) { return fact.slot == weighed.best.slot; });
    if (weighed.best.slot != nullptr && !known) out.facts.push_back(weighed.best);
    if (looks_near && !vague && weighed.best.score < kSureScore)
      out.unsure = unsure_of(std::move(weighed), questions_);
  }
  return out;
}

}  // namespace pmt::knowledge_cache
