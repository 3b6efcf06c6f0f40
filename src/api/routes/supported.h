// What a well-formed request asks for and nobody here does yet: an honest error instead of an answer that
// ignores it. A capability that gets built takes its line out of here.
#pragma once

#include "api/json/parse.h"
#include "base/result.h"

namespace pmt::api {

/// Who is to answer. An upstream may know more than a model here, an engine of several models less.
enum class Answerer { kModel, kEngine, kUpstream };

/// Errors: kInvalidArgument naming the field.
base::Status check_supported(const CompletionCall& call, Answerer who);

}  // namespace pmt::api
