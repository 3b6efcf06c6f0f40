#include "net/target.h"

#include "base/hex.h"

namespace pmt::net {
namespace {

enum class Plus { kLiteral, kSpace };

bool percent_decode(std::string_view in, Plus plus, std::string* out) {
  out->reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '+' && plus == Plus::kSpace) {
      out->push_back(' ');
    } else if (in[i] != '%') {
      out->push_back(in[i]);
    } else {
      if (i + 2 >= in.size()) return false;
      const int high = base::hex_digit(in[i + 1]);
      const int low = base::hex_digit(in[i + 2]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
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
    if (!percent_decode(pair.substr(0, equals), Plus::kSpace, &name)) return false;
    if (equals == std::string_view::npos) continue;
    if (!percent_decode(pair.substr(equals + 1), Plus::kSpace, &value)) return false;
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
  if (!percent_decode(target.substr(0, mark), Plus::kLiteral, &request->path)) return false;
  if (request->path.empty()) request->path.push_back('/');
  return mark == std::string_view::npos || decode_query(target.substr(mark + 1), request);
}

}  // namespace pmt::net
