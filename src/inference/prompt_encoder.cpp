#include "inference/prompt_encoder.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "llm/shown_passages.h"

namespace pmt::inference {
namespace {

const char* prompt_field(const llm::Request& request) {
  return request.endpoint == llm::Endpoint::kChat ? "messages" : "prompt";
}

base::Status check_utf8(const std::string& text, const std::string& field) {
  const std::size_t good = base::utf8_bytes(text);
  if (good == text.size()) return {};
  return base::invalid(fmt::format("{} is no text in UTF-8 (byte {})", field, good + 1), field);
}

/// Requests that come as JSON are UTF-8; those of a program that calls us may be anything, and a tokenizer throws.
base::Status check_texts(const llm::Request& request) {
  TRY(check_utf8(request.prompt, "prompt"));
  TRY(check_utf8(request.suffix, "suffix"));
  for (std::size_t i = 0; i < request.messages.size(); ++i)
    TRY(check_utf8(request.messages[i].content, fmt::format("messages[{}].content", i)));
  return {};
}

/// What a template is told of how to think, by the names that templates use: the caller's own have the last word.
std::string variables_of(const llm::ThinkingOptions& thinking) {
  nlohmann::json out = nlohmann::json::object();
  for (const char* const name : {"enable_thinking", "thinking"}) {
    if (thinking.on || thinking.off()) out[name] = !thinking.off();
  }
  for (const char* const name : {"reasoning_effort", "reasoning_strength"}) {
    if (!thinking.effort.empty() && !thinking.off()) out[name] = thinking.effort;
  }
  if (const auto own = base::parse_json(thinking.template_variables); own && own->is_object())
    out.update(*own);
  return out.empty() ? std::string() : out.dump();
}

constexpr std::string_view kBeforePassages = "Answer the question at the end from these passages.\n\n";

/// With `mark` before each of the passages and after the last.
std::string with_passages(const std::vector<std::string>& passages, const std::string& content,
                          const std::string& mark) {
  if (passages.empty()) return content;
  std::string out(kBeforePassages);
  for (const std::string& passage : passages) out += mark + "Passage: " + passage + "\n\n";
  return out + mark + content;
}

/// What documents and facts say goes before the last message.
void show(const llm::Request& request, std::string& content) {
  content = with_passages(request.options.get<llm::ShownPassages>().texts, content, "");
  if (request.recall && !request.recall->statement.empty())
    content = request.recall->statement + "\n\n" + content;
}

/// A text that is in none of them.
std::string mark_for(const std::vector<std::string>& passages,
                     const std::vector<model::ChatMessage>& messages) {
  const auto holds = [&](const std::string& mark) {
    const auto in = [&](const std::string& text) { return text.find(mark) != std::string::npos; };
    return std::any_of(passages.begin(), passages.end(), in) ||
           std::any_of(messages.begin(), messages.end(),
                       [&](const model::ChatMessage& message) { return in(message.content); });
  };
  std::string mark = "\x1e\x1f";  // separators that hardly any text has
  while (holds(mark)) mark += '\x1f';
  return mark;
}

}  // namespace

PromptEncoder::PromptEncoder(Options options, const model::Vocab& vocab,
                             std::unique_ptr<model::ChatTemplate> chat_template)
    : options_(std::move(options)),
      vocab_(vocab),
      chat_template_(std::move(chat_template)),
      native_(options_.source ? model::NativeChat::create(vocab, *options_.source) : nullptr),
      thinking_(chat_template_ && options_.source
                    ? model::thinking_style(vocab, *options_.source, *chat_template_)
                    : std::nullopt) {}

base::Status PromptEncoder::check_token(std::int32_t token) const {
  if (token >= 0 && token < vocab_.size()) return {};
  return base::invalid(fmt::format("token {} is not in the vocabulary of {}", token, vocab_.size()));
}

base::Result<EncodedPrompt> PromptEncoder::encode(const llm::Request& request,
                                                  const StructuredOutput& structure) const {
  TRY(check_texts(request));
  EncodedPrompt out;
  out.native = native_prompt(request, structure);
  if (out.native) {
    out.tokens = std::move(out.native->tokens);
  } else {
    TRY_ASSIGN(out, encode_plain(request, structure.instruction));
  }
  return out;
}

/// A text as it stands: this route is the raw interface, so names of control tokens are those tokens. With a
/// suffix it is what the model was trained to fill in: prefix, suffix, and then the middle that it writes.
base::Result<std::vector<std::int32_t>> PromptEncoder::encode_text(const llm::Request& request) const {
  const bool fills = !request.suffix.empty();
  std::vector<std::int32_t> tokens = request.prompt_tokens;
  for (const std::int32_t token : tokens) {
    if (const base::Status known = check_token(token); !known)
      return base::invalid(known.error().message, "prompt");
  }
  if (tokens.empty())
    tokens = vocab_.tokenize(request.prompt, {.add_special = !fills, .parse_special = true});
  if (fills) {
    const auto fill = vocab_.fill_in_middle();
    if (!fill) {
      return base::invalid(
          fmt::format("'suffix' needs a model that was trained to fill in the middle, and {} "
                      "has no tokens for it: leave it out, or ask such a model.",
                      options_.model),
          "suffix");
    }
    tokens.insert(tokens.begin(), fill->prefix);
    if (vocab_.adds_bos() && vocab_.bos()) tokens.insert(tokens.begin(), *vocab_.bos());
    const auto after = vocab_.tokenize(request.suffix, {.parse_special = true});
    tokens.push_back(fill->suffix);
    tokens.insert(tokens.end(), after.begin(), after.end());
    tokens.push_back(fill->middle);
  }
  // A begin that the text names itself, beside the one that the tokenizer adds.
  const bool twice =
      tokens.size() > 1 && vocab_.adds_bos() && tokens[0] == tokens[1] && tokens[0] == vocab_.bos();
  if (twice && request.prompt_tokens.empty()) tokens.erase(tokens.begin());
  // An empty prompt starts a text of its own.
  if (tokens.empty()) tokens.push_back(vocab_.bos().value_or(vocab_.eos().value_or(0)));
  return tokens;
}

base::Result<EncodedPrompt> PromptEncoder::encode_plain(const llm::Request& request,
                                                        const std::string& instruction) const {
  EncodedPrompt out;
  if (request.endpoint == llm::Endpoint::kCompletions) {
    TRY_ASSIGN(out.tokens, encode_text(request));
    return out;
  }
  if (chat_template_ == nullptr) {
    return base::invalid(fmt::format("{} has no chat template: use /v1/completions", options_.model),
                         "model");
  }
  std::vector<model::ChatMessage> messages = chat_messages(request, instruction);
  if (!request.options.get<llm::ShownPassages>().texts.empty() && !messages.empty())
    return encode_passages(request, std::move(messages));
  if (!messages.empty()) show(request, messages.back().content);
  TRY_ASSIGN(out.tokens, chat_template_->encode_chat(messages, variables_of(request.thinking)));
  return out;
}

base::Result<EncodedPrompt> PromptEncoder::encode_passages(const llm::Request& request,
                                                           std::vector<model::ChatMessage> messages) const {
  const llm::ShownPassages& shown = request.options.get<llm::ShownPassages>();
  const std::string mark = mark_for(shown.texts, messages);
  messages.back().content = with_passages(shown.texts, messages.back().content, mark);
  TRY_ASSIGN(auto cut, chat_template_->encode_cut(messages, variables_of(request.thinking), mark));
  EncodedPrompt out;
  out.tokens = std::move(cut.tokens);
  if (cut.cuts.size() == shown.texts.size() + 1) out.passage_ends = std::move(cut.cuts);
  if (shown.reads_only && !out.passage_ends.empty()) out.tokens.resize(out.passage_ends.back());
  return out;
}

/// In the notation of the model's own template, where it has one that can be followed: else null.
std::optional<model::NativePrompt> PromptEncoder::native_prompt(const llm::Request& request,
                                                                const StructuredOutput& structure) const {
  const bool thinks_its_way = thinking_ && !thinking_->plain && request.endpoint == llm::Endpoint::kChat;
  if (native_ == nullptr || !request.response_format.is_free()) return std::nullopt;
  if (structure.calls ? !native_->knows_tools() : !thinks_its_way) return std::nullopt;
  std::vector<model::NativeMessage> messages = native_messages(request);
  if (!messages.empty()) show(request, messages.back().message.content);
  std::vector<model::NativeTool> tools;
  for (const OfferedTool& tool : structure.tools)
    tools.push_back({tool.name, tool.description, tool.parameters, &tool.arguments});
  auto prompt = native_->render({.messages = messages,
                                 .tools = tools,
                                 .required = structure.required,
                                 .parallel = structure.rules.parallel,
                                 .variables = variables_of(request.thinking)});
  const bool follows = prompt && (prompt->tagged || !prompt->grammar.empty() || !structure.required);
  if (!follows) return std::nullopt;  // it is asked as a model whose template knows neither
  return std::move(*prompt);
}

base::Status PromptEncoder::check_length(const llm::Request& request, std::size_t tokens) const {
  const auto limit = static_cast<std::size_t>(options_.context_tokens);
  if (tokens < limit || (tokens == limit && request.max_tokens == 0)) return {};
  return base::Error{
      base::Code::kTooLarge,
      fmt::format("the prompt has {} tokens, {} more than fit: the context of {} holds {} tokens and an "
                  "answer needs at least one",
                  tokens, tokens - limit + 1, options_.model, limit),
      prompt_field(request)};
}

}  // namespace pmt::inference
