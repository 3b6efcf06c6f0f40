#include "inference/prompt_echo.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "model/logprobs.h"
#include "model/utf8_stream.h"

namespace pmt::inference {
namespace {

constexpr std::int64_t kRowBytesMax = 64 << 20;  // 341 rows of 49,152 tokens, 110 of 151,936

std::string joined(const std::vector<std::string>& texts) {
  return std::accumulate(texts.begin(), texts.end(), std::string());
}

/// Makes the tokens' texts those of `text`, where the tokenizer put something before it: the begin of a
/// sequence (`begins`), and a space before the first word (SentencePiece's).
void fit(std::vector<std::string>& texts, const std::string& text, bool begins) {
  if (joined(texts) == text) return;
  std::size_t first = 0;
  if (begins && !text.starts_with(texts[0])) texts[first++].clear();
  const bool spaced = first < texts.size() && texts[first].starts_with(' ') && !text.starts_with(' ');
  if (spaced) texts[first].erase(0, 1);
}

}  // namespace

llm::TokenLogprob describe_token(const model::Vocab& vocab, std::span<const float> logits, std::int32_t token,
                                 int top) {
  const model::Logprobs found = model::logprobs(logits, token, top);
  llm::TokenLogprob out;
  out.token = vocab.piece(token, {.name_special = true});
  out.logprob = found.logprob;
  for (const auto& [id, logprob] : found.top)
    out.top.emplace_back(vocab.piece(id, {.name_special = true}), logprob);
  return out;
}

PromptEcho::PromptEcho(const model::Vocab& vocab, std::vector<std::int32_t> prompt,
                       std::optional<std::string> text, std::optional<int> top)
    : vocab_(&vocab), prompt_(std::move(prompt)), top_(top) {
  CHECK(!prompt_.empty());
  for (const std::int32_t token : prompt_) texts_.push_back(vocab.piece(token, {.name_special = true}));
  if (text) {
    text_ = *std::move(text);
    fit(texts_, text_, prompt_[0] == vocab.bos());
  } else {
    model::Utf8Stream whole;  // ids may begin or end inside a character
    text_ = whole.push(joined(texts_));
    text_ += whole.flush();
  }
  if (top_) scored_.push_back({.token = texts_[0], .logprob = {}, .top = {}});
}

int PromptEcho::rows_max(std::int32_t vocabulary) {
  const std::int64_t row_bytes = std::int64_t{vocabulary} * static_cast<std::int64_t>(sizeof(float));
  return static_cast<int>(std::max<std::int64_t>(1, kRowBytesMax / row_bytes));
}

std::vector<int> PromptEcho::rows_of_span(int first, int tokens) const {
  std::vector<int> rows;
  if (!scores()) return rows;
  const int begin = std::max(first, static_cast<int>(scored_.size()) - 1);
  const int end = std::min(first + tokens, static_cast<int>(prompt_.size()) - 1);
  for (int position = begin; position < end; ++position) rows.push_back(position - first);
  return rows;
}

void PromptEcho::add(std::span<const float> logits) {
  const auto width = static_cast<std::size_t>(vocab_->size());
  for (; !logits.empty(); logits = logits.subspan(width)) {
    const std::size_t at = scored_.size();
    CHECK(logits.size() >= width && at < prompt_.size());
    scored_.push_back(describe_token(*vocab_, logits.first(width), prompt_[at], *top_));
    scored_.back().token = texts_[at];
  }
}

llm::Delta PromptEcho::delta(int choice) const {
  CHECK(!scores() || scored_.size() == prompt_.size());
  return {choice, text_, scored_};
}

}  // namespace pmt::inference
