// What keeps the prefixes of requests apart beside their tokens: kv_cache::PrefixKey::scope.
// Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "llm/request.h"

namespace pmt::inference {

/// Equal for two requests that may share keys and values: the same tenant, the same knowledge. Whatever else
/// changes what a model reads into its keys and values (a pack's version) must be in here.
std::string prefix_scope(const llm::Request& request);
/// What the scopes of all of a tenant's requests begin with, and nobody else's.
std::string tenant_scope(std::string_view tenant);

}  // namespace pmt::inference
