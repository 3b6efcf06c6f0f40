// The texts that ./dev eval compression asks about, cut from the real data under --data DIR or made (lab/ruler.h), with
// a fixed seed. An item is a context and questions put after it, as a client would send them: messages and no tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/request.h"

namespace pmt::evals {

/// The longest answer that is waited for unless a question says another, of peers, too.
inline constexpr int kAnswerTokens = 48;

/// How an answer is judged by the wanted texts.
enum class Scoring {
  kWords,       // any of them solves it: compared as words, without case and punctuation
  kAllStrings,  // the share of them that it has: compared as strings, without case
  kAnyString    // any of them solves it, as strings
};

/// "words", "all_strings", "any_string": as evals/peers knows them.
const char* name_of(Scoring scoring);

struct Question {
  std::string text;  // the user's words behind the context
  std::vector<std::string> wanted = {};
  /// Instead, none of them may be in it.
  bool forbidden = false;
  Scoring scoring = Scoring::kWords;
  int answer_tokens = kAnswerTokens;
};

struct Item {
  std::string system = {};   // "": no system message
  std::string context = {};  // in the user's turn, before the question; "" where it is the system message
  std::vector<Question> questions;
};

struct TaskText {
  std::string name;
  int tokens = 0;  // that a prompt and its answer were to fill; 0: the task has a length of its own
  std::vector<Item> items;
};

/// How many tokens a text has.
using TokenCount = std::function<std::int64_t(const std::string&)>;

struct TaskOptions {
  std::string data;         // the folder
  TokenCount count_tokens;  // of a text
  TokenCount count_prompt;  // of a prompt whose user's turn this is, the template included
  int items = 0;            // contexts; of ruler_... questions, which share contexts
  int seed = 1;
  int tokens = 0;  // of ruler_...
};

/// Whether the task is made to a length: ruler_..., each kind of lab/ruler.h.
bool takes_tokens(const std::string& name);

/// Names as in the table of results: needle_1400, needle_3200, needle_4000, needle_7500, longeval, xquad,
/// many_questions, instructions, not_leaked, ruler_single_words and the other kinds of lab/ruler.h. Errors: an unknown
/// name, data that isn't there, too few tokens.
base::Result<TaskText> make_task(const std::string& name, const TaskOptions& options);

/// The conversation that puts `question` to the model.
std::vector<llm::Message> messages_of(const Item& item, const Question& question);

/// 1 where the answer solves the question, 0 where it doesn't, a share where several things were asked for.
double score_of(const Question& question, const std::string& answer);

}  // namespace pmt::evals
