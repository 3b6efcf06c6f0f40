#include "inference/generation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "inference/prompt_echo.h"

namespace pmt::inference {

Generation::Generation(const model::Vocab& vocab, model::Sampler sampler,
                       const std::vector<std::string>& stops, std::vector<std::int32_t> prompt,
                       GenerationOptions options, std::optional<model::Grammar> grammar)
    : vocab_(&vocab),
      sampler_(std::move(sampler)),
      grammar_(std::move(grammar)),
      stops_(stops),
      tokens_(std::move(prompt)),
      prompt_tokens_(static_cast<int>(tokens_.size())),
      options_(options) {}

std::optional<llm::Delta> Generation::show(std::string text) {
  if (text.empty() && (logprobs_.empty() || !finished())) return {};
  return llm::Delta{options_.choice, std::move(text), std::exchange(logprobs_, {})};
}

void Generation::force(ForcedTokens tokens) {
  forced_ = std::move(tokens.begin);
  closing_ = std::move(tokens.closing);
  needle_ = std::move(tokens.needle);
}

std::optional<llm::Delta> Generation::cut_short() {
  finish_ = llm::FinishReason::kLength;
  return show(rest());
}

std::string Generation::showable(std::string_view text) {
  ThoughtMeter::Parts parts = thoughts_.push(text);
  const auto thoughts = static_cast<std::size_t>(thoughts_.thoughts_found());
  logprobs_.resize(logprobs_.size() - std::min(logprobs_.size(), thoughts));
  return parts.thought + stops_.push(parts.answer);
}

std::string Generation::rest() {
  const ThoughtMeter::Parts parts = thoughts_.finish(utf8_.flush());
  std::string out = parts.thought + stops_.push(parts.answer);
  return out += stops_.flush();
}

/// The whole vocabulary is checked against the grammar only where the model's own choice isn't allowed. Null:
/// the grammar has no way on, or it takes too long to find (failure_).
std::optional<std::int32_t> Generation::sample(std::span<const float> all) {
  std::vector<float> changed;
  std::span<const float> logits = all;
  if (ending_.never || generated() < ending_.tokens_min) {
    changed.assign(all.begin(), all.end());
    if (forbid_ends(changed)) logits = changed;
  }
  const std::int32_t token = sampler_.sample(logits);
  if (!grammar_) return token;
  auto allowed = sample_allowed(token, logits);
  // A form that is complete ends, whatever its length.
  if (allowed && !*allowed && !changed.empty()) allowed = sample_allowed(sampler_.sample(all), all);
  if (!allowed) {
    failure_ = allowed.error();
    return std::nullopt;
  }
  return *allowed;
}

bool Generation::ends(std::int32_t token) const {
  return vocab_->is_eog(token) ||
         std::find(ending_.also_at.begin(), ending_.also_at.end(), token) != ending_.also_at.end();
}

bool Generation::forbid_ends(std::vector<float>& logits) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (const std::int32_t token : ending_.forbidden) logits[static_cast<std::size_t>(token)] = kNever;
  if (generated() < ending_.tokens_min) {
    for (const std::int32_t token : ending_.also_at) logits[static_cast<std::size_t>(token)] = kNever;
  }
  const bool any_left = std::any_of(logits.begin(), logits.end(), [](float logit) { return logit > kNever; });
  return any_left;
}

/// `first`: the model's own choice.
base::Result<std::optional<std::int32_t>> Generation::sample_allowed(std::int32_t first,
                                                                     std::span<const float> logits) {
  TRY_ASSIGN(const bool agrees, grammar_->allows(first));
  std::int32_t token = first;
  if (!agrees) {
    std::vector<float> allowed(logits.begin(), logits.end());
    TRY(grammar_->mask(allowed));
    token = sampler_.sample(allowed);
    if (std::isinf(allowed[static_cast<std::size_t>(token)])) return std::optional<std::int32_t>();
  }
  TRY(grammar_->accept(token));
  return std::optional(token);
}

/// Once a character is whole, and as soon as the form lets it.
void Generation::end_thought() {
  if (!thoughts_.spent() || forced_at_ < forced_.size() || !utf8_.empty() || thoughts_.closing().empty())
    return;
  if (grammar_) {
    const auto allowed = grammar_->allows(thoughts_.closing().front());
    if (!allowed || !*allowed) return;
  }
  forced_ = thoughts_.closing();
  forced_at_ = 0;
}

std::optional<std::int32_t> Generation::next_forced() {
  const std::int32_t token = forced_[forced_at_++];
  if (!grammar_) return token;
  if (const base::Status taken = grammar_->accept(token); !taken) failure_ = taken.error();
  return token;
}

std::optional<std::int32_t> Generation::choose(std::span<const float> logits) {
  end_thought();
  if (forced_at_ < forced_.size()) return next_forced();
  const std::optional<std::int32_t> token = sample(logits);
  if (!token || needle_.empty()) return token;
  if (!vocab_->is_eog(*token)) {
    if (!thoughts_.thinking()) written_ += vocab_->piece(*token);
    return token;
  }
  const bool said = written_.find(std::exchange(needle_, {})) != std::string::npos;
  if (said || closing_.empty()) return token;
  forced_ = std::move(closing_);
  if (thoughts_.thinking())
    forced_.insert(forced_.begin(), thoughts_.closing().begin(), thoughts_.closing().end());
  forced_at_ = 1;
  return forced_.front();
}

std::optional<llm::Delta> Generation::advance(std::span<const float> logits) {
  const std::optional<std::int32_t> chosen = choose(logits);
  if (failure_) return {};
  if (!chosen) return cut_short();
  const std::int32_t token = *chosen;
  sampler_.accept(token);
  if (ends(token)) {
    finish_ = llm::FinishReason::kStop;
    // It counts as generated, as OpenAI counts it, but is never fed back: the sequence ends here.
    tokens_.push_back(token);
    if (options_.logprobs && options_.scores_end) {
      logprobs_.push_back(describe_token(*vocab_, logits, token, *options_.logprobs));
      logprobs_.back().token.clear();
    }
    return show(rest());
  }
  tokens_.push_back(token);
  if (options_.logprobs) logprobs_.push_back(describe_token(*vocab_, logits, token, *options_.logprobs));
  const bool named = std::find(shown_.begin(), shown_.end(), token) != shown_.end();
  std::string text = showable(utf8_.push(vocab_->piece(token, {.name_special = named})));
  if (stops_.stopped()) {
    finish_ = llm::FinishReason::kStop;
  } else if (generated() >= options_.new_tokens_max) {
    finish_ = llm::FinishReason::kLength;
    text += rest();
  }
  return show(std::move(text));
}

}  // namespace pmt::inference
