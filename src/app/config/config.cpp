#include "app/config/config.h"

#include <arpa/inet.h>

#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "app/config/config_reader.h"
#include "base/file.h"
#include "response_cache/store/eviction_policy.h"

namespace pmt::app {

namespace {

constexpr std::size_t kConfigBytesMax = 16 << 20;
constexpr IntegerRange kCount{.min = 1, .max = 1'000'000'000};
constexpr IntegerRange kBytes{.min = 1};
constexpr IntegerRange kSeconds{.min = 1, .max = 86'400};

base::Status read_server(const toml::table& table, const std::string& file, Config& out) {
  TableReader reader(table, "[server]", file);
  net::ServerOptions& server = out.server;
  reader.text("host", server.host);
  reader.integer("port", server.port, {.min = 0, .max = 65'535});
  reader.integer("threads", server.threads, {.min = 1, .max = 64});
  reader.integer("body_bytes_max", server.body_bytes_max, kBytes);
  reader.integer("header_bytes_max", server.header_bytes_max, kBytes);
  reader.integer("connections_max", server.connections_max, kCount);
  reader.integer("idle_timeout_s", server.idle_timeout_s, kSeconds);
  reader.integer("request_timeout_s", server.request_timeout_s, kSeconds);
  reader.integer("stop_grace_ms", out.stop_grace_ms, {.min = 0, .max = 3'600'000});
  std::vector<std::string> allowed_hosts;
  reader.texts("allowed_hosts", allowed_hosts);
  TRY_ASSIGN(out.service.allowed_hosts, read_allowed_hosts(allowed_hosts, file));
  std::vector<std::string> cors_origins;
  reader.texts("cors_origins", cors_origins);
  TRY_ASSIGN(out.service.cors, read_cors_origins(cors_origins, file));
  reader.text("tls_certificate", out.service.tls_certificate);
  reader.text("tls_key", out.service.tls_key);
  return reader.finish();
}

/// How a model runs, whichever it is.
void read_running(TableReader& reader, ModelConfig& model) {
  reader.integer("threads", model.threads, {.min = 0, .max = 1024});
  reader.integer("kv_bytes", model.kv_bytes, kBytes);
  reader.integer("prefill_chunk_tokens", model.prefill_chunk_tokens, {.min = 1, .max = 8192});
  reader.integer("sequences_max", model.sequences_max, {.min = 1, .max = 4096});
  reader.integer("queue_max", model.queue_max, {.min = 0, .max = 1'000'000});
  reader.integer("prefix_bytes", model.prefix_bytes, {.min = 0});
  reader.number("kv_ratio", model.kv_ratio, {.min = 1, .max = 64});
  reader.boolean("kv_decoding", model.kv_decoding);
  reader.integer("kv_recent_tokens", model.kv_recent_tokens, {.min = 32, .max = 65536});
  using inference::CellType;
  using inference::RuntimeChoice;
  const std::vector<std::pair<std::string_view, RuntimeChoice>> runtimes{
      {"auto", RuntimeChoice::kAuto}, {"own", RuntimeChoice::kOwn}, {"libllama", RuntimeChoice::kLibllama}};
  reader.one_of("runtime", model.runtime, runtimes);
  std::vector<std::pair<std::string_view, CellType>> types;
  for (const auto type : {CellType::kF16, CellType::kQ8_0, CellType::kQ4_0})
    types.emplace_back(inference::name_of(type), type);
  reader.one_of("kv_type", model.kv_type, types);
}

base::Result<ModelConfig> read_model(const toml::table& table, const std::string& file) {
  TableReader reader(table, "[[model]]", file);
  ModelConfig model;
  reader.text("name", model.name);
  reader.text("path", model.path);
  reader.text("chat_template", model.chat_template);
  reader.text("draft", model.draft);
  reader.one_of("load", model.load, {{"start", LoadWhen::kStart}, {"first_use", LoadWhen::kFirstUse}});
  read_running(reader, model);
  TRY(reader.finish());
  if (model.name.empty() && model.path.empty()) {
    return base::invalid(
        fmt::format(
            "{}:{}: [[model]] needs a name of `permutation models list`, hf:user/repo:Q4_K_M or a path", file,
            table.source().begin.line),
        "name");
  }
  return model;
}

base::Status read_models(const toml::table& table, const std::string& file, ModelsConfig& out) {
  TableReader reader(table, "[models]", file);
  reader.text("dir", out.dir);
  reader.integer("memory_bytes", out.memory_bytes, {.min = 0});
  reader.number("idle_s", out.idle_s);
  read_running(reader, out.each);
  return reader.finish();
}

base::Status read_cache(const toml::table& table, const std::string& file, Config& out) {
  TableReader reader(table, "[cache]", file);
  reader.boolean("enabled", out.cache_enabled);
  reader.integer("entries_max", out.cache.entries_max, kCount);
  reader.integer("bytes_max", out.cache.bytes_max, kBytes);
  reader.text("path", out.cache_path);
  reader.boolean("semantic_shadow", out.semantic_shadow);
  reader.integer("disk_bytes_max", out.cache_disk_bytes, {.min = 1 << 20});
  std::vector<std::pair<std::string_view, response_cache::Eviction>> policies;
  for (const auto policy : response_cache::eviction_policies())
    policies.emplace_back(to_string(policy), policy);
  reader.one_of("eviction", out.cache.eviction, policies);
  reader.number("usd_per_second", out.cache.usd_per_second);
  if (const auto* shared = reader.table("shared")) {
    TRY_ASSIGN(out.cache_shared, read_shared_cache(*shared, file));
  }
  return reader.finish();
}

base::Status read_responses(const toml::table& table, const std::string& file,
                            api::ResponseStoreOptions& out) {
  TableReader reader(table, "[responses]", file);
  reader.integer("bytes_max", out.bytes_max, kBytes);
  reader.integer("tenant_bytes_max", out.tenant_bytes_max, kBytes);
  reader.number("ttl_s", out.ttl_s, {.min = 1});
  reader.integer("running_max", out.running_max, kCount);
  return reader.finish();
}

base::Status read_prefixes(const toml::table& table, const std::string& file, PrefixesConfig& out) {
  TableReader reader(table, "[prefixes]", file);
  reader.text("path", out.path);
  reader.integer("disk_bytes_max", out.disk_bytes_max, {.min = 1 << 20});
  reader.text("key_env", out.key_env);
  return reader.finish();
}

base::Status read_embeddings(const toml::table& table, const std::string& file, EmbeddingsConfig& out) {
  TableReader reader(table, "[embeddings]", file);
  reader.boolean("enabled", out.enabled);
  reader.text("name", out.name);
  reader.text("path", out.path);
  reader.integer("threads", out.threads, {.min = 0, .max = 1024});
  return reader.finish();
}

base::Status read_prices(const toml::table& table, const std::string& file, Config& out) {
  for (const auto& [model, node] : table) {
    const std::string name = fmt::format("[prices.\"{}\"]", model.str());
    if (!node.is_table()) {
      return base::invalid(fmt::format("{}:{}: {} must be a table", file, node.source().begin.line, name),
                           "prices");
    }
    TableReader reader(*node.as_table(), name, file);
    Price price;
    reader.number("input_per_mtok", price.input_per_mtok);
    reader.number("output_per_mtok", price.output_per_mtok);
    reader.number("cached_input_per_mtok", price.cached_input_per_mtok);
    reader.number("cache_write_per_mtok", price.cache_write_per_mtok);
    reader.number("reasoning_output_per_mtok", price.reasoning_output_per_mtok);
    TRY(reader.finish());
    out.prices[std::string(model.str())] = price;
  }
  return {};
}

base::Result<Config> read_root(const toml::table& root, const std::string& file, Config config) {
  TableReader reader(root, "", file);
  if (const auto* server = reader.table("server")) TRY(read_server(*server, file, config));
  for (const auto* table : reader.tables("model")) {
    TRY_ASSIGN(ModelConfig model, read_model(*table, file));
    config.models.push_back(std::move(model));
  }
  if (const auto* models = reader.table("models")) TRY(read_models(*models, file, config.on_demand));
  for (const auto* table : reader.tables("upstream")) {
    TRY_ASSIGN(UpstreamConfig upstream, read_upstream(*table, file));
    config.upstreams.push_back(std::move(upstream));
  }
  TRY(check_names(config.upstreams, file));
  if (const auto* engine = reader.table("permutation")) {
    TRY_ASSIGN(config.engine, read_engine(*engine, file));
  }
  if (const auto* cache = reader.table("cache")) TRY(read_cache(*cache, file, config));
  if (const auto* kept = reader.table("responses")) TRY(read_responses(*kept, file, config.responses));
  if (const auto* knowledge = reader.table("knowledge")) {
    TableReader of_knowledge(*knowledge, "[knowledge]", file);
    of_knowledge.text("path", config.knowledge_path);
    TRY(of_knowledge.finish());
  }
  if (const auto* prefixes = reader.table("prefixes")) TRY(read_prefixes(*prefixes, file, config.prefixes));
  if (const auto* embeddings = reader.table("embeddings")) {
    TRY(read_embeddings(*embeddings, file, config.embeddings));
  }
  const auto* rlm = reader.table("rlm");
  TRY(read_rlm(rlm, reader.table("unified"), file, config.rlm));
  if (const auto* prices = reader.table("prices")) TRY(read_prices(*prices, file, config));
  for (const auto* table : reader.tables("key")) {
    TRY_ASSIGN(api::KeyOptions key, read_key(*table, file));
    config.service.keys.push_back(std::move(key));
  }
  if (const auto* log = reader.table("log")) TRY(read_log(*log, file, config.service));
  if (const auto* telemetry = reader.table("telemetry"))
    TRY(read_telemetry(*telemetry, file, config.service));
  if (const auto* dashboard = reader.table("dashboard"))
    TRY(read_dashboard(*dashboard, file, config.service));
  TRY(reader.finish());
  TRY(check_service(config.service, file));
  return config;
}

}  // namespace

base::Result<Config> parse_config(std::string_view toml, const std::string& file, Config defaults) {
  try {
    return read_root(toml::parse(toml, file), file, std::move(defaults));
  } catch (const toml::parse_error& error) {
    return base::invalid(fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
}

base::Result<std::string> read_config(const std::string& file) {
  auto text = base::read_text_file(file, kConfigBytesMax);
  if (text) return text;
  base::Error error = text.error();
  error.message = "the config file: " + error.message;
  return error;
}

base::Result<Config> load_config(const std::string& file) {
  TRY_ASSIGN(const std::string text, read_config(file));
  return parse_config(text, file);
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace pmt::app
