#include "app/wiring/status_json.h"

#include <cmath>
#include <cstdint>

#include "compression/quality.h"

namespace pmt::app {

namespace {

nlohmann::json last_json(const std::optional<inference::CompressedPrompt>& last) {
  if (!last) return nullptr;
  return {{"tokens", last->tokens},
          {"tokens_kept", last->tokens_kept},
          {"ratio", last->ratio},
          {"kept_by_layer_head", last->kept_by_layer_head}};
}

/// What compression was measured to keep on this model, and which tasks that makes safe.
nlohmann::json quality_json(const compression::Quality& quality) {
  nlohmann::json out = nlohmann::json::array();
  for (const compression::Measurement& each : quality.rows()) {
    constexpr double kThousand = 1000;
    const auto counted = [&](double count) { return static_cast<std::int64_t>(std::llround(count)); };
    out.push_back({{"task", each.task},
                   {"mode", compression::name_of(each.mode)},
                   {"ratio", each.ratio},
                   {"kept", std::round(each.kept() * kThousand) / kThousand},
                   {"n", counted(each.exact_right)},
                   {"safe", each.kept() >= compression::kSafeShare}});
  }
  return out;
}

const char* name_of(inference::CalibrationStatus::State state) {
  using State = inference::CalibrationStatus::State;
  switch (state) {
    case State::kNone:
      return "none";
    case State::kRunning:
      return "running";
    case State::kWaiting:
      return "waiting";
    case State::kReady:
      return "ready";
    case State::kFailed:
      break;
  }
  return "failed";
}

}  // namespace

nlohmann::json calibration_json(const inference::CalibrationStatus& status) {
  constexpr double kThousand = 1000;
  nlohmann::json out = {{"state", name_of(status.state)},
                        {"progress", std::round(status.progress * kThousand) / kThousand},
                        {"seconds_left", nullptr}};
  if (status.seconds_left) out["seconds_left"] = std::round(*status.seconds_left);
  return out;
}

nlohmann::json kv_json(const inference::LocalModel& model) {
  const inference::KvPoolStats pool = model.kv_stats();
  const inference::EngineStats engine = model.stats();
  const std::string& elsewhere = model.info().runs_elsewhere;
  return {{"model", model.info().name},
          {"compression", elsewhere.empty() ? "on" : "off: " + elsewhere},
          {"bytes", pool.bytes},
          {"bytes_prefixes", pool.bytes_prefixes},
          {"bytes_compressed", pool.bytes_compressed},
          {"prefixes", pool.prefixes},
          {"bytes_resident", pool.bytes_resident},
          {"bytes_max", pool.bytes_max},
          {"pages_used", pool.pages_used},
          {"sequences", pool.sequences},
          {"tokens", pool.tokens},
          {"tokens_kept", pool.tokens_kept},
          {"tokens_evicted", pool.tokens - pool.tokens_kept},
          {"bytes_by_layer_head", pool.bytes_by_layer_head},
          {"last_compressed", last_json(pool.last_compressed)},
          {"measured", quality_json(model.kv_quality())},
          {"calibration", calibration_json(model.calibration())},
          {"engine",
           {{"requests", engine.requests},
            {"completed", engine.completed},
            {"cancelled", engine.cancelled},
            {"failed", engine.failed},
            {"compressed", engine.compressed},
            {"compressed_tokens", engine.compressed_tokens},
            {"evicted_tokens", engine.evicted_tokens},
            {"decoding_compressed_tokens", engine.decoding_compressed_tokens},
            {"prompt_tokens", engine.prompt_tokens},
            {"completion_tokens", engine.completion_tokens},
            {"prefix_hits", engine.prefix_hits},
            {"prefix_tokens", engine.prefix_tokens},
            {"prefix_queried", engine.prefix_queried},
            {"prefix_disk_hits", engine.prefix_disk_hits},
            {"prefix_disk_tokens", engine.prefix_disk_tokens},
            {"prefix_disk_misses", engine.prefix_disk_misses},
            {"drafted", engine.drafted},
            {"accepted", engine.accepted},
            {"drafted_by_model", engine.drafted_by_model},
            {"accepted_by_model", engine.accepted_by_model},
            {"running", engine.running},
            {"waiting", engine.waiting}}}};
}

nlohmann::json prefix_files_json(const kv_cache::PrefixFilesStats& stats) {
  return {{"entries", stats.entries}, {"bytes", stats.bytes},       {"bytes_max", stats.bytes_max},
          {"waiting", stats.waiting}, {"oldest_s", stats.oldest_s}, {"encrypted", stats.encrypted},
          {"reads", stats.reads},     {"writes", stats.writes},     {"failures", stats.failures},
          {"dropped", stats.dropped}, {"damaged", stats.damaged},   {"evicted", stats.evicted},
          {"purged", stats.wiped}};
}

api::EngineSample prefix_files_sample(const kv_cache::PrefixFilesStats& stats) {
  const auto real = [](auto count) { return static_cast<double>(count); };
  return {.model = {},
          .counters = {{"reads", real(stats.reads)},
                       {"writes", real(stats.writes)},
                       {"failures", real(stats.failures)},
                       {"dropped", real(stats.dropped)},
                       {"damaged", real(stats.damaged)},
                       {"evicted", real(stats.evicted)},
                       {"purged", real(stats.wiped)}},
          .gauges = {{"entries", real(stats.entries)},
                     {"bytes", real(stats.bytes)},
                     {"bytes_max", real(stats.bytes_max)},
                     {"waiting", real(stats.waiting)},
                     {"oldest_seconds", stats.oldest_s}}};
}

api::EngineSample rlm_sessions_sample(const rlm::Sessions::Totals& totals) {
  const auto real = [](auto count) { return static_cast<double>(count); };
  return {.model = {},
          .counters = {{"begun", real(totals.begun)},
                       {"resumed", real(totals.resumed)},
                       {"closed_idle", real(totals.closed_idle)},
                       {"closed_for_room", real(totals.closed_for_room)},
                       {"repls_closed", real(totals.repls_closed)}},
          .gauges = {{"open", real(totals.open)},
                     {"busy", real(totals.busy)},
                     {"bytes", real(totals.bytes)},
                     {"bytes_max", real(totals.bytes_max)}}};
}

nlohmann::json residency_json(const engine::ModelStatus& status, bool pinned) {
  nlohmann::json out = {{"state", engine::to_string(status.state)},
                        {"pinned", pinned},
                        {"bytes", status.bytes},
                        {"bytes_reserved", status.bytes_reserved},
                        {"last_used", nullptr},
                        {"running", status.running},
                        {"waiting", status.waiting},
                        {"progress", status.progress},
                        {"file_replaced", nullptr}};
  if (status.last_used_unix_s) out["last_used"] = *status.last_used_unix_s;
  if (status.replaced_unix_s) out["file_replaced"] = *status.replaced_unix_s;
  return out;
}

nlohmann::json model_meta(const inference::ModelInfo& info) {
  nlohmann::json out = {{"architecture", info.architecture},       {"context_tokens", info.context_tokens},
                        {"parameters", info.parameters},           {"file_bytes", info.file_bytes},
                        {"chat_template", info.has_chat_template}, {"thinks", info.thinks}};
  const bool ours = info.runs_elsewhere.empty();
  out["runtime"] = ours ? "own" : "libllama";
  if (ours) return out;
  out["kv_type"] = info.cell_type;
  out["kv_compression"] = "off: " + info.runs_elsewhere;
  return out;
}

api::EngineSample engine_sample(const inference::LocalModel& model) {
  return engine_sample(model.info().name, model.kv_stats(), model.stats());
}

api::EngineSample engine_sample(const std::string& name, const inference::KvPoolStats& pool,
                                const inference::EngineStats& engine) {
  const auto real = [](auto count) { return static_cast<double>(count); };
  return {.model = name,
          .counters = {{"requests", real(engine.requests)},
                       {"completed", real(engine.completed)},
                       {"cancelled", real(engine.cancelled)},
                       {"failed", real(engine.failed)},
                       {"prompt_tokens", real(engine.prompt_tokens)},
                       {"completion_tokens", real(engine.completion_tokens)},
                       {"steps", real(engine.steps)},
                       {"prefix_hits", real(engine.prefix_hits)},
                       {"prefix_tokens_reused", real(engine.prefix_tokens)},
                       {"prefix_tokens_queried", real(engine.prefix_queried)},
                       {"prefix_disk_hits", real(engine.prefix_disk_hits)},
                       {"prefix_disk_tokens_reused", real(engine.prefix_disk_tokens)},
                       {"prefix_disk_misses", real(engine.prefix_disk_misses)},
                       {"forms", real(engine.forms)},
                       {"forms_found", real(engine.forms_found)},
                       {"forms_refused", real(engine.forms_refused)},
                       {"drafted_tokens", real(engine.drafted)},
                       {"accepted_tokens", real(engine.accepted)},
                       {"kv_compressed", real(engine.compressed)},
                       {"kv_compressed_tokens", real(engine.compressed_tokens)},
                       {"kv_evicted_tokens", real(engine.evicted_tokens)},
                       {"kv_decoding_compressed_tokens", real(engine.decoding_compressed_tokens)}},
          .gauges = {{"running", real(engine.running)},
                     {"waiting", real(engine.waiting)},
                     {"kv_bytes", real(pool.bytes)},
                     {"kv_bytes_prefixes", real(pool.bytes_prefixes)},
                     {"kv_bytes_resident", real(pool.bytes_resident)},
                     {"kv_sequences", real(pool.sequences)},
                     {"kv_tokens", real(pool.tokens)},
                     {"kv_tokens_kept", real(pool.tokens_kept)},
                     {"kv_bytes_max", real(pool.bytes_max)},
                     {"kv_pages", real(pool.pages_used)}}};
}

void add_knowledge_sample(const knowledge_cache::Library& library, const knowledge_cache::RecallStats& stats,
                          api::EngineSample& sample) {
  const auto real = [](auto count) { return static_cast<double>(count); };
  for (const auto& [name, value] :
       {std::pair<const char*, double>{"knowledge_requests", real(stats.requests)},
        {"knowledge_named", real(stats.named)},
        {"knowledge_fired", real(stats.fired)},
        {"knowledge_facts_recalled", real(stats.facts)},
        {"knowledge_slots_read", real(stats.slots_read)},
        {"knowledge_facts_judged", real(stats.judged)},
        {"knowledge_embed_failures", real(stats.embed_failures)},
        {"knowledge_documents_shown", real(stats.shown)},
        {"knowledge_passages_shown", real(stats.passages)},
        {"knowledge_packs_attached", real(stats.packs)},
        {"knowledge_gate_seconds", stats.gate_ms / 1e3}})
    sample.counters.emplace_back(name, value);
  double facts = 0, bytes = 0, documents = 0;
  const auto domains = library.list_all();
  for (const auto& domain : domains) {
    facts += real(domain.facts);
    bytes += real(domain.bytes);
    documents += real(domain.documents);
  }
  sample.gauges.emplace_back("knowledge_domains", real(domains.size()));
  sample.gauges.emplace_back("knowledge_facts", facts);
  sample.gauges.emplace_back("knowledge_documents", documents);
  sample.gauges.emplace_back("knowledge_bytes", bytes);
}

}  // namespace pmt::app
