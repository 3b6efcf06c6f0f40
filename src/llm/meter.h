// What computed answers took and cost, by model, tenant and key: counted once, where a model answers, so behind
// every cache and whichever engine asked. Of an upstream's answers also what the provider's prompt cache read, was
// written and missed, as the provider says it (note 0032).
//
//   CachedCompleter -> MeteredCompleter -> RemoteCompleter or the local model
//
// An answer that fails or is left by its caller is not counted: nobody says what it took.
// Thread-safety: any thread may call anything. Cost: a lock and a lookup for each answer. How many are told apart says
// base/by_user.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/by_user.h"
#include "base/clock.h"
#include "base/usage_counter.h"
#include "llm/completer.h"

namespace pmt::llm {

struct Cost {
  double usd = 0;
  double prompt_cache_saved_usd = 0;  // what the provider's cache took off it; below 0 where it added to it
};

class Meter {
 public:
  using Who = base::User;  // the model as served
  struct Tally {
    bool upstream = false;  // another server's model
    std::uint64_t answers = 0;
    std::uint64_t reported = 0;  // of those, whose provider said what its cache did
    std::uint64_t hits = 0;      // of those, for which it read anything
    std::int64_t prompt_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
    std::int64_t read = 0, written = 0, missed = 0;  // prompt tokens of `reported`, all of them
    double usd = 0, prompt_cache_saved_usd = 0;
    Tally& operator+=(const Tally& other);
  };
  struct Options {
    base::UsageCounter* prompt_cache_usage = nullptr;  // counts `hits` by surface, for the audit
    std::function<void(const std::string& key, double usd)> on_spent = {};
  };
  explicit Meter(const base::Clock& clock) : Meter(clock, Options()) {}
  Meter(const base::Clock& clock, Options options) : clock_(clock), options_(std::move(options)) {}

  struct Answer {
    bool upstream = false;
    base::Surface surface = base::Surface::kCompletions;
    Cost cost = {};
  };
  void add(const Who& who, const Usage& usage, const Answer& answer);
  base::ByUser<Tally>::Tallies tallies() const { return tallies_.all(); }

 private:
  const base::Clock& clock_;
  const Options options_;
  base::ByUser<Tally> tallies_;
};

class MeteredCompleter final : public Completer {
 public:
  struct About {
    std::string model;  // as served
    bool upstream = false;
    std::function<Cost(const Usage&)> cost = {};  // null: nothing
  };
  /// Both outlive this, and every request.
  MeteredCompleter(Completer& inner, Meter& meter, About about)
      : inner_(inner), meter_(meter), about_(std::move(about)) {}
  void start(Request&& request, std::shared_ptr<Sink> sink, base::CancelToken cancel) override;

 private:
  Completer& inner_;
  Meter& meter_;
  const About about_;
};

}  // namespace pmt::llm
