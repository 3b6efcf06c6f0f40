#include "model/native_chat.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include <chat.h>
#include <fmt/format.h>

#include "base/json.h"
#include "base/json_text.h"
#include "model/marker_grammar.h"
#include "model/pinned_chat.h"
#include "model/prompt_builder.h"

namespace pmt::model {
namespace {

/// Around a control token's name that a user wrote: characters that Unicode keeps from being any.
constexpr std::string_view kUserBegin = "\xEF\xB7\x90", kUserEnd = "\xEF\xB7\x91";  // U+FDD0, U+FDD1
/// Stands for a tool's schema while the grammar is made: a number that no schema has.
constexpr std::int64_t kPlaceholder = 9'007'199'254'700'000;

void erase_all(std::string& text, std::string_view what) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos;) text.erase(at, what.size());
}

/// With marks around the names of control tokens.
std::string marked(const SpecialTokens& specials, std::string text) {
  erase_all(text, kUserBegin);
  erase_all(text, kUserEnd);
  std::string out;
  std::size_t from = 0;
  while (const auto match = specials.find(text, from)) {
    out.append(text, from, match->begin - from).append(kUserBegin);
    out.append(text, match->begin, match->end - match->begin).append(kUserEnd);
    from = match->end;
  }
  return out.append(text, from);
}

/// Whether its calls are Hermes': a JSON object between tags.
bool is_tagged(const std::string& source) {
  const auto has = [&source](const char* what) { return source.find(what) != std::string::npos; };
  return has("<tool_call>") && !has("<function=") && !has("<arg_key>") && has("\"arguments\"");
}

}  // namespace

struct NativeReader::Impl {
  common_chat_parser_params params;
};

base::Result<NativeAnswer> NativeReader::read(const std::string& text, bool partial) const {
  const auto off = [](std::string why) { return base::Error{base::Code::kInternal, std::move(why)}; };
  // The parser calls itself for each level.
  if (base::nests_deeper(text, base::kJsonDepthMax)) return off("it nests too deep");
  try {
    const common_chat_msg said = common_chat_parse(text, partial, impl_->params);
    NativeAnswer out{said.content, said.reasoning_content, {}};
    for (const auto& call : said.tool_calls) out.calls.push_back({call.name, call.arguments, call.id});
    return out;
  } catch (const std::exception& error) {
    return off(last_line(error.what()));
  }
}

struct NativeChat::Impl {
  const Vocab& vocab;
  bool tagged = false;
  bool knows_tools = false;
  common_chat_templates_ptr templates;

  std::string mark(const std::string& text) const { return marked(vocab.special_tokens(), text); }
  common_chat_templates_inputs inputs_of(const Ask& ask) const;
  void set_variables(const std::string& variables, common_chat_templates_inputs& out) const;
  std::vector<std::int32_t> tokens_of(const std::string& prompt) const;
  std::string grammar_of(common_chat_templates_inputs inputs, const Ask& ask) const;
};

common_chat_templates_inputs NativeChat::Impl::inputs_of(const Ask& ask) const {
  common_chat_templates_inputs out;
  for (const NativeMessage& one : ask.messages) {
    common_chat_msg message;
    message.role = one.message.role;
    message.content = mark(one.message.content);
    message.reasoning_content = mark(one.message.reasoning);
    message.tool_name = mark(one.message.name);
    message.tool_call_id = mark(one.call_id);
    for (const NativeCall& call : one.calls)
      message.tool_calls.push_back({mark(call.name), mark(call.arguments), mark(call.id)});
    out.messages.push_back(std::move(message));
  }
  for (const NativeTool& tool : ask.tools)
    out.tools.push_back({mark(tool.name), mark(tool.description), mark(tool.parameters)});
  out.tool_choice = ask.required ? COMMON_CHAT_TOOL_CHOICE_REQUIRED : COMMON_CHAT_TOOL_CHOICE_AUTO;
  out.parallel_tool_calls = ask.parallel;
  out.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  if (!ask.variables.empty()) set_variables(ask.variables, out);
  return out;
}

void NativeChat::Impl::set_variables(const std::string& variables, common_chat_templates_inputs& out) const {
  const common_json all = common_json::parse(variables);
  for (const auto& [name, value] : all.items()) {
    // Written anew, so that no escape hides a control token's name.
    out.chat_template_kwargs[name] = mark(value.dump());
    if (name == "enable_thinking" && value.is_boolean()) out.enable_thinking = value.get<bool>();
  }
}

