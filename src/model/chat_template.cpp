#include "model/chat_template.h"

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include <chat.h>
#include <fmt/format.h>

#include "model/pinned_chat.h"
#include "model/prompt_builder.h"

namespace pmt::model {
namespace {

using base::Code;
using base::Error;

/// A role becomes part of the template's own text, so it must not be able to spell a control token.
bool is_plain_name(std::string_view role) {
  return !role.empty() &&
         std::all_of(role.begin(), role.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

base::Status check(std::span<const ChatMessage> messages) {
  if (messages.empty()) return base::invalid("messages must hold at least one message", "messages");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (is_plain_name(messages[i].role)) continue;
    const auto field = fmt::format("messages[{}].role", i);
    return base::invalid(field + " must be one of system, developer, user, assistant, tool", field);
  }
  return {};
}

/// jinja::value of a text that a user wrote.
jinja::value user_text(const std::string& text) {
  auto value = jinja::mk_val<jinja::value_string>(text);
  value->mark_input();
  return value;
}

jinja::value content_of(const std::string& text, const jinja::caps& caps) {
  if (caps.supports_string_content) return user_text(text);
  auto part = jinja::mk_val<jinja::value_object>();
  part->insert("type", jinja::mk_val<jinja::value_string>(std::string("text")));
  part->insert("text", user_text(text));
  auto parts = jinja::mk_val<jinja::value_array>();
  parts->push_back(jinja::value(part));
  return parts;
}

/// A template without a system role gets the system text in front of the next message.
std::vector<ChatMessage> as_template_takes(std::span<const ChatMessage> messages, const jinja::caps& caps) {
  std::vector<ChatMessage> result(messages.begin(), messages.end());
  for (ChatMessage& message : result) {
    if (message.role == "developer") message.role = "system";
  }
  if (!caps.supports_system_role && result.size() > 1 && result.front().role == "system") {
    result[1].content = result[0].content + "\n" + result[1].content;
    result.erase(result.begin());
  }
  return result;
}

jinja::value to_jinja(const std::vector<ChatMessage>& messages, const jinja::caps& caps) {
  auto list = jinja::mk_val<jinja::value_array>();
  for (const ChatMessage& message : messages) {
    auto object = jinja::mk_val<jinja::value_object>();
    object->insert("role", jinja::mk_val<jinja::value_string>(message.role));
    object->insert("content", content_of(message.content, caps));
    if (!message.name.empty()) object->insert("name", user_text(message.name));
    if (!message.reasoning.empty()) object->insert("reasoning_content", user_text(message.reasoning));
    list->push_back(jinja::value(object));
  }
  return list;
}

/// The last line of the engine's report, after its listings of the source.
std::string refusal_of(const std::exception& error) {
  const std::string line = last_line(error.what());
  for (const std::string_view prefix : {"Error: Jinja Exception: ", "Error: "}) {
    if (line.starts_with(prefix)) return line.substr(prefix.size());
  }
  return line;
}

}  // namespace

struct ChatTemplate::Impl {
  const Vocab& vocab;
  std::string bos, eos;  // their names
  common_chat_template source;

  Impl(const Vocab& v, const std::string& text)
      : vocab(v), bos(name_of(v, v.bos())), eos(name_of(v, v.eos())), source(text, bos, eos) {}

  base::Result<std::vector<jinja::string_part>> render(std::span<const ChatMessage> messages,
                                                       const std::string& variables) const;
  /// Most templates write the begin of sequence themselves. Returns how many tokens it added.
  std::size_t ensure_bos(std::vector<std::int32_t>& tokens) const {
    if (!vocab.adds_bos() || !vocab.bos() || (!tokens.empty() && tokens.front() == *vocab.bos())) return 0;
    tokens.insert(tokens.begin(), *vocab.bos());
    return 1;
  }
};

base::Result<std::vector<jinja::string_part>> ChatTemplate::Impl::render(
    std::span<const ChatMessage> messages, const std::string& variables) const {
  TRY(check(messages));
  try {
    jinja::context context(source.source());
    context.set_val("messages", to_jinja(as_template_takes(messages, source.caps), source.caps));
    context.set_val("bos_token", jinja::mk_val<jinja::value_string>(bos));
    context.set_val("eos_token", jinja::mk_val<jinja::value_string>(eos));
    context.set_val("add_generation_prompt", jinja::mk_val<jinja::value_bool>(true));
    context.set_val("tools", jinja::mk_val<jinja::value_none>());
    context.set_val("documents", jinja::mk_val<jinja::value_none>());
    if (!variables.empty()) jinja::global_from_json(context, common_json::parse(variables), true);
    jinja::runtime runtime(context);
    return jinja::runtime::gather_string_parts(runtime.execute(source.prog))->val_str.parts;
  } catch (const std::exception& error) {
    return base::invalid(fmt::format("the model's chat template refused the messages: {}", refusal_of(error)),
                         "messages");
  }
}

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

base::Result<std::unique_ptr<ChatTemplate>> ChatTemplate::create(const Vocab& vocab) {
  if (!vocab.chat_template()) {
    return base::invalid("this model has no chat template (it is a base model): use /v1/completions",
                         "model");
  }
  return create(vocab, *vocab.chat_template());
}

base::Result<std::unique_ptr<ChatTemplate>> ChatTemplate::create(const Vocab& vocab,
                                                                 const std::string& source) {
  try {
    return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::make_unique<Impl>(vocab, source)));
  } catch (const std::exception& error) {
    return Error{Code::kCorrupt, fmt::format("the model's chat template isn't valid: {}", refusal_of(error))};
  }
}

base::Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                               const std::string& variables) const {
  TRY_ASSIGN(const auto parts, impl_->render(messages, variables));
  std::string text;
  for (const jinja::string_part& part : parts) text += part.val;
  return text;
}

base::Result<std::vector<std::int32_t>> ChatTemplate::encode_chat(std::span<const ChatMessage> messages,
                                                                  const std::string& variables) const {
  TRY_ASSIGN(const auto parts, impl_->render(messages, variables));
  PromptBuilder prompt(impl_->vocab);
  for (const jinja::string_part& part : parts) {
    if (part.is_input) {
      prompt.add_user_text(part.val);
    } else {
      prompt.add_template_text(part.val);
    }
  }
  auto tokens = prompt.finish();
  impl_->ensure_bos(tokens);
  return tokens;
}

base::Result<ChatTemplate::CutTokens> ChatTemplate::encode_cut(std::span<const ChatMessage> messages,
                                                               const std::string& variables,
                                                               std::string_view mark) const {
  TRY_ASSIGN(const auto parts, impl_->render(messages, variables));
  CutTokens out;
  PromptBuilder prompt(impl_->vocab);
  const auto end_piece = [&] {
    const auto tokens = std::exchange(prompt, PromptBuilder(impl_->vocab)).finish();
    out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
  };
  for (const jinja::string_part& part : parts) {
    if (!part.is_input) {
      prompt.add_template_text(part.val);
      continue;
    }
    std::string_view text = part.val;
    for (std::size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark)) {
      prompt.add_user_text(text.substr(0, at));
      end_piece();
      out.cuts.push_back(out.tokens.size());
      text.remove_prefix(at + mark.size());
    }
    prompt.add_user_text(text);
  }
  end_piece();
  const std::size_t added = impl_->ensure_bos(out.tokens);
  for (std::size_t& cut : out.cuts) cut += added;
  return out;
}

}  // namespace pmt::model
