// What the leaf was taught answers a question before a context is read for it. It is asked with the question alone: a
// reader's prompt has the form of an answer, which goes before what was taught, or names of other things.
// Thread-safety: one answer's thread. Errors: the asker's. Cost: a call of the leaf for one token where its domains have
// a say, two where a fact fires; none without domains, or where the leaf doesn't run here.
#pragma once

#include <optional>
#include <string>

#include "rlm/run.h"

namespace pmt::rlm {

/// None: nothing that was taught answers it.
base::Result<std::optional<Answer>> taught_answer(Run& run, const std::string& question);

/// The same as a whole program.
base::Result<std::optional<Outcome>> answer_from_knowledge(Run& run, const std::string& question);

}  // namespace pmt::rlm
