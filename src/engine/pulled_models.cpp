#include "engine/pulled_models.h"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "engine/home.h"
#include "engine/model_source.h"
#include "text/plain_words.h"

namespace pmt::engine {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kRecord[] = "source.json";
constexpr std::size_t kRecordBytesMax = 1 << 20;
constexpr std::string_view kPulling = ".pull-";

base::Error no_record(const fs::path& folder) {
  return {base::Code::kCorrupt,
          fmt::format("{} is no record of a pulled model", (folder / kRecord).string())};
}

bool is_whole(const PulledModel& model) {
  std::error_code error;
  const auto bytes = fs::file_size(model.path(), error);
  return !error && !model.file.empty() && static_cast<std::int64_t>(bytes) == model.bytes;
}

/// The records of the folders in models_dir() whose names begin so ("": that don't begin with a dot).
std::vector<PulledModel> records(std::string_view prefix) {
  std::vector<PulledModel> found;
  std::error_code ignored;  // no folder, no models
  for (const auto& entry : fs::directory_iterator(models_dir(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (prefix.empty() ? name.starts_with('.') : !name.starts_with(prefix)) continue;
    if (auto model = read_record(entry.path()); model && name == std::string(prefix) + model->name)
      found.push_back(std::move(*model));
  }
  std::ranges::sort(found, {}, &PulledModel::name);
  return found;
}

bool is_of(const PulledModel& model, const HubSource& wanted) {
  if (!is_hub_source(model.source)) return false;
  const auto source = parse_hub_source(model.source);
  if (!source || text::lower(source->repo) != text::lower(wanted.repo) || source->revision != wanted.revision)
    return false;
  return wanted.wanted.empty() || text::lower(source->wanted) == text::lower(wanted.wanted) ||
         has_quantization(model.file, wanted.wanted);
}

base::Result<PulledModel> only_one(const std::string& spec, std::vector<PulledModel> fitting) {
  if (fitting.size() == 1) return std::move(fitting.front());
  if (fitting.empty()) {
    return base::Error{base::Code::kNotFound,
                       fmt::format("{0} isn't here. Run: permutation models pull {0}", spec)};
  }
  std::vector<std::string> names;
  for (const PulledModel& model : fitting) names.push_back(model.name);
  return base::invalid(fmt::format("{} fits several models: name one of {}", spec, fmt::join(names, ", ")),
                       "name");
}

}  // namespace

fs::path PulledModel::path() const {
  return pulled_folder(name) / file;
}

fs::path pulled_folder(const std::string& name) {
  return models_dir() / name;
}

fs::path pull_folder(const std::string& name) {
  return models_dir() / (std::string(kPulling) + name);
}

base::Result<PulledModel> read_record(const fs::path& folder) {
  TRY_ASSIGN(const std::string text, base::read_file((folder / kRecord).string(), kRecordBytesMax));
  const auto read = base::parse_json(text);
  if (!read) return no_record(folder);
  PulledModel model{.name = base::text_at(*read, "name"),
                    .source = base::text_at(*read, "source"),
                    .server = base::text_at(*read, "server"),
                    .revision = base::text_at(*read, "revision"),
                    .file = base::text_at(*read, "file"),
                    .bytes = base::integer_at(*read, "bytes").value_or(0),
                    .sha256 = base::text_at(*read, "sha256")};
  const auto is_file_name = [](const std::string& name) {
    return !name.empty() && name.find('/') == std::string::npos && name.front() != '.';
  };
  bool right = is_model_name(model.name) && is_file_name(model.file);
  for (const json& one : base::array_at(*read, "fetched")) {
    model.fetched.push_back({.file = base::text_at(one, "file"),
                             .bytes = base::integer_at(one, "bytes").value_or(0),
                             .sha256 = base::text_at(one, "sha256"),
                             .etag = base::text_at(one, "etag")});
    right = right && is_file_name(model.fetched.back().file);
  }
  if (!right) return no_record(folder);
  return model;
}

base::Status write_record(const fs::path& folder, const PulledModel& model) {
  json fetched = json::array();
  for (const PulledFile& one : model.fetched) {
    fetched.push_back({{"file", one.file}, {"bytes", one.bytes}, {"sha256", one.sha256}, {"etag", one.etag}});
  }
  const json record{{"name", model.name},         {"source", model.source}, {"server", model.server},
                    {"revision", model.revision}, {"file", model.file},     {"bytes", model.bytes},
                    {"sha256", model.sha256},     {"fetched", fetched}};
  const std::string text = record.dump(2, ' ', false, json::error_handler_t::replace);
  return base::replace_file((folder / kRecord).string(), text + "\n");
}

std::vector<PulledModel> pulled_models() {
  std::vector<PulledModel> models = records("");
  std::erase_if(models, [](const PulledModel& model) { return !is_whole(model); });
  return models;
}

std::vector<PulledModel> unfinished_pulls() {
  return records(kPulling);
}

base::Result<PulledModel> find_pulled(const std::string& spec) {
  std::vector<PulledModel> fitting = pulled_models();
  if (!is_hub_source(spec)) {
    std::erase_if(fitting,
                  [&](const PulledModel& model) { return model.name != spec && model.source != spec; });
    return only_one(spec, std::move(fitting));
  }
  TRY_ASSIGN(const HubSource wanted, parse_hub_source(spec));
  std::erase_if(fitting, [&](const PulledModel& model) { return !is_of(model, wanted); });
  return only_one(spec, std::move(fitting));
}

}  // namespace pmt::engine
