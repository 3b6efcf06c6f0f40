// permutation cache stats|purge: the response cache of a running server.
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/report_error.h"
#include "app/server_call.h"
#include "app/text_table.h"

namespace pmt::app {

namespace {

struct CacheOptions {
  std::string url = kDefaultUrl;
  bool json = false;
};

struct PurgeOptions {
  CacheOptions common;
  std::string tag, model, name_space, prefix;
  bool all = false;
};

int print_answer(const CacheOptions& options, const base::Result<nlohmann::json>& body) {
  if (!body) return report_by_code(body.error());
  if (options.json) {
    fmt::print("{}\n", body->dump(2));
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows{{"what", "value"}};
  const nlohmann::json flat = body->flatten();
  for (const auto& [name, value] : flat.items()) {
    rows.push_back({name.substr(1), value.is_string() ? value.get<std::string>() : value.dump()});
  }
  fmt::print("{}", text_table(rows));
  return kExitDone;
}

int purge(const PurgeOptions& options) {
  std::string query;
  const auto add = [&query](const char* name, const std::string& value) {
    if (!value.empty())
      query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, percent_encoded(value));
  };
  add("tag", options.tag);
  add("model", options.model);
  add("namespace", options.name_space);
  add("prefix", options.prefix);
  if (query.empty() != options.all) {
    return report_wrong_usage(
        base::invalid("cache purge needs --tag, --model, --namespace or --prefix (several: what "
                      "matches all), or else --all alone"));
  }
  return print_answer(options.common, server_call(options.common.url, "DELETE", "/v1/cache" + query));
}

void add_common(CLI::App& command, CacheOptions& options) {
  command.add_option("--url", options.url, "The server")->capture_default_str();
  command.add_flag("--json", options.json, "Print JSON");
}

}  // namespace

void add_cache(CLI::App& root, Command& chosen) {
  CLI::App* cache =
      root.add_subcommand("cache", "The response cache of a running server: look into it, purge it");
  cache->require_subcommand(1);

  CLI::App* stats =
      cache->add_subcommand("stats", "Entries, bytes, hits, tokens and dollars saved, evictions");
  const auto stats_options = std::make_shared<CacheOptions>();
  add_common(*stats, *stats_options);
  stats->callback([&chosen, stats_options] {
    chosen = [stats_options] {
      return print_answer(*stats_options, server_call(stats_options->url, "GET", "/v1/cache"));
    };
  });

  CLI::App* purged = cache->add_subcommand("purge", "Remove entries");
  const auto options = std::make_shared<PurgeOptions>();
  add_common(*purged, options->common);
  purged->add_option("--tag", options->tag, "Entries with this tag");
  purged->add_option("--model", options->model, "Entries of this model");
  purged->add_option("--namespace", options->name_space, "Entries of this namespace");
  purged->add_option("--prefix", options->prefix, "Entries whose key starts so (hex)");
  purged->add_flag("--all", options->all, "Every entry");
  purged->callback([&chosen, options] { chosen = [options] { return purge(*options); }; });
}

}  // namespace pmt::app
