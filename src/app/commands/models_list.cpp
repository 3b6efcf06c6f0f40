#include "app/commands/models_list.h"

#include <cstdint>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands/text_table.h"
#include "app/pull/pull_folder.h"
#include "engine/catalogue.h"
#include "engine/pulled_models.h"

namespace pmt::app {

namespace {

using engine::PulledModel;

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

nlohmann::json to_json(const PulledModel& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const engine::PulledFile& one : model.fetched)
    files.push_back({{"file", one.file}, {"bytes", one.bytes}, {"sha256", one.sha256}});
  return {{"name", model.name},     {"bytes", model.bytes},
          {"licence", nullptr},     {"source", model.source},
          {"server", model.server}, {"revision", model.revision},
          {"files", files},         {"sha256", model.sha256},
          {"installed", true},      {"path", model.path().string()}};
}

std::int64_t fetched_bytes(const PulledModel& unfinished) {
  return static_cast<std::int64_t>(bytes_under(engine::pull_folder(unfinished.name)));
}

std::string size(std::int64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

}  // namespace

std::string models_json() {
  nlohmann::json models = nlohmann::json::array();
  for (const engine::CatalogueModel& model : engine::catalogue()) models.push_back(to_json(model));
  for (const PulledModel& model : engine::pulled_models()) models.push_back(to_json(model));
  for (const PulledModel& model : engine::unfinished_pulls()) {
    nlohmann::json one = to_json(model);
    one["installed"] = false;
    one["fetched"] = fetched_bytes(model);
    models.push_back(std::move(one));
  }
  return nlohmann::json{{"models", models}}.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string models_table() {
  std::vector<std::vector<std::string>> rows{{"name", "size", "licence", "from", "installed"}};
  std::string sums;
  const auto add_sum = [&](std::string_view name, std::string_view sum) {
    if (!sum.empty()) sums += fmt::format("{} sha256 {}\n", name, sum);
  };
  for (const engine::CatalogueModel& model : engine::catalogue()) {
    rows.push_back({std::string(model.name), size(model.bytes), std::string(model.licence), source(model),
                    engine::is_installed(model) ? engine::installed_path(model).string()
                                                : fmt::format("no: permutation models pull {}", model.name)});
    add_sum(model.name, model.sha256);
  }
  for (const PulledModel& model : engine::pulled_models()) {
    rows.push_back({model.name, size(model.bytes), "see its page", model.source, model.path().string()});
    add_sum(model.name, model.sha256);
  }
  for (const PulledModel& model : engine::unfinished_pulls()) {
    rows.push_back({model.name, size(model.bytes), "see its page", model.source,
                    fmt::format("no, {} of it is here: permutation models pull {}",
                                size(fetched_bytes(model)), model.source)});
  }
  return text_table(rows) + "\n" + sums;
}

}  // namespace pmt::app
