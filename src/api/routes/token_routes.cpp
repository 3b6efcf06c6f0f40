#include "api/routes/token_routes.h"

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/answer_on.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/json/parse.h"
#include "api/routes/model_list.h"
#include "api/routes/vocabularies.h"

namespace pmt::api {
namespace {

using Tokens = std::vector<std::int32_t>;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

struct TokenizeCall {
  std::string model;
  std::optional<std::string> content, prompt;  // llama.cpp's, vLLM's
  bool chat = false;                           // "messages" are there instead
  std::optional<bool> add_special;
  bool parse_special = true;
  bool with_pieces = false;
  bool token_strs = false;
  bool generation_prompt = true, continues = false;  // of a chat; clients send them with texts, too
  bool of_chat = false;                              // one of those two was sent
};

constexpr Rule<TokenizeCall> kTokenizeRules[] = {
    {"model", [](Json v, TokenizeCall& c) { return text(v, 256, c.model); }},
    {"content", [](Json v, TokenizeCall& c) { return text(v, kTextMax, c.content.emplace()); }},
    {"prompt", [](Json v, TokenizeCall& c) { return text(v, kTextMax, c.prompt.emplace()); }},
    {"messages",
     [](Json, TokenizeCall& c) {
       c.chat = true;
       return base::Status();
     }},
    {"add_special", [](Json v, TokenizeCall& c) { return flag(v, c.add_special); }},
    {"add_special_tokens", [](Json v, TokenizeCall& c) { return flag(v, c.add_special); }},
    {"parse_special", [](Json v, TokenizeCall& c) { return flag(v, c.parse_special); }},
    {"with_pieces", [](Json v, TokenizeCall& c) { return flag(v, c.with_pieces); }},
    {"return_token_strs", [](Json v, TokenizeCall& c) { return flag(v, c.token_strs); }},
    {"add_generation_prompt",
     [](Json v, TokenizeCall& c) {
       c.of_chat = true;
       return flag(v, c.generation_prompt);
     }},
    {"continue_final_message",
     [](Json v, TokenizeCall& c) {
       c.of_chat = true;
       return flag(v, c.continues);
     }},
};

struct DetokenizeCall {
  std::string model;
  bool given = false;
  Tokens tokens;
};

constexpr Rule<DetokenizeCall> kDetokenizeRules[] = {
    {"model", [](Json v, DetokenizeCall& c) { return text(v, 256, c.model); }},
    {"tokens",
     [](Json v, DetokenizeCall& c) {
       c.given = true;
       c.tokens.clear();
       return read_array(v, kTextMax,
                         [&c](Json item) { return integer(item, 0, kInt32Max, c.tokens.emplace_back()); });
     }},
};

template <class Call, std::size_t kCount>
base::Result<Call> parse_call(const std::string& body, const Rule<Call> (&rules)[kCount]) {
  TRY_ASSIGN(const Json root, parse_json(body));
  Call call;
  if (base::Status read = read_object<Call>(root, rules, UnknownKeys::kIgnored, call); !read)
    return name_field(read.error());
  return call;
}

base::Result<const ServedModel*> local_model(const ApiOptions& options, const std::string& name) {
  if (!name.empty()) {
    TRY_ASSIGN(const ServedModel* const model, find_model(options, name));
    if (has_vocabulary(*model)) return model;
    return name_field(
        base::invalid("must name one local model: only its own server knows the tokens of another", "model"));
  }
  const ServedModel* only = nullptr;
  for (const auto& [other, model] : options.models) {
    if (!has_vocabulary(model)) continue;
    if (only != nullptr)
      return name_field(base::invalid("is required: there are several local models", "model"));
    only = &model;
  }
  if (only != nullptr) return only;
  return base::Error{base::Code::kNotFound, "There is no local model here, whose tokens could be told.",
                     "model"};
}

base::Result<LentVocabulary> vocabulary_of(const ApiOptions& options, const std::string& name, bool waits) {
  TRY_ASSIGN(const ServedModel* const model, local_model(options, name));
  return vocabulary_of(*model, waits);
}

/// The template decides where a chat's prompt ends.
base::Status check_end(const TokenizeCall& call) {
  const auto must_be = [](bool value, const char* field) {
    return name_field(base::invalid(
        fmt::format("must be {}: a chat's prompt is the one that its answer is written after", value),
        field));
  };
  if (!call.generation_prompt) return must_be(true, "add_generation_prompt");
  if (call.continues) return must_be(false, "continue_final_message");
  return {};
}

base::Result<Tokens> tokens_of(const llm::Vocabulary& vocabulary, const TokenizeCall& call,
                               const std::string& body, EngineOptionsReaders engines) {
  if (call.chat) {
    TRY(check_end(call));
    TRY_ASSIGN(const CompletionCall chat, parse_completion(llm::Endpoint::kChat, body, engines));
    return vocabulary.prompt_of(chat.request);
  }
  const bool raw = call.content.has_value();  // llama.cpp's server adds nothing unless it is asked to
  return vocabulary.tokens_of(
      raw ? *call.content : *call.prompt,
      {.add_special = call.add_special.value_or(!raw), .parse_special = call.parse_special});
}

/// A piece as a text, or where it is none as its bytes.
void append_piece(std::string& out, const std::string& piece) {
  if (is_utf8(piece)) return append_string(out, piece);
  out += '[';
  for (std::size_t i = 0; i < piece.size(); ++i) {
    if (i > 0) out += ',';
    append_int(out, static_cast<unsigned char>(piece[i]));
  }
  out += ']';
}

std::string render(const llm::Vocabulary& vocabulary, const TokenizeCall& call, const Tokens& tokens) {
  std::string out;
  ObjectWriter body(out);
  const auto each = [&](const char* name, auto&& append_one) {
    body.member(name) += '[';
    for (const std::int32_t token : tokens) {
      if (out.back() != '[') out += ',';
      append_one(token);
    }
    out += ']';
  };
  const auto piece = [&](std::int32_t token) { return vocabulary.piece_of(token).value_or(""); };
  each("tokens", [&](std::int32_t token) {
    if (!call.with_pieces) return append_int(out, token);
    ObjectWriter one(out);
    one.integer("id", token);
    append_piece(one.member("piece"), piece(token));
    one.end();
  });
  body.integer("count", static_cast<std::int64_t>(tokens.size()));
  body.integer("max_model_len", vocabulary.context_tokens());
  if (call.token_strs) each("token_strs", [&](std::int32_t token) { append_string(out, piece(token)); });
  body.end();
  return out;
}

base::Result<std::string> tokenize(const ApiOptions& options, const std::string& body, bool waits) {
  TRY_ASSIGN(const TokenizeCall call, parse_call(body, kTokenizeRules));
  TRY_ASSIGN(const LentVocabulary vocabulary, vocabulary_of(options, call.model, waits));
  const int given = (call.content ? 1 : 0) + (call.prompt ? 1 : 0) + (call.chat ? 1 : 0);
  if (given != 1) {
    return base::invalid("Send one of 'content', 'prompt' and 'messages'.",
                         call.of_chat ? "messages" : "prompt");
  }
  TRY_ASSIGN(const Tokens tokens, tokens_of(*vocabulary, call, body, options.engine_options));
  return render(*vocabulary, call, tokens);
}

base::Result<std::string> detokenize(const ApiOptions& options, const std::string& body, bool waits) {
  TRY_ASSIGN(const DetokenizeCall call, parse_call(body, kDetokenizeRules));
  TRY_ASSIGN(const LentVocabulary vocabulary, vocabulary_of(options, call.model, waits));
  if (!call.given) return name_field(base::invalid("is required", "tokens"));
  std::string text;
  for (std::size_t i = 0; i < call.tokens.size(); ++i) {
    const auto piece = vocabulary->piece_of(call.tokens[i]);
    if (!piece) return base::invalid(piece.error().message, fmt::format("tokens[{}]", i));
    text += *piece;
  }
  std::string out;
  ObjectWriter answer(out);
  answer.string("content", text);
  answer.string("prompt", text);
  answer.end();
  return out;
}

/// The members of transformers' tokenizer_config.json that a model's file knows.
base::Result<std::string> tokenizer_info(const ApiOptions& options, std::string_view model, bool waits) {
  TRY_ASSIGN(const LentVocabulary vocabulary, vocabulary_of(options, std::string(model), waits));
  const llm::TokenizerInfo info = vocabulary->tokenizer_info();
  std::string out;
  ObjectWriter answer(out);
  const auto add = [&answer](const char* name, const std::optional<std::string>& value) {
    if (value) return answer.string(name, *value);
    answer.null(name);
  };
  answer.string("tokenizer_class", "PreTrainedTokenizerFast");  // the file doesn't know the model's own
  add("bos_token", info.bos);
  add("eos_token", info.eos);
  add("pad_token", info.pad);
  answer.member("add_bos_token") += info.adds_bos ? "true" : "false";
  answer.integer("model_max_length", vocabulary->context_tokens());
  add("chat_template", info.chat_template);
  answer.end();
  return out;
}

}  // namespace

void add_token_routes(Router& router, const ApiOptions& options, VocabularyWorkers& workers) {
  const auto add = [&](const char* method, const char* path, auto answer) {
    router.add(method, path, [&workers, answer](const Exchange& exchange) {
      answer_on(workers, exchange,
                [answer](const Exchange& asked, bool waits) { return answer(asked.request, waits); });
    });
  };
  add("POST", "/v1/tokenize",
      [&options](const auto& asked, bool waits) { return tokenize(options, asked.body, waits); });
  add("POST", "/v1/detokenize",
      [&options](const auto& asked, bool waits) { return detokenize(options, asked.body, waits); });
  add("GET", "/v1/tokenizer_info", [&options](const auto& asked, bool waits) {
    return tokenizer_info(options, asked.query_value("model"), waits);
  });
}

}  // namespace pmt::api
