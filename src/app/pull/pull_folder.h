// The hidden folder that a model is fetched into: beside its final place, so that the last step is a rename on one file
// system. Thread-safety: one thread. One process at a time pulls or removes; the others wait.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace pmt::app {

/// Makes the folder of models if it isn't there, and holds its lock.
class ModelsLock {
 public:
  static base::Result<ModelsLock> take();
  /// False once it was moved elsewhere.
  bool is_held() const { return lock_.get() >= 0; }

 private:
  explicit ModelsLock(base::Fd lock) : lock_(std::move(lock)) {}
  base::Fd lock_;
};

/// models/.pull-NAME. It stays while it has something that the next try can use.
class PullFolder {
 public:
  static base::Result<PullFolder> open(const std::string& name);
  PullFolder(PullFolder&&) = default;
  PullFolder& operator=(PullFolder&&) = default;
  ~PullFolder();

  const std::filesystem::path& path() const { return path_; }
  void remove();
  /// The folder becomes `to`; what was there goes. Errors: kIo, both are as they were.
  base::Status become(const std::filesystem::path& to);

 private:
  PullFolder(ModelsLock lock, std::filesystem::path path) : lock_(std::move(lock)), path_(std::move(path)) {}
  bool is_worth_keeping() const;

  ModelsLock lock_;
  std::filesystem::path path_;
};

/// Of the files under a folder, which may come and go meanwhile.
std::uintmax_t bytes_under(const std::filesystem::path& folder);

/// Whether the disk of models_dir() has room for `needed` more bytes. Errors: kIo, with both figures.
base::Status check_disk(const std::string& name, std::uintmax_t needed);

}  // namespace pmt::app
