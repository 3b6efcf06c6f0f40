// RFC 9111, section 5.2.1: the request directives that we honour.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "api/json/parse.h"

namespace pmt::api {
namespace {

using llm::CacheMode;

std::string_view trimmed(std::string_view s) {
  const auto first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// What is left of `mode` when nothing may be read from the cache.
CacheMode without_reads(CacheMode mode) {
  switch (mode) {
    case CacheMode::kOn:
    case CacheMode::kRefresh:
      return CacheMode::kRefresh;
    case CacheMode::kReadOnly:
    case CacheMode::kOff:
      return CacheMode::kOff;
    case CacheMode::kWriteOnly:
      return CacheMode::kWriteOnly;
  }
  return mode;
}

base::Status apply_max_age(std::string_view value, llm::CacheOptions& cache) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size()) {
    return base::invalid("The Cache-Control header's max-age must be a whole number of seconds.",
                         "cache-control");
  }
  const auto age = static_cast<double>(seconds);
  cache.max_age_s = std::min(cache.max_age_s.value_or(age), age);
  return {};
}

}  // namespace

base::Status apply_cache_control(std::string_view header, llm::CacheOptions& cache) {
  while (!header.empty()) {
    const auto comma = header.find(',');
    const std::string_view directive = trimmed(header.substr(0, comma));
    header = comma == std::string_view::npos ? std::string_view{} : header.substr(comma + 1);
    const auto equals = directive.find('=');
    const std::string name = lower(trimmed(directive.substr(0, equals)));
    if (name == "no-store") cache.mode = CacheMode::kOff;
    if (name == "no-cache") cache.mode = without_reads(cache.mode);
    if (name == "only-if-cached") cache.only_if_cached = true;
    if (name == "max-age") {
      TRY(apply_max_age(equals == std::string_view::npos ? "" : trimmed(directive.substr(equals + 1)),
                        cache));
    }
  }
  return {};
}

}  // namespace pmt::api
