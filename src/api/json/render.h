// Events -> OpenAI's JSON: one whole answer, or server-sent chunks as they come.
// Thread-safety: none; one renderer belongs to one request, whose events never overlap.
// Cost: about 1 us for a short answer (api_benchmark).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "llm/event.h"
#include "llm/request.h"

namespace pmt::api {

/// What an answer's JSON needs to know of its request.
struct AnswerShape {
  llm::Endpoint endpoint = llm::Endpoint::kChat;
  std::string id;  // "chatcmpl-...", "cmpl-..."
  int n = 1;
  std::optional<int> logprobs;  // as in llm::Request
  bool include_usage = false;   // streams: a usage chunk at the end
};

/// chat.completion and text_completion.
class AnswerRenderer {
 public:
  explicit AnswerRenderer(AnswerShape shape);
  void add(llm::Started started);
  void add(llm::Delta delta);
  void add(llm::ChoiceEnd end);
  /// The body. With no cache report in `done`, the one of `Started` counts.
  std::string finish(llm::Done& done) const;

 private:
  struct Choice {
    std::string text;
    std::vector<llm::TokenLogprob> logprobs;
    std::int64_t echoed = 0;  // characters of text before the first token with a logprob: the prompt's echo
    llm::FinishReason reason = llm::FinishReason::kStop;
    nlohmann::json tool_calls;
  };
  Choice& choice(int index);
  void append_choice(std::string& out, int index, const Choice& choice) const;

  AnswerShape shape_;
  llm::Started started_;
  std::vector<Choice> choices_;
};

/// chat.completion.chunk and text_completion chunks, each as "data: ...\n\n". The last chunk with data
/// carries `permutation`; it is only known at Done, so the last choice's end is held back until then.
class StreamRenderer {
 public:
  explicit StreamRenderer(AnswerShape shape);
  void start(const llm::Started& started);
  /// What to send for it: nothing, one or several chunks.
  std::string chunk(const llm::Delta& delta);
  std::string chunk(llm::ChoiceEnd end);
  /// The rest, [DONE] included.
  std::string finish(llm::Done& done);
  /// An error after the first chunk: the stream ends with it, without [DONE].
  static std::string failure(const base::Error& error);

 private:
  void open_chunk(std::string& out) const;
  void append_role(std::string& out, int index);
  void append_delta(std::string& out, const llm::Delta& delta);
  void append_end(std::string& out, const llm::ChoiceEnd& end, const llm::Done* done);
  /// What only the last chunk with data has: `permutation` and an upstream's own members.
  static void append_last_members(std::string& out, const llm::Done& done);
  void append_logprobs(std::string& out, const llm::Delta& delta);
  std::int64_t& offset(int choice);

  AnswerShape shape_;
  std::string head_;  // every chunk's first members
  std::optional<llm::CacheReport> cache_;
  std::vector<bool> role_sent_;
  std::vector<std::int64_t> offsets_;  // characters of text so far, by choice
  std::optional<llm::ChoiceEnd> held_;
  int ended_ = 0;
};

}  // namespace pmt::api
