// Asks a model whether a fact's sentence answers a question, where the wording of both doesn't tell (note 0055).
//
// One call a fact: some examples, the sentence, the question; what counts is how much likelier "yes" is than "no" as the
// first token. The examples are the same for all, so a model that keeps prefixes reads them once. What a model said
// is remembered.
// Thread-safety: any thread. Cost: a prompt of some 40 tokens behind the examples' 200, for what isn't remembered.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.h"
#include "llm/completer.h"

namespace pmt::knowledge_cache {

class FactJudge {
 public:
  struct Case {
    std::string statement;  // "The opening time of Marlo Bakery is 7:30."
    std::string question;
  };
  /// Of each case, in their order: the logarithm of how much likelier yes is than no; kUnknown where that can't be told.
  using Verdicts = std::vector<float>;
  static constexpr float kUnknown = -1e9F;

  /// `model` outlives it and every request.
  explicit FactJudge(llm::Completer& model) : model_(model) {}

  /// On behalf of `request`. `done` is called once, from any thread or at once. After `cancel` it comes soon.
  void ask(const llm::Request& request, std::vector<Case> cases, const base::CancelToken& cancel,
           std::function<void(const Verdicts&)> done);

 private:
  struct Hearing;
  void go_on(const std::shared_ptr<Hearing>& hearing);

  llm::Completer& model_;
  std::mutex mutex_;
  std::map<base::Digest, float> known_;  // under mutex_
};

/// At least so much speaks for yes where a fact answers. Chosen on questions of its own (note 0055), for models that
/// can judge: from a billion parameters up.
inline constexpr float kYesMin = 1.0F;

}  // namespace pmt::knowledge_cache
