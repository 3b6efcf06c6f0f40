// permutation models list|pull|remove|check: the catalogue, models of a hub or a URL, and what a model gets.
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands/check_model.h"
#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/models_list.h"
#include "app/commands/report_error.h"
#include "app/commands/text_table.h"
#include "app/config/config_reader.h"
#include "app/pull/model_pull.h"
#include "app/pull/model_removal.h"
#include "app/pull/remote_plan.h"
#include "app/pull/remote_pull.h"
#include "base/file_digest.h"
#include "engine/catalogue.h"
#include "engine/model_source.h"

namespace pmt::app {

namespace {

int list_models(bool json) {
  fmt::print("{}", json ? models_json() + "\n" : models_table());
  return kExitDone;
}

int show_path(const std::string& name, const std::string& path, bool json) {
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"name", name}, {"path", path}}.dump(2));
  } else {
    fmt::print("{}\n", path);
  }
  return kExitDone;
}

int pull_by_name(const std::string& name, bool json) {
  const engine::CatalogueModel* model = engine::find_in_catalogue(name);
  if (model == nullptr) {
    std::vector<std::string_view> names;
    for (const engine::CatalogueModel& known : engine::catalogue()) names.push_back(known.name);
    const std::string_view meant = nearest(name, names);
    return report_wrong_usage(base::invalid(fmt::format(
        "no model \"{}\" in the catalogue. {}", name,
        meant.empty() ? "See: permutation models list; hf:USER/REPO:QUANTIZATION and URLs are taken too"
                      : fmt::format("Did you mean {}?", meant))));
  }
  if (engine::is_installed(*model)) {
    if (const auto digest = base::digest_of_file(engine::installed_path(*model));
        digest && digest->hex() == model->sha256) {
      fmt::print(stderr, "{} is already installed and intact\n", name);
      return show_path(name, engine::installed_path(*model).string(), json);
    }
    fmt::print(stderr, "the installed {} is damaged: fetching it again\n", name);
  }
  const auto path = pull_model(*model);
  if (!path) return report_error(path.error());
  return show_path(name, path->string(), json);
}

int pull(const RemotePull& wanted, bool json) {
  if (!engine::is_source(wanted.source)) {
    if (wanted.name.empty() && wanted.sha256.empty()) return pull_by_name(wanted.source, json);
    return report_wrong_usage(
        base::invalid("--name and --sha256 are for models that aren't in the catalogue"));
  }
  const auto path = pull_remote(wanted);
  if (!path) return report_by_code(path.error());
  return show_path(wanted.source, path->string(), json);
}

int remove_by_name(const std::string& name, bool json) {
  const auto bytes = remove_model(name);
  if (!bytes) return report_by_code(bytes.error());
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"removed", name}, {"bytes", *bytes}}.dump(2));
    return kExitDone;
  }
  tell("removed {}: {}\n", name, human_bytes(static_cast<double>(*bytes)));
  return kExitDone;
}

void add_pull(CLI::App& models, Command& chosen) {
  CLI::App* pulled = models.add_subcommand("pull", "Fetch a model, check it and install it");
  const auto wanted = std::make_shared<RemotePull>();
  pulled
      ->add_option(
          "NAME", wanted->source,
          "A name of `permutation models list`, hf:USER/REPO[@REVISION][:QUANTIZATION or FILE] of the hub at "
          "HF_ENDPOINT (HF_TOKEN opens private repositories), or a URL of a .gguf file")
      ->required();
  pulled->add_option("--name", wanted->name, "What it is served as (the file's name in lower case)");
  pulled->add_option("--sha256", wanted->sha256, "What a URL's file must have");
  pulled
      ->add_option("--timeout", wanted->timeout_s,
                   "Seconds of silence after which a connection is tried anew (30)")
      ->check(CLI::Range(0.1, 3600.0));
  const auto json = std::make_shared<bool>(false);
  pulled->add_flag("--json", *json, "Name and path as one JSON object");
  add_examples(*pulled, {"permutation models pull qwen2.5-coder-1.5b-instruct",
                         "permutation models pull hf:user/repo-GGUF:Q4_K_M --name mine"});
  pulled->callback([&chosen, wanted, json] { chosen = [wanted, json] { return pull(*wanted, *json); }; });
}

}  // namespace

void add_models(CLI::App& root, Command& chosen) {
  CLI::App* models = root.add_subcommand("models", "The models known by name: list, fetch, remove them");
  models->require_subcommand(1);

  CLI::App* list =
      models->add_subcommand("list", "Name, size, licence, source, checksum, and whether installed");
  const auto json = std::make_shared<bool>(false);
  list->add_flag("--json", *json, "Print JSON");
  add_examples(*list, {"permutation models list", "permutation models list --json"});
  list->callback([&chosen, json] { chosen = [json] { return list_models(*json); }; });

  add_pull(*models, chosen);

  CLI::App* removed =
      models->add_subcommand("remove", "Remove a model that was pulled, or what is there of it");
  const auto name = std::make_shared<std::string>();
  removed->add_option("NAME", *name, "Its name, or where it came from (hf:..., a URL)")->required();
  const auto as_json = std::make_shared<bool>(false);
  removed->add_flag("--json", *as_json, "What was removed as one JSON object");
  add_examples(*removed, {"permutation models remove qwen2.5-coder-1.5b-instruct"});
  removed->callback(
      [&chosen, name, as_json] { chosen = [name, as_json] { return remove_by_name(*name, *as_json); }; });

  CLI::App* checked = models->add_subcommand(
      "check", "Load a model, render a conversation, generate 16 tokens, and say what it gets");
  const auto options = std::make_shared<CheckModelOptions>();
  checked->add_option("FILE", options->model, "A .gguf file, or a name of `permutation models list`")
      ->required();
  checked->add_option("--chat-template", options->chat_template, "A Jinja file, in place of the model's own");
  checked->add_flag("--json", options->json, "Print JSON");
  add_examples(*checked, {"permutation models check my.gguf",
                          "permutation models check my.gguf --chat-template my.jinja --json"});
  checked->callback([&chosen, options] { chosen = [options] { return check_model(*options); }; });
}

}  // namespace pmt::app
