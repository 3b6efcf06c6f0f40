#include "base/core_wait.h"

#include <array>
#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pmt::base {
namespace {

/// "nanoseconds on a core, nanoseconds ready for one, times on one".
std::optional<std::int64_t> second_number(std::string_view text) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  std::int64_t out = 0;
  const auto read = std::from_chars(text.data() + blank + 1, text.data() + text.size(), out);
  if (read.ec != std::errc() || out < 0) return std::nullopt;
  return out;
}

}  // namespace

CoreWait::CoreWait(const std::vector<int>& ids, const std::string& proc) {
  std::vector<int> all = ids;
  all.push_back(static_cast<int>(::gettid()));
  for (const int id : all) {
    const std::string path = fmt::format("{}/self/task/{}/schedstat", proc, id);
    files_.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
}

std::optional<Nanos> CoreWait::read() const {
  std::int64_t sum = 0;
  for (const Fd& file : files_) {
    std::array<char, 96> text{};
    const ssize_t count = ::pread(file.get(), text.data(), text.size(), 0);
    if (count <= 0) return std::nullopt;
    const auto waited = second_number({text.data(), static_cast<std::size_t>(count)});
    if (!waited) return std::nullopt;
    sum += *waited;
  }
  return Nanos(sum);
}

}  // namespace pmt::base
