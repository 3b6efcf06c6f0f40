#include "net/target.h"

#include <utility>

#include "base/percent.h"

namespace pmt::net {
namespace {

/// False where it can't be.
bool decode(std::string_view text, base::PercentOptions options, std::string* out) {
  auto decoded = base::percent_decoded(text, options);
  if (!decoded) return false;
  *out = *std::move(decoded);
  return true;
}

bool decode_query(std::string_view query, HttpRequest* request) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    auto& [name, value] = request->query.emplace_back();
    if (!decode(pair.substr(0, equals), {.plus_is_space = true}, &name)) return false;
    if (equals == std::string_view::npos) continue;
    if (!decode(pair.substr(equals + 1), {.plus_is_space = true}, &value)) return false;
  }
  return true;
}

/// Where the authority of "http://host/path" begins; npos in any other form.
std::size_t authority_at(std::string_view target) {
  const std::size_t scheme = target.find("://");
  const bool absolute = !target.starts_with('/') && scheme != std::string_view::npos;
  return absolute ? scheme + 3 : std::string_view::npos;
}

/// "http://host/path" -> "/path"; anything else unchanged.
std::string_view without_authority(std::string_view target) {
  const std::size_t authority = authority_at(target);
  if (authority == std::string_view::npos) return target;
  const std::size_t path = target.find_first_of("/?", authority);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

}  // namespace

std::optional<std::string_view> target_authority(std::string_view target) {
  const std::size_t at = authority_at(target);
  if (at == std::string_view::npos) return std::nullopt;
  return target.substr(at, target.find_first_of("/?#", at) - at);
}

bool decode_target(std::string_view target, HttpRequest* request) {
  if (target.empty()) return false;
  target = without_authority(target);
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  if (!decode(target.substr(0, mark), {}, &request->path)) return false;
  if (request->path.empty()) request->path.push_back('/');
  return mark == std::string_view::npos || decode_query(target.substr(mark + 1), request);
}

}  // namespace pmt::net
