#include "knowledge_cache/packs/pack_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "knowledge_cache/packs/fact.h"
#include "knowledge_cache/packs/pack.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".pack";

}  // namespace

PackFolder::Lock::~Lock() {
  ::close(file_);
}

base::Result<std::unique_ptr<PackFolder::Lock>> PackFolder::lock(const std::string& domain) const {
  std::error_code error;
  fs::create_directories(options_.path, error);
  const std::string path = options_.path + "/." + domain + ".lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0)
    return base::Error{base::Code::kIo,
                       fmt::format("can't write in {}: {}", options_.path, std::strerror(errno))};
  while (::flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) {
      ::close(file);
      return base::Error{base::Code::kIo, fmt::format("can't lock {}: {}", path, std::strerror(errno))};
    }
  }
  return std::unique_ptr<Lock>(new Lock(file));
}

std::string PackFolder::path_of(const std::string& domain) const {
  return options_.path + "/" + domain + kSuffix;
}

bool PackFolder::changed() {
  // A pack is written aside and renamed, which sets its folder's time. A time of this very second may hide
  // the next change, so it isn't relied on yet.
  constexpr std::int64_t kSettledSeconds = 2;
  struct stat info {};
  Time seen{-1, 0};  // no folder
  if (::stat(options_.path.c_str(), &info) == 0) seen = {info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
  const std::lock_guard lock(mutex_);
  const bool same = seen_at_ && *seen_at_ == seen;
  seen_at_.reset();
  if (clock_.unix_seconds() - seen.first >= kSettledSeconds) seen_at_ = seen;
  return !same;
}

std::set<std::string> PackFolder::domains() const {
  std::set<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.path, error)) {
    const fs::path& path = entry.path();
    if (path.extension() == kSuffix && check_domain_name(path.stem().string()))
      out.insert(path.stem().string());
  }
  return out;
}

std::int64_t PackFolder::stamp(const std::string& domain) const {
  constexpr std::int64_t kNsPerS = 1'000'000'000;
  struct stat info {};
  if (::stat(path_of(domain).c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * kNsPerS + info.st_mtim.tv_nsec + static_cast<std::int64_t>(info.st_ino);
}

base::Result<PackFolder::Stamped> PackFolder::read(const std::string& domain) const {
  const std::string path = path_of(domain);
  // Before the file is read: what is written meanwhile has another one, and is read again.
  const std::int64_t stamp = this->stamp(domain);
  TRY_ASSIGN(const std::string bytes, base::read_file(path));
  auto read = domain_of(bytes);
  if (!read && read.error().code == base::Code::kCorrupt) {
    const auto aside = base::set_aside(path);
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {}. {}", path, read.error().message,
                                   aside ? "It was set aside as " + *aside : aside.error().message)};
  }
  if (!read) return read.error();
  if ((*read)->origin().model != options_.model) {
    return base::Error{
        base::Code::kUnprocessable,
        fmt::format("{} was taught to another model than {}: it is not used", path, options_.model_name)};
  }
  return Stamped{std::move(*read), stamp};
}

base::Result<std::int64_t> PackFolder::write(const Domain& domain) const {
  TRY(base::replace_file(path_of(domain.origin().name), pack_bytes(domain)));
  return stamp(domain.origin().name);
}

base::Status PackFolder::remove(const std::string& domain) const {
  const std::string path = path_of(domain);
  if (::unlink(path.c_str()) != 0)
    return base::Error{base::Code::kIo, fmt::format("can't delete {}: {}", path, std::strerror(errno))};
  return {};
}

}  // namespace pmt::knowledge_cache
