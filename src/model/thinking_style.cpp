#include "model/thinking_style.h"

#include <cctype>
#include <exception>
#include <string_view>
#include <utility>

#include "model/pinned_chat.h"

namespace pmt::model {
namespace {

constexpr char kAsked[] = "one", kThought[] = "two", kSaid[] = "three", kAskedAgain[] = "four";

std::string trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

common_chat_params apply(const common_chat_templates* templates, std::vector<common_chat_msg> messages) {
  common_chat_templates_inputs inputs;
  inputs.messages = std::move(messages);
  inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  return common_chat_templates_apply(templates, inputs);
}

common_chat_msg turn(std::string role, std::string content) {
  common_chat_msg out;
  out.role = std::move(role);
  out.content = std::move(content);
  return out;
}

/// Whether its parser takes what is between the tags for thoughts, and all else for the answer.
bool reads_tags_only(const common_chat_params& params, const ThinkingStyle& style) {
  common_chat_parser_params how(params);
  how.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  how.parser.load(params.parser);
  const auto reads = [&how](const std::string& text, std::string_view thought) {
    const common_chat_msg said = common_chat_parse(text, false, how);
    return trimmed(said.reasoning_content) == thought && trimmed(said.content) == kSaid;
  };
  const bool begun = trimmed(params.generation_prompt).ends_with(style.open);
  const std::string thought = "\n" + std::string(kThought) + "\n" + style.close + "\n\n" + kSaid;
  return reads((begun ? "" : style.open) + thought, kThought) && (begun || reads(kSaid, ""));
}

/// Whether it shows a conversation with thoughts as we do.
bool renders_alike(const common_chat_templates* templates, const ChatTemplate& ours) {
  common_chat_msg answer = turn("assistant", kSaid);
  answer.reasoning_content = kThought;
  const auto theirs = apply(templates, {turn("user", kAsked), answer, turn("user", kAskedAgain)});
  const std::vector<ChatMessage> messages = {
      {"user", kAsked}, {"assistant", kSaid, {}, kThought}, {"user", kAskedAgain}};
  const auto rendered =
      ours.render(messages, R"({"enable_thinking":true})");  // which it tells every template
  return rendered && *rendered == theirs.prompt;
}

/// Some tell only what ends a thought.
std::string open_of(std::string close) {
  const std::size_t slash = close.find('/');
  return slash == std::string::npos ? std::string() : close.erase(slash, 1);
}

std::optional<ThinkingStyle> told_style(const Vocab& vocab, const std::string& source,
                                        const ChatTemplate& ours) {
  const auto templates = pinned_templates(vocab, source);
  const common_chat_params params = apply(templates.get(), {turn("user", kAsked)});
  if (!params.supports_thinking) return std::nullopt;
  ThinkingStyle out{.open = trimmed(params.thinking_start_tag)};
  if (!params.thinking_end_tags.empty()) out.close = trimmed(params.thinking_end_tags.front());
  if (out.open.empty()) out.open = open_of(out.close);
  if (out.open.empty() || out.close.empty()) return ThinkingStyle{.plain = false};
  try {
    out.plain = reads_tags_only(params, out) && renders_alike(templates.get(), ours);
  } catch (const std::exception&) {
    out.plain = false;  // an answer without more around it isn't in its notation
  }
  return out;
}

}  // namespace

std::optional<ThinkingStyle> thinking_style(const Vocab& vocab, const std::string& source,
                                            const ChatTemplate& ours) {
  std::optional<ThinkingStyle> out;
  try {
    out = told_style(vocab, source, ours);
  } catch (const std::exception&) {
    out.reset();  // it takes no such conversation
  }
  // Many show no thoughts, and only cut them off earlier answers.
  const bool cuts = source.find("</think>") != std::string::npos;
  if ((!out || out->close.empty()) && cuts) out = ThinkingStyle{.open = "<think>", .close = "</think>"};
  if (!out) return out;
  for (const SpecialToken& special : vocab.special_tokens().all()) {
    const bool named = (out->open + " " + out->close).find(special.text) != std::string::npos;
    if (named) out->shown.push_back(special.id);
  }
  return out;
}

}  // namespace pmt::model
