// What the tests of the answers' readers share: an answer's events, taken apart.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "llm/json_sum.h"
#include "upstream/event_reader.h"

namespace pmt::upstream {

struct ReadAnswer {
  std::optional<base::Error> failed;
  llm::Started started;
  std::vector<std::string> pieces;  // of its text
  std::string reasoning;
  llm::JsonSum more{llm::JsonSum::Rule::kJoined};
  std::vector<std::string> logprob_tokens;
  std::vector<std::string> calls;  // "id name arguments", from their pieces
  llm::ChoiceEnd end;
  llm::Done done;

  std::string text() const {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }
};

/// Requires event.h's order, which it checks.
inline ReadAnswer take_apart(const base::Status& read, const std::vector<llm::Event>& events) {
  ReadAnswer out;
  if (!read) out.failed = read.error();
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(std::holds_alternative<llm::Started>(events[i]), i == 0);
    EXPECT_EQ(llm::is_terminal(events[i]), read.has_value() && i + 1 == events.size());
    if (const auto* started = std::get_if<llm::Started>(&events[i])) out.started = *started;
    if (const auto* end = std::get_if<llm::ChoiceEnd>(&events[i])) out.end = *end;
    if (const auto* done = std::get_if<llm::Done>(&events[i])) out.done = *done;
    const auto* delta = std::get_if<llm::Delta>(&events[i]);
    if (delta == nullptr) continue;
    if (!delta->text.empty()) out.pieces.push_back(delta->text);
    out.reasoning += delta->reasoning;
    out.more.add(delta->more);
    for (const llm::TokenLogprob& token : delta->logprobs) out.logprob_tokens.push_back(token.token);
    for (const llm::CallPiece& piece : delta->calls) {
      const auto index = static_cast<std::size_t>(piece.index);
      if (index == out.calls.size()) {
        out.calls.push_back(piece.id + " " + piece.name + " ");
      } else {
        EXPECT_TRUE(piece.id.empty() && piece.name.empty()) << "said once";
      }
      out.calls[index] += piece.arguments;
    }
  }
  return out;
}

inline ReadAnswer read_stream(EventReader& reader, const std::vector<std::string>& payloads) {
  std::vector<llm::Event> events;
  base::Status read;
  for (const std::string& payload : payloads) {
    read = reader.chunk(payload, events);
    if (!read) return take_apart(read, events);
  }
  read = reader.finish(events);
  return take_apart(read, events);
}

inline ReadAnswer read_whole(EventReader& reader, const std::string& body) {
  std::vector<llm::Event> events;
  const base::Status read = reader.whole(body, events);
  return take_apart(read, events);
}

}  // namespace pmt::upstream
