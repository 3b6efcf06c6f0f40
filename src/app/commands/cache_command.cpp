// permutation cache stats|purge|export|import: the response cache of a running server.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/commands/text_table.h"
#include "base/file.h"
#include "base/json.h"

namespace pmt::app {

namespace {

struct CacheOptions {
  ServerAddress server{.url = kDefaultUrl};
  bool json = false;
};

struct PurgeOptions {
  CacheOptions common;
  std::string tag, model, name_space, prefix;
  bool all = false;
  bool prefixes = false;
  std::string tenant;
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

/// What a model has read, not what it answered.
int purge_prefixes(const PurgeOptions& options) {
  if (options.all || !options.tag.empty() || !options.model.empty() || !options.name_space.empty()) {
    return report_wrong_usage(base::invalid(
        "cache purge --prefixes takes --tenant and --prefix, or neither: then all prefixes go"));
  }
  std::string query = "?prefixes=true";
  if (!options.tenant.empty()) query += "&tenant=" + percent_encoded(options.tenant);
  if (!options.prefix.empty()) query += "&prefix=" + percent_encoded(options.prefix);
  return print_answer(options.common, server_call(options.common.server, "DELETE", "/v1/cache" + query));
}

int purge(const PurgeOptions& options) {
  if (options.prefixes) return purge_prefixes(options);
  if (!options.tenant.empty())
    return report_wrong_usage(base::invalid("cache purge --tenant goes with --prefixes"));
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
  return print_answer(options.common, server_call(options.common.server, "DELETE", "/v1/cache" + query));
}

struct FileOptions {
  ServerAddress server{.url = kDefaultUrl};
  std::string file;
  bool json = false;
};

int failed(const std::string& file, const char* what) {
  return report_by_code({base::Code::kIo, fmt::format("can't {} {}: {}", what, file, std::strerror(errno))});
}

/// One request for each first byte of a key, so that neither side holds more than a part. The file appears
/// when it is whole.
int export_to(const FileOptions& options) {
  const bool to_stdout = options.file == "-";
  if (to_stdout && options.json)
    return report_wrong_usage(base::invalid("with --json the entries need a file: both would go to stdout"));
  const std::string partial = options.file + ".partial";
  std::ofstream file;
  if (!to_stdout) file.open(partial, std::ios::binary | std::ios::trunc);
  std::ostream& out = to_stdout ? std::cout : file;
  if (!out) return failed(partial, "write");
  std::size_t entries = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const auto lines =
        server_text(options.server, "GET", fmt::format("/v1/cache/export?prefix={:02x}", byte));
    if (!lines) {
      if (!to_stdout) std::remove(partial.c_str());
      return report_by_code(lines.error());
    }
    out << *lines;
    entries += static_cast<std::size_t>(std::count(lines->begin(), lines->end(), '\n'));
  }
  out.flush();
  if (!out) return failed(to_stdout ? "the standard output" : partial, "write");
  if (!to_stdout) {
    file.close();
    if (std::rename(partial.c_str(), options.file.c_str()) != 0) return failed(options.file, "write");
  }
  if (options.json) fmt::print("{}\n", nlohmann::json{{"file", options.file}, {"entries", entries}}.dump(2));
  tell("exported {} entries\n", entries);
  return kExitDone;
}

int import_from(const FileOptions& options) {
  constexpr std::size_t kPart = 8 << 20;
  if (const base::Status checked = base::check_file(options.file); !checked)
    return report_by_code(checked.error());
  std::ifstream in(options.file, std::ios::binary);
  if (!in) return failed(options.file, "read");
  std::int64_t imported = 0, expired = 0, rejected = 0, line = 0, before = 0;
  std::string part;
  const auto send = [&]() -> base::Status {
    if (part.empty()) return {};
    TRY_ASSIGN(const auto answer, server_call(options.server, "POST", "/v1/cache/import", part));
    const auto count = [](const nlohmann::json& object, const char* name) {
      return base::integer_at(object, name).value_or(0);
    };
    imported += count(answer, "imported");
    expired += count(answer, "expired");
    rejected += count(answer, "rejected");
    for (const auto& error : base::array_at(answer, "errors")) {
      fmt::print(stderr, "{}:{}: {}\n", options.file, before + count(error, "line"),
                 base::text_at(error, "message"));
    }
    before = line;
    part.clear();
    return {};
  };
  for (std::string text; std::getline(in, text);) {
    ++line;
    part += text + '\n';
    if (part.size() < kPart) continue;
    if (const auto sent = send(); !sent) return report_by_code(sent.error());
  }
  if (in.bad()) return failed(options.file, "read");
  if (const auto sent = send(); !sent) return report_by_code(sent.error());
  if (options.json) {
    const nlohmann::json told = {{"imported", imported}, {"expired", expired}, {"rejected", rejected}};
    fmt::print("{}\n", told.dump(2));
  } else {
    fmt::print("imported {}, expired {}, rejected {}\n", imported, expired, rejected);
  }
  return rejected == 0 ? kExitDone : kExitFailed;
}

void add_common(CLI::App& command, CacheOptions& options) {
  add_server_options(command, options.server);
  command.add_flag("--json", options.json, "Print JSON");
}

}  // namespace

void add_cache(CLI::App& root, Command& chosen) {
  CLI::App* cache = root.add_subcommand(
      "cache", "The response cache of a running server: look into it, purge, export, import");
  cache->require_subcommand(1);

  CLI::App* stats =
      cache->add_subcommand("stats", "Entries, bytes, hits, tokens and dollars saved, evictions");
  const auto stats_options = std::make_shared<CacheOptions>();
  add_common(*stats, *stats_options);
  add_examples(*stats, {"permutation cache stats", "permutation cache stats --json"});
  stats->callback([&chosen, stats_options] {
    chosen = [stats_options] {
      return print_answer(*stats_options, server_call(stats_options->server, "GET", "/v1/cache"));
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
  purged->add_flag(
      "--prefixes", options->prefixes,
      "What models have read, in memory and on the disk, in place of answers; --prefix: of an answer's "
      "permutation.kv.prefix_key");
  purged->add_option("--tenant", options->tenant, "With --prefixes: this tenant's only");
  add_examples(*purged, {"permutation cache purge --tag prices", "permutation cache purge --all",
                         "permutation cache purge --prefixes --tenant acme"});
  purged->callback([&chosen, options] { chosen = [options] { return purge(*options); }; });

  const auto add_file = [&](const char* name, const char* what, const char* file,
                            int (*act)(const FileOptions&)) {
    CLI::App* command = cache->add_subcommand(name, what);
    const auto given = std::make_shared<FileOptions>();
    add_server_options(*command, given->server);
    command->add_option("FILE", given->file, file)->required();
    command->add_flag("--json", given->json, "The counts as one JSON object");
    add_examples(*command, {fmt::format("permutation cache {} answers.jsonl", name)});
    command->callback([&chosen, given, act] { chosen = [given, act] { return act(*given); }; });
  };
  add_file("export", "Write every live entry as a line of JSON", "Where to; -: the standard output",
           export_to);
  add_file("import", "Take entries that were exported, as old as they are", "What was exported", import_from);
}

}  // namespace pmt::app
