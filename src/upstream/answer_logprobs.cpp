#include "upstream/answer_logprobs.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/json_text.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using base::at;
using base::text_at;
using nlohmann::json;

/// A log-probability; 0 for what is none.
float logprob_of(const json& value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(base::as_number(value).value_or(0), -kMax, kMax));
}

std::string token_bytes(const json& item) {
  const json& bytes = at(item, "bytes");
  if (!bytes.is_array()) return text_at(item, "token");
  std::string out;
  for (const json& byte : bytes) {
    if (const auto code = base::as_integer(byte)) out.push_back(static_cast<char>(*code));
  }
  return out;
}

void read_chat_logprobs(const json& logprobs, std::vector<llm::TokenLogprob>& out) {
  const json& content = at(logprobs, "content");
  if (!content.is_array()) return;
  for (const json& item : content) {
    llm::TokenLogprob token{
        .token = token_bytes(item), .logprob = logprob_of(at(item, "logprob")), .top = {}};
    if (const json& top = at(item, "top_logprobs"); top.is_array()) {
      for (const json& other : top)
        token.top.emplace_back(token_bytes(other), logprob_of(at(other, "logprob")));
    }
    out.push_back(std::move(token));
  }
}

void read_text_logprobs(const json& logprobs, std::vector<llm::TokenLogprob>& out) {
  const json& tokens = at(logprobs, "tokens");
  const json& values = at(logprobs, "token_logprobs");
  const json& tops = at(logprobs, "top_logprobs");
  if (!tokens.is_array() || !values.is_array()) return;
  for (std::size_t i = 0; i < std::min(tokens.size(), values.size()); ++i) {
    auto text = base::as_text(tokens[i]);
    if (!text) continue;
    llm::TokenLogprob token{.token = std::move(*text), .logprob = {}, .top = {}};
    if (!values[i].is_null()) token.logprob = logprob_of(values[i]);
    if (tops.is_array() && i < tops.size() && tops[i].is_object()) {
      for (const auto& [other, value] : tops[i].items()) token.top.emplace_back(other, logprob_of(value));
      std::sort(token.top.begin(), token.top.end(),
                [](const auto& a, const auto& b) { return a.second > b.second; });
    }
    out.push_back(std::move(token));
  }
}

}  // namespace

base::Status read_logprobs(std::string_view logprobs, llm::Endpoint endpoint,
                           std::vector<llm::TokenLogprob>& out) {
  if (base::is_null(logprobs)) return {};
  const auto tree = base::parse_json(logprobs, logprobs.size());
  if (!tree || !tree->is_object()) return garbage("logprobs");
  if (endpoint != llm::Endpoint::kChat) {
    read_text_logprobs(*tree, out);
    return {};
  }
  if (const json& content = at(*tree, "content"); !content.is_null() && !content.is_array())
    return garbage("logprobs");
  read_chat_logprobs(*tree, out);
  return {};
}

}  // namespace pmt::upstream
