#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/fd.h"

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

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

Error no_file(const std::string& path, mode_t mode) {
  return {Code::kIo, fmt::format("can't read {}: it is {}, not a file", path, kind_of(mode))};
}

/// Looked at before it is opened (opening some devices acts on them) and after (it may be another by then).
Result<Fd> open_regular(const std::string& path) {
  if (path.empty()) return invalid("can't read a file without a name");
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const bool absent = errno == ENOENT || errno == ENOTDIR;
    Error error = io_error("read", path);
    if (absent) error.code = Code::kNotFound;
    return error;
  }
  if (!S_ISREG(info.st_mode)) return no_file(path, info.st_mode);
  Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return io_error("read", path);
  if (!S_ISREG(info.st_mode)) return no_file(path, info.st_mode);
  return file;
}

}  // namespace

Status check_file(const std::string& path) {
  TRY(open_regular(path));
  return {};
}

Status check_file(const std::string& path, const char* field) {
  const Status checked = check_file(path);
  if (!checked) return invalid(fmt::format("{}: {}", field, checked.error().message), field);
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  TRY_ASSIGN(const Fd file, open_regular(path));
  struct stat info {};
  ::fstat(file.get(), &info);
  const auto expected = static_cast<std::size_t>(info.st_size);  // a file in /proc says 0 and has more
  const auto too_large = [&] {
    return Error{Code::kTooLarge, fmt::format("can't read {}: it has more than {} bytes", path, bytes_max)};
  };
  if (expected > bytes_max) return too_large();
  std::string bytes(expected + 1, '\0');
  std::size_t size = 0;
  while (true) {
    const ssize_t n = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path);
    size += static_cast<std::size_t>(n);
    if (size > bytes_max) return too_large();
    if (n == 0) break;
    if (size == bytes.size()) bytes.resize(bytes.size() + std::max<std::size_t>(bytes.size(), 64 * 1024));
  }
  bytes.resize(size);
  return bytes;
}

std::size_t utf8_bytes(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length == 0 || lead > 0xF4 || length > text.size() - at) return at;
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      // Too long for what it says (E0, F0), half of a UTF-16 pair (ED), beyond Unicode (F4).
      const unsigned low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (next < low || next > high) return at;
    }
    at += length;
  }
  return at;
}

Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  TRY_ASSIGN(std::string text, read_file(path, bytes_max));
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return invalid(
        fmt::format("can't read {0}: it is text in UTF-16, and UTF-8 is wanted. To convert it: "
                    "iconv -f UTF-16 -t UTF-8 {0} > FILE",
                    path));
  }
  if (const std::size_t good = utf8_bytes(text); good != text.size()) {
    return invalid(fmt::format("can't read {}: it is no text in UTF-8 (byte {})", path, good + 1));
  }
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
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

Result<std::string> set_aside(const std::string& path) {
  constexpr int kNamesMax = 100'000;
  std::error_code failed;
  for (int n = 1; n <= kNamesMax; ++n) {
    std::string aside = fmt::format("{}.damaged-{}", path, n);
    if (std::filesystem::exists(std::filesystem::symlink_status(aside, failed))) continue;
    if (std::rename(path.c_str(), aside.c_str()) == 0) return aside;
    return io_error("set aside", path);
  }
  return Error{Code::kIo, fmt::format("can't set aside {}: too many were", path)};
}

}  // namespace pmt::base
