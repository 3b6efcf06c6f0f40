// An answer of OpenAI's Responses API -> llm events, streamed or whole (note 0031).
//
//   message             text; its refusal, annotations and log-probabilities as chat has them
//   reasoning           reasoning (its content, or the summary); where it is encrypted, the item itself in
//                       reasoning_items (Delta::more)
//   function_call       a call: its pieces, and whole at the choice's end
//   any other item      output_items, as it was written
//   status              OpenAI's finish_reason; a failed response is an error
//   usage               chat's names: prompt_tokens_details, completion_tokens_details
//
// Foreign input, as EventReader. Thread-safety: none; one reader reads one answer.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upstream/event_reader.h"
#include "upstream/foreign_json.h"

namespace pmt::upstream {

class ResponseReader final : public EventReader {
 public:
  explicit ResponseReader(AnswerAbout about) : about_(std::move(about)) {}

  base::Status chunk(std::string_view payload, std::vector<llm::Event>& out) override;
  base::Status whole(std::string_view body, std::vector<llm::Event>& out) override;
  base::Status finish(std::vector<llm::Event>& out) override;

 private:
  /// An item of the output: what of it was passed on already.
  struct Item {
    bool said = false;  // some of its text, refusal or reasoning
    bool ended = false;
    std::optional<std::size_t> call;  // which of calls_
    std::int64_t part = 0;            // of the reasoning's summary that is written now
  };
  struct Call {
    std::string id, name, arguments;
  };
  using Events = std::vector<llm::Event>;

  void start(const Members& response, Events& out);
  base::Status take_event(std::string_view type, const Members& event, Events& out);
  base::Result<Item*> item_of(const Members& event);
  base::Status begin_call(const Members& item, Item& state, Events& out);
  void add_text(const Members& event, std::string text, Events& out);
  void add_reasoning(const Members& event, Item& item, Events& out);
  void add_arguments(std::size_t call, std::string piece, Events& out);
  base::Status end_item(std::string_view text, Item& state, Events& out);
  void end_message(const Members& item, Item& state, Events& out);
  void end_reasoning(const Members& item, std::string_view text, Item& state, Events& out);
  base::Status end_call(const Members& item, Item& state, Events& out);
  base::Status take_end(const Members& response, Events& out);
  void take_usage(const Members& usage);
  void say(llm::Delta delta, Events& out);
  void say_more(std::string_view name, std::string_view value, Events& out);

  const AnswerAbout about_;
  bool started_ = false;
  bool done_ = false;
  bool has_text_ = false;
  std::map<std::int64_t, Item> items_;  // by their place in the output
  std::vector<Call> calls_;
  llm::Usage usage_;
  llm::FinishReason reason_ = llm::FinishReason::kStop;
  std::string native_reason_;  // a word that chat doesn't have
  bool ended_ = false;         // the response's own end has come
};

}  // namespace pmt::upstream
