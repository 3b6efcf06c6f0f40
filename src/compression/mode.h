// How a request's keys and values are kept. Plain data.
#pragma once

namespace pmt::compression {

/// Query-aware: by what the prompt's question looks for. Query-agnostic: for any question. Auto: what was measured
/// to keep more.
enum class Mode { kAuto, kExact, kQueryAware, kQueryAgnostic };

/// As reports call it; "exact" for what isn't compressed.
constexpr const char* name_of(Mode mode) {
  switch (mode) {
    case Mode::kQueryAware:
      return "query_aware";
    case Mode::kQueryAgnostic:
      return "query_agnostic";
    default:
      return "exact";
  }
}

/// Of what is written, and compressed as it ages: so many last tokens stay as they were, where nobody says otherwise. A
/// page's worth at least (note 0050).
inline constexpr int kRecentTokens = 256;

}  // namespace pmt::compression
