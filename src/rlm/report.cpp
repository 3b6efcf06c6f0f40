#include "rlm/report.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;

constexpr std::size_t kHistoryBlocksMax = 50;
constexpr std::size_t kHistoryBytesMax = 2'000;

std::string cut(const std::string& text) {
  const std::string_view shown = base::cut_utf8(text, kHistoryBytesMax);
  return fmt::format("{}{}", shown, shown.size() < text.size() ? "..." : "");
}

/// The blocks that ran, the root's only, shortened: the whole is in the trajectory.
json repl_history(const json& trajectory) {
  json history = json::array();
  if (trajectory.is_null()) return history;
  for (const json& iteration : trajectory.at("iterations")) {
    for (const json& block : iteration.at("code_blocks")) {
      if (history.size() == kHistoryBlocksMax) return history;
      const json& result = block.at("result");
      history.push_back({{"turn", iteration.at("iteration")},
                         {"code", cut(block.at("code"))},
                         {"output", cut(result.at("stdout"))},
                         {"error", cut(result.at("stderr"))},
                         {"calls", result.at("rlm_calls").size()}});
    }
  }
  return history;
}

json kv_report(const CallTotals& totals, double kv_ratio) {
  json kv = {{"enabled", kv_ratio > 1}, {"ratio_target", kv_ratio}, {"calls_compressed", totals.compressed}};
  if (kv_ratio > 1 && totals.exact > 0) {
    kv["calls_exact"] = totals.exact;
    kv["why_exact"] = "what is quoted, and what a query is written from, is read as it is";
  }
  if (totals.kv_bytes > 0) {
    kv["compression_ratio"] = static_cast<double>(totals.kv_bytes_f16) / static_cast<double>(totals.kv_bytes);
    kv["memory_saved_mb"] = static_cast<double>(totals.kv_bytes_f16 - totals.kv_bytes) / 1e6;
    kv["tokens_kept"] = totals.kv_tokens_kept;
    kv["tokens_total"] = totals.kv_tokens_total;
  }
  kv["prefix_tokens_reused"] = totals.prefix_tokens_reused;
  kv["speculation"] = {{"drafted", totals.drafted}, {"accepted", totals.accepted}};
  return kv;
}

}  // namespace

json engine_report(const Told& told) {
  const Run& run = told.run;
  const CallTotals totals = run.asker.totals();
  const Spent spent = run.asker.ledger().spent();
  json models = json::object();
  for (const auto& [name, usage] : run.asker.usage_by_model()) {
    models[name] = {{"calls", usage.calls},
                    {"prompt_tokens", usage.prompt_tokens},
                    {"completion_tokens", usage.completion_tokens},
                    {"usd", usage.usd}};
  }
  json performance = {{"total_depth", told.outcome.depth},
                      {"total_calls", totals.calls},
                      {"calls_failed", totals.failed},
                      {"calls_from_cache", totals.cache_hits},
                      {"context_tokens_processed", spent.prompt_tokens},
                      {"total_time_ms", run.asker.ledger().elapsed_s() * 1e3},
                      {"prefill_ms", totals.prefill_ms},
                      {"decode_ms", totals.decode_ms},
                      {"cost_estimate", spent.usd}};
  if (told.context_tokens >= 0) performance["context_tokens"] = told.context_tokens;
  json engine = {
      {"metadata",
       {{"engine", "rlm"}, {"root_model", run.root.name}, {"leaf_model", run.leaf.name}, {"models", models}}},
      {"final_answer", told.outcome.answer},
      {"reasoning_trace", told.outcome.reasoning},
      {"repl_history", repl_history(told.outcome.trajectory)},
      {"performance", std::move(performance)},
      {"context_strategy", told.outcome.strategy},
      {"kv_cache_compression", kv_report(totals, told.kv_ratio)}};
  if (told.want_trace && !told.outcome.trajectory.is_null()) engine["trace"] = told.outcome.trajectory;
  return engine;
}

}  // namespace pmt::rlm
