// Which cached question, if any, has the same answer as this one: neighbours (semantic_index.h), past the
// lexical veto (text/difference.h), judged by the learnt rule (semantic_rule.h). Knows neither the embedder nor
// the answers: the tier above it and `eval semantic` both drive this.
//
// Of the nearest 8 that no veto excludes, the one with the highest chance is taken, not the nearest: a
// question of the same form about something else is often nearer than the same question in other words. The
// nearest of those whose answer is known to differ from the chosen one's is its rival. Answers that were
// found to agree form a group, and are no rivals of one another. Thread-safety: any thread may call anything.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "response_cache/semantic/semantic_index.h"
#include "response_cache/semantic/semantic_rule.h"
#include "text/difference.h"
#include "text/question.h"

namespace pmt::response_cache {

struct Match {
  struct Candidate {
    std::uint64_t id = 0;
    Key key;
    double cosine = 0;
    PairFigures figures;
    Judgement judgement;
  };
  std::optional<Candidate> best;  // empty: no neighbour, or all vetoed
  double nearest_cosine = 0;      // of the nearest, vetoed or not; 0: the scope is empty
  text::Difference nearest_veto = text::Difference::kNone;
  bool nearest_barred = false;  // somebody said that its answer is another one
};

class SemanticMatcher {
 public:
  /// `rule` outlives this.
  SemanticMatcher(SemanticIndex::Options options, SemanticRule& rule) : index_(options), rule_(rule) {}

  Match match(const Scope& scope, const text::Question& question, std::span<const float> vector,
              double error_max);
  /// `same_answer_as`: the id of an entry whose answer was found to agree, 0: none.
  std::uint64_t add(const Scope& scope, const Key& key, text::Question question, const PackedVector& vector,
                    std::uint64_t same_answer_as = 0);
  void remove(std::uint64_t id);
  bool contains(std::uint64_t id) const;
  /// Both answers are known: the rule and the entry's record learn.
  void learn(const Match::Candidate& candidate, bool agree);
  void unlearn(const Match::Candidate& candidate, bool agree);
  /// From now on this entry is no candidate for this question, in these words or with other case and punctuation; of
  /// kBarredMax such pairs the oldest is forgotten.
  void bar(const Key& key, const text::Question& question);
  void unbar(const Key& key, const text::Question& question);
  std::size_t size() const { return index_.size(); }

 private:
  static constexpr std::size_t kBarredMax = 10'000;
  struct Item {
    std::shared_ptr<const text::Question> facts;  // shared, so that they are compared outside the lock
    std::uint64_t group = 0;
    int agreed = 0, disagreed = 0;
  };

  SemanticIndex index_;
  SemanticRule& rule_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Item> items_;
  std::deque<base::Digest> barred_in_order_;  // the oldest first
  std::unordered_set<base::Digest, base::DigestHash> barred_;
};

}  // namespace pmt::response_cache
