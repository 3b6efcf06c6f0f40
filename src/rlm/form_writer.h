// A found answer in the form that its caller asked for (`response_format`, or what other servers call it): the root
// model copies it there, by a grammar where it runs here. Thread-safety: one answer's thread.
#pragma once

#include <optional>
#include <string>

#include "llm/tools.h"
#include "rlm/run.h"

namespace pmt::rlm {

struct AskedForm {
  llm::ResponseFormat form;
  std::optional<int> max_tokens = {};  // of what is written; unset: enough for most
};

/// `found` is an answer to `question` in plain words. Cut at the tokens asked for, as any answer is. Errors: the call's;
/// kBadGateway, where a model elsewhere wrote no JSON though JSON was asked for. Cost: one call of the root.
base::Result<std::string> in_form(Run& run, const AskedForm& asked, const std::string& question,
                                  const std::string& found);

}  // namespace pmt::rlm
