// What must be known first where a question takes two steps: what it describes by something named
// (described_part()), else what the root model names. Thread-safety: any thread. Errors: the asker's. Cost:
// none, or one call, some 200 prompt tokens of which all but the question are the same every time, and ten
// written.
#pragma once

#include <string>
#include <vector>

#include "rlm/run.h"

namespace pmt::rlm {

/// A question for a part of a question.
struct Part {
  std::string question;                   // "": it has none
  std::vector<llm::Message> prompt = {};  // empty: no model was asked
  std::string response = {};
  double seconds = 0;
};

base::Result<Part> part_of(Run& run, const std::string& question, const std::string& known);

}  // namespace pmt::rlm
