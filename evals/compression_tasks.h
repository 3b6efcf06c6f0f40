// The texts that ./dev eval compression asks about, cut from the real data under --data DIR with a fixed
// seed. An item is a context and questions put after it, as a client would send them: messages and no tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/request.h"

namespace pmt::evals {

/// The longest answer that is waited for, of peers, too.
inline constexpr int kAnswerTokens = 48;

struct Question {
  std::string text;  // the user's words behind the context
  /// Any of these in the answer solves it: compared as words, without case and punctuation.
  std::vector<std::string> wanted = {};
  /// Instead, none of them may be in it.
  bool forbidden = false;
};

struct Item {
  std::string system = {};   // "": no system message
  std::string context = {};  // in the user's turn, before the question; "" where it is the system message
  std::vector<Question> questions;
};

struct TaskText {
  std::string name;
  std::vector<Item> items;
};

/// How many tokens a text has.
using TokenCount = std::function<std::int64_t(const std::string&)>;

/// Names as in the table of results: needle_1400, needle_3200, needle_4000, needle_7500, longeval, xquad,
/// many_questions, instructions, not_leaked. Errors: an unknown name, data that isn't there.
base::Result<TaskText> make_task(const std::string& name, const std::string& data,
                                 const TokenCount& count_tokens, int items, int seed);

/// The conversation that puts `question` to the model.
std::vector<llm::Message> messages_of(const Item& item, const Question& question);

/// Whether an answer has any of the wanted words in it, or none where they are forbidden.
bool solves(const Question& question, const std::string& answer);

}  // namespace pmt::evals
