#include "inference/prefix_scope.h"

#include <fmt/format.h>

namespace pmt::inference {

std::string tenant_scope(std::string_view tenant) {
  // Lengths first: no tenant's name can pass for another's name and a pack.
  return fmt::format("{}:{}", tenant.size(), tenant);
}

std::string prefix_scope(const llm::Request& request) {
  std::string scope = tenant_scope(request.tenant);
  for (const std::string& domain : request.knowledge) scope += fmt::format("{}:{}", domain.size(), domain);
  return scope;
}

}  // namespace pmt::inference
