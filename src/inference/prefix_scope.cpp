#include "inference/prefix_scope.h"

#include <fmt/format.h>

namespace pmt::inference {

std::string prefix_scope(const llm::Request& request) {
  // Lengths first: no tenant's name can pass for another's name and a pack.
  std::string scope = fmt::format("{}:{}", request.tenant.size(), request.tenant);
  for (const std::string& domain : request.knowledge) scope += fmt::format("{}:{}", domain.size(), domain);
  return scope;
}

}  // namespace pmt::inference
