// The audit as a server sent it, back in the form that audit::to_text prints.
#pragma once

#include <nlohmann/json.hpp>

#include "audit/audit.h"
#include "base/result.h"

namespace pmt::app {

/// The inverse of audit::to_json. Errors: not an audit (kCorrupt, names what is missing).
base::Result<audit::Audit> audit_from_json(const nlohmann::json& body);

}  // namespace pmt::app
