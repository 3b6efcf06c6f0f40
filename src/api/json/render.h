// Events -> OpenAI's JSON: one whole answer, or server-sent chunks as they come. What an upstream said beyond the
// events' own members stands where it stood, as it was written.
// Thread-safety: none; one renderer belongs to one request, whose events never overlap.
// Cost: about 1 us for a short answer (api_benchmark).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/json/answer_writer.h"
#include "llm/event.h"
#include "llm/json_sum.h"
#include "llm/request.h"

namespace pmt::api {

/// What an answer's JSON needs to know of its request.
struct AnswerShape {
  llm::Endpoint endpoint = llm::Endpoint::kChat;
  std::string id;               // "chatcmpl-...", "cmpl-..."
  int n = 1;                    // choices of each prompt that are given
  int best_of = 1;              // if above n: that come; the best n stay
  bool echo = false;            // a choice's first text is the prompt's
  std::optional<int> logprobs;  // as in llm::Request
  bool include_usage = false;   // streams: a usage chunk at the end
};

/// chat.completion and text_completion.
class AnswerRenderer final : public AnswerWriter {
 public:
  explicit AnswerRenderer(AnswerShape shape);
  void add(llm::Started started) override;
  void add(llm::Delta delta) override;
  void add(llm::ChoiceEnd end) override;
  std::string finish(llm::Done& done) override;

 private:
  struct Choice {
    std::string text;
    std::vector<llm::TokenLogprob> logprobs;
    std::int64_t echoed = 0;  // characters of text before the first token with a logprob: the prompt's echo
    std::size_t echoed_tokens = 0;  // the first of logprobs, which are the prompt's
    std::string reasoning;
    llm::JsonSum more{llm::JsonSum::Rule::kJoined};
    llm::JsonSum choice_more{llm::JsonSum::Rule::kChoice};
    std::optional<llm::ChoiceEnd> end;
  };
  Choice& choice(int index);
  static double goodness(const Choice& choice);
  struct Shown {
    int index;
    const Choice* choice;
  };
  std::vector<Shown> shown() const;
  void append_choice(std::string& out, int index, const Choice& choice) const;
  void append_message(std::string& out, const Choice& choice) const;
  void append_logprobs(std::string& out, const Choice& choice) const;

  AnswerShape shape_;
  llm::Started started_;
  std::vector<Choice> choices_;  // those without an end were never begun
};

/// chat.completion.chunk and text_completion chunks, each as "data: ...\n\n". The last chunk with data
/// carries `permutation`; it is only known at Done, so each choice's end is held back until the next event.
class StreamRenderer final : public StreamWriter {
 public:
  explicit StreamRenderer(AnswerShape shape);
  void start(const llm::Started& started) override;
  std::string chunk(const llm::Delta& delta) override;
  std::string chunk(llm::ChoiceEnd end) override;
  /// The rest, [DONE] included.
  std::string finish(llm::Done& done) override;
  /// An error after the first chunk: the stream ends with it, without [DONE].
  std::string failure(const base::Error& error) override;

 private:
  void open_chunk(std::string& out) const;
  void append_role(std::string& out, int index);
  void append_delta(std::string& out, const llm::Delta& delta);
  void append_end(std::string& out, const llm::ChoiceEnd& end, const llm::Done* done);
  void append_calls(std::string& out, const std::vector<llm::CallPiece>& pieces, int choice);
  /// Those of which no piece was sent.
  void append_rest(std::string& out, const std::vector<std::string>& calls, int choice);
  /// Of the last chunk with data: `permutation`, and what an upstream said that Started doesn't have.
  void append_last_members(std::string& out, const llm::Done& done) const;
  void append_logprobs(std::string& out, const llm::Delta& delta);
  std::string take_held();
  /// What was sent of a choice.
  struct Sent {
    bool role = false;
    std::int64_t offset = 0;  // characters of text so far
    std::size_t calls = 0;    // of which a piece was sent
  };
  Sent& sent(int choice);

  AnswerShape shape_;
  std::string head_;  // every chunk's first members
  std::optional<llm::CacheReport> cache_;
  llm::MembersText more_;   // Started's
  std::vector<Sent> sent_;  // by choice
  std::optional<llm::ChoiceEnd> held_;
};

}  // namespace pmt::api
