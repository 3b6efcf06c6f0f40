#include "app/pull/pull_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "app/commands/report_error.h"
#include "app/commands/text_table.h"
#include "engine/home.h"
#include "engine/pulled_models.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;

base::Error no_folder(const std::string& why) {
  return {base::Code::kIo,
          fmt::format("can't make a folder in {}: {}. Is it writable? PERMUTATION_HOME moves it",
                      engine::models_dir().string(), why)};
}

}  // namespace

base::Result<ModelsLock> ModelsLock::take() {
  std::error_code error;
  fs::create_directories(engine::models_dir(), error);
  base::Fd lock(::open(engine::models_dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (error || lock.get() < 0) return no_folder(error ? error.message() : std::strerror(errno));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    tell("waiting for another `models pull`\n");
    while (flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  return ModelsLock(std::move(lock));
}

base::Result<PullFolder> PullFolder::open(const std::string& name) {
  TRY_ASSIGN(ModelsLock lock, ModelsLock::take());
  fs::path path = engine::pull_folder(name);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return no_folder(error.message());
  return PullFolder(std::move(lock), std::move(path));
}

PullFolder::~PullFolder() {
  if (lock_.is_held() && !path_.empty() && !is_worth_keeping()) remove();
}

void PullFolder::remove() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

base::Status PullFolder::become(const fs::path& to) {
  int done = renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (done != 0 && errno == EEXIST) {
    done = renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE);
  }
  if (done != 0 && errno == EINVAL) {  // a file system without them
    std::error_code error;
    fs::remove_all(to, error);
    done = std::rename(path_.c_str(), to.c_str());
  }
  if (done == 0) {
    remove();  // what was there before
    path_.clear();
    return {};
  }
  return base::Error{base::Code::kIo, fmt::format("can't rename {} to {}: {}", path_.string(), to.string(),
                                                  std::strerror(errno))};
}

/// Packages, and files that have come or are coming.
bool PullFolder::is_worth_keeping() const {
  std::error_code error;
  for (fs::recursive_directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    const fs::path extension = it->path().extension();
    const bool useful = extension == ".whl" || extension == ".part" || extension == ".gguf";
    std::error_code gone;
    if (useful && it->is_regular_file(gone) && it->file_size(gone) > 0 && !gone) return true;
  }
  return false;
}

std::uintmax_t bytes_under(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const auto size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

base::Status check_disk(const std::string& name, std::uintmax_t needed) {
  std::error_code error;
  const auto space = fs::space(engine::models_dir(), error);
  if (error || space.available >= needed) return {};
  return base::Error{
      base::Code::kIo,
      fmt::format("{} needs {} more of disk while it is fetched, and {} has {}. PERMUTATION_HOME moves it",
                  name, human_bytes(static_cast<double>(needed)), engine::models_dir().string(),
                  human_bytes(static_cast<double>(space.available)))};
}

}  // namespace pmt::app
