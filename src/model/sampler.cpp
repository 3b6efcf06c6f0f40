#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <llama.h>

#include "base/check.h"
#include "model/llama_log.h"

namespace pmt::model {
namespace {

/// Below, dividing a logit could overflow, and the draw is greedy to float precision anyway.
constexpr float kTemperatureMin = 1e-5F;

base::Status check_range(const char* field, float value, float low, float high) {
  if (value >= low && value <= high) return {};  // false for NaN
  return base::invalid(fmt::format("{} is {}, must be between {} and {}", field, value, low, high), field);
}

base::Status check(const SamplerParams& params, std::int32_t vocab_size) {
  TRY(check_range("temperature", params.temperature, 0, 100));
  TRY(check_range("top_p", params.top_p, 0, 1));
  TRY(check_range("min_p", params.min_p, 0, 1));
  TRY(check_range("frequency_penalty", params.frequency_penalty, -2, 2));
  TRY(check_range("presence_penalty", params.presence_penalty, -2, 2));
  TRY(check_range("typical_p", params.typical_p, 0, 1));
  TRY(check_range("xtc_probability", params.xtc_probability, 0, 1));
  TRY(check_range("xtc_threshold", params.xtc_threshold, 0, 1));
  TRY(check_range("repetition_penalty", params.repetition_penalty, 1e-3F, 100));
  if (params.top_k < 0) return base::invalid("top_k is negative; 0 means all tokens", "top_k");
  for (const auto& [token, bias] : params.logit_bias) {
    if (token < 0 || token >= vocab_size) {
      return base::invalid(
          fmt::format("logit_bias names token {}, but the model has tokens 0 to {}", token, vocab_size - 1),
          "logit_bias");
    }
    TRY(check_range("logit_bias", bias, -100, 100));
  }
  return {};
}

/// libllama takes LLAMA_DEFAULT_SEED (2^32 - 1) for "draw a random seed", which a user's seed must never
/// mean.
std::uint32_t deterministic_seed(std::uint32_t seed) {
  return seed == LLAMA_DEFAULT_SEED ? LLAMA_DEFAULT_SEED - 1 : seed;
}

llama_sampler* make_chain(const SamplerParams& params) {
  llama_sampler* chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
  llama_sampler_chain_add(chain, llama_sampler_init_temp(params.temperature));
  if (params.top_k > 0) llama_sampler_chain_add(chain, llama_sampler_init_top_k(params.top_k));
  if (params.typical_p < 1) llama_sampler_chain_add(chain, llama_sampler_init_typical(params.typical_p, 1));
  if (params.top_p < 1) llama_sampler_chain_add(chain, llama_sampler_init_top_p(params.top_p, 1));
  if (params.min_p > 0) llama_sampler_chain_add(chain, llama_sampler_init_min_p(params.min_p, 1));
  if (params.top_n_sigma > 0)
    llama_sampler_chain_add(chain, llama_sampler_init_top_n_sigma(params.top_n_sigma));
  const std::uint32_t first = params.seed ? *params.seed : std::random_device{}();
  const auto choice = static_cast<std::uint32_t>(params.choice);
  const std::uint32_t seed = deterministic_seed(first + choice);
  if (params.xtc_probability > 0) {
    llama_sampler_chain_add(chain,
                            llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, 1, seed));
  }
  llama_sampler_chain_add(chain, llama_sampler_init_dist(seed));
  return chain;
}

std::int32_t largest(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

struct Sampler::Candidates {
  std::vector<llama_token_data> data;
};

base::Result<Sampler> Sampler::create(SamplerParams params, std::int32_t vocab_size) {
  CHECK(vocab_size > 0);
  TRY(check(params, vocab_size));
  init_llama();
  return Sampler(std::move(params), vocab_size);
}

Sampler::Sampler(SamplerParams params, std::int32_t vocab_size)
    : params_(std::move(params)), vocab_size_(vocab_size), candidates_(std::make_unique<Candidates>()) {
  if (!greedy()) chain_.reset(make_chain(params_));
  if (params_.dry) dry_ = params_.dry->copy();
}

Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

bool Sampler::greedy() const {
  return params_.temperature < kTemperatureMin || params_.top_k == 1 || params_.top_p <= 0;
}

bool Sampler::adjusts() const {
  const bool penalises = params_.frequency_penalty != 0 || params_.presence_penalty != 0;
  return !params_.logit_bias.empty() || (penalises && !accepted_.empty()) || !seen_.empty();
}

template <class At>
void Sampler::adjust(At at) const {
  for (const auto& [token, bias] : params_.logit_bias) at(token) += bias;
  for (const auto& [token, count] : accepted_) {
    at(token) -= static_cast<float>(count) * params_.frequency_penalty + params_.presence_penalty;
  }
  for (const auto& [token, count] : seen_) {
    float& logit = at(token);
    logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
  }
}

std::int32_t Sampler::sample(std::span<const float> logits) {
  CHECK(logits.size() == static_cast<std::size_t>(vocab_size_));
  if (greedy() && dry_ == nullptr) return sample_greedily(logits);
  fill(logits);
  std::vector<llama_token_data>& data = candidates_->data;
  llama_token_data_array array = {data.data(), data.size(), -1, false};
  if (dry_ != nullptr) llama_sampler_apply(dry_.get(), &array);
  if (greedy()) {
    const auto* const best = std::max_element(
        array.data, array.data + array.size,
        [](const auto& a, const auto& b) { return a.logit != b.logit ? a.logit < b.logit : a.id > b.id; });
    return best->id;
  }
  llama_sampler_apply(chain_.get(), &array);
  CHECK(array.selected >= 0 && static_cast<std::size_t>(array.selected) < array.size);
  return array.data[array.selected].id;
}

void Sampler::fill(std::span<const float> logits) {
  std::vector<llama_token_data>& data = candidates_->data;
  data.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) data[i] = {static_cast<std::int32_t>(i), logits[i], 0};
  if (adjusts()) {
    adjust([&](std::int32_t token) -> float& { return data[static_cast<std::size_t>(token)].logit; });
  }
}

std::int32_t Sampler::sample_greedily(std::span<const float> logits) {
  if (!adjusts()) return largest(logits);
  adjusted_.assign(logits.begin(), logits.end());
  adjust([&](std::int32_t token) -> float& { return adjusted_[static_cast<std::size_t>(token)]; });
  return largest(adjusted_);
}

void Sampler::look_at(std::int32_t token) {
  ++seen_[token];
  if (params_.repetition_last_n < 0) return;
  window_.push_back(token);
  if (window_.size() <= static_cast<std::size_t>(params_.repetition_last_n)) return;
  const auto oldest = seen_.find(window_.front());
  if (--oldest->second == 0) seen_.erase(oldest);
  window_.pop_front();
}

void Sampler::accept(std::int32_t token) {
  CHECK(token >= 0 && token < vocab_size_);
  ++accepted_[token];
  if (repeats()) look_at(token);
  if (dry_ != nullptr) llama_sampler_accept(dry_.get(), token);
}

void Sampler::remember(std::span<const std::int32_t> prompt) {
  seen_.clear();
  window_.clear();
  if (repeats()) {
    for (const std::int32_t token : prompt) look_at(token);
  }
  if (dry_ == nullptr) return;
  for (const std::int32_t token : prompt) llama_sampler_accept(dry_.get(), token);
}

}  // namespace pmt::model
