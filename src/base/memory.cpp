#include "base/memory.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/file.h"

namespace pmt::base {
namespace {

constexpr std::int64_t kUnknown = -1;

/// The first number of `text` after `key`, or none.
std::optional<std::int64_t> number_after(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  const std::size_t digits = text.find_first_not_of(" \t", at + key.size());
  if (digits == std::string_view::npos) return {};
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data() + digits, text.data() + text.size(), value);
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

/// "" where there is no such file.
std::string content_of(const std::string& path) {
  return read_file(path).value_or("");
}

/// What a group's limit leaves; its file cache is given up when memory is short. None: no limit.
std::optional<std::int64_t> left_in(const std::string& group) {
  const auto limit = number_after(content_of(group + "/memory.max"), "");  // "max": none
  const auto used = number_after(content_of(group + "/memory.current"), "");
  if (!limit || !used) return {};
  const auto cached = number_after(content_of(group + "/memory.stat"), "\ninactive_file");
  return std::max<std::int64_t>(0, *limit - *used + cached.value_or(0));
}

}  // namespace

std::int64_t memory_available(const MemoryFiles& files) {
  const auto kib = number_after(content_of(files.meminfo), "MemAvailable:");
  std::int64_t available = kib ? *kib * 1024 : kUnknown;
  const auto lower_to = [&](std::optional<std::int64_t> left) {
    if (left) available = available < 0 ? *left : std::min(available, *left);
  };
  const std::string own = content_of(files.cgroup_of_self);
  const std::size_t at = own.find("0::/");
  std::string group = at == std::string::npos ? "/" : own.substr(at + 3, own.find('\n', at) - at - 3);
  for (;; group.erase(group.rfind('/'))) {
    lower_to(left_in(files.cgroups + (group == "/" ? "" : group)));
    if (group.empty() || group == "/") return available;
  }
}

}  // namespace pmt::base
