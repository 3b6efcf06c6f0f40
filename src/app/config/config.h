// What a server is made of: read from a TOML file, then overridden by the command line.
//
//   [server]
//   host = "127.0.0.1"           # where to listen; beyond this machine only with `serve --allow-remote`
//   port = 8080                  # 0: any free one, printed at start
//   threads = 1                  # HTTP threads, 1..64; the models' own are below
//   body_bytes_max = 33554432    # a larger request body answers 413
//   header_bytes_max = 65536
//   connections_max = 4096       # above: 503
//   idle_timeout_s = 75          # a connection between two requests
//   request_timeout_s = 30       # to receive one whole request: 408
//   stop_grace_ms = 5000         # what a running answer gets to finish when the server is told to stop
//   allowed_hosts = []           # without keys: names that requests may ask for, "chat.example.org", "*.lan"
//   cors_origins = []            # pages of other origins that may call: "https://chat.example.org"; "*": any
//   tls_certificate = "chain.pem"  # with tls_key: https only. PEM files
//   tls_key = "key.pem"
//
//   [[model]]                    # one a served model; none: the catalogue's default
//   name = "my-model"            # as clients name it; unset: the catalogue's name or the file's stem
//   path = "/models/my.gguf"     # unset: `name` is one of `permutation models list`
//   chat_template = "my.jinja"   # a file, in place of the model's own template; unset: that
//   threads = 0                  # 0: all cores
//   kv_bytes = 536870912         # the page pool's ceiling
//   prefill_chunk_tokens = 512   # prompt tokens a step, 1..8192
//   sequences_max = 256          # answered at once
//   queue_max = 1024             # waiting: above, 503
//   prefix_bytes = 268435456     # of those pages, kept of prompts for requests that begin alike; 0: none
//   runtime = "auto"             # "own": our graph or an error; "libllama": through it, whatever the architecture
//   kv_type = "f16"              # through libllama: keys and values as f16, q8_0 or q4_0
//   kv_ratio = 1                 # compression of long prompts' keys and values, 1..64; 1: exact
//   kv_decoding = false          # what is written is compressed, too, as it ages: from a kv_ratio of 4 on
//   kv_recent_tokens = 256       # of which so many stay as they were written, 32..65536
//   load = "start"               # and it stays; "first_use": on demand, as those of [models] dir
//
//   [models]                     # models that come on demand: loaded by their first request, unloaded again
//   dir = "/models"              # every GGUF in it, and one level below, by its name; unset: no folder
//   memory_bytes = 0             # of all loaded models, also those that stay; 0: what there is
//   idle_s = 0                   # unloaded when nobody has asked for so long; 0: only for another one
//   threads = 0                  # and all else of [[model]] but name, path, chat_template, load: for dir's
//
//   [cache]
//   enabled = true
//   entries_max = 1000000
//   bytes_max = 268435456
//   path = "/var/lib/responses"  # a folder of its own: entries, the page's history and what keys have spent
//                                # outlive a restart; unset: RAM only
//   disk_bytes_max = 4294967296  # above: a random twentieth of them goes
//   eviction = "gdsf"            # who goes first: the policies of response_cache/store/eviction_policy.h
//   semantic_shadow = false      # requests that ask for semantic hits get none; what they would get is measured
//   usd_per_second = 0.00003     # what a second of waiting is worth to gdsf, beside the dollars
//
//   [responses]                  # what POST /v1/responses keeps, in memory, to be gone on from and fetched
//   bytes_max = 268435456        # of all tenants
//   tenant_bytes_max = 33554432  # of one: above, its longest unused go
//   ttl_s = 2592000
//   running_max = 64             # of a tenant, in the background
//
//   [knowledge]
//   path = "/var/lib/knowledge"  # the domain packs, a folder a model; unset: knowledge/ in the home
//
//   [prefixes]                   # prompts that were read, on a disk: a restart needn't read them again
//   path = "/var/lib/prefixes"   # a folder of its own; unset: in memory only
//   disk_bytes_max = 4294967296  # above: those that save the least computing a byte go
//   key_env = "PREFIX_KEY"       # the environment variable with 64 hex digits (AES-256-GCM); unset: not encrypted
//
//   [cache.shared]                # one cache for several servers: keys in shared_cache_config.h
//
//   [embeddings]                 # POST /v1/embeddings; the model is loaded when the first text comes
//   enabled = true
//   path = "/models/bert.gguf"   # unset: the catalogue's all-minilm-l6-v2
//   name = "my-bert"             # as clients name it; unset: the catalogue's name or the file's stem
//   threads = 0                  # 0: all cores
//
//   [[upstream]]                 # other servers that models are asked of (upstream_config.h); with one and
//                                # no [[model]] there is no local model
//
//   [permutation]                # the engine: its student, teacher and thresholds: see engine_config.h
//
//   [prices."my-model"]          # US dollars a million tokens: what an answer cost, and a cache hit saved
//   input_per_mtok = 0.15
//   output_per_mtok = 0.60
//   cached_input_per_mtok = 0.075  # of the prompt, read from the provider's cache; unset: as input
//   cache_write_per_mtok = 0.19    # written to it; unset: as input
//   reasoning_output_per_mtok = 1  # thinking; unset: as output
//
//   [[key]]                      # who may call; none: everybody on this machine. `permutation keys new`
//   makes one name = "ann"                 # for logs and metrics sha256 = "64 hex digits"     # of the key;
//   the key itself is never written down tenant = "a"                 # keys of one tenant share caches;
//   nobody else sees them scopes = ["inference"]       # inference, cache, knowledge, admin (api/access.h)
//   requests_per_minute = 600    # 0: no limit, as the next two
//   tokens_per_minute = 100000   # prompt and answer, computed: what a cache gave is free
//   concurrent_max = 8
//   budget_usd_per_day = 5       # by [prices], from 00:00 UTC: above, 429 insufficient_quota
//
//   [log]
//   format = "text"              # or json: one object a line
//   level = "info"               # debug, info, warn, error, off
//   requests = false             # a line for every request; else only slow and failed ones
//   slow_ms = 10000              # a completion that takes longer is logged as slow
//   prompts = false              # texts in the log and the dashboard
//   path = "/var/log/p.log"      # unset: stderr. SIGHUP opens it anew
//
//   [telemetry]
//   otlp_endpoint = "http://127.0.0.1:4318"  # an OpenTelemetry collector; unset: no traces
//   service_name = "permutation"
//
//   [dashboard]
//   enabled = true               # the page at /, and its feed
//
// Thread-safety: plain data. Errors (all kInvalidArgument) name the file, the line, the key and what is
// wanted; an unknown key is an error that suggests the nearest known one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/responses/response_store.h"
#include "app/config/config_service.h"
#include "app/config/engine_config.h"
#include "app/config/price.h"
#include "app/config/rlm_config.h"
#include "app/config/shared_cache_config.h"
#include "app/config/upstream_config.h"
#include "base/result.h"
#include "inference/local_model.h"
#include "net/http_server.h"
#include "response_cache/response_cache.h"

