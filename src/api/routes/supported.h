// What a well-formed request asks for and nobody here does yet: an honest error instead of an answer that
// ignores it. A capability that gets built takes its line out of here.
#pragma once

#include "api/json/parse.h"
#include "base/result.h"

namespace pmt::api {

/// `remote`: the model is an upstream's, which may know more. Errors: kInvalidArgument naming the field.
base::Status check_supported(const CompletionCall& call, bool remote);

}  // namespace pmt::api
