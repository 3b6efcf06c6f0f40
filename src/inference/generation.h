// One choice of one request while it is written: its tokens, and the way from sampled tokens to text that may be
// shown (whole UTF-8 characters, nothing of a stop string). Where its keys and values are is whose runs it: our
// pages (paged_generation.h), or libllama's cells (libllama/llama_job.h). Thread-safety: the scheduler's thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/thought_meter.h"
#include "llm/event.h"
#include "model/grammar.h"
#include "model/sampler.h"
#include "model/stop_matcher.h"
#include "model/utf8_stream.h"
#include "model/vocab.h"

namespace pmt::inference {

struct GenerationOptions {
  int choice = 0;
  int new_tokens_max = 0;
  std::optional<int> logprobs;  // alternatives to report a token
  bool scores_end = false;      // with them also the token that ends the answer, whose text is ""
  bool speculate = true;
};

/// What the answer must say, as tokens (the knowledge cache's values).
struct ForcedTokens {
  std::vector<std::int32_t> begin = {};    // the answer begins with these
  std::vector<std::int32_t> closing = {};  // where it would end without `needle`, it goes on with these
  std::string needle = {};
};

/// When an answer may end, besides at its limit.
struct Ending {
  int tokens_min = 0;                        // not before so many
  bool never = false;                        // not by the model's own end
  std::vector<std::int32_t> also_at = {};    // tokens that end it, too
  std::vector<std::int32_t> forbidden = {};  // the vocabulary's ends, where one of the above needs them
};

class Generation {
 public:
  Generation(const model::Vocab& vocab, model::Sampler sampler, const std::vector<std::string>& stops,
             std::vector<std::int32_t> prompt, GenerationOptions options,
             std::optional<model::Grammar> grammar = {});

  /// Before the first advance().
  void force(ForcedTokens tokens);
  void end_as(Ending ending) { ending_ = std::move(ending); }
  void show_names_of(std::vector<std::int32_t> tokens) { shown_ = std::move(tokens); }
  void think_as(Thinking how) { thoughts_ = ThoughtMeter(std::move(how)); }

  /// Chooses the next token from `logits` [vocabulary]. Returns what may be shown now, if anything.
  std::optional<llm::Delta> advance(std::span<const float> logits);

  /// Ends it here, as if its length were reached. Returns what was still held back. Requires: not finished.
  std::optional<llm::Delta> cut_short();

  bool finished() const { return finish_.has_value(); }
  /// Why it can't go on: its grammar's next step would take too long.
  const std::optional<base::Error>& failure() const { return failure_; }
  llm::FinishReason finish_reason() const { return *finish_; }

  std::span<const std::int32_t> tokens() const { return tokens_; }
  int generated() const { return static_cast<int>(tokens_.size()) - prompt_tokens_; }
  int thought_tokens() const { return thoughts_.thought_tokens(); }
  int choice() const { return options_.choice; }

 protected:
  const GenerationOptions& options() const { return options_; }
  /// What comes next isn't laid down.
  bool chooses_freely() const { return forced_at_ >= forced_.size(); }

 private:
  /// The token that comes next: a forced one, or a sampled one. Null: the grammar has no way on.
  std::optional<std::int32_t> choose(std::span<const float> logits);
  std::optional<std::int32_t> next_forced();
  void end_thought();
  std::optional<std::int32_t> sample(std::span<const float> logits);
  base::Result<std::optional<std::int32_t>> sample_allowed(std::int32_t first, std::span<const float> logits);
  bool ends(std::int32_t token) const;
  /// Takes away what would end the answer too early. False: nothing does.
  bool forbid_ends(std::vector<float>& logits) const;
  /// What may be shown of the next token's text: thoughts as they come, of the answer what begins no stop string.
  std::string showable(std::string_view text);
  /// All that was held back.
  std::string rest();
  /// `text` with the log-probabilities gathered since the last text.
  std::optional<llm::Delta> show(std::string text);

  const model::Vocab* vocab_;
  model::Sampler sampler_;
  std::optional<model::Grammar> grammar_;
  model::StopMatcher stops_;
  model::Utf8Stream utf8_;
  std::vector<std::int32_t> tokens_;  // prompt, then generated
  int prompt_tokens_;
  std::vector<std::int32_t> forced_;  // to come next, from forced_at_ on
  std::size_t forced_at_ = 0;
  std::vector<std::int32_t> closing_;
  Ending ending_;
  ThoughtMeter thoughts_;
  std::vector<std::int32_t> shown_;
  std::string needle_, written_;  // written_: the text so far, while a needle is wanted
  GenerationOptions options_;
  std::vector<llm::TokenLogprob> logprobs_;  // not shown yet
  std::optional<llm::FinishReason> finish_;
  std::optional<base::Error> failure_;
};

}  // namespace pmt::inference
