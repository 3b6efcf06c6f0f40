// The audit's one sentence, computed from its cells and nothing else.
#pragma once

#include <string>
#include <vector>

#include "audit/audit.h"

namespace pmt::audit {

/// The column's title: "PermutationEngine", ...
const char* title_of(base::Surface surface);

/// "Yes: ..." only when every row is implemented and was used somewhere; else "No: ...".
std::string verdict_of(const std::vector<RowResult>& rows);

}  // namespace pmt::audit
