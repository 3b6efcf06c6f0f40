#include "permutation/synthesis.h"

#include <utility>

#include <fmt/format.h>

namespace pmt::permutation {
namespace {

std::string prompt_of(const Drafts& drafts) {
  std::string facts;
  for (const std::string& fact : drafts.facts) facts += fmt::format("- {}\n", fact);
  return fmt::format(
      "Question:\n{}\n\nDraft A, of a small model{}:\n{}\n\nDraft B, of a large model:\n{}\n\nWrite the one "
      "best answer to the question out of these drafts. Where they disagree, prefer draft B unless draft A "
      "rests on known facts. Give the answer only.",
      drafts.question, facts.empty() ? "" : fmt::format(" that knows these facts:\n{}", facts),
      drafts.student, drafts.teacher);
}

}  // namespace

llm::Request synthesis_request(llm::Request request, const Drafts& drafts) {
  std::string prompt = prompt_of(drafts);
  if (request.endpoint == llm::Endpoint::kChat) {
    request.messages = {
        {.role = "user", .content = std::move(prompt), .name = {}, .tool_calls = {}, .tool_call_id = {}}};
  } else {
    request.prompt = std::move(prompt);
    request.prompt_tokens.clear();
  }
  request.sent = nullptr;  // the caller wrote something else
  return request;
}

}  // namespace pmt::permutation
