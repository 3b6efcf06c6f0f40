#include "inference/libllama/llama_prefixes.h"

#include <algorithm>
#include <set>
#include <utility>

namespace pmt::inference {
namespace {

/// Fewer are read as fast as they are looked up.
constexpr int kTokensMin = 16;

bool begins_with(std::span<const std::int32_t> tokens, std::span<const std::int32_t> beginning) {
  return beginning.size() <= tokens.size() && std::equal(beginning.begin(), beginning.end(), tokens.begin());
}

}  // namespace

int LlamaPrefixes::usable(std::span<const std::int32_t> prompt, const LlamaPrefix& prefix) const {
  const std::size_t most = std::min(prompt.size() - 1, prefix.tokens.size());
  const auto differs = std::mismatch(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(most),
                                     prefix.tokens.begin());
  const int tokens = static_cast<int>(differs.first - prompt.begin());
  if (tokens < kTokensMin) return 0;
  if (tokens == static_cast<int>(prefix.tokens.size())) return tokens;
  if (options_.states) return 0;
  const bool window_held = options_.window == 0 || context_->first_held(prefix.sequence->number()) <=
                                                       std::max(0, tokens - options_.window);
  return window_held ? tokens : 0;
}

int LlamaPrefixes::share(std::span<const std::int32_t> prompt, const std::string& scope, int known,
                         LlamaSequence& into) {
  auto best = kept_.end();
  int most = known;
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (it->scope != scope) continue;
    const int tokens = usable(prompt, {&it->sequence, it->tokens});
    if (tokens <= most) continue;
    most = tokens;
    best = it;
  }
  if (best == kept_.end()) return 0;
  into.share(best->sequence, most);
  kept_.splice(kept_.begin(), kept_, best);
  return most;
}

void LlamaPrefixes::keep(std::vector<std::int32_t> tokens, const std::string& scope, LlamaSequence sequence) {
  if (!on() || static_cast<int>(tokens.size()) < kTokensMin) return;
  for (auto it = kept_.begin(); it != kept_.end();) {
    const bool same_scope = it->scope == scope;
    if (same_scope && !options_.states && begins_with(it->tokens, tokens)) return;  // it is kept already
    it = same_scope && begins_with(tokens, it->tokens) && !options_.states ? kept_.erase(it) : std::next(it);
  }
  kept_.push_front({std::move(tokens), scope, std::move(sequence)});
  const int kept_max = std::max(1, context_->options().sequences / 2);
  while (count() > kept_max || (count() > 1 && cells() > options_.cells_max)) give_up_oldest();
}

bool LlamaPrefixes::give_up_oldest() {
  if (kept_.empty()) return false;
  kept_.pop_back();
  return true;
}

std::int64_t LlamaPrefixes::cells() const {
  std::int64_t out = 0;
  std::set<const void*> counted;
  for (const Kept& each : kept_) out += each.sequence.cells_beside(counted);
  return out;
}

}  // namespace pmt::inference
