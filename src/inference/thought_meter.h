// Which tokens of an answer are thoughts, while they are chosen (note 0036): they are counted, bring no
// log-probabilities, end at no stop string, and have a budget. Goes by the tags alone; what the caller is shown of
// the text is told apart behind it (call_reader.h, native_chat.h).
//
// The tags belong to the thought, and so does the white space after it. A thought stands at the answer's very
// beginning, white space aside; in a notation of channels, which has several, anywhere.
// Thread-safety: none. Cost: some comparisons a byte; holds back what may become the opening tag.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::inference {

struct Thinking {
  std::string open = {}, close = {};  // the tags; "": it doesn't think
  bool begun = false;                 // the prompt ends within a thought
  bool anywhere = false;
  std::optional<int> budget_tokens = {};
  std::vector<std::int32_t> closing = {};  // what is written where the budget is spent
};

class ThoughtMeter {
 public:
  explicit ThoughtMeter(Thinking how = {});

  struct Parts {
    std::string thought, answer;
  };
  /// What the next token's text is; both are empty while it can't be told.
  Parts push(std::string_view text);
  /// The end of the text, of no new token.
  Parts finish(std::string_view rest);

  /// How many of the last tokens turned out to be thoughts by the last push.
  int thoughts_found() const { return found_; }
  int thought_tokens() const { return tokens_; }
  bool thinking() const { return state_ == State::kThought; }
  /// The thought has had its budget: its closing is due.
  bool spent() const { return thinking() && how_.budget_tokens && inside_ >= *how_.budget_tokens; }
  const std::vector<std::int32_t>& closing() const { return how_.closing; }

 private:
  enum class State { kStart, kThought, kAfter, kBetween, kAnswer };
  void take(char c, Parts& parts);
  void begin(char c, Parts& parts);
  bool ends_tag(char c, const std::string& tag);

  Thinking how_;
  State state_;
  std::string held_;         // in kStart: may become the opening tag
  std::size_t matched_ = 0;  // of it, white space aside
  std::string tail_;         // of what came, as long as a tag
  int undecided_ = 0;        // tokens in held_
  int found_ = 0, tokens_ = 0;
  int inside_ = 0;  // tokens between the tags
};

}  // namespace pmt::inference
