// A JSON object's text with some members changed: what isn't changed keeps its bytes, white space included.
// Thread-safety: none. Requires: the text and its members (base/json_text.h) outlive this.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"

namespace pmt::upstream {

class BodyEdit {
 public:
  template <class Member>
  BodyEdit(std::string_view text, const std::vector<Member>& members) : text_(text) {
    places_.reserve(members.size() + 2);
    for (const Member& member : members) places_.push_back({&member, {}, false});
  }

  /// The value of `name`, "" if there is none.
  std::string_view value(std::string_view name) const;
  /// Its value becomes this JSON text, wherever the name stands; where it doesn't, it is added at the end.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);

  std::string text() const;

 private:
  struct Place {
    const base::JsonMember* member;
    std::optional<std::string> value;  // another one
    bool removed;
  };
  std::string_view text_;
  std::vector<Place> places_;
  std::string added_;  // members
};

}  // namespace pmt::upstream
