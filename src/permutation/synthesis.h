// The request that has one answer written out of two drafts.
// Thread-safety: pure.
#pragma once

#include <string>
#include <vector>

#include "llm/request.h"

namespace pmt::permutation {

struct Drafts {
  std::string question;
  std::string student, teacher;
  std::vector<std::string> facts = {};  // taught ones that the student's rests on
};

/// `request`: as the stage is asked it. Its limits and options stay; what it asks is another text.
llm::Request synthesis_request(llm::Request request, const Drafts& drafts);

}  // namespace pmt::permutation
