// An OpenAI-compatible server's answer -> llm events: streamed chunks or one whole object, chat or text. What
// has no member in the events goes on as it was written: of the answer in Started::more (what each chunk says)
// and Done::extra, of a message in Delta::more, of a choice in choice_more, of calls and usage in theirs.
//
// What clients read by type keeps its type: an end has OpenAI's word (another server's own stands beside it, as
// native_finish_reason), a content is text (parts that are more stand beside it, as content_parts).
//
// Foreign input: whatever is sent, the events have event.h's order; anything that has another type than it
// should is an error, not a guess. A chunk that says nothing of choices, usage or an error is a ping.
// Thread-safety: none; one reader reads one answer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/result.h"
#include "llm/event.h"
#include "llm/json_sum.h"
#include "upstream/call_reader.h"
#include "upstream/event_reader.h"

namespace pmt::upstream {

class AnswerReader final : public EventReader {
 public:
  using About = AnswerAbout;
  explicit AnswerReader(About about) : about_(std::move(about)) {}

  base::Status chunk(std::string_view payload, std::vector<llm::Event>& out) override;
  base::Status whole(std::string_view body, std::vector<llm::Event>& out) override;
  base::Status finish(std::vector<llm::Event>& out) override;

  bool done() const { return done_; }
  const llm::Usage& usage() const { return usage_; }

 private:
  using Members = std::vector<base::JsonMember>;
  struct Choice {
    explicit Choice(std::string seed) : calls(std::move(seed)) {}
    bool ended = false;
    bool has_content = false;  // some text came, perhaps an empty one
    CallReader calls;
    // Members that were null in chunks without anything else: they go on with what comes next.
    llm::JsonSum quiet{llm::JsonSum::Rule::kLast}, quiet_choice{llm::JsonSum::Rule::kLast};
  };
  enum class Shape { kChunk, kWhole };
  base::Status take(std::string_view text, Shape shape, std::vector<llm::Event>& out);
  base::Status take_choice(std::string_view text, Shape shape, std::vector<llm::Event>& out);
  base::Status take_piece(const Members& choice, Shape shape, Choice& state, llm::Delta& delta) const;
  Choice& choice_of(int number);
  base::Status take_message(std::string_view text, Shape shape, Choice& choice, llm::Delta& delta) const;
  base::Status end_choice(std::string_view reason, Choice& choice, llm::ChoiceEnd end,
                          std::vector<llm::Event>& out);
  void start(const Members& body, std::vector<llm::Event>& out);
  void take_usage(std::string_view usage);

  const About about_;
  bool started_ = false;
  bool done_ = false;
  bool transient_ = false;
  std::map<int, Choice> choices_;
  llm::Usage usage_;
  std::map<std::string, std::string> head_;  // what Started has: name -> value
  llm::JsonSum extra_{llm::JsonSum::Rule::kLast};
};

}  // namespace pmt::upstream
