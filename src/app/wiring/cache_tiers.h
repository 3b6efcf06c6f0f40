// The response cache's lower tiers, as the config asks for them. A cache that can't be kept there is still a cache: why
// goes to the log.
// Requires: nothing is stored yet; the disk is opened before the shared tier. Thread-safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "response_cache/response_cache.h"

namespace pmt::app {

/// `checker`: as ServiceParts::store_checker.
void open_disk(const Config& config, const std::vector<std::string>& checker,
               response_cache::ResponseCache& cache);
/// `cache` stays where it is.
void open_shared(const Config& config, response_cache::ResponseCache& cache, const base::Clock& clock);

}  // namespace pmt::app
