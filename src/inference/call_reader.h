// Finds calls and thinking in what a model writes, as it comes: text is passed on at once, a call's name as soon as
// it is whole, its arguments as they are written. A call is an object with the name of an offered function and its
// arguments, in the dress that models give it:
//   <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>
// between tags, anywhere; or bare or in a ``` fence, at the beginning of a line. <think>...</think> at the very
// beginning is thinking, or what stands between the model's own tags. Everything else is text; white space beside a
// call is dropped.
//
// No recursion. What turns out to be no call is looked at again for one inside it; outside of tags that is decided
// within 1 KiB. Thread-safety: none. Cost: linear in the text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llm/event.h"

namespace pmt::inference {

struct CallRules {
  std::vector<std::string> names = {};  // of functions that may be called
  bool parallel = true;                 // false: what is a call after the first one is dropped
  bool thinking = false;                // the prompt has opened <think> already
  std::string open = "<think>", close = "</think>";
};

/// The members of one call's object, character by character.
class CallObject {
 public:
  enum class State { kOpen, kCall, kDone, kNot };
  explicit CallObject(const std::vector<std::string>& names) : names_(&names) {}

  /// kOpen: it may become a call. kCall: it is one, its name is known and its arguments begin; kDone: it is
  /// whole. kNot: it is none (nothing of it was a call), or it broke off.
  State push(char c);
  State state() const { return state_; }
  /// Known before it is a call, where the arguments haven't begun.
  const std::optional<std::string>& name() const { return name_; }
  bool has_arguments() const { return has_arguments_; }
  /// What came of its arguments since the last time.
  std::string take_arguments() { return std::exchange(arguments_, {}); }
  /// Its first member is its name, or might be.
  bool looks_like_one() const {
    return first_key_.starts_with("name") || std::string_view("name").starts_with(first_key_);
  }

 private:
  enum class Place { kBefore, kKeyOrEnd, kKey, kKeyQuoted, kColon, kValue, kText, kNested, kScalar, kComma };
  State at_structure(char c);
  void begin_value(char c);
  void in_value(char c);
  State end_value();
  bool is_arguments() const { return key_ == "arguments" || key_ == "parameters"; }
  State fail() { return state_ = State::kNot; }

  const std::vector<std::string>* names_;
  State state_ = State::kOpen;
  Place place_ = Place::kBefore;
  std::string key_, first_key_, value_, arguments_;
  std::optional<std::string> name_;
  bool has_key_ = false, escaped_ = false, in_string_ = false, has_arguments_ = false;
  std::size_t depth_ = 0;
};

class CallReader {
 public:
  struct Found {
    std::string text, reasoning;
    std::vector<llm::CallPiece> calls;  // id is left empty
    bool empty() const { return text.empty() && reasoning.empty() && calls.empty(); }
  };
  struct Call {
    std::string name, arguments;
  };
  explicit CallReader(CallRules rules);

  Found push(std::string_view text);
  /// No more comes. `cut`: the limit ended it; what had begun to be a call isn't shown as text then.
  Found finish(bool cut);
  const std::vector<Call>& calls() const { return calls_; }

 private:
  enum class State { kStart, kThinking, kText, kCall, kClosing };
  bool step(Found& found);
  bool start(Found& found);
  bool thinking(Found& found);
  bool text(Found& found);
  bool wait_from(std::size_t at, Found& found);
  bool call_from(std::size_t at, std::size_t body, std::string_view close, Found& found);
  bool call(Found& found);
  bool closing();
  void open_call(std::size_t from, std::size_t body, std::string_view close);
  void not_a_call(Found& found);
  void show(std::string_view text, Found& found);
  void show_call(Found& found, bool begins, std::string arguments);

  const CallRules rules_;
  State state_ = State::kStart;
  std::string pending_;      // not looked at yet, or not decided
  std::string space_;        // at the end of what was shown: dropped before a call
  bool line_begins_ = true;  // what was shown ends with a line break, or nothing was
  bool any_text_ = false;
  bool after_call_ = false;
  std::string raw_;    // of what may be a call, its dress included
  std::string close_;  // what ends it: "</tool_call>", "```", ""
  std::optional<CallObject> object_;
  bool shown_ = false;    // the call's beginning was told
  bool dropped_ = false;  // it is one too many
  std::vector<Call> calls_;
};

}  // namespace pmt::inference
