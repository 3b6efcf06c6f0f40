#include "rlm/question.h"

#include <string_view>
#include <utility>

#include "base/trimmed.h"
#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kQuestionBytesMax = 2'000;
constexpr std::size_t kSplitBytesMin = 600;

using base::trimmed;

/// Splits one long message.
void split_message(std::string_view text, Asked& asked) {
  const std::string_view whole = trimmed(text);
  const auto last = whole.rfind("\n\n");
  const auto first = whole.find("\n\n");
  std::string_view question = whole, context = whole;
  if (last != std::string_view::npos) {
    const std::string_view tail = trimmed(whole.substr(last)), head = trimmed(whole.substr(0, first));
    const bool asks_last = tail.size() <= kQuestionBytesMax;
    // "Answer this: ...?" in front of a document whose last paragraph asks nothing.
    const bool asks_first = head.size() <= kQuestionBytesMax && head.ends_with('?') && !tail.ends_with('?');
    if (asks_first || (!asks_last && head.size() <= kQuestionBytesMax)) {
      question = head;
      context = trimmed(whole.substr(first));
    } else if (asks_last) {
      question = tail;
      context = trimmed(whole.substr(0, last));
    }
  }
  asked.question = question;
  asked.text = context;
}

/// What was said before the last message, but for the system's.
std::string said_before(const std::vector<llm::Message>& messages, const llm::Message& last) {
  std::string before;
  for (const llm::Message& m : messages) {
    if (&m == &last) break;
    if (m.role == "system" || m.role == "developer") continue;
    if (!before.empty()) before += "\n\n";
    before += m.content;
  }
  return before;
}

}  // namespace

base::Result<Asked> question_of(llm::Request& request, bool has_context) {
  if (request.endpoint == llm::Endpoint::kCompletions) {
    return base::invalid("the model rlm takes a chat: send messages to /v1/chat/completions", "model");
  }
  Asked asked;
  const llm::Message* last = nullptr;
  for (const llm::Message& m : request.messages) {
    if (m.role == "user") last = &m;
  }
  if (last == nullptr)
    return base::invalid("the model rlm needs a user message that asks something", "messages");
  asked.question = trimmed(last->content);
  if (!given_context(request).empty()) {
    auto rlm = request.options.take<RlmRequest>();
    std::vector<std::string> given = std::exchange(rlm.context, {});
    request.options.set(std::move(rlm));
    if (given.size() == 1) {
      asked.text = std::move(given[0]);
    } else {
      asked.parts = std::move(given);
    }
    return asked;
  }
  std::string before = said_before(request.messages, *last);
  if (has_context) {
    asked.passed_over = !before.empty();
    if (last->content.size() > kQuestionBytesMax) split_message(last->content, asked);
    return asked;
  }
  if (!before.empty() && last->content.size() <= kQuestionBytesMax) {
    asked.text = std::move(before);
  } else if (last->content.size() > kSplitBytesMin) {
    split_message(last->content, asked);
    if (!before.empty()) asked.text = std::move(before) + "\n\n" + asked.text;
  }
  return asked;
}

base::Result<std::string> joined(std::size_t count,
                                 const std::function<const std::string&(std::size_t)>& part, Watch& watch) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += part(i).size() + 2;
  watch.begin("joining", bytes);
  std::string text;
  text.reserve(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    if (!text.empty()) text += "\n\n";
    text += part(i);
    TRY(watch.step(part(i).size() + 2));
  }
  return text;
}

}  // namespace pmt::rlm
