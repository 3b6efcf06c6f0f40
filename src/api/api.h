// The server's HTTP face: every endpoint (openapi.json describes them), as one net::Handler.
//
//   Api api({.models = {{"smollm2-135m-instruct", {.completer = &cached}}}, .cache = &cache, ...});
//   auto server = net::HttpServer::start(options, api.handler());
//
// Thread-safety: a handler may be called from any thread, concurrently. What the options point to, and the
// Api itself, must outlive the server and every request that it started.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/access.h"
#include "api/observe/history.h"
#include "api/observe/request_record.h"
#include "api/responses/response_store.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "knowledge_cache/library.h"
#include "llm/completer.h"
#include "llm/embedder.h"
#include "llm/engine_options_reader.h"
#include "llm/forwarder.h"
#include "llm/meter.h"
#include "llm/vocabulary.h"
#include "net/http.h"
#include "response_cache/response_cache.h"
#include "response_cache/semantic/semantic_tier.h"

namespace pmt::api {

struct ServedModel {
  llm::Completer* completer = nullptr;
  knowledge_cache::Library* knowledge = nullptr;  // what this model was taught; null: nothing can be
  /// Reads passages of a learnt document ahead; null: questions do. Blocks.
  std::function<base::Status(const std::string& tenant, const std::vector<std::string>& passages,
                             const std::function<void(std::size_t done, std::size_t of)>& progress)>
      read_passages = {};
  std::string description = {};
  std::int64_t created_unix_s = 0;
  std::string owned_by = "permutation";
  bool remote = false;    // an upstream's: fields that we don't know are passed on to it
  bool forwards = false;  // what the caller wrote may reach an upstream: of an engine with a teacher, too
  bool engine = false;    // put together of several models
  bool thinks = false;    // before it answers: what a request says of it has an effect
  /// By which APIs the servers that may be asked are spoken to: a caller's body in one of them is kept for them.
  std::vector<llm::Api> native = {};
  const llm::Vocabulary* vocabulary = nullptr;  // of a local model
  nlohmann::json meta = {};  // null, or what GET /v1/models shows as "meta": context, parameters, file, ...
  /// Whose tokens its prompts are counted in: its own, an engine's those of a local model. Null: only another
  /// server knows.
  const llm::Vocabulary* counts_in = nullptr;
  /// What GET /v1/models shows as "calibration" right now: state, progress, seconds_left. Unset: it has none.
  std::function<nlohmann::json()> calibration = {};
  /// Of a local model: the members of GET /v1/models that change while it is served (state, bytes,
  /// last_used, ...).
  std::function<nlohmann::json()> residency = {};
  bool on_demand = false;                   // it is loaded by its first request; then the next three are set:
  std::function<std::string()> doing = {};  // what its requests wait for now, as net::Silence's
  std::function<bool()> thinks_now = {};    // instead of `thinks`: as far as it is known
  /// Its vocabulary, kept loaded as long as somebody holds it. Null: it isn't loaded, and `waits` is false.
  /// Errors: as a request's.
  std::function<base::Result<std::shared_ptr<const llm::Vocabulary>>(bool waits)> lend_vocabulary = {};
};

/// What models may take of the memory, and how much that may be.
struct ModelMemory {
  std::int64_t bytes_reserved = 0, bytes_max = 0;
};

/// One engine's figures for GET /metrics: permutation_engine_NAME_total{model} and
/// permutation_engine_NAME{model}.
struct EngineSample {
  std::string model;
  std::vector<std::pair<std::string, double>> counters;
  std::vector<std::pair<std::string, double>> gauges;
};

/// One of several servers behind an upstream's name, as it is now: for GET /v1/upstreams and GET /metrics.
struct UpstreamServer {
  std::string upstream;  // the name
  std::string balance;   // "prefix" or "least_busy"
  std::string url;
  bool down = false, draining = false;
  double down_s = 0;  // until it is asked again without a probe's word
  std::int64_t in_flight = 0;
  std::uint64_t requests = 0, failed = 0, probes = 0;
};

/// What `rlm` keeps from one request to the next, for GET /v1/rlm/sessions.
struct RlmSession {
  std::string id;
  int turns = 0;  // that were answered
  std::size_t contexts = 0, bytes = 0;
  bool repl = false, busy = false;
  double idle_s = 0;
};

struct ServedEmbedder {
  llm::Embedder* embedder = nullptr;    // ours, or
  llm::Forwarder* forwarder = nullptr;  // an upstream's
  std::string description = {};
  std::int64_t created_unix_s = 0;
  std::string owned_by = "permutation";
  nlohmann::json meta = {};
};

/// Which prefixes are to be forgotten: all that fit every part that is set.
struct PrefixWipe {
  std::optional<std::string> tenant = {};
  std::optional<std::string> key_prefix =
      {};  // the first hex digits of an answer's permutation.kv.prefix_key
};

struct ApiOptions {
  std::map<std::string, ServedModel> models;
  std::map<std::string, ServedEmbedder> embedders = {};
  std::string embedders_off = {};    // without any: why, and what to do
  std::string knowledge_model = {};  // whose knowledge /v1/knowledge is about where the query names no model
  response_cache::ResponseCache* cache = nullptr;    // null: the cache's endpoints answer 404
  response_cache::SemanticTier* semantic = nullptr;  // null: permutation.cache.semantic is refused
  const llm::Meter* meter = nullptr;              // what answers cost; null: GET /v1/cache has no "provider"
  const base::Clock* clock = nullptr;             // required
  std::function<nlohmann::json()> kv_stats = {};  // GET /v1/kv; unset: 404
  std::function<std::vector<EngineSample>()> engine_samples = {};
  /// Of prefixes on the disk, for GET /metrics: permutation_prefix_files_NAME_total, permutation_prefix_files_NAME.
  /// Unset: none are kept there.
  std::function<EngineSample()> prefix_files = {};
  /// Of the sessions of `rlm`, likewise: permutation_rlm_sessions_NAME. Unset: no `rlm` is served.
  std::function<EngineSample()> rlm_sessions_sample = {};
  /// Forgets prefixes in memory and on the disk; how many blocks the disk had of them. Waits for files. Unset: no local model.
  std::function<std::size_t(const PrefixWipe&)> wipe_prefixes = {};
  /// Those of one upstream side by side; unset: there are none.
  std::function<std::vector<UpstreamServer>()> upstream_servers = {};
  /// Takes a server out, or puts it back. Errors: kNotFound. Unset: there are none.
  std::function<base::Status(const std::string& upstream, const std::string& server, bool draining)>
      drain_server = {};
  std::function<std::vector<RlmSession>(const std::string& tenant)> rlm_sessions =
      {};  // unset: there are none
  /// Errors: kNotFound, kConflict. Unset: there are none.
  std::function<base::Status(const std::string& tenant, const std::string& id)> end_rlm_session = {};
  /// Loads a model that comes on demand, or unloads it; `done` comes when it is loaded, or gone. Unset:
  /// there are none.
  std::function<void(const std::string& model, bool load, std::function<void(base::Status)> done)>
      set_loaded = {};
  std::function<ModelMemory()> model_memory = {};  // unset: no model comes on demand
  /// By which engines read their own members of a request's `permutation`.
  std::vector<llm::EngineOptionsReader> engine_options = {};
  std::function<audit::Audit()> audit = {};       // GET /v1/audit; unset: 404
  std::function<std::uint64_t()> random = {};     // for ids; unset: a generator seeded by the system
  AccessOptions access = {};                      // without keys everybody is the operator
  std::size_t body_bytes_max = 32 * 1024 * 1024;  // of a body that comes compressed: above, 413
  ResponseStoreOptions responses = {};            // what POST /v1/responses keeps
  std::vector<RequestObserver> observers = {};    // the log, the traces
  bool dashboard = true;                          // the page at /, its feed and its list
  bool keep_texts = false;  // records hold the last message and the answer, for the log and the dashboard
};

class Api {
 public:
  explicit Api(ApiOptions options);
  ~Api();
  net::Handler handler();
  /// "GET /health", ...: what openapi.json must describe.
  std::vector<std::string> routes() const;
  /// These keys from now on, without a restart: Access::set_keys.
  void set_keys(std::vector<KeyOptions> keys);
  /// What happened when, of GET /v1/history: to be kept over a restart.
  History& history();
  /// Ends the streams that would never end by themselves: a server that stops would wait for them.
  void close_streams();
  /// Ends the work that runs beside requests (learning, counting, purges), waiting for it, and the history with a last
  /// look at the counters. Idempotent.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::api
