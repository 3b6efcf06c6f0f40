#include "app/config/upstream_config.h"

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "app/config/config_reader.h"

namespace pmt::app {
namespace {

constexpr NumberRange kTimeout{.min = 0.001, .max = 86'400};

/// A name goes into model names: nothing that a URL, a header or a shell would take otherwise.
bool is_name(std::string_view name) {
  static constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

base::Error at(const toml::table& table, const std::string& file, std::string message, std::string key) {
  return base::invalid(fmt::format("{}:{}: [[upstream]] {}", file, table.source().begin.line, message),
                       std::move(key));
}

/// A list of names, or a table of a served name = the upstream's own.
base::Status read_names(const toml::table& table, const std::string& file, const char* key,
                        std::map<std::string, std::string>& out) {
  const toml::node* names = table.get(key);
  const auto take = [&](const std::string& served, const toml::node& own) -> base::Status {
    const auto name = own.value<std::string>();
    if (!name || name->empty()) return at(table, file, fmt::format("{} must be names", key), key);
    out[served.empty() ? *name : served] = *name;
    return {};
  };
  if (names != nullptr && names->is_table()) {
    for (const auto& [served, own] : *names->as_table()) TRY(take(std::string(served.str()), own));
  } else if (names != nullptr && names->is_array()) {
    for (const auto& node : *names->as_array()) TRY(take("", node));
  }
  return {};
}

base::Status read_api(const toml::table& table, const std::string& file, const std::string& word,
                      llm::Api& out) {
  static constexpr std::pair<std::string_view, llm::Api> kApis[] = {
      {"chat", llm::Api::kChat}, {"messages", llm::Api::kMessages}, {"responses", llm::Api::kResponses}};
  for (const auto& [name, api] : kApis) {
    if (word != name) continue;
    out = api;
    return {};
  }
  return at(table, file,
            fmt::format("has api = \"{}\": it must be \"chat\", \"messages\" or \"responses\"", word), "api");
}

base::Status read_models(const toml::table& table, const std::string& file, UpstreamConfig& out) {
  TRY(read_names(table, file, "models", out.models));
  TRY(read_names(table, file, "embeddings", out.embeddings));
  if (!out.models.empty() || !out.embeddings.empty()) return {};
  return at(
      table, file,
      "needs models (or embeddings): a list of names, or a table of a served name = the upstream's own name",
      "models");
}

/// One server, or several like ones.
base::Status read_servers(const toml::table& table, const std::string& file,
                          const std::vector<std::string>& several, UpstreamConfig& out) {
  if (table.get("base_urls") == nullptr) {
    for (const char* key : {"balance", "probe_interval_s"}) {
      if (table.get(key) == nullptr) continue;
      return at(table, file,
                fmt::format(
                    "has {} without base_urls: it is about several servers; name them, or leave it out", key),
                key);
    }
    if (out.base_url.empty()) {
      return at(table, file,
                "needs a base_url such as https://host/v1 (or base_urls, for several like servers)",
                "base_url");
    }
    auto url = net::parse_url(out.base_url);
    if (!url) return at(table, file, url.error().message, "base_url");
    out.remote.base_url = std::move(*url);
    return {};
  }
  if (!out.base_url.empty()) {
    return at(table, file,
              "has base_url and base_urls: keep base_url for one server, or base_urls for several",
              "base_urls");
  }
  if (several.empty() || several.size() > upstream::kPoolServersMax) {
    return at(
        table, file,
        fmt::format("has {} base_urls: name 1 to {} servers", several.size(), upstream::kPoolServersMax),
        "base_urls");
  }
  for (const std::string& text : several) {
    auto url = net::parse_url(text);
    if (!url) return at(table, file, "base_urls: " + url.error().message, "base_urls");
    for (const upstream::PoolServer& other : out.base_urls) {
      if (other.url.origin() + other.url.path != url->origin() + url->path) continue;
      return at(table, file, fmt::format("names {} twice in base_urls: each server once", text), "base_urls");
    }
    out.base_urls.push_back({text, std::move(*url)});
  }
  out.remote.base_url = out.base_urls.front().url;
  return {};
}

}  // namespace

std::string UpstreamConfig::where() const {
  return base_urls.empty() ? base_url : fmt::format("{} servers", base_urls.size());
}

base::Result<UpstreamConfig> read_upstream(const toml::table& table, const std::string& file) {
  TableReader reader(table, "[[upstream]]", file);
  UpstreamConfig out;
  out.line = table.source().begin.line;
  upstream::RemoteOptions& remote = out.remote;
  reader.text("name", out.name);
  reader.text("base_url", out.base_url);
  std::vector<std::string> several;
  reader.texts("base_urls", several);
  reader.one_of<upstream::Balance>(
      "balance", out.balance,
      {{"prefix", upstream::Balance::kPrefix}, {"least_busy", upstream::Balance::kLeastBusy}});
  reader.number("probe_interval_s", out.probe_interval_s, {.min = 0.01, .max = 86'400});
  reader.text("api_key_env", out.api_key_env);
  reader.text("ca_file", out.ca_file);
  std::string api = "chat";
  reader.text("api", api);
  reader.integer("max_tokens_unset", remote.max_tokens_unset, {.min = 1, .max = 10'000'000});
  reader.boolean("stream", remote.stream);
  reader.boolean("max_completion_tokens", remote.max_completion_tokens);
  reader.boolean("prompt_cache_key", out.prompt_cache.key);
  reader.integer("prompt_cache_key_requests", out.prompt_cache.key_requests, {.min = 2, .max = 1'000'000});
  reader.number("prompt_cache_key_seconds", out.prompt_cache.key_seconds, {.min = 0.001, .max = 86'400});
  reader.boolean("inject_cache_control", out.prompt_cache.breakpoints);
  reader.number("connect_timeout_s", remote.timeouts.connect_s, kTimeout);
  reader.number("first_byte_timeout_s", remote.timeouts.first_byte_s, kTimeout);
  reader.number("stall_timeout_s", remote.timeouts.stall_s, kTimeout);
  reader.number("total_timeout_s", remote.timeouts.total_s, kTimeout);
  reader.integer("concurrent_max", remote.concurrent_max, {.min = 1, .max = 100'000});
  reader.integer("queue_max", remote.queue_max, {.min = 0, .max = 1'000'000});
  reader.integer("retries", remote.retries.attempts_more, {.min = 0, .max = 20});
  reader.number("backoff_s", remote.retries.backoff_s, {.min = 0, .max = 3600});
  reader.number("backoff_max_s", remote.retries.backoff_max_s, {.min = 0, .max = 3600});
  reader.number("retry_after_max_s", remote.retries.retry_after_max_s, {.min = 0, .max = 3600});
  reader.texts("fallbacks", out.fallbacks);
  reader.integer("cooldown_failures", remote.cooldown.failures, {.min = 0, .max = 1'000'000});
  reader.number("cooldown_s", remote.cooldown.cooldown_s, {.min = 0, .max = 86'400});
  reader.known("models");
  reader.known("embeddings");
  TRY(reader.finish());
  if (!is_name(out.name)) {
    return at(table, file, "needs a name of letters, digits, - _ . (its models are served as name/model)",
              "name");
  }
  TRY(read_servers(table, file, several, out));
  TRY(read_api(table, file, api, remote.api));
  TRY(read_models(table, file, out));
  return out;
}

base::Status check_names(const std::vector<UpstreamConfig>& upstreams, const std::string& file) {
  struct Place {
    const char* key;
    unsigned line;
  };
  std::map<std::string, Place> places;
  for (const UpstreamConfig& upstream : upstreams) {
    const auto add = [&](const char* key, const std::map<std::string, std::string>& names) -> base::Status {
      for (const auto& [served, own] : names) {
        const std::string name = upstream.name + "/" + served;
        const auto [first, is_new] = places.try_emplace(name, Place{key, upstream.line});
        if (is_new) continue;
        return base::invalid(
            fmt::format("{}:{}: [[upstream]] {}: {} stands in its {} and in the {} of the [[upstream]] of "
                        "line {}; each name can be served once",
                        file, upstream.line, upstream.name, name, key, first->second.key, first->second.line),
            key);
      }
      return {};
    };
    TRY(add("models", upstream.models));
    TRY(add("embeddings", upstream.embeddings));
  }
  return {};
}

base::Result<upstream::RemoteOptions> remote_options(const UpstreamConfig& config, const std::string& model) {
  upstream::RemoteOptions out = config.remote;
  out.provider = config.name;
  out.name = config.name + "/" + model;
  const auto writes = config.models.find(model);
  out.model = writes != config.models.end() ? writes->second : config.embeddings.at(model);
  out.api_key_env = config.api_key_env;
  if (config.api_key_env.empty()) return out;
  const char* key = std::getenv(config.api_key_env.c_str());
  if (key == nullptr || *key == '\0') {
    return base::invalid(fmt::format("upstream {}: the environment variable {} (its api_key_env) is not set",
                                     config.name, config.api_key_env),
                         "api_key_env");
  }
  out.api_key = key;
  return out;
}

}  // namespace pmt::app
