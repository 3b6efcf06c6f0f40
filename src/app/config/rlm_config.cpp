#include "app/config/rlm_config.h"

#include <cmath>
#include <optional>

#include "app/config/config_reader.h"

namespace pmt::app {
namespace {

void read_budget(TableReader& reader, rlm::BudgetLimits& out) {
  std::int64_t tokens = 0;
  double usd = 0, seconds = 0;
  reader.integer("budget_calls", out.calls, {.min = 1});
  reader.integer("budget_tokens", tokens, {.min = 1});
  std::int64_t megabytes = out.bytes >> 20;
  reader.integer("budget_mb", megabytes, {.min = 1, .max = 1 << 20});
  reader.number("budget_usd", usd);
  reader.number("budget_seconds", seconds);
  out.bytes = megabytes << 20;
  if (tokens > 0) out.tokens = tokens;
  if (usd > 0) out.usd = usd;
  if (seconds > 0) out.seconds = seconds;
}

base::Status read_rlm_table(const toml::table& table, const std::string& file, RlmConfig& out) {
  TableReader reader(table, "[rlm]", file);
  reader.boolean("enabled", out.enabled);
  reader.text("root", out.root);
  reader.text("leaf", out.leaf);
  reader.integer("max_depth", out.bounds.depth_max, {.min = 1, .max = 16});
  reader.integer("max_iterations", out.bounds.iterations_max, {.min = 1, .max = 100});
  reader.integer("parallel", out.bounds.parallel, {.min = 1, .max = 256});
  reader.number("kv_ratio", out.kv_ratio, {.min = 1, .max = 64});
  reader.boolean("speculation", out.speculation);
  reader.integer("running_max", out.running_max, {.min = 1, .max = 1'000});
  reader.integer("running_tenant_max", out.running_tenant_max, {.min = 0, .max = 1'000});
  read_budget(reader, out.budget);
  reader.text("trajectory_dir", out.trajectory_dir);
  reader.one_of("sandbox", out.sandbox.kind,
                {{"auto", sandbox::Kind::kAuto},
                 {"bubblewrap", sandbox::Kind::kBubblewrap},
                 {"monty", sandbox::Kind::kMonty}});
  reader.integer("sandboxes_max", out.sandbox.running_max, {.min = 1, .max = 1'000});
  reader.integer("sandboxes_tenant_max", out.sandbox.tenant_max, {.min = 0, .max = 1'000});
  reader.number("block_seconds", out.sandbox.limits.block_s, {.min = 0.1, .max = 3'600});
  std::size_t memory_mb = out.sandbox.limits.memory_bytes >> 20;
  reader.integer("memory_mb", memory_mb, {.min = 128, .max = 1 << 20});
  out.sandbox.limits.memory_bytes = memory_mb << 20;
  reader.integer("sessions_max", out.sessions.all_max, {.min = 1, .max = 1'000});
  reader.integer("sessions_tenant_max", out.sessions.tenant_max, {.min = 1, .max = 1'000});
  std::size_t sessions_mb = out.sessions.bytes_max >> 20;
  reader.integer("sessions_mb", sessions_mb, {.min = 1, .max = 1 << 20});
  out.sessions.bytes_max = sessions_mb << 20;
  reader.number("session_idle_seconds", out.sessions.idle_s, {.min = 1, .max = 86'400});
  return reader.finish();
}

base::Status read_unified_table(const toml::table& table, const std::string& file,
                                pipeline::PipelineOptions& out) {
  TableReader reader(table, "[unified]", file);
  reader.boolean("enable_basic_kv", out.basic_kv);
  reader.boolean("enable_continual_kv", out.continual_kv);
  reader.boolean("enable_inference_kv", out.inference_kv);
  reader.number("ratio", out.ratio, {.min = 8, .max = 64});
  reader.integer("rlm_context_threshold", out.rlm_context_threshold, {.min = 0});
  TRY(reader.finish());
  if (std::exp2(std::round(std::log2(out.ratio))) != out.ratio) {
    return base::invalid(file + ": [unified] ratio must be 8, 16, 32 or 64", "ratio");
  }
  return {};
}

}  // namespace

base::Status read_rlm(const toml::table* rlm, const toml::table* unified, const std::string& file,
                      RlmConfig& out) {
  if (rlm != nullptr) TRY(read_rlm_table(*rlm, file, out));
  if (unified != nullptr) TRY(read_unified_table(*unified, file, out.unified));
  return {};
}

}  // namespace pmt::app
