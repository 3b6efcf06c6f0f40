#include "llm/engine_options.h"

#include <algorithm>

#include "base/check.h"

namespace pmt::llm {

std::vector<EngineKey> EngineOptions::keys() const {
  std::vector<EngineKey> keys;
  keys.reserve(held_.size());
  for (const Held& one : held_) {
    nlohmann::json taken = one.key(one.value);
    // Null: nothing of it can change an answer.
    if (!taken.is_null()) keys.push_back({.engine = one.engine, .taken = std::move(taken)});
  }
  return keys;
}

bool operator==(const EngineOptions& a, const EngineOptions& b) {
  return std::equal(a.held_.begin(), a.held_.end(), b.held_.begin(), b.held_.end(),
                    [](const auto& left, const auto& right) { return left.equal(left.value, right.value); });
}

void EngineOptions::put(Held held) {
  const auto at = std::find_if(held_.begin(), held_.end(),
                               [&held](const Held& one) { return one.engine >= held.engine; });
  CHECK(at == held_.end() || at->engine != held.engine);
  held_.insert(at, std::move(held));
}

}  // namespace pmt::llm
