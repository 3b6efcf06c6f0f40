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

}  // namespace pmt::compression
