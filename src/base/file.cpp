#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace pmt::base {
namespace {

Error io_error(const std::string& what, const std::string& path) {
  return {Code::kIo, fmt::format("can't {} {}: {}", what, path, std::strerror(errno))};
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return io_error("read", path);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (file.bad()) return io_error("read", path);
  return bytes;
}

Status replace_file(const std::string& path, std::string_view bytes) {
  const std::string partial = fmt::format("{}.{}.partial", path, getpid());
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return io_error("write", partial);
  const bool written = write_all(file, bytes) && ::fsync(file) == 0;
  const int failed = errno;
  ::close(file);
  if (!written || std::rename(partial.c_str(), path.c_str()) != 0) {
    if (!written) errno = failed;
    const Error error = io_error("write", path);
    ::unlink(partial.c_str());
    return error;
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
  return {};
}

}  // namespace pmt::base
