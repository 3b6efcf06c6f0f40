// What a fact becomes when it is taught: a slot, addressed by the words that name its subject, with its questions;
// and what a domain becomes by that.
//
//   Lesson lesson = prepare(facts, source, lexicon);
//   keys of lesson.questions, where there is an embedder
//   Merged merged = merge(before, slots_of(lesson, keys, space));
//
// Thread-safety: pure functions; nothing is read, embedded or written here. Cost: microseconds a fact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "knowledge_cache/gate/mention.h"
#include "knowledge_cache/gate/relation_space.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

/// Where facts come from, and when.
struct Source {
  std::string name;
  std::int64_t learnt_unix_s = 0;
};

/// Facts on their way to be slots: all but the keys of their questions is there.
struct Lesson {
  std::vector<Slot> slots;  // without phrasings
  std::vector<std::vector<std::size_t>>
      asked;                           // of each slot: indices into `questions`, its own wording first
  std::vector<std::string> questions;  // with the thing masked, each once
  std::vector<LineError> errors;       // facts that name nothing that stands out
};
Lesson prepare(const ParsedFacts& facts, const Source& source, const Lexicon& lexicon);

/// `keys`: of the lesson's questions, in their order. Without an embedder: none, and no space (null).
std::vector<Slot> slots_of(Lesson lesson, const std::vector<std::vector<float>>& keys,
                           const RelationSpace* space);

struct Contradiction {
  std::string id, known_id;
  std::string prompt, answer, known_answer;
};

/// A domain's slots with more of them.
struct Merged {
  Domain::Slots slots;
  std::vector<std::string> changed;  // ids of those that are new or another than before
  std::size_t learnt = 0, updated = 0, known_before = 0;
  std::vector<Contradiction> contradictions;  // left out
};
/// Replaces what has the same id, skips what is known, refuses what contradicts. A fact without an id gets one.
/// `before`: null for a domain that is new.
Merged merge(const Domain* before, std::vector<Slot> slots);

}  // namespace pmt::knowledge_cache
