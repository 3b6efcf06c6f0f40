#include "llm/sinks.h"

namespace pmt::llm {

std::string text_of(const std::vector<Event>& events, int choice) {
  std::string text;
  for (const Event& event : events) {
    const auto* delta = std::get_if<Delta>(&event);
    if (delta != nullptr && delta->choice == choice) text += delta->text;
  }
  return text;
}

}  // namespace pmt::llm
