#include "model/token_list_check.h"

#include <cstdint>
#include <memory>
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
  return check_distinct(gguf.get(), key, tokens);
}

}  // namespace pmt::model
