#include "model/token_list_check.h"

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>
#include <gguf.h>

#include "model/llama_log.h"

namespace pmt::model {
namespace {

using base::Code;
using base::Error;

struct FreeGguf {
  void operator()(gguf_context* context) const { gguf_free(context); }
};

constexpr char kTokens[] = "tokenizer.ggml.tokens";
constexpr std::size_t kTokenMax = 1024;                     // bytes; what is looked up byte by byte, in depth
constexpr std::size_t kSuffixesMax = std::size_t{1} << 28;  // bytes of all tokens' endings

struct List {
  const char* key;
  gguf_type type;
  bool one_per_token;
};

constexpr List kLists[] = {{kTokens, GGUF_TYPE_STRING, true},
                           {"tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, true},
                           {"tokenizer.ggml.token_type", GGUF_TYPE_INT32, true},
                           {"tokenizer.ggml.merges", GGUF_TYPE_STRING, false}};

base::Status check_list(const gguf_context* gguf, const List& list, std::size_t tokens) {
  const std::int64_t key = gguf_find_key(gguf, list.key);
  if (key < 0) return {};
  if (gguf_get_kv_type(gguf, key) != GGUF_TYPE_ARRAY || gguf_get_arr_type(gguf, key) != list.type) {
    return Error{Code::kCorrupt, fmt::format("{} isn't a list of {}", list.key, gguf_type_name(list.type))};
  }
  const std::size_t length = gguf_get_arr_n(gguf, key);
  if (list.one_per_token && length != tokens) {
    return Error{Code::kCorrupt, fmt::format("{} has {} entries for {} tokens", list.key, length, tokens)};
  }
  return {};
}

base::Status check_distinct(const gguf_context* gguf, std::int64_t key, std::size_t tokens) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::string_view token = gguf_get_arr_str(gguf, key, i);
    if (!token.empty() && !seen.insert(token).second) {
      return Error{Code::kCorrupt, fmt::format("{} holds '{}' twice (entry {})", kTokens, token, i)};
    }
  }
  return {};
}

/// The byte that a token of RWKV's kind is, as libllama reads its escapes; nothing: it is longer.
std::optional<unsigned char> single_byte(std::string_view token) {
  if (token.size() == 1 && token[0] != '\\') return static_cast<unsigned char>(token[0]);
  if (token.size() == 4 && token.starts_with("\\x")) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const std::size_t high = kDigits.find(token[2]);
    const std::size_t low = kDigits.find(token[3]);
    if (high == kDigits.npos || low == kDigits.npos) return std::nullopt;
    return static_cast<unsigned char>(high * 16 + low);
  }
  if (token.size() != 2 || token[0] != '\\' || token[1] == 'x') return std::nullopt;
  switch (token[1]) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    default:
      return static_cast<unsigned char>(token[1]);
  }
}

base::Status check_bytes(const gguf_context* gguf, std::int64_t key, std::size_t tokens) {
  std::bitset<256> bytes;
  for (std::size_t i = 0; i < tokens; ++i) {
    if (const auto byte = single_byte(gguf_get_arr_str(gguf, key, i))) bytes.set(*byte);
  }
  if (bytes.all()) return {};
  return Error{Code::kCorrupt, fmt::format("{} has {} of 256 single bytes", kTokens, bytes.count())};
}

base::Status check_lengths(const gguf_context* gguf, std::int64_t key, std::size_t tokens) {
  std::size_t suffixes = 0;
  for (std::size_t i = 0; i < tokens; ++i) {
    const std::size_t bytes = std::string_view(gguf_get_arr_str(gguf, key, i)).size();
    suffixes += bytes * bytes;
    if (bytes > kTokenMax || suffixes > kSuffixesMax)
      return Error{Code::kCorrupt, fmt::format("{} are too long (entry {} has {} bytes)", kTokens, i, bytes)};
  }
  return {};
}

/// What only some kinds of tokenizer need.
base::Status check_kind(const gguf_context* gguf, std::int64_t key, std::size_t tokens) {
  const std::int64_t model = gguf_find_key(gguf, "tokenizer.ggml.model");
  if (model < 0 || gguf_get_kv_type(gguf, model) != GGUF_TYPE_STRING) return {};
  const std::string_view kind = gguf_get_val_str(gguf, model);
  if (kind != "rwkv" && kind != "plamo2") return {};
  TRY(check_lengths(gguf, key, tokens));
  return kind == "rwkv" ? check_bytes(gguf, key, tokens) : base::Status();
}

}  // namespace

base::Status check_token_lists(const std::string& path) {
  const LlamaLogCapture log;
  const std::unique_ptr<gguf_context, FreeGguf> gguf(
      gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (gguf == nullptr) return Error{Code::kCorrupt, log.reason()};
  const std::int64_t key = gguf_find_key(gguf.get(), kTokens);
  if (key < 0) return Error{Code::kCorrupt, "it holds no tokenizer"};
  const bool is_list = gguf_get_kv_type(gguf.get(), key) == GGUF_TYPE_ARRAY;
  const std::size_t tokens = is_list ? gguf_get_arr_n(gguf.get(), key) : 0;
  for (const List& list : kLists) TRY(check_list(gguf.get(), list, tokens));
  TRY(check_distinct(gguf.get(), key, tokens));
  return check_kind(gguf.get(), key, tokens);
}

}  // namespace pmt::model
