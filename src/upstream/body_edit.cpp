#include "upstream/body_edit.h"

#include <utility>

namespace pmt::upstream {

std::string_view BodyEdit::value(std::string_view name) const {
  std::string_view found;
  for (const Place& place : places_) {
    if (place.member->name == name && !place.removed)
      found = place.value ? *place.value : place.member->value;
  }
  return found;
}

void BodyEdit::set(std::string_view name, std::string value) {
  bool stands = false;
  for (Place& place : places_) {
    if (place.member->name != name || place.removed) continue;
    place.value = value;
    stands = true;
  }
  if (stands) return;
  added_.append(added_.empty() ? "\"" : ",\"").append(name).append("\":").append(value);
}

void BodyEdit::remove(std::string_view name) {
  for (Place& place : places_) {
    if (place.member->name == name) place.removed = true;
  }
}

std::string BodyEdit::text() const {
  if (places_.empty()) return '{' + added_ + '}';
  const auto offset = [this](const char* at) { return static_cast<std::size_t>(at - text_.data()); };
  const auto begin_of = [&](const Place& place) { return offset(place.member->whole.data()); };
  const auto end_of = [&](const Place& place) { return begin_of(place) + place.member->whole.size(); };
  std::string out;
  out.reserve(text_.size() + added_.size() + 64);
  out.append(text_, 0, begin_of(places_.front()));
  bool first = true;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (place.removed) continue;
    if (!std::exchange(first, false))
      out.append(text_, end_of(places_[i - 1]), begin_of(place) - end_of(places_[i - 1]));
    const std::string_view whole = place.member->whole;
    const std::size_t before = whole.size() - place.member->value.size();
    out.append(whole.substr(0, place.value ? before : whole.size()));
    if (place.value) out += *place.value;
  }
  if (!added_.empty()) out.append(first ? "" : ",").append(added_);
  return out.append(text_, end_of(places_.back()));
}

}  // namespace pmt::upstream
