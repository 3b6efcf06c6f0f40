// permutation status: what a running server is doing right now, on one screen.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/commands/text_table.h"
#include "base/json.h"

namespace pmt::app {
namespace {

using nlohmann::json;

struct StatusOptions {
  ServerAddress server{.url = kDefaultUrl};
  bool json = false;
};

/// What the server says of itself. A part that this key may not see, or that is off, is left out.
base::Result<json> status_of(const ServerAddress& server) {
  TRY_ASSIGN(const json models, server_call(server, "GET", "/v1/models"));
  json out = {{"url", server.url}, {"models", base::at(models, "data")}};
  for (const auto& [name, target] :
       {std::pair{"kv", "/v1/kv"}, {"cache", "/v1/cache"}, {"upstreams", "/v1/upstreams"}}) {
    if (auto part = server_call(server, "GET", target)) out[name] = std::move(*part);
  }
  return out;
}

using Rows = std::vector<std::vector<std::string>>;

double number(const json& of, const char* name) {
  return base::number_at(of, name).value_or(0);
}

std::string model_state(const json& model) {
  const std::string state = base::text_at(model, "state");
  const json& calibration = base::at(model, "calibration");
  const std::string calibrating = base::text_at(calibration, "state");
  if (!state.empty()) return state;
  if (calibrating != "running") return "ready";
  return fmt::format("ready; calibrating, {:.0f} %", 100 * number(calibration, "progress"));
}

Rows model_rows(const json& models) {
  Rows out{{"model", "by", "context", "state"}};
  if (!models.is_array()) return out;
  for (const json& model : models) {
    const auto context = base::integer_at(base::at(model, "meta"), "context_tokens");
    out.push_back({base::text_at(model, "id"), base::text_at(model, "owned_by"),
                   context ? fmt::format("{} tokens", *context) : "", model_state(model)});
  }
  return out;
}

Rows engine_rows(const json& kv) {
  Rows out{{"model", "running", "waiting", "KV memory", "of at most", "tokens kept"}};
  const json& engines = base::at(kv, "models");
  const auto add = [&out](const json& one) {
    const json& engine = base::at(one, "engine");
    out.push_back({base::text_at(one, "model"), fmt::format("{}", number(engine, "running")),
                   fmt::format("{}", number(engine, "waiting")), human_bytes(number(one, "bytes")),
                   human_bytes(number(one, "bytes_max")),
                   fmt::format("{:.0f} of {:.0f}", number(one, "tokens_kept"), number(one, "tokens"))});
  };
  if (engines.is_array()) {
    for (const json& one : engines) add(one);
  }
  return out;
}

void print_cache(const json& cache) {
  fmt::print(
      "response cache: {:.0f} answers, {}; {:.1f} % of requests served from it, {:.0f} tokens and ${:.4f} saved\n",
      number(cache, "entries"), human_bytes(number(cache, "bytes")), 100 * number(cache, "hit_rate"),
      number(cache, "tokens_saved"), number(cache, "usd_saved"));
}

int print_status(const StatusOptions& options) {
  const auto status = status_of(options.server);
  if (!status) return report_by_code(status.error());
  if (options.json) {
    fmt::print("{}\n", status->dump(2));
    return kExitDone;
  }
  fmt::print("{}\n\n{}", options.server.url, text_table(model_rows(status->at("models"))));
  if (const Rows rows = engine_rows(base::at(*status, "kv")); rows.size() > 1)
    fmt::print("\n{}", text_table(rows));
  if (status->contains("cache")) {
    fmt::print("\n");
    print_cache(status->at("cache"));
  }
  return kExitDone;
}

}  // namespace

void add_status(CLI::App& root, Command& chosen) {
  CLI::App* command = root.add_subcommand("status", "What a running server is doing right now");
  const auto options = std::make_shared<StatusOptions>();
  add_server_options(*command, options->server);
  command->add_flag("--json", options->json, "Print JSON");
  add_examples(*command, {"permutation status", "permutation status --url http://127.0.0.1:9000 --json"});
  command->callback([&chosen, options] { chosen = [options] { return print_status(*options); }; });
}

}  // namespace pmt::app