std::vector<std::int32_t> NativeChat::Impl::tokens_of(const std::string& prompt) const {
  PromptBuilder builder(vocab);
  for (std::size_t at = 0; at < prompt.size();) {
    const std::size_t begin = std::min(prompt.find(kUserBegin, at), prompt.size());
    builder.add_template_text(std::string_view(prompt).substr(at, begin - at));
    if (begin == prompt.size()) break;
    const std::size_t from = begin + kUserBegin.size();
    const std::size_t end = std::min(prompt.find(kUserEnd, from), prompt.size());
    builder.add_user_text(std::string_view(prompt).substr(from, end - from));
    at = std::min(end + kUserEnd.size(), prompt.size());
  }
  auto tokens = builder.finish();
  const auto bos = vocab.bos();
  if (vocab.adds_bos() && bos && (tokens.empty() || tokens.front() != *bos))
    tokens.insert(tokens.begin(), *bos);
  return tokens;
}

/// llama.cpp's grammar of the calls, with ours of each tool's arguments in it. "" where that can't be.
std::string NativeChat::Impl::grammar_of(common_chat_templates_inputs inputs, const Ask& ask) const {
  for (std::size_t i = 0; i < ask.tools.size(); ++i)
    inputs.tools[i].parameters = fmt::format("{{\"const\":{}}}", kPlaceholder + static_cast<std::int64_t>(i));
  const common_chat_params params = common_chat_templates_apply(templates.get(), inputs);
  std::string out = params.grammar;
  for (std::size_t i = 0; i < ask.tools.size(); ++i) {
    const std::string literal = fmt::format("\"{}\"", kPlaceholder + static_cast<std::int64_t>(i));
    const std::size_t at = out.find(literal);
    if (at == std::string::npos || ask.tools[i].arguments == nullptr) return {};
    for (std::size_t next = at; next != std::string::npos; next = out.find(literal))
      out.replace(next, literal.size(), ask.tools[i].arguments->root);
    out += ask.tools[i].arguments->rules;
  }
  if (params.grammar_lazy) {
    std::vector<std::string> words;
    for (const auto& trigger : params.grammar_triggers) {
      if (trigger.type != COMMON_GRAMMAR_TRIGGER_TYPE_WORD) return {};
      words.push_back(trigger.value);
    }
    if (words.empty()) return {};
    out = "root ::= any-0 | any-0 native-calls\n" + rule_renamed(out, "root", "native-calls") +
          text_without(words);
  }
  return read_grammar(out) ? out : std::string();
}

NativeChat::NativeChat(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NativeChat::~NativeChat() = default;

std::unique_ptr<NativeChat> NativeChat::create(const Vocab& vocab, const std::string& source) {
  try {
    auto templates = pinned_templates(vocab, source);
    const auto caps = common_chat_templates_get_caps(templates.get());
    const auto has = [&caps](const char* what) {
      const auto found = caps.find(what);
      return found != caps.end() && found->second;
    };
    const bool knows_tools = has("supports_tools") && has("supports_tool_calls");
    return std::unique_ptr<NativeChat>(new NativeChat(
        std::make_unique<Impl>(Impl{vocab, is_tagged(source), knows_tools, std::move(templates)})));
  } catch (const std::exception&) {
    return nullptr;  // chat_template.h says what is wrong with it
  }
}

bool NativeChat::knows_tools() const {
  return impl_->knows_tools;
}

base::Result<NativePrompt> NativeChat::render(const Ask& ask) const {
  try {
    const common_chat_templates_inputs inputs = impl_->inputs_of(ask);
    const common_chat_params params = common_chat_templates_apply(impl_->templates.get(), inputs);
    NativePrompt out;
    out.tokens = impl_->tokens_of(params.prompt);
    out.stops = params.additional_stops;
    out.tagged = impl_->tagged && !ask.tools.empty();
    if (out.tagged) return out;
    if (!ask.tools.empty()) out.grammar = impl_->grammar_of(inputs, ask);
    out.before = params.grammar_lazy ? "" : params.generation_prompt;
    for (const SpecialToken& special : impl_->vocab.special_tokens().all()) {
      const auto& kept = params.preserved_tokens;
      if (std::find(kept.begin(), kept.end(), special.text) != kept.end()) out.shown.push_back(special.id);
    }
    auto reader = std::make_shared<NativeReader::Impl>();
    reader->params = common_chat_parser_params(params);
    reader->params.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    reader->params.parser.load(params.parser);
    out.reader.impl_ = std::move(reader);
    return out;
  } catch (const std::exception& error) {
    return base::invalid(
        fmt::format("the model's chat template refused the messages: {}", last_line(error.what())),
        "messages");
  }
}

}  // namespace pmt::model
