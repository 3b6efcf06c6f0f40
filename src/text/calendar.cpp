#include "text/calendar.h"

#include <algorithm>
#include <iterator>

#include "text/english.h"

namespace pmt::text {
namespace {

struct Calendar {
  WordMap names;
  WordSet doubtful;  // "may", "march": also everyday words
  WordSet spans, which;

  Calendar() {
    for (const auto& [word, name] : english_names("calendar")) {
      const bool doubt = name.ends_with('=');
      names.emplace(word, doubt ? name.substr(0, name.size() - 1) : name);
      if (doubt) doubtful.insert(word);
    }
    bool after_sign = false;
    for (const std::string_view line : english("calendar_spans")) {
      for (const std::string_view word : fields_of(line)) {
        if (word == "=") {
          after_sign = true;
        } else {
          (after_sign ? which : spans).insert(word);
        }
      }
    }
  }
};

const Calendar& calendar() {
  static const Calendar kCalendar;
  return kCalendar;
}

bool is_surely_a_time(const std::vector<Word>& words, std::size_t at) {
  if (words[at].capital && !words[at].first) return true;
  if ((at > 0 && words[at - 1].digits) || (at + 1 < words.size() && words[at + 1].digits)) return true;
  static constexpr std::string_view kBefore[] = {"in",   "of",   "on",    "since", "until",  "by",     "next",
                                                 "last", "this", "early", "late",  "during", "between"};
  return at > 0 &&
         std::find(std::begin(kBefore), std::end(kBefore), words[at - 1].folded) != std::end(kBefore);
}

}  // namespace

std::string_view calendar_name(std::string_view word) {
  const auto name = calendar().names.find(word);
  return name == calendar().names.end() ? std::string_view() : name->second;
}

std::string_view calendar_time(const std::vector<Word>& words, std::size_t at) {
  if (calendar().doubtful.contains(words[at].folded) && !is_surely_a_time(words, at)) return {};
  return calendar_name(words[at].folded);
}

std::string span_at(const std::vector<Word>& words, std::size_t at) {
  const Calendar& known = calendar();
  const std::string_view word = words[at].folded;
  if (!known.which.contains(word) || words[at].ends_run || at + 1 >= words.size()) return {};
  const std::string& span = words[at + 1].folded;
  if (!known.spans.contains(span)) return {};
  return std::string(word == "coming" ? "next" : word == "past" ? "last" : word) + ' ' + span;
}

}  // namespace pmt::text
