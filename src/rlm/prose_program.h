// The program for contexts that are no records, of roots that write none themselves (below 2B parameters). In
// this order:
//   1. a count, sum, mean or extreme over records among the prose is computed from them (aggregate.h): no
//      token is read;
//   2. a name that the question has and the text hasn't is said: no model is asked;
//   3. the passages that come nearest to the question (passages.h) are read by the leaf, which answers with
//      a quote (passage_reader.h);
//   4. where they don't tell, a sentence of them with all of the question's words is read alone;
//   5. then what the question describes by a name is asked for, else the root writes a question for a part of
//      it; that is answered the same way, and its answer leads to other passages; twice at most, and only
//      where the root can quote;
//   6. where that finds nothing, the next passages are read (only further ones with such a sentence, where
//      there are any), and then the answer says that it isn't in the text.
// What was read, the quotes and their bytes are in the outcome's strategy, and every step in its trajectory.
// Thread-safety: any thread. Errors: the model's and the budget's, kCancelled (within 100 ms). Cost: two
// passes over the text; some 300 tokens a passage, at most eight readings.
#pragma once

#include <string>

#include "rlm/run.h"

namespace pmt::rlm {

base::Result<Outcome> answer_from_prose(Run& run, const std::string& question, const std::string& context);

}  // namespace pmt::rlm
