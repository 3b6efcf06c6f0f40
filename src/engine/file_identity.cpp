#include "engine/file_identity.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace pmt::engine {

base::Result<FileIdentity> FileIdentity::of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const int why = errno;
    return base::Error{why == ENOENT || why == ENOTDIR ? base::Code::kNotFound : base::Code::kIo,
                       fmt::format("{}: {}", path, std::strerror(why))};
  }
  if (!S_ISREG(info.st_mode)) return base::Error{base::Code::kIo, path + " is not a regular file"};
  constexpr std::int64_t kNanos = 1'000'000'000;
  return FileIdentity{.inode = info.st_ino,
                      .bytes = info.st_size,
                      .modified_ns = info.st_mtim.tv_sec * kNanos + info.st_mtim.tv_nsec};
}

std::string FileIdentity::text() const {
  return fmt::format("{}-{}-{}", bytes, modified_ns, inode);
}

}  // namespace pmt::engine
