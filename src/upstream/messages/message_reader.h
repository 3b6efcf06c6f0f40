// An answer of Anthropic's Messages API -> llm events, streamed or whole (note 0031).
//
//   thinking            reasoning as it comes; with its signature, whole, in thinking_blocks (Delta::more)
//   redacted_thinking   thinking_blocks
//   tool_use            a call: its pieces, and whole at the choice's end
//   any other block     content_parts, as it was written
//   citations           citations, as they were written
//   stop_reason         OpenAI's word; where that doesn't say all, native_finish_reason and stop_sequence beside it
//   usage               a prompt's tokens with those of the cache; the rest in OpenAI's prompt_tokens_details, ...
//
// Foreign input, as EventReader. Thread-safety: none; one reader reads one answer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "upstream/event_reader.h"
#include "upstream/foreign_json.h"

namespace pmt::upstream {

class MessageReader final : public EventReader {
 public:
  explicit MessageReader(AnswerAbout about) : about_(std::move(about)) {}

  base::Status chunk(std::string_view payload, std::vector<llm::Event>& out) override;
  base::Status whole(std::string_view body, std::vector<llm::Event>& out) override;
  base::Status finish(std::vector<llm::Event>& out) override;

 private:
  enum class Kind { kText, kThinking, kToolUse, kOther };
  struct Block {
    Kind kind = Kind::kOther;
    std::size_t call = 0;             // kToolUse: which of calls_
    std::string thinking, signature;  // kThinking: so far
    std::string input;                // kToolUse: what its start had
    bool ended = false;
  };
  struct Call {
    std::string id, name, arguments;
  };
  using Events = std::vector<llm::Event>;

  void start(const Members& message, Events& out);
  base::Status begin_block(const Members& event, Events& out);
  base::Status begin_call(const Members& block, Block& state, Events& out);
  base::Status add_delta(const Members& event, Events& out);
  void end_block(Block& block, Events& out);
  base::Status take_block(std::string_view text, Events& out);
  void take_end(const Members& delta);
  void take_usage(const Members& usage);
  llm::Usage usage() const;
  llm::ChoiceEnd choice_end() const;
  void say(llm::Delta delta, Events& out);
  void add_arguments(std::size_t call, std::string piece, Events& out);
  base::Result<Block*> block_of(const Members& event);

  const AnswerAbout about_;
  bool started_ = false;
  bool done_ = false;
  bool has_text_ = false;
  std::map<std::int64_t, Block> blocks_;  // by their index
  std::vector<Call> calls_;
  std::string stop_reason_, stop_sequence_;
  std::map<std::string, std::int64_t, std::less<>> counts_;  // of usage, by its own names
  std::map<std::string, std::string> usage_more_;
  std::map<std::string, std::string> extra_;  // of the message: name -> value
};

}  // namespace pmt::upstream
