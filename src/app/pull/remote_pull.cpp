#include "app/pull/remote_pull.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/commands/report_error.h"
#include "app/commands/text_table.h"
#include "app/pull/downloads.h"
#include "app/pull/pull_folder.h"
#include "app/pull/remote_plan.h"
#include "base/file_digest.h"
#include "base/hash.h"
#include "engine/catalogue.h"
#include "model/gguf_join.h"
#include "model/gguf_preflight.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;
using engine::PulledFile;
using engine::PulledModel;

/// One file of the parts, which go.
base::Status join(const fs::path& folder, PulledModel& model) {
  tell("joining its {} parts\n", model.fetched.size());
  std::vector<std::string> parts;
  for (const PulledFile& file : model.fetched) parts.push_back((folder / file.file).string());
  const fs::path joined = folder / (model.file + ".joined");
  TRY(model::join_gguf(parts, joined.string()));
  TRY_ASSIGN(const base::Digest digest, base::digest_of_file(joined));
  std::error_code error;
  fs::rename(joined, folder / model.file, error);
  if (error)
    return base::Error{base::Code::kIo, fmt::format("can't rename {}: {}", joined.string(), error.message())};
  model.bytes = bytes_of(folder / model.file);
  model.sha256 = digest.hex();
  for (const std::string& part : parts) fs::remove(part, error);
  return {};
}

bool has_bytes_of(const PulledModel& there, const PulledModel& now) {
  const auto same = [](const PulledFile& a, const PulledFile& b) {
    const bool said = b.sha256.empty() ? !b.etag.empty() && a.etag == b.etag : a.sha256 == b.sha256;
    return said && a.bytes == b.bytes;
  };
  return std::ranges::equal(there.fetched, now.fetched, same);
}

base::Result<std::string> name_for(const RemotePull& wanted, const PulledModel& model) {
  const std::string name = wanted.name.empty() ? engine::name_of_file(model.file) : wanted.name;
  if (!engine::is_model_name(name)) {
    return base::invalid(
        fmt::format("'{}' can't be a model's name: give one of letters, digits and ._- with --name", name),
        "name");
  }
  if (engine::find_in_catalogue(name) != nullptr) {
    return base::invalid(fmt::format("{} is a name of the catalogue: give another one with --name", name),
                         "name");
  }
  for (const fs::path& folder : {engine::pulled_folder(name), engine::pull_folder(name)}) {
    const auto there = engine::read_record(folder);
    if (!there || there->source == model.source || has_bytes_of(*there, model)) continue;
    return base::invalid(
        fmt::format("{} is the name of a model from {}: give this one another with --name, or remove "
                    "that one: permutation models remove {}",
                    name, there->source, name),
        "name");
  }
  return name;
}

/// Whether the model is installed, undamaged, with the very bytes that the server has now.
bool is_installed(const PulledModel& model) {
  const auto there = engine::read_record(engine::pulled_folder(model.name));
  if (!there || !has_bytes_of(*there, model)) return false;
  const auto digest = base::digest_of_file(there->path());
  return digest && digest->hex() == there->sha256;
}

base::Result<fs::path> fetch_and_install(net::AsyncClient& client, RemotePlan& plan, double timeout_s) {
  PulledModel& model = plan.model;
  TRY_ASSIGN(PullFolder folder, PullFolder::open(model.name));
  if (is_installed(model)) {  // asked here, since another process may just have finished
    tell("{} is already installed and intact\n", model.name);
    TRY_ASSIGN(const PulledModel there, engine::read_record(engine::pulled_folder(model.name)));
    return there.path();
  }
  TRY(continue_from(folder.path(), model));
  const bool parted = model.fetched.size() > 1;
  const std::int64_t to_join = parted ? model.bytes : 0;
  TRY(check_disk(model.name, static_cast<std::uintmax_t>(bytes_left(folder.path(), model) + to_join)));
  tell("downloading {} from {}: {}{}\n", model.name, plan.model.server,
       human_bytes(static_cast<double>(model.bytes)),
       parted ? fmt::format(" in {} parts", model.fetched.size()) : "");
  TRY(download_all(client, plan, folder.path(), timeout_s));
  if (parted) {
    TRY(join(folder.path(), model));
  } else {
    model.sha256 = model.fetched.front().sha256;
  }
  TRY(engine::write_record(folder.path(), model));
  TRY(folder.become(engine::pulled_folder(model.name)));
  if (const base::Status fit = model::check_gguf(model.path().string()); !fit)
    tell("{} is here whole, but can't be served: {}\n", model.name, fit.error().message);
  return model.path();
}

}  // namespace

base::Result<fs::path> pull_remote(const RemotePull& wanted) {
  if (!wanted.sha256.empty() && !base::Digest::of_hex(wanted.sha256))
    return base::invalid("--sha256 must be 64 hex digits", "sha256");
  TRY_ASSIGN(const Hub hub, hub_of_environment());
  TRY_ASSIGN(const auto client, net::AsyncClient::create({}));
  const auto sum = base::Digest::of_hex(wanted.sha256);
  TRY_ASSIGN(RemotePlan plan, plan_pull(*client, hub, wanted.source,
                                        {.sha256 = sum ? sum->hex() : "", .timeout_s = wanted.timeout_s}));
  TRY_ASSIGN(plan.model.name, name_for(wanted, plan.model));
  return fetch_and_install(*client, plan, wanted.timeout_s);
}

}  // namespace pmt::app
