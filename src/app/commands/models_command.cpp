// permutation models list|pull: the catalogue.
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands/commands.h"
#include "app/commands/report_error.h"
#include "app/commands/text_table.h"
#include "app/config/config_reader.h"
#include "app/wiring/model_pull.h"
#include "base/file_digest.h"
#include "engine/catalogue.h"

namespace pmt::app {

namespace {

std::string source(const engine::CatalogueModel& model) {
  if (model.parts.size() == 1)
    return fmt::format("Python package {} {}", model.parts.front().package, model.version);
  return fmt::format("Python packages {} to {}, {}", model.parts.front().package, model.parts.back().package,
                     model.version);
}

nlohmann::json to_json(const engine::CatalogueModel& model) {
  std::vector<std::string_view> packages;
  for (const engine::CataloguePart& part : model.parts) packages.push_back(part.package);
  return {{"name", model.name},
          {"bytes", model.bytes},
          {"licence", model.licence},
          {"source", source(model)},
          {"packages", packages},
          {"version", model.version},
          {"sha256", model.sha256},
          {"installed", engine::is_installed(model)},
          {"path", engine::installed_path(model).string()}};
}

int list_models(bool json) {
  if (json) {
    nlohmann::json models = nlohmann::json::array();
    for (const engine::CatalogueModel& model : engine::catalogue()) models.push_back(to_json(model));
    fmt::print("{}\n", nlohmann::json{{"models", models}}.dump(2));
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows{{"name", "size", "licence", "from", "installed"}};
  for (const engine::CatalogueModel& model : engine::catalogue()) {
    rows.push_back({std::string(model.name), human_bytes(static_cast<double>(model.bytes)),
                    std::string(model.licence), source(model),
                    engine::is_installed(model) ? engine::installed_path(model).string()
                                                : fmt::format("no: permutation models pull {}", model.name)});
  }
  fmt::print("{}\n", text_table(rows));
  for (const engine::CatalogueModel& model : engine::catalogue())
    fmt::print("{} sha256 {}\n", model.name, model.sha256);
  return kExitDone;
}

int pull(const std::string& name) {
  const engine::CatalogueModel* model = engine::find_in_catalogue(name);
  if (model == nullptr) {
    std::vector<std::string_view> names;
    for (const engine::CatalogueModel& known : engine::catalogue()) names.push_back(known.name);
    const std::string_view meant = nearest(name, names);
    return report_wrong_usage(base::invalid(fmt::format(
        "no model \"{}\" in the catalogue. {}", name,
        meant.empty() ? "See: permutation models list" : fmt::format("Did you mean {}?", meant))));
  }
  if (engine::is_installed(*model)) {
    if (const auto digest = base::digest_of_file(engine::installed_path(*model));
        digest && digest->hex() == model->sha256) {
      fmt::print(stderr, "{} is already installed and intact\n", name);
      fmt::print("{}\n", engine::installed_path(*model).string());
      return kExitDone;
    }
    fmt::print(stderr, "the installed {} is damaged: fetching it again\n", name);
  }
  const auto path = pull_model(*model);
  if (!path) return report_error(path.error());
  fmt::print("{}\n", path->string());
  return kExitDone;
}

}  // namespace

void add_models(CLI::App& root, Command& chosen) {
  CLI::App* models = root.add_subcommand("models", "The models known by name: list them, fetch one");
  models->require_subcommand(1);

  CLI::App* list =
      models->add_subcommand("list", "Name, size, licence, source, checksum, and whether installed");
  const auto json = std::make_shared<bool>(false);
  list->add_flag("--json", *json, "Print JSON");
  list->callback([&chosen, json] { chosen = [json] { return list_models(*json); }; });

  CLI::App* pulled = models->add_subcommand("pull", "Fetch a model by its package, check it and install it");
  const auto name = std::make_shared<std::string>();
  pulled->add_option("NAME", *name, "A name of `permutation models list`")->required();
  pulled->callback([&chosen, name] { chosen = [name] { return pull(*name); }; });
}

}  // namespace pmt::app
