#include "inference/call_reader.h"

#include <algorithm>
#include <utility>

#include "base/json_text.h"

namespace pmt::inference {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr std::string_view kFence = "```";
/// Of what may be a call, before its name and arguments are known: then it is text, and looked at again.
constexpr std::size_t kUndecidedMax = 1024;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::size_t past_space(std::string_view text, std::size_t at = 0) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

bool at_line_begin(bool before, char c) {
  return c == '\n' || (before && is_space(c));
}

/// How much of the end of `text` may be the beginning of `marker`.
std::size_t begun(std::string_view text, std::string_view marker) {
  for (std::size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n) {
    if (text.substr(text.size() - n) == marker.substr(0, n)) return n;
  }
  return 0;
}

}  // namespace

// --- one call's object

CallObject::State CallObject::push(char c) {
  if (state_ == State::kDone || state_ == State::kNot) return state_;
  switch (place_) {
    case Place::kKeyQuoted:
      if (!escaped_ && c == '"') {
        if (!has_key_) first_key_ = key_;
        has_key_ = true;
        place_ = Place::kColon;
        return state_;
      }
      escaped_ = !escaped_ && c == '\\';
      key_ += c;
      if (!has_key_) first_key_ = key_;
      return state_;
    case Place::kText:
    case Place::kNested:
      in_value(c);
      return place_ == Place::kComma ? end_value() : state_;
    case Place::kScalar:
      if (c != ',' && c != '}' && !is_space(c)) {
        in_value(c);
        return state_;
      }
      place_ = Place::kComma;
      if (end_value() == State::kNot) return state_;
      return at_structure(c);
    default:
      return at_structure(c);
  }
}

CallObject::State CallObject::at_structure(char c) {
  if (is_space(c)) return state_;
  switch (place_) {
    case Place::kBefore:
      if (c != '{') return fail();
      place_ = Place::kKeyOrEnd;
      return state_;
    case Place::kKeyOrEnd:
    case Place::kComma:
      if (c == '}') {
        if (!name_) return fail();
        if (!has_arguments_) arguments_ = "{}";
        return state_ = State::kDone;
      }
      if (place_ == Place::kComma) {
        if (c != ',') return fail();
        place_ = Place::kKey;
        return state_;
      }
      [[fallthrough]];
    case Place::kKey:
      if (c != '"') return fail();
      key_.clear();
      escaped_ = false;
      place_ = Place::kKeyQuoted;
      return state_;
    case Place::kColon:
      if (c != ':') return fail();
      place_ = Place::kValue;
      return state_;
    case Place::kValue:
      begin_value(c);
      return state_;
    default:
      return fail();
  }
}

void CallObject::begin_value(char c) {
  value_.clear();
  depth_ = 0;
  in_string_ = escaped_ = false;
  const bool known = key_ == "name" || is_arguments() || key_ == "id" || key_ == "type";
  const bool fits = key_ == "name" ? c == '"' : !is_arguments() || c == '{' || c == '"';
  if (!known || !fits || (is_arguments() && has_arguments_)) {
    fail();
    return;
  }
  place_ = c == '"' ? Place::kText : c == '{' || c == '[' ? Place::kNested : Place::kScalar;
  if (is_arguments()) has_arguments_ = true;
  if (is_arguments() && name_) state_ = State::kCall;
  in_value(c);
}

/// Arguments that are an object are passed on as they come; everything else is kept until it is whole.
void CallObject::in_value(char c) {
  const bool passed_on = is_arguments() && place_ == Place::kNested && name_;
  (passed_on ? arguments_ : value_) += c;
  if (place_ == Place::kScalar) return;
  if (in_string_) {
    in_string_ = escaped_ || c != '"';
    escaped_ = !escaped_ && c == '\\';
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    --depth_;
  }
  if (!in_string_ && depth_ == 0) place_ = Place::kComma;
}

CallObject::State CallObject::end_value() {
  if (key_ == "name") {
    name_ = base::json_string(value_);
    if (!name_ || std::find(names_->begin(), names_->end(), *name_) == names_->end()) {
      name_.reset();
      return fail();
    }
    if (has_arguments_) state_ = State::kCall;
  } else if (is_arguments()) {
    const bool is_text = value_.starts_with('"');
    if (is_text) {
      auto text = base::json_string(value_);
      if (!text) return fail();
      arguments_ += *text;
    } else {
      arguments_ += value_;
    }
  }
  value_.clear();
  return state_;
}

