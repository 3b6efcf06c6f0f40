// The texts that ./dev eval compression asks about, cut from the real data under --data DIR with a fixed
// seed. An item is a context that gets compressed and questions put after it, each with its gold answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/vocab.h"

namespace pmt::evals {

using Tokens = std::vector<std::int32_t>;

struct Question {
  Tokens tokens;  // from the end of the context to where the answer begins
  Tokens gold;    // whose log-probability is measured
  /// Any of these in the free answer solves it: compared as words, without case and punctuation. Empty: there
  /// is no free answer (perplexity).
  std::vector<std::string> wanted = {};
  /// Instead, none of them may be in it.
  bool forbidden = false;
};

struct Item {
  Tokens context;
  std::vector<Question> questions;
};

struct TaskText {
  std::string name;
  std::vector<Item> items;
};

/// Names as in the table of results: needle_1400, needle_3200, longeval, xquad, many_questions,
/// instructions, not_leaked, perplexity. Errors: an unknown name, data that isn't there.
base::Result<TaskText> make_task(const std::string& name, const std::string& data, const model::Vocab& vocab,
                                 int items, int seed);

}  // namespace pmt::evals
