#include "text/tasks.h"

#include <algorithm>
#include <utility>

#include "text/english.h"
#include "text/phrases.h"
#include "text/plain_words.h"

namespace pmt::text {
namespace {

bool is_letter(char c) {
  return kPlainByte[static_cast<unsigned char>(c)] != 0;
}

struct Composing {
  WordSet verbs, forms;
};

const Composing& composing() {
  static const Composing kComposing = [] {
    Composing lists;
    for (const std::string_view line : english("composing")) {
      const bool forms = line.front() == '=';
      for (const std::string_view word : fields_of(line)) (forms ? lists.forms : lists.verbs).insert(word);
    }
    return lists;
  }();
  return kComposing;
}

}  // namespace

std::vector<std::string> tasks_of(const std::vector<Word>& words) {
  static const Phrases kTasks("tasks");
  std::vector<std::string> tasks;
  constexpr std::size_t kReach = 6;  // "write a very short and funny poem"
  std::size_t form_until = 0;
  bool composed = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (const std::string_view task = kTasks.at(words, i); !task.empty()) tasks.emplace_back(task);
    if (!composed && composing().verbs.contains(words[i].folded)) {
      composed = true;
      form_until = i + kReach;
    }
    if (composed && i < form_until) {
      if (const std::string form = singular(words[i].folded); composing().forms.contains(form))
        tasks.push_back("write " + form);
    }
  }
  return tasks;
}

std::vector<Range> quotes_of(std::string_view text) {
  std::vector<Range> quotes;
  static constexpr std::pair<std::string_view, std::string_view> kMarks[] = {{"\"", "\""},
                                                                             {"\xE2\x80\x9C", "\xE2\x80\x9D"},
                                                                             {"\xE2\x80\x98", "\xE2\x80\x99"},
                                                                             {"'", "'"},
                                                                             {"\xC2\xAB", "\xC2\xBB"}};
  for (const auto& [open, close] : kMarks) {
    for (std::size_t at = text.find(open); at != std::string_view::npos;) {
      const std::size_t begin = at + open.size();
      std::size_t end = text.find(close, begin);
      // A sentence may end inside: Is the question "Where is it?" polite?
      if (end == std::string_view::npos && open != "'") end = text.size();
      if (end == std::string_view::npos) break;
      // An apostrophe opens nothing inside a word, and closes nothing before a letter.
      if (open == "'" &&
          ((at > 0 && is_letter(text[at - 1])) || (end + 1 < text.size() && is_letter(text[end + 1])))) {
        at = text.find(open, at + 1);
        continue;
      }
      quotes.push_back({begin, end});
      at = end + close.size() < text.size() ? text.find(open, end + close.size()) : std::string_view::npos;
    }
  }
  return quotes;
}

}  // namespace pmt::text