// --- all of an answer

CallReader::CallReader(CallRules rules) : rules_(std::move(rules)) {
  if (rules_.thinking) state_ = State::kThinking;
}

CallReader::Found CallReader::push(std::string_view text) {
  Found found;
  pending_ += text;
  while (step(found)) {
  }
  return found;
}

bool CallReader::step(Found& found) {
  switch (state_) {
    case State::kStart:
      return start(found);
    case State::kThinking:
      return thinking(found);
    case State::kText:
      return text(found);
    case State::kCall:
      return call(found);
    default:
      return closing();
  }
}

bool CallReader::start(Found&) {
  const std::size_t at = past_space(pending_);
  const std::string_view rest = std::string_view(pending_).substr(at);
  if (rest.size() < rules_.open.size() && rules_.open.starts_with(rest)) return false;
  state_ = State::kText;
  if (rest.starts_with(rules_.open)) {
    pending_.erase(0, at + rules_.open.size());
    state_ = State::kThinking;
  }
  return true;
}

bool CallReader::thinking(Found& found) {
  const std::size_t end = pending_.find(rules_.close);
  const std::size_t size = end != std::string::npos ? end : pending_.size() - begun(pending_, rules_.close);
  std::string_view thought = std::string_view(pending_).substr(0, size);
  const bool begins = !any_text_;
  if (begins) thought.remove_prefix(past_space(thought));
  std::size_t kept = thought.size();
  while (kept > 0 && is_space(thought[kept - 1])) --kept;
  if (kept > 0) {
    found.reasoning += space_;
    found.reasoning += thought.substr(0, kept);
    space_.clear();
    any_text_ = true;  // of the thinking; begun anew for the text
  }
  if (any_text_) space_ += thought.substr(kept);
  if (end == std::string::npos) {
    pending_.erase(0, size);
    return false;
  }
  pending_.erase(0, end + rules_.close.size());
  space_.clear();
  any_text_ = false;
  pending_.erase(0, past_space(pending_));
  after_call_ = true;  // white space that follows is dropped, too
  state_ = State::kText;
  return true;
}

/// Shows what is before `at`; what is there may yet begin a call.
bool CallReader::wait_from(std::size_t at, Found& found) {
  show(std::string_view(pending_).substr(0, at), found);
  pending_.erase(0, at);
  return false;
}

/// Shows what is before `at`, where a call begins whose body is at `body`.
bool CallReader::call_from(std::size_t at, std::size_t body, std::string_view close, Found& found) {
  show(std::string_view(pending_).substr(0, at), found);
  open_call(at, body, close);
  return true;
}

/// Passes text on up to where a call may begin.
bool CallReader::text(Found& found) {
  if (rules_.names.empty()) {
    show(pending_, found);
    pending_.clear();
    return false;
  }
  bool line = line_begins_;  // white space aside
  for (std::size_t at = 0; at < pending_.size();) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    if (rest.front() == '<') {
      const bool opens = rest.starts_with(kOpen);
      if (!opens && kOpen.starts_with(rest)) {
        return wait_from(at, found);
      }
      if (opens) {
        return call_from(at, at + kOpen.size(), kClose, found);
      }
    }
    const bool may_be_fence = line && kFence.starts_with(rest.substr(0, kFence.size()));
    if (may_be_fence) {
      const std::size_t end = rest.find('\n');
      if (end == std::string_view::npos && rest.size() < 24) {
        return wait_from(at, found);
      }
      const std::size_t body = end == std::string_view::npos ? rest.size() : past_space(rest, end);
      if (rest.starts_with(kFence) && body == rest.size() && end != std::string_view::npos) {
        return wait_from(at, found);
      }
      if (rest.starts_with(kFence) && end != std::string_view::npos && rest[body] == '{') {
        return call_from(at, at + body, kFence, found);
      }
    }
    if (line && rest.front() == '{') {
      return call_from(at, at, "", found);
    }
    line = at_line_begin(line, pending_[at++]);
  }
  show(pending_, found);
  pending_.clear();
  return false;
}

void CallReader::open_call(std::size_t from, std::size_t body, std::string_view close) {
  raw_ = pending_.substr(from, body - from);
  pending_.erase(0, body);
  close_ = close;
  object_.emplace(rules_.names);
  shown_ = false;
  dropped_ = !rules_.parallel && !calls_.empty();
  state_ = State::kCall;
}

