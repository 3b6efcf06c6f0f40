// A local model's live figures, for GET /v1/kv, GET /v1/models and GET /metrics.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "api/api.h"
#include "engine/model_host.h"
#include "inference/local_model.h"
#include "knowledge_cache/recalling_completer.h"
#include "kv_cache/disk/prefix_files.h"
#include "rlm/sessions.h"

namespace pmt::app {

/// One model's page pool and what its engine is doing: bytes as counted by the pool, at this moment.
nlohmann::json kv_json(const inference::LocalModel& model);

/// What GET /v1/models and GET /v1/kv show as "calibration".
nlohmann::json calibration_json(const inference::CalibrationStatus& status);

/// What GET /v1/kv shows as "prefix_files", and the same for GET /metrics.
nlohmann::json prefix_files_json(const kv_cache::PrefixFilesStats& stats);
api::EngineSample prefix_files_sample(const kv_cache::PrefixFilesStats& stats);

/// Of the sessions of `rlm`, for GET /metrics.
api::EngineSample rlm_sessions_sample(const rlm::Sessions::Totals& totals);

/// The members of GET /v1/models that change while a model is served. `pinned`: it is never unloaded.
nlohmann::json residency_json(const engine::ModelStatus& status, bool pinned);

/// What GET /v1/models shows as "meta".
nlohmann::json model_meta(const inference::ModelInfo& info);

api::EngineSample engine_sample(const inference::LocalModel& model);
api::EngineSample engine_sample(const std::string& name, const inference::KvPoolStats& pool,
                                const inference::EngineStats& engine);

/// Adds what the knowledge cache in front of that engine did.
void add_knowledge_sample(const knowledge_cache::Library& library, const knowledge_cache::RecallStats& stats,
                          api::EngineSample& sample);

}  // namespace pmt::app
