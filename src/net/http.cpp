#include "net/http.h"

namespace pmt::net {
namespace {

std::string_view first_value(const std::vector<std::pair<std::string, std::string>>& pairs,
                             std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  return first_value(headers, name);
}

std::string_view HttpRequest::query_value(std::string_view name) const {
  return first_value(query, name);
}

}  // namespace pmt::net
