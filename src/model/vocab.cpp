#include "model/vocab.h"

#include <array>
#include <climits>
#include <cstring>
#include <exception>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <llama.h>

#include "base/check.h"
#include "base/file.h"
#include "model/gguf_preflight.h"
#include "model/llama_log.h"
#include "model/prompt_builder.h"
#include "model/token_list_check.h"

namespace pmt::model {
namespace {

using base::Code;
using base::Error;

base::Status check_readable(const std::string& path) {
  TRY(base::check_file(path));
  if (std::ifstream(path).peek() != std::ifstream::traits_type::eof()) return {};
  return Error{Code::kCorrupt, fmt::format("{} is empty, not a GGUF model file", path)};
}

Error not_loaded(const std::string& path, const std::string& why) {
  return {Code::kCorrupt, fmt::format("{} can't be loaded as a GGUF model: {}", path, why)};
}

std::vector<SpecialToken> special_tokens_of(const llama_vocab* vocab, std::int32_t size) {
  std::vector<SpecialToken> tokens;
  for (std::int32_t id = 0; id < size; ++id) {
    const int attributes = llama_vocab_get_attr(vocab, id);
    if ((attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) == 0) continue;
    tokens.push_back({.id = id,
                      .text = llama_vocab_get_text(vocab, id),
                      .strips_left = (attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0,
                      .strips_right = (attributes & LLAMA_TOKEN_ATTR_RSTRIP) != 0});
  }
  return tokens;
}

/// What would end the process, or throw, when a text is encoded or a token shown.
base::Status check_usable(const llama_vocab* vocab) {
  const auto lacks = [](const char* what) {
    return Error{Code::kCorrupt, fmt::format("its tokenizer adds a token at {} and names none", what)};
  };
  if (llama_vocab_get_add_bos(vocab) && llama_vocab_bos(vocab) == LLAMA_TOKEN_NULL)
    return lacks("the beginning");
  if (llama_vocab_get_add_eos(vocab) && llama_vocab_eos(vocab) == LLAMA_TOKEN_NULL) return lacks("the end");
  if (llama_vocab_get_add_sep(vocab) && llama_vocab_sep(vocab) == LLAMA_TOKEN_NULL)
    return lacks("a text's end");
  try {
    std::array<llama_token, 16> tokens{};
    for (int byte = 0; byte < 256; ++byte) {
      const char text = static_cast<char>(byte);
      llama_tokenize(vocab, &text, 1, tokens.data(), static_cast<std::int32_t>(tokens.size()), false, false);
    }
    std::array<char, 8> piece{};
    for (std::int32_t id = 0; id < llama_vocab_n_tokens(vocab); ++id)
      llama_token_to_piece(vocab, id, piece.data(), static_cast<std::int32_t>(piece.size()), 0, true);
  } catch (const std::exception& thrown) {  // libllama's, of a byte that it has no token for
    return Error{Code::kCorrupt,
                 fmt::format("its tokenizer can't encode or show every byte ({})", thrown.what())};
  }
  return {};
}

std::optional<std::int32_t> unless_null(llama_token token) {
  if (token == LLAMA_TOKEN_NULL) return std::nullopt;
  return token;
}

}  // namespace

void Vocab::FreeModel::operator()(llama_model* model) const {
  llama_model_free(model);
}

base::Result<std::unique_ptr<Vocab>> Vocab::load(const std::string& path) {
  init_llama();
  TRY(check_readable(path));
  TRY(check_gguf(path));
  if (const auto lists = check_token_lists(path); !lists) return not_loaded(path, lists.error().message);
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  const LlamaLogCapture log;
  std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file(path.c_str(), params));
  if (model == nullptr) return not_loaded(path, log.reason());
  if (llama_vocab_type(llama_model_get_vocab(model.get())) == LLAMA_VOCAB_TYPE_NONE) {
    return not_loaded(path, "it holds no tokenizer");
  }
  if (const auto usable = check_usable(llama_model_get_vocab(model.get())); !usable)
    return not_loaded(path, usable.error().message);
  return std::unique_ptr<Vocab>(new Vocab(std::move(model)));
}

Vocab::Vocab(std::unique_ptr<llama_model, FreeModel> model)
    : model_(std::move(model)),
      vocab_(llama_model_get_vocab(model_.get())),
      size_(llama_vocab_n_tokens(vocab_)),
      special_tokens_(std::make_unique<SpecialTokens>(special_tokens_of(vocab_, size_))) {
  if (const char* source = llama_model_chat_template(model_.get(), nullptr)) chat_template_ = source;
}

Vocab::~Vocab() = default;

std::vector<std::int32_t> Vocab::tokenize(std::string_view text, TokenizeOptions options) const {
  if (!options.parse_special || !special_tokens_->find(text)) {
    return tokenize_plain(text, {.add_special = options.add_special});
  }
  PromptBuilder prompt(*this);
  prompt.add_template_text(text);
  auto tokens = prompt.finish();
  if (options.add_special) {
    // What the tokenizer puts around nothing: a begin and perhaps an end of sequence.
    const auto frame = tokenize_plain("", {.add_special = true});
    const bool begins = !frame.empty() && frame.front() == bos();
    tokens.insert(tokens.end(), frame.begin() + (begins ? 1 : 0), frame.end());
    if (begins) tokens.insert(tokens.begin(), frame.front());
  }
  return tokens;
}

std::vector<std::int32_t> Vocab::tokenize_plain(std::string_view text, TokenizeOptions options) const {
  CHECK(text.size() < INT_MAX);
  const auto run = [&](std::vector<std::int32_t>& into) {
    return llama_tokenize(vocab_, text.data(), static_cast<std::int32_t>(text.size()), into.data(),
                          static_cast<std::int32_t>(into.size()), options.add_special, false);
  };
  // One token a byte at most, but for an added space and begin and end of sequence: a second pass is rare.
  std::vector<std::int32_t> tokens(text.size() + 4);
  std::int32_t count = run(tokens);
  if (count < 0) {
    CHECK(count != INT32_MIN);
    tokens.resize(static_cast<std::size_t>(-count));
    count = run(tokens);
  }
  CHECK(count >= 0);
  tokens.resize(static_cast<std::size_t>(count));
  tokens.shrink_to_fit();
  return tokens;
}

std::int64_t Vocab::count_tokens(std::string_view text) const {
  return static_cast<std::int64_t>(tokenize(text, {}).size());
}

std::string Vocab::piece(std::int32_t token, PieceOptions options) const {
  CHECK(token >= 0 && token < size_);
  std::string bytes(32, '\0');
  const auto run = [&] {
    return llama_token_to_piece(vocab_, token, bytes.data(), static_cast<std::int32_t>(bytes.size()), 0,
                                options.name_special);
  };
  std::int32_t length = run();
  if (length < 0) {
    bytes.resize(static_cast<std::size_t>(-length));
    length = run();
  }
  CHECK(length >= 0);
  bytes.resize(static_cast<std::size_t>(length));
  return bytes;
}

bool Vocab::is_eog(std::int32_t token) const {
  return llama_vocab_is_eog(vocab_, token);
}

std::optional<std::int32_t> Vocab::bos() const {
  return unless_null(llama_vocab_bos(vocab_));
}

std::optional<std::int32_t> Vocab::eos() const {
  return unless_null(llama_vocab_eos(vocab_));
}

std::optional<std::int32_t> Vocab::pad() const {
  return unless_null(llama_vocab_pad(vocab_));
}

bool Vocab::adds_bos() const {
  return llama_vocab_get_add_bos(vocab_);
}

std::optional<Vocab::FillInMiddle> Vocab::fill_in_middle() const {
  const auto prefix = unless_null(llama_vocab_fim_pre(vocab_));
  const auto suffix = unless_null(llama_vocab_fim_suf(vocab_));
  const auto middle = unless_null(llama_vocab_fim_mid(vocab_));
  if (!prefix || !suffix || !middle) return std::nullopt;
  return FillInMiddle{*prefix, *suffix, *middle};
}

}  // namespace pmt::model
