// The gate: from a request's text to the facts that answer it, in two halves with the embedding between them
// (note 0013).
//
//   Inquiry inquiry(text, domains, lexicon);       // gate 1: names; says what is to be embedded, if anything
//   Recalled recalled = inquiry.decide(rows, space);  // gate 2: relations
//
// No name: nothing to embed, nothing recalled, and the request goes on as if no domain existed. Shapes:
// `rows` is [questions().size(), width]. Thread-safety: one thread at a time; the domains are immutable.
// Cost: under 1 us a word of the text that is looked at (the last 4,000 bytes of the last turn); decide():
// 0.1 ms a question.
#pragma once

#include <string>
#include <vector>

#include "knowledge_cache/gate/relation_space.h"
#include "knowledge_cache/gate/sighting.h"

namespace pmt::knowledge_cache {

/// Where a request speaks. `turns`: the user's messages, oldest first; or the prompt alone.
struct Conversation {
  std::vector<std::string> turns;
  bool raw = false;  // a text to go on with, not a chat
};

struct FiredFact {
  std::size_t domain = 0;  // index into the domains
  const Slot* slot = nullptr;
  float score = 0;
};

/// A fact about a thing that is asked about, of which wording alone doesn't tell whether it is asked for.
struct UnsureFact {
  FiredFact fact;
  std::string question;  // that it may answer, by itself: with the thing's name in it
};

struct Recalled {
  std::vector<FiredFact> facts;  // in the text's order; empty: nothing fired
  std::vector<UnsureFact>
      unsure;  // of one thing asked about, where wording is no proof: what fired first, then the nearest
  std::int64_t slots_read = 0;  // whose keys were compared
  bool prose = false;           // a text is asked for that needs the facts, not the facts themselves
  bool completes = false;       // a statement to go on with
};

inline constexpr std::size_t kUnsureMax = 4;

class Inquiry {
 public:
  Inquiry(const Conversation& conversation, Domains domains, const Lexicon& lexicon);

  /// What must be embedded before decide().
  const std::vector<std::string>& questions() const { return questions_; }
  bool names_anything() const { return !asked_.empty(); }
  /// `rows`: empty where the embedder can't be asked; then only phrasings that were taught word for word
  /// fire.
  /// `wants_unsure`: somebody will ask about them; else Recalled::unsure stays empty, and costs nothing.
  Recalled decide(const std::vector<float>& rows, const RelationSpace& space,
                  bool wants_unsure = false) const;
  const Domains& domains() const { return domains_; }
  /// Of each domain, whether it had a say in what is named. Where anything is, what is recalled is as with these
  /// domains alone; where nothing is, nothing is recalled.
  const Consulted& consulted() const { return consulted_; }

 private:
  /// One thing that is asked about, and how.
  struct Asked {
    std::vector<Sighting> things;    // one, or the same in several domains
    std::vector<std::size_t> forms;  // indices into questions_, best first
  };
  void ask(std::string_view sentence, const std::vector<Sighting>& sightings);
  std::size_t add_question(std::string text);

  Domains domains_;
  Consulted consulted_;
  std::vector<Asked> asked_;
  std::vector<std::string> questions_;
  bool prose_ = false, completes_ = false;
};

/// A question in its plainest form: without "Question:", "please", "and", or an "Answer:" to fill in.
std::string plain_question(std::string text);

/// "What is the R of this thing?": names its relation, so all that is taught of other relations looks alike.
bool is_nominal(const std::string& question);

/// Can this be the answer to a question that begins like this? "When ...": it needs a number or a day.
bool could_answer(const std::string& question, const std::string& answer);

}  // namespace pmt::knowledge_cache
