// An OpenAI-compatible server's answer -> llm events: streamed chunks or one whole object, chat or text. What
// it says beyond OpenAI's shape (Sonar's citations and search_results) is kept in Done::extra and
// Usage::details.
//
// Foreign input: whatever is sent, the events have event.h's order; anything that has another type than it
// should is an error, not a guess.
// Thread-safety: none; one reader reads one answer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "llm/event.h"
#include "llm/request.h"

namespace pmt::upstream {

class AnswerReader {
 public:
  struct About {
    llm::Endpoint endpoint = llm::Endpoint::kChat;
    std::string model;            // Started's: the name under which we serve it
    std::int64_t now_unix_s = 0;  // for a server that doesn't say
    int n = 1;
  };
  explicit AnswerReader(About about) : about_(std::move(about)) {}

  /// Appends to `out` what the payload of one server-sent event means; "[DONE]" too.
  /// Errors: kBadGateway, not such a chunk; or what the server says went wrong (upstream_error).
  base::Status chunk(std::string_view payload, std::vector<llm::Event>& out);
  /// The whole body at once.
  base::Status whole(std::string_view body, std::vector<llm::Event>& out);
  /// The stream is over: appends Done. Errors: kBadGateway, it isn't complete.
  base::Status finish(std::vector<llm::Event>& out);

  bool done() const { return done_; }
  const llm::Usage& usage() const { return usage_; }

 private:
  struct ToolCall {
    std::string id, name, arguments;  // put together out of their pieces
  };
  struct Choice {
    bool ended = false;
    std::vector<ToolCall> calls;
  };
  static nlohmann::json calls_json(const std::vector<ToolCall>& calls);
  base::Status take(const nlohmann::json& body, const char* message_member, std::vector<llm::Event>& out);
  base::Status take_choice(const nlohmann::json& choice, const char* message_member,
                           std::vector<llm::Event>& out);
  base::Status take_tool_calls(const nlohmann::json& calls, Choice& choice);
  void start(const nlohmann::json& body, std::vector<llm::Event>& out);
  void take_usage(const nlohmann::json& usage);

  const About about_;
  bool started_ = false;
  bool done_ = false;
  std::map<int, Choice> choices_;
  llm::Usage usage_;
  nlohmann::json extra_;
};

}  // namespace pmt::upstream
