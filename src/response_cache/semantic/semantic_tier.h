// The response cache's semantic tier: answers a question from another one's entry, where that is safe.
//
//   exact miss -> embed the last user message -> match within its scope -> serve, or compute and learn
//
// A scope is everything of the request but the text of its last user message: tenant, namespace, endpoint,
// model and versions, system prompt, earlier turns, tools, sampling, limits. Two questions of different
// scopes are never compared. What is served is said to be (`semantic_hit`, `similarity`); a miss says what
// kept the nearest question from serving.
//
// Learning: what was not served is computed, and its answer is compared with the nearest candidate's: equal
// text, or embeddings at .9 and no veto between them. Of what could be served, kExploredShare is computed
// too. In shadow mode nothing is served and everything is learnt and counted.
//
// The last pairs are kept for people (semantic_pairs.h). Who says that two answers differ bars this question from this
// entry, tightens the rule as a comparison would, and drops what was made of the entry; the word can be taken back.
//
// Entries are looked up in the cache before they serve: one that was evicted, purged or has expired is
// dropped from the index then. What a durable entry was asked is stored with it; after a restart the
// questions are embedded again, in the background, when the first semantic lookup comes. What another server
// computed enters this one's index when it is first asked here by its exact key. Thread-safety: any
// thread may call anything. The embedder, the cache and the clock outlive this. Cost: an embedding
// (milliseconds) on an exact miss of a request that asks for this tier, nothing otherwise.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/by_user.h"
#include "base/clock.h"
#include "llm/embedder.h"
#include "llm/request.h"
#include "response_cache/response_cache.h"
#include "response_cache/semantic/semantic_matcher.h"
#include "response_cache/semantic/semantic_pairs.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {

/// Of what could be served, so much is computed all the same, to go on learning whether it is right.
inline constexpr double kExploredShare = 0.02;

/// What came of requests that asked the tier. A hit is counted where every lookup is, by who was answered
/// (LookupCounts::semantic): who left meanwhile had none.
struct SemanticCounts {
  std::uint64_t lookups = 0;                // exact misses that asked it,
  std::uint64_t shadow_hits = 0;            // of these: would have been served, in shadow mode
  std::uint64_t explored = 0;               // of these: could have been, and were computed to learn
  std::uint64_t failed = 0;                 // of these: the question could not be embedded
  std::uint64_t agreed = 0, disagreed = 0;  // labels
  std::uint64_t shadow_wrong = 0;           // of the shadow hits, those whose answers then differed
  /// Pairs that could be served and of which it is known whether the answers are the same, and those that aren't: by
  /// exploring, by shadow mode, or because a person said so. A word that is taken back is counted back.
  std::uint64_t compared = 0, wrong = 0;
  std::uint64_t judged_same = 0, judged_different = 0;  // pairs with a person's word
  SemanticCounts& operator+=(const SemanticCounts& other);
};

/// Counters since start.
struct SemanticStats : SemanticCounts {
  std::array<std::uint64_t, text::kDifferences> vetoed{};  // of the nearest question
  std::uint64_t entries = 0, dropped = 0;                  // dropped: found evicted, purged or expired
  double embed_ms = 0;
};

class SemanticTier {
 public:
  struct Options {
    SemanticIndex::Options index = {};
    bool shadow = false;                  // for all requests
    std::function<double()> random = {};  // in [0, 1); unset: seeded by the system
  };
  SemanticTier(llm::Embedder& embedder, ResponseCache& cache, const base::Clock& clock, Options options);
  ~SemanticTier();

  struct Question {
    Scope scope;
    std::string text;
    base::User who = {};  // whose counters count it, by model and tenant
  };
  /// Nothing if the request ends in no text that could be reworded: token ids, a tool's result, an empty
  /// message.
  static std::optional<Question> question_of(const llm::Request& request, std::string_view resolved_model,
                                             const nlohmann::json& versions, KeyOptions options = {});

  /// A question on its way, to be handed back when its answer was computed.
  struct Pending;
  struct Decision {
    std::shared_ptr<const Entry> entry;  // not null: serve it
    Key key;
    std::optional<double> similarity;  // of the candidate, served or not
    std::string why;                   // it is not served
    std::shared_ptr<Pending> pending;  // null when served, and when it could not be embedded
  };
  struct Ask {
    double error_max = 0.01;
    bool shadow = false;
    std::optional<double> max_age_s = {};
  };
  /// Calls `done` once, from the embedder's thread or from here.
  void look_up(Question question, Ask ask, std::function<void(Decision)> done);
  /// The answer to a pending question is computed, and stored under `key`.
  void computed(const std::shared_ptr<Pending>& pending, const Key& key, const RecordedAnswer& answer);
  /// The answer to a pending question came from elsewhere, by its exact key: as computed, once a key.
  void found(const std::shared_ptr<Pending>& pending, const Key& key, const RecordedAnswer& answer);

  /// Who may judge, and what is said of which pair. `tenant`: whose pairs the caller may see; unset: all.
  struct Judging {
    std::uint64_t id = 0;
    Verdict verdict = Verdict::kNone;  // kNone takes back what was said
    std::optional<std::string> tenant = {};
  };
  /// The pair as it is then; kNotFound where it is none of the last ones. "Different" of an answer that was given
  /// counts as a flagged one, once. Blocks as ResponseCache::purge does.
  base::Result<SemanticPair> judge(const Judging& judging);
  std::vector<SemanticPair> pairs() const { return pairs_.latest(); }

  SemanticStats stats() const;
  std::map<base::User, SemanticCounts, base::UserLess> stats_by_owner() const { return counts_.all(); }

 private:
  void count(const Pending& pending, std::uint64_t SemanticCounts::*what);
  /// `change`: 1 or -1.
  void count(const base::User& who, std::uint64_t SemanticCounts::*what, int change);
  void keep_pair(const Pending& pending, SemanticPair::Outcome outcome, const std::string& computed);
  void move_labels(const SemanticPair& before, const SemanticPair& after);
  Decision decide(const std::shared_ptr<Pending>& pending, const Ask& ask);
  std::shared_ptr<const Entry> entry_of(const Match::Candidate& candidate, std::optional<double> max_age_s);
  void add(const Pending& pending, const Key& key, std::uint64_t same_answer_as);
  void learn(const Pending& pending, const Key& key, const std::string& computed, bool agree);
  void restore();
  double draw();

  llm::Embedder& embedder_;
  ResponseCache& cache_;
  const base::Clock& clock_;
  const Options options_;
  SemanticRule rule_;
  SemanticMatcher matcher_;
  std::once_flag restored_;
  std::atomic<bool> stopping_{false};
  base::ByUser<SemanticCounts> counts_;
  SemanticPairs pairs_;
  std::mutex judging_;  // one word at a time
  mutable std::mutex mutex_;
  std::unordered_map<Key, std::uint64_t, base::DigestHash> ids_;  // guarded by mutex_, like the next two
  SemanticStats stats_;                                           // but for the counts
  std::mt19937_64 generator_;
  std::thread restorer_;
};

/// All of an answer that a reader sees, tool calls included.
std::string answer_text(const RecordedAnswer& answer);

}  // namespace pmt::response_cache