namespace pmt::app {

enum class LoadWhen { kStart, kFirstUse };

struct ModelConfig {
  std::string name = {};
  std::string path = {};
  std::string chat_template = {};  // a file; "": the model's own
  std::string draft = {};          // a smaller model that drafts: a name, a source or a path; "": none
  int threads = 0;
  std::size_t kv_bytes = 512ULL << 20;
  int prefill_chunk_tokens = 512;
  int sequences_max = 256;
  int queue_max = 1024;
  std::size_t prefix_bytes = 256ULL << 20;
  double kv_ratio = 1;
  bool kv_decoding = false;
  int kv_recent_tokens = compression::kRecentTokens;
  inference::RuntimeChoice runtime = inference::RuntimeChoice::kAuto;
  inference::CellType kv_type = inference::CellType::kF16;
  LoadWhen load = LoadWhen::kStart;
};

struct ModelsConfig {
  std::string dir = {};  // "": none
  std::int64_t memory_bytes = 0;
  double idle_s = 0;
  ModelConfig each = {};  // what those of the folder have in common
};

struct EmbeddingsConfig {
  bool enabled = true;
  std::string name = {};
  std::string path = {};
  int threads = 0;
};

struct PrefixesConfig {
  std::string path = {};  // "": RAM only
  std::int64_t disk_bytes_max = std::int64_t{4} << 30;
  std::string key_env = {};
};

struct Config {
  net::ServerOptions server;
  int stop_grace_ms = 5000;
  std::vector<ModelConfig> models;  // none, and no folder or upstream either: the catalogue's default
  ModelsConfig on_demand;
  std::vector<UpstreamConfig> upstreams;
  EngineConfig engine;
  bool cache_enabled = true;
  response_cache::Limits cache;
  std::string cache_path;  // empty: RAM only
  bool semantic_shadow = false;
  std::size_t cache_disk_bytes = 4ULL << 30;
  api::ResponseStoreOptions responses;
  PrefixesConfig prefixes;
  EmbeddingsConfig embeddings;
  RlmConfig rlm;                                             // rlm_config.h has its keys
  std::string knowledge_path = {};                           // "": the home's
  std::optional<response_cache::RedisOptions> cache_shared;  // unset: this server's own cache only
  std::map<std::string, Price> prices;                       // by served model name
  ServiceConfig service;
};

/// `file` is only for error messages. What the text doesn't say is as in `defaults`.
base::Result<Config> parse_config(std::string_view toml, const std::string& file, Config defaults = {});

/// The text of a config file. Errors: as base::read_text_file.
base::Result<std::string> read_config(const std::string& file);
/// Both.
base::Result<Config> load_config(const std::string& file);

/// Whether only this machine can reach `host`: localhost, 127.0.0.0/8 or ::1.
bool is_loopback(const std::string& host);

}  // namespace pmt::app
