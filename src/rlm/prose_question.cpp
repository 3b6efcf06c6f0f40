#include "rlm/prose_question.h"

#include <algorithm>

#include <fmt/format.h>

#include "rlm/evidence.h"
#include "rlm/tables/table_question.h"
#include "text/stop_words.h"

namespace pmt::rlm {
namespace {

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace

std::vector<std::string> content_words(std::string_view text) {
  std::vector<std::string> words = words_of(text);
  std::erase_if(words,
                [](const std::string& word) { return text::is_stop_word(word, text::StopUse::kSearch); });
  return words;
}

ProseQuestion prose_question(const std::string& text) {
  ProseQuestion question{.text = text, .query = text};
  bool name_before = false;
  const TableQuestion asked(text);
  for (const QuestionWord& word : asked.words()) {
    const std::vector<std::string> words =
        word.name ? content_words(word.written) : std::vector<std::string>();
    if (!words.empty() && !name_before) question.names.emplace_back();
    if (!words.empty()) question.names.back().insert(question.names.back().end(), words.begin(), words.end());
    name_before = !words.empty();
  }
  return question;
}

ProseQuestion with_known(const ProseQuestion& question, const std::string& part, const std::string& answer) {
  ProseQuestion next = question;
  next.known = fmt::format("{}{}{} {}", question.known, question.known.empty() ? "" : "\n", part, answer);
  const std::set<std::string> asked = word_set(part);
  std::vector<std::string> left = content_words(question.query);
  std::erase_if(left, [&](const std::string& word) { return asked.contains(word); });
  next.query = joined(left) + " " + answer;
  next.names.clear();
  if (auto name = content_words(answer); !name.empty()) next.names.push_back(std::move(name));
  return next;
}

bool names_one_of(const ProseQuestion& question, std::string_view text) {
  const std::set<std::string> words = word_set(text);
  return question.names.empty() || std::ranges::any_of(question.names, [&](const auto& name) {
           const auto held =
               std::ranges::count_if(name, [&](const std::string& word) { return words.contains(word); });
           return static_cast<std::size_t>(held) * 2 >= name.size();
         });
}

std::string absent_name(const ProseQuestion& question, const Ranked& found) {
  for (const auto& name : question.names) {
    if (std::ranges::all_of(name, [&](const std::string& word) { return found.absent.contains(word); }))
      return joined(name);
  }
  return {};
}

bool is_part_of(const std::string& part, const std::string& whole) {
  const std::vector<std::string> words = content_words(part), all = content_words(whole);
  const std::set<std::string> asked(words.begin(), words.end()), known(all.begin(), all.end());
  return !asked.empty() && asked.size() < known.size() &&
         static_cast<std::size_t>(
             std::ranges::count_if(asked, [&](const std::string& word) { return known.contains(word); })) *
                 4 >=
             asked.size() * 3;
}

}  // namespace pmt::rlm
