#include "inference/thought_meter.h"

#include <cctype>
#include <utility>

namespace pmt::inference {
namespace {

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

ThoughtMeter::ThoughtMeter(Thinking how) : how_(std::move(how)) {
  state_ = how_.close.empty() ? State::kAnswer
           : how_.begun       ? State::kThought
           : how_.anywhere    ? State::kBetween
                              : State::kStart;
}

ThoughtMeter::Parts ThoughtMeter::push(std::string_view text) {
  const bool was_inside = thinking();
  Parts parts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (state_ == State::kAnswer) {
      parts.answer += text.substr(i);
      break;
    }
    take(text[i], parts);
  }
  found_ = 0;
  if (!held_.empty() || (state_ == State::kStart && text.empty())) {
    ++undecided_;
    return parts;
  }
  const int came = std::exchange(undecided_, 0) + 1;
  const bool only_thought = parts.answer.empty() && (!parts.thought.empty() || was_inside);
  if (only_thought) found_ = came;
  tokens_ += found_;
  if (was_inside && only_thought) ++inside_;
  return parts;
}

ThoughtMeter::Parts ThoughtMeter::finish(std::string_view rest) {
  Parts parts;
  for (const char c : rest) take(c, parts);
  parts.answer += std::exchange(held_, {});
  return parts;
}

void ThoughtMeter::take(char c, Parts& parts) {
  switch (state_) {
    case State::kStart:
      return begin(c, parts);
    case State::kThought:
      parts.thought += c;
      if (ends_tag(c, how_.close)) state_ = how_.anywhere ? State::kBetween : State::kAfter;
      return;
    case State::kAfter:
      if (!is_space(c)) state_ = State::kAnswer;
      (is_space(c) ? parts.thought : parts.answer) += c;
      return;
    case State::kBetween:
      parts.answer += c;
      if (ends_tag(c, how_.open)) state_ = State::kThought;
      return;
    case State::kAnswer:
      parts.answer += c;
  }
}

void ThoughtMeter::begin(char c, Parts& parts) {
  held_ += c;
  if (matched_ == 0 && is_space(c)) return;
  const bool goes_on = c == how_.open[matched_];
  if (goes_on && ++matched_ < how_.open.size()) return;
  (goes_on ? parts.thought : parts.answer) += std::exchange(held_, {});
  state_ = goes_on ? State::kThought : State::kAnswer;
}

bool ThoughtMeter::ends_tag(char c, const std::string& tag) {
  tail_ += c;
  if (tail_.size() > tag.size()) tail_.erase(0, tail_.size() - tag.size());
  if (tail_ != tag) return false;
  tail_.clear();
  return true;
}

}  // namespace pmt::inference
