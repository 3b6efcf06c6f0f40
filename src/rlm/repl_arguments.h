// What a program of a REPL calls our functions with. Thread-safety: pure functions. Errors: kInvalidArgument, to be
// shown to the program.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "llm/tools.h"

namespace pmt::rlm {

base::Result<std::string> text_argument(const nlohmann::json& arguments, const char* name);
base::Result<std::vector<std::string>> prompts_argument(const nlohmann::json& arguments);

/// `response_format`, a dict as OpenAI's requests have it, which the REPL sends as JSON text: the order of a schema's
/// members is the order in which they are written. Not given: a free form.
base::Result<llm::ResponseFormat> form_argument(const nlohmann::json& arguments);

}  // namespace pmt::rlm