bool CallReader::call(Found& found) {
  const bool tagged = close_ == kClose;
  std::size_t used = 0;
  while (used < pending_.size() && object_->state() != CallObject::State::kDone &&
         object_->state() != CallObject::State::kNot)
    object_->push(pending_[used++]);
  raw_.append(pending_, 0, used);
  pending_.erase(0, used);
  using Is = CallObject::State;
  Is is = object_->state();
  const bool without = is == Is::kDone && !tagged && !object_->has_arguments();
  const bool too_long = is == Is::kOpen && !tagged && raw_.size() > kUndecidedMax;
  if (without || too_long) is = Is::kNot;
  const bool is_call = is == Is::kCall || is == Is::kDone || (tagged && object_->name());
  if (is_call) {
    const bool begins = !std::exchange(shown_, true);
    show_call(found, begins, object_->take_arguments());
  }
  if (is == Is::kDone) {
    if (!dropped_) after_call_ = true;
    space_.clear();
    line_begins_ = true;
    state_ = State::kClosing;
    return true;
  }
  if (is != Is::kNot) return false;
  if (shown_) {  // it broke off: what follows is text again
    state_ = State::kClosing;
  } else {
    not_a_call(found);
  }
  return true;
}

void CallReader::show_call(Found& found, bool begins, std::string arguments) {
  if (dropped_) return;
  if (begins) calls_.push_back({*object_->name(), {}});
  if (!begins && arguments.empty()) return;
  const int index = static_cast<int>(calls_.size()) - 1;
  calls_.back().arguments += arguments;
  found.calls.push_back({.index = index,
                         .id = {},
                         .name = begins ? calls_.back().name : "",
                         .arguments = std::move(arguments)});
}

/// Its first character is text; what follows is looked at again.
void CallReader::not_a_call(Found& found) {
  state_ = State::kText;
  const std::size_t shown =
      close_.empty() ? 1 : std::min(raw_.size(), std::max<std::size_t>(raw_.find_first_of("\n{"), 1));
  pending_.insert(0, raw_.substr(shown));
  show(std::string_view(raw_).substr(0, shown), found);
  line_begins_ = false;
  raw_.clear();
}

/// Past the end of a call's dress. Between tags another object is another call.
bool CallReader::closing() {
  const std::size_t at = past_space(pending_);
  const std::string_view rest = std::string_view(pending_).substr(at);
  if (close_.empty()) {
    state_ = State::kText;
    return true;
  }
  if (rest.size() < close_.size() && std::string_view(close_).starts_with(rest)) return false;
  pending_.erase(0, at);
  if (close_ == kClose && pending_.starts_with('{')) {
    open_call(0, 0, kClose);
    return true;
  }
  if (pending_.starts_with(close_)) pending_.erase(0, close_.size());
  state_ = State::kText;
  return true;
}

void CallReader::show(std::string_view text, Found& found) {
  for (const char c : text) line_begins_ = at_line_begin(line_begins_, c);
  if (after_call_) text.remove_prefix(past_space(text));
  std::size_t kept = text.size();
  while (kept > 0 && is_space(text[kept - 1])) --kept;
  if (kept > 0) {
    if (after_call_ && any_text_) found.text += '\n';
    found.text += space_;
    found.text += text.substr(0, kept);
    space_.clear();
    any_text_ = true;
    after_call_ = false;
  }
  if (!after_call_) space_ += text.substr(kept);
}

CallReader::Found CallReader::finish(bool cut) {
  Found found;
  const std::string rest = std::exchange(pending_, {});
  const bool opened = state_ == State::kCall && !shown_;
  const bool like_one = opened && (close_ == kClose || object_->looks_like_one());
  if (opened && !(cut && like_one)) show(raw_, found);
  if (state_ == State::kThinking) found.reasoning += cut ? "" : rest;
  const bool marker = rest.size() > 1 && (kOpen.starts_with(rest) || rules_.open.starts_with(rest));
  if ((state_ == State::kText || state_ == State::kStart) && !(cut && marker)) show(rest, found);
  if (calls_.empty() && state_ != State::kThinking) found.text += std::exchange(space_, {});
  return found;
}

}  // namespace pmt::inference
