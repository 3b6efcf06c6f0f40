// What of a request is the question, and what the context.
//   permutation.rlm.context given: that; the question is the last user message.
//   several user messages, or a long earlier one: the last user message is the question, everything before it
//   (but the system's messages) is the context. one long user message: its last paragraph is the question if
//   it is short, else its first if that is; the rest is the context. one short user message: there is no
//   context; the question stands alone.
// Thread-safety: pure functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/request.h"
#include "rlm/watch.h"

namespace pmt::rlm {

struct Asked {
  std::string question;
  std::string text;                // the context, unless it came as
  std::vector<std::string> parts;  // several texts
  bool passed_over = false;        // messages before the last one, which a session doesn't need
};

/// Takes the context out of the request: it may be large. `has_context`: of a session, so that only what is given beside
/// the messages, or stands in a last message that is too long for a question, is another one. Errors: kInvalidArgument, no
/// user message.
base::Result<Asked> question_of(llm::Request& request, bool has_context = false);

/// `count` texts with blank lines between them. Errors: the watch's.
base::Result<std::string> joined(std::size_t count,
                                 const std::function<const std::string&(std::size_t)>& part, Watch& watch);

}  // namespace pmt::rlm
