// Asks a model on behalf of a tree of calls: within the budget, waiting for the answer, adding up what the
// calls reported. Leaf calls and root calls go through here. Thread-safety: any thread may call anything.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "llm/completer.h"
#include "rlm/ledger.h"
#include "rlm/watch.h"

namespace pmt::rlm {

/// What a trial of what a model writes came to (root_trial.h).
struct RootTrial {
  int asked = 0, right = 0;
  /// Whether it can be relied on.
  bool is_passed() const;
};
/// Of its programs, and of its queries about records.
struct RootTrials {
  RootTrial programs, queries;
};

/// A model to ask, under the name that it knows itself by.
struct Model {
  llm::Completer* completer = nullptr;
  std::string name;
  const llm::Tokenizer* tokenizer = nullptr;  // null: tokens are estimated from bytes, only to reserve
  std::int64_t context_tokens = 0;            // 0: not known
  std::int64_t parameters = 0;                // 0: not known, as for a model elsewhere
  std::optional<RootTrials> trials = {};      // unset: not measured
  std::function<double(const llm::Usage&)> price = {};  // null: nothing
  /// Whether it can answer in a request's response_format. Null: only asking it tells.
  std::function<base::Status(const llm::Request&)> check_form = {};
};

/// What an answer that runs here must look like: a GBNF grammar.
llm::ResponseFormat grammar_form(std::string grammar);

struct AskOptions {
  int max_tokens = 512;
  std::vector<std::string> stop = {};
  llm::ResponseFormat form = {};  // of a local model's answer
  bool exact = false;  // keys and values as they are, whatever the pattern says: a short, exact answer
};

struct Answer {
  std::string text;
  llm::Usage usage;
  double usd = 0;
  double seconds = 0;
  double began_s = 0;                   // since the ledger began
  std::vector<std::string> facts = {};  // taught ones that fired
};

/// Sums over the calls of a tree, each from what the call itself reported.
struct CallTotals {
  std::int64_t calls = 0, failed = 0, cache_hits = 0;
  std::int64_t kv_bytes = 0, kv_bytes_f16 = 0, kv_tokens_kept = 0, kv_tokens_total = 0, compressed = 0;
  std::int64_t prefix_tokens_reused = 0, drafted = 0, accepted = 0;
  std::int64_t exact = 0;  // asked with keys and values as they are, whatever ratio was named
  double prefill_ms = 0, decode_ms = 0;
  std::optional<llm::KnowledgeReport> knowledge;  // each fact that fired once; null: no packs were asked for
  nlohmann::json documents =
      {};  // each passage that was shown once, as one call's report has them; null: none
  std::vector<std::string> cache_keys = {};  // of the entries that hold the calls' answers, the first of them
};

struct ModelUsage {
  std::int64_t calls = 0, prompt_tokens = 0, completion_tokens = 0;
  double usd = 0;
};

/// Prompts to ask side by side, made one by one: none is kept before or after its turn.
struct Batch {
  std::size_t count = 0;
  std::function<std::vector<llm::Message>(std::size_t)> prompt;
};

/// Tokens of a text of any length, counted in pieces: exact but for what a tokenizer would join over a space
/// between two words. Errors: the watch's, within one piece's time.
base::Result<std::int64_t> count_tokens(const llm::Tokenizer& tokenizer, const std::string& text,
                                        Watch& watch);

class Asker {
 public:
  /// `pattern`: what every request of this tree has in common: surface, cache, kv, speculation, tenant,
  /// knowledge.
  Asker(llm::Request pattern, Ledger& ledger, base::CancelToken cancel)
      : pattern_(std::move(pattern)), ledger_(ledger), cancel_(std::move(cancel)) {}

  /// Errors: the model's; kExhausted or kDeadline (the budget); kCancelled.
  base::Result<Answer> ask(const Model& model, std::vector<llm::Message> messages, const AskOptions& options);
  /// All of them, at most `parallel` at once; results in the order of the prompts. Each counts as a call.
  /// Errors: the budget's calls or bytes don't reach for all of them; then none is asked.
  base::Result<std::vector<base::Result<Answer>>> ask_all(const Model& model, const Batch& batch,
                                                          const AskOptions& options, int parallel);

  /// Whether its calls name domains of the knowledge cache.
  bool has_knowledge() const { return !pattern_.knowledge.empty(); }
  CallTotals totals() const;
  std::map<std::string, ModelUsage> usage_by_model() const;
  Ledger& ledger() { return ledger_; }
  const Ledger& ledger() const { return ledger_; }
  const base::CancelToken& cancel() const { return cancel_; }

 private:
  class Waiter;
  /// `held`: what of the claim is reserved already; it stays so when the call is refused.
  std::shared_ptr<Waiter> begin(const Model& model, std::vector<llm::Message> messages,
                                const AskOptions& options, const Claim& held);
  base::Result<Claim> claim_of(const Model& model, const std::vector<llm::Message>& messages,
                               int max_tokens) const;
  base::Result<Answer> finish(const Model& model, Waiter& waiter);
  void add(const std::string& model, const llm::Done& done, double usd);
  void add(const llm::KnowledgeReport& report);         // mutex_ is held
  void add_documents(const nlohmann::json& documents);  // mutex_ is held

  const llm::Request pattern_;
  Ledger& ledger_;
  const base::CancelToken cancel_;
  mutable std::mutex mutex_;
  CallTotals totals_;
  std::map<std::string, ModelUsage> usage_;
};

llm::Message message(std::string role, std::string content);

}  // namespace pmt::rlm
