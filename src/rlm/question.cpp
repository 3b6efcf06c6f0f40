#include "rlm/question.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kQuestionBytesMax = 2'000;
constexpr std::size_t kSplitBytesMin = 600;

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// Splits one long message.
void split(const std::string& text, Asked& asked) {
  const std::string whole = trimmed(text);
  const auto last = whole.rfind("\n\n");
  const auto first = whole.find("\n\n");
  asked.question = whole;
  asked.text = whole;
  if (last == std::string::npos) return;
  const std::string tail = trimmed(whole.substr(last)), head = trimmed(whole.substr(0, first));
  const bool asks_last = tail.size() <= kQuestionBytesMax;
  // "Answer this: ...?" in front of a document whose last paragraph asks nothing.
  const bool asks_first = head.size() <= kQuestionBytesMax && head.ends_with('?') && !tail.ends_with('?');
  if (asks_first || (!asks_last && head.size() <= kQuestionBytesMax)) {
    asked.question = head;
    asked.text = trimmed(whole.substr(first));
  } else if (asks_last) {
    asked.question = tail;
    asked.text = trimmed(whole.substr(0, last));
  }
}

}  // namespace

base::Result<Asked> question_of(const llm::Request& request) {
  Asked asked;
  std::string before;
  const llm::Message* last = nullptr;
  for (const llm::Message& m : request.messages) {
    if (m.role == "user") last = &m;
  }
  if (last == nullptr)
    return base::invalid("the model rlm needs a user message that asks something", "messages");
  for (const llm::Message& m : request.messages) {
    if (&m == last) break;
    if (m.role == "system" || m.role == "developer") continue;
    before += (before.empty() ? "" : "\n\n") + m.content;
  }
  asked.question = trimmed(last->content);
  if (!request.rlm.context.empty()) {
    for (const std::string& part : request.rlm.context)
      asked.text += (asked.text.empty() ? "" : "\n\n") + part;
    if (request.rlm.context.size() > 1) asked.context = request.rlm.context;
  } else if (!before.empty() && last->content.size() <= kQuestionBytesMax) {
    asked.text = before;
  } else if (last->content.size() > kSplitBytesMin) {
    split(last->content, asked);
    if (!before.empty()) asked.text = before + "\n\n" + asked.text;
  }
  if (asked.context.is_null()) asked.context = asked.text;
  return asked;
}

}  // namespace pmt::rlm
