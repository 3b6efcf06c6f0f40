// The last pairs of questions that the semantic tier took for one: what was asked, the cached question whose answer
// was given or compared, and what is known of the two answers. For people, who may say of each whether the answers
// are the same; the tier acts on that (SemanticTier::judge).
//
// A ring of kKept pairs, in memory only: texts are cut, so it is at most 1 MB.
// Thread-safety: any thread may call anything. Cost: a pair copies its texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/by_user.h"
#include "response_cache/semantic/semantic_matcher.h"

namespace pmt::response_cache {

/// What a person says of two answers.
enum class Verdict : std::uint8_t { kNone, kSame, kDifferent };

struct SemanticPair {
  /// What became of the question: it got the other one's answer, or it was computed and the answers were compared.
  enum class Outcome : std::uint8_t { kServed, kAgreed, kDisagreed };

  std::uint64_t id = 0;  // given by the ring, from 1
  std::int64_t unix_s = 0;
  base::User who = {};
  std::string question, nearest;  // asked now; cached
  std::string answer;             // of the cached question
  std::string computed = {};      // of the question that was asked; "" where it was served
  bool could_serve = false;       // the rule allowed it
  Outcome outcome = Outcome::kServed;
  Verdict verdict = Verdict::kNone;
  bool flagged = false;        // it was given and called wrong, be it that this was taken back
  Match::Candidate candidate;  // the cached question
  text::Question facts;        // of the question that was asked

  /// Whether the answers are the same, as far as anybody knows: a person's word goes before a comparison's.
  std::optional<bool> same() const;
};
const char* to_string(SemanticPair::Outcome outcome);
/// "same", "different"; "" for none.
const char* to_string(Verdict verdict);

class SemanticPairs {
 public:
  static constexpr std::size_t kKept = 200;

  void add(SemanticPair pair);
  /// The latest first.
  std::vector<SemanticPair> latest() const;
  /// Calls `change` with the pair, inside the lock. False: it isn't there any more.
  bool change(std::uint64_t id, const std::function<void(SemanticPair&)>& change);

 private:
  mutable std::mutex mutex_;
  std::deque<SemanticPair> pairs_;  // guarded by mutex_, like the next; the latest first
  std::uint64_t last_id_ = 0;
};

}  // namespace pmt::response_cache
