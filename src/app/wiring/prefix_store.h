// The files of prefixes, opened as the config says.
// Errors: kInvalidArgument, the key is missing or no key. A folder that can't be used (another server has it) is
// warned of: prefixes are kept in memory only then, and null is returned, as where no path is set.
#pragma once

#include <memory>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/result.h"
#include "kv_cache/disk/prefix_files.h"

namespace pmt::app {

base::Result<std::unique_ptr<kv_cache::PrefixFiles>> open_prefixes(const PrefixesConfig& config,
                                                                   const base::Clock& clock);

}  // namespace pmt::app
