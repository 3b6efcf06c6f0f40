#include "inference/draft_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace pmt::inference {
namespace {

constexpr std::size_t kFirstTokens = 4;  // where attention rests
constexpr std::size_t kWindow = 64;      // before the answer's end, when it is first asked
constexpr int kTokensMax = 4096;         // that it holds at once
constexpr int kMeasuredSteps = 6;

DraftModel::Draft likeliest(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *best);
  return {static_cast<std::int32_t>(best - logits.begin()), 1 / sum};
}

}  // namespace

base::Result<std::unique_ptr<DraftModel>> DraftModel::load(const std::string& path, int threads,
                                                           const model::Vocab& vocab,
                                                           const model::Transformer::Admit& admit) {
  TRY_ASSIGN(const auto own, model::Vocab::load(path));
  if (own->size() != vocab.size()) {
    return base::invalid(
        fmt::format("{} can't draft: it has {} tokens, and the model that it is to draft for {}", path,
                    own->size(), vocab.size()),
        "draft");
  }
  for (std::int32_t token = 0; token < vocab.size(); ++token) {
    if (own->piece(token, {.name_special = true}) == vocab.piece(token, {.name_special = true})) continue;
    return base::invalid(
        fmt::format("{} can't draft: its token {} isn't that of the model that it is to draft for", path,
                    token),
        "draft");
  }
  TRY_ASSIGN(auto transformer, model::Transformer::load(path, threads, {}, admit));
  const auto bytes = static_cast<std::size_t>(
      transformer->hparams().kv_shape().bytes_f16(kTokensMax + static_cast<int>(kWindow)));
  TRY_ASSIGN(auto pool, transformer->make_pool(bytes));
  return std::unique_ptr<DraftModel>(new DraftModel(std::move(transformer), std::move(pool)));
}

DraftModel::DraftModel(std::unique_ptr<model::Transformer> transformer,
                       std::unique_ptr<kv_cache::PagePool> pool)
    : transformer_(std::move(transformer)),
      pool_(std::move(pool)),
      sequence_(*pool_, transformer_->hparams().kv_shape()) {}

void DraftModel::forget() {
  sequence_.clear();
  read_.clear();
  begins_ = 0;
}

DraftModel::Plan DraftModel::plan_from(std::span<const std::int32_t> text, std::size_t begins) const {
  Plan out{begins};
  const auto first = text.first(std::min(begins, kFirstTokens)), rest = text.subspan(begins);
  out.tokens.assign(first.begin(), first.end());
  out.tokens.insert(out.tokens.end(), rest.begin(), rest.end());
  const auto [same, end] = std::mismatch(read_.begin(), read_.end(), out.tokens.begin(), out.tokens.end());
  // The last token's logits are wanted, so it is read again where it was read.
  out.read = std::min(static_cast<std::size_t>(same - read_.begin()), out.tokens.size() - 1);
  return out;
}

DraftModel::Plan DraftModel::plan(std::span<const std::int32_t> text) const {
  const std::size_t latest = text.size() > kWindow + kFirstTokens ? text.size() - kWindow : 0;
  if (!read_.empty() && begins_ < text.size()) {
    Plan goes_on = plan_from(text, begins_);
    const int context = std::min<int>(kTokensMax, static_cast<int>(transformer_->hparams().context_tokens));
    if (goes_on.tokens.size() - goes_on.read <= kWindow && static_cast<int>(goes_on.tokens.size()) < context)
      return goes_on;
  }
  return plan_from(text, latest);
}

int DraftModel::unread(std::span<const std::int32_t> text) const {
  const Plan what = plan(text);
  return static_cast<int>(what.tokens.size() - what.read);
}

std::optional<DraftModel::Draft> DraftModel::next(std::span<const std::int32_t> text) {
  Plan what = plan(text);
  sequence_.truncate(static_cast<int>(what.read));
  read_.resize(what.read);
  const auto tokens = std::span<const std::int32_t>(what.tokens).subspan(what.read);
  std::vector<model::BatchSpan> batch(1);
  batch[0].sequence = &sequence_;
  batch[0].tokens = tokens;
  batch[0].output_rows = {static_cast<int>(tokens.size()) - 1};
  const auto logits = transformer_->forward(*pool_, batch);
  if (!logits) {
    forget();
    return std::nullopt;
  }
  begins_ = what.begins;
  read_ = std::move(what.tokens);
  return likeliest(*logits);
}

base::Result<DraftPolicy::Pace> DraftModel::measure(const base::Clock& clock) {
  std::vector<std::int32_t> text;
  for (std::int32_t token = 0; token < 64; ++token) text.push_back(token);
  DraftPolicy::Pace out;
  for (const bool warm : {false, true}) {
    forget();
    const base::Nanos begun = clock.now();
    if (!next(text))
      return base::Error{base::Code::kUnavailable, "the drafting model has no room for its text"};
    if (warm) out.read_s = base::ms_between(begun, clock.now()) / 1000 / static_cast<double>(text.size());
  }
  const base::Nanos begun = clock.now();
  for (int i = 0; i < kMeasuredSteps; ++i) {
    text.push_back(i);
    if (!next(text)) break;
  }
  out.step_s = base::ms_between(begun, clock.now()) / 1000 / kMeasuredSteps;
  forget();
  return out;
}

}  // namespace pmt::inference
