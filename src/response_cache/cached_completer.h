// The response cache in front of any Completer: answers from the cache, shares what is just being computed,
// or computes and stores.
//
// | cache.mode  | looks up | shares a flight | stores |
// | on          | yes      | yes             | yes    |
// | read_only   | yes      | yes             | no     |
// | write_only  | no       | no              | yes    |
// | refresh     | no       | no              | yes    |
// | off         | no       | no              | no     |
//
// A request that is not reusable (by default: temperature > 0 without a seed) is a bypass like `off`; the
// report's `why` says so. Started and Done carry the CacheReport; a hit or a coalesced answer shows nothing
// that did not happen for it: no kv, timing, speculation or trace of the first computation.
//
// A request with semantic.error_max whose exact lookup misses goes through the semantic tier
// (semantic_tier.h), which may answer it from another wording's entry (`semantic_hit`), in any mode that
// reads.
//
// With stale_while_revalidate_s an answer whose life is over is given once more, marked stale, while it is
// computed anew behind it. A miss says why: what was expired, or in which parts the nearest request that was
// cached differs.
//
// Errors: only_if_cached without an entry fails with kUnprocessable. A failure is never stored: a follower of
// a failed computation fails with it if it has passed anything on, and else computes anew.
// Thread-safety: start from any thread. `inner`, `cache` and `clock` outlive this, and this outlives every
// request's terminal event. `inner` may be started from inside its own sink (a follower that takes over).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/usage_counter.h"
#include "llm/completer.h"
#include "response_cache/flight/single_flight.h"
#include "response_cache/response_cache.h"
#include "response_cache/semantic/semantic_tier.h"
#include "response_cache/store/near_misses.h"

namespace pmt::response_cache {

struct CachedCompleterOptions {
  std::string model;                    // the resolved name: part of every key
  nlohmann::json versions;              // see request_key
  Price price;                          // what an answer costs to compute, in dollars; null: nothing
  base::UsageCounter* usage = nullptr;  // counts hits and coalesced answers by surface
  SemanticTier* semantic = nullptr;     // for requests that ask for it; null: none
  KeyOptions key = {};
  /// Makes request.knowledge what the key has to hold of it, before the key is made; null: it is so already.
  std::function<void(llm::Request&)> settle_knowledge = {};
};

class CachedCompleter final : public llm::Completer {
 public:
  CachedCompleter(llm::Completer& inner, ResponseCache& cache, const base::Clock& clock,
                  CachedCompleterOptions options);

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

  /// The same, telling `observation` (if not null) what was done.
  void start_observed(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel,
                      std::shared_ptr<Observation> observation);

 private:
  void bypass(llm::Request request, std::string why, std::shared_ptr<llm::Sink> sink,
              base::CancelToken cancel, std::shared_ptr<Observation> observation);

  /// A request that the exact cache could not answer, on its way to the tier below.
  struct Missed {
    llm::Request request;
    std::shared_ptr<llm::Sink> sink;
    base::CancelToken cancel;
    std::shared_ptr<Observation> observation;
    Key key;
    std::string why;
    RequestParts parts;
    std::optional<SemanticTier::Question> question = {};
  };
  void ask_semantic(Missed missed);
  void end_lookup(const Missed& missed, const EntryPtr& found = nullptr);
  void compute(Missed missed);

  std::string why_missed(const Found& found, const RequestParts& parts) const;

  llm::Completer& inner_;
  ResponseCache& cache_;
  const base::Clock& clock_;
  const std::string model_;
  const nlohmann::json versions_;
  SemanticTier* const semantic_;
  const KeyOptions key_;
  const std::function<void(llm::Request&)> settle_knowledge_;
  NearMisses seen_;
  SingleFlight flights_;
};

}  // namespace pmt::response_cache
