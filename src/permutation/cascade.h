// The stages of PermutationEngine behind its response cache: student, confidence, teacher, synthesis,
// fallback.
//
//   router -> student -> sure enough? -> its answer
//                |            | no
//                |            v
//                +-------> teacher -> its answer, or a synthesis of both drafts
//                             | failed
//                             v
//                          fallback: the student's answer, marked degraded; without one, the teacher's error
//
// Where there are two models, each one's answer is cached under a key of its own (check, compute, store), so a
// teacher's answer is there for other cascades too; the whole answer's entry says of which it was made. While it is
// open whether the student is sure its words are held back, at most `probe_tokens` of them; from then on the answer
// streams. A student that isn't sure is stopped there.
//
// Budgets: before each call the ledger is asked; a call gets what is left of the tokens and seconds as its
// own limits. So dollars are overrun by one call at most, tokens by that call's prompt.
//
// Done carries report.engine = {"metadata", "trace", ...} (trace.h), usage summed over the calls, and their
// true cost; `transient` for a degraded answer, which the response cache then doesn't keep.
// Errors: as llm::Completer; the student's or the teacher's own.
// Thread-safety: start from any thread. What the options name outlives every request.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "llm/completer.h"
#include "permutation/cascade_policy.h"
#include "permutation/difficulty.h"
#include "permutation/domain.h"
#include "response_cache/cached_completer.h"

namespace pmt::permutation {

/// One of the models of a cascade.
struct StageModel {
  std::string name;                     // as served
  llm::Completer* completer = nullptr;  // null: there is none
  response_cache::Price price = {};     // null: nothing
  bool local = true;                    // takes knowledge packs and KV options
  llm::Api api = llm::Api::kChat;       // by which its server is asked, where it isn't local
};

struct CascadeOptions {
  StageModel student;
  StageModel teacher;
  CascadePolicy policy = {};  // which of the models there are, the cascade says
  double explore = 0;         // share of questions asked of both, to learn the student's ability from
  double kv_ratio = 0;        // for requests that name none; 0: the model's own
  /// Writes into a request that names none which of the student's knowledge packs may decide its answer, as they are
  /// now; null: there are none. Their versions make the keys, so that an answer from before a lesson that may concern
  /// it is not given after it.
  std::function<void(llm::Request&)> offer_knowledge = {};
  /// The same for one that names some (response_cache/cached_completer.h).
  std::function<void(llm::Request&)> settle_knowledge = {};
  nlohmann::json versions = {};  // of the models and packs: part of every stage's key
  base::UsageCounter* response_cache_usage = nullptr;
  response_cache::SemanticTier* semantic = nullptr;  // of the whole answer; null: none
  /// What the caller wrote may reach an upstream.
  bool forwards() const { return !student.local || !teacher.local; }
};

class Cascade final : public llm::Completer {
 public:
  Cascade(CascadeOptions options, response_cache::ResponseCache& cache, const base::Clock& clock);
  ~Cascade() override;
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

  const CascadeOptions& options() const { return options_; }
  const AbilityLog& abilities() const { return abilities_; }

 private:
  friend class CascadeRun;
  struct Stage;

  const CascadeOptions options_;
  const base::Clock& clock_;
  const Domains domains_;
  AbilityLog abilities_;
  std::unique_ptr<Stage> student_, teacher_, synthesis_, fallback_;  // null without the model
};

}  // namespace pmt::permutation
