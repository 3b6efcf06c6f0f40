#include "model/prompt_builder.h"

#include <cctype>
#include <cstddef>
#include <utility>

#include "model/vocab.h"

namespace pmt::model {
namespace {

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

void PromptBuilder::add_user_text(std::string_view text) {
  while (strip_next_ && !text.empty() && is_space(text.front())) text.remove_prefix(1);
  if (!text.empty()) strip_next_ = false;
  plain_ += text;
}

void PromptBuilder::add_template_text(std::string_view text) {
  const SpecialTokens& specials = vocab_->special_tokens();
  std::size_t from = 0;
  while (const auto match = specials.find(text, from)) {
    add_user_text(text.substr(from, match->begin - from));
    add_control(*match->token);
    from = match->end;
  }
  add_user_text(text.substr(from));
}

void PromptBuilder::add_control(const SpecialToken& token) {
  while (token.strips_left && !plain_.empty() && is_space(plain_.back())) plain_.pop_back();
  end_plain();
  tokens_.push_back(token.id);
  strip_next_ = token.strips_right;
}

void PromptBuilder::end_plain() {
  if (plain_.empty()) return;
  const auto tokens = vocab_->tokenize(plain_, {});
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  plain_.clear();
}

std::vector<std::int32_t> PromptBuilder::finish() {
  end_plain();
  return std::exchange(tokens_, {});
}

}  // namespace pmt::model
