// What of a request is the question, and what the context.
//   permutation.rlm.context given: that; the question is the last user message.
//   several user messages, or a long earlier one: the last user message is the question, everything before it
//   (but the system's messages) is the context. one long user message: its last paragraph is the question if
//   it is short, else its first if that is; the rest is the context. one short user message: there is no
//   context; the question stands alone.
// Thread-safety: pure functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "llm/request.h"

namespace pmt::rlm {

struct Asked {
  std::string question;
  nlohmann::json context;  // a string, or an array of strings where the caller gave one
  std::string text;        // the context as one string
};

/// Errors: kInvalidArgument, no user message.
base::Result<Asked> question_of(const llm::Request& request);

}  // namespace pmt::rlm
