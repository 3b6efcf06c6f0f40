// What a well-formed request asks for and nobody here does yet: an honest error instead of an answer that
// ignores it. A capability that gets built takes its line out of here.
#pragma once

#include "api/api.h"
#include "api/json/parse.h"
#include "base/result.h"

namespace pmt::api {

/// An upstream's model may know more, an engine of several models less. Errors: kInvalidArgument naming the
/// field.
base::Status check_supported(const CompletionCall& call, const ServedModel& model);

}  // namespace pmt::api
