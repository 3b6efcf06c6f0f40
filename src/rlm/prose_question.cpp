#include "rlm/prose_question.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "rlm/evidence.h"
#include "rlm/tables/table_question.h"
#include "text/numbers.h"
#include "text/stop_words.h"
#include "text/words.h"

namespace pmt::rlm {
namespace {

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

using QuestionWords = std::vector<QuestionWord>;

constexpr std::string_view kWhoIs = "Who is ";

/// Words [begin, end) that are "the A of ... NAME in NAME", the longest from `begin` on; begin: they aren't.
std::size_t description_end(const QuestionWords& words, std::size_t begin) {
  constexpr std::size_t kKindWords = 3, kBetweenWords = 5;  // "the chief keeper of", "the old mill at"
  static const std::set<std::string> kLinks = {"of", "in", "at", "on", "from", "near", "for", "the"};
  std::size_t of = begin + 2;
  const auto is_of = [&](std::size_t i) { return i < words.size() && words[i].normal == "of"; };
  while (of <= begin + 1 + kKindWords && !is_of(of)) ++of;
  std::size_t end = begin;
  if (words[begin].normal != "the" || !is_of(of)) return end;
  std::size_t since = 0;  // words after the last name
  for (std::size_t i = of + 1; i < words.size() && since <= kBetweenWords; ++i) {
    ++since;
    if (words[i].name) end = i + 1, since = 0;
    const bool goes_on = words[i].name || end == begin || kLinks.contains(words[i].normal);
    if (!goes_on) break;
  }
  return end;
}

/// The question with what `part` asks for put in its place; "": its words don't stand there so.
std::string put_in_place(const std::string& question, const std::string& part, std::string_view answer) {
  constexpr std::size_t kNameBytesMax = 80;
  answer = answer.substr(0, answer.find_last_not_of(". ") + 1);
  if (!part.starts_with(kWhoIs) || answer.size() > kNameBytesMax) return {};
  const std::string described = part.substr(kWhoIs.size(), part.size() - kWhoIs.size() - 1);
  const std::size_t at = question.find(described);
  if (at == std::string::npos) return {};
  return question.substr(0, at) + std::string(answer) + question.substr(at + described.size());
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
  for (std::size_t i = 0; i + 1 < asked.words().size() && question.kind.empty(); ++i) {
    const QuestionWord &asks = asked.words()[i], &next = asked.words()[i + 1];
    if (asks.normal != "which" && asks.normal != "what") continue;
    const std::vector<std::string> kind = content_words(next.written);
    if (kind.size() == 1 && !next.name) question.kind = kind[0];
    break;
  }
  return question;
}

ProseQuestion with_known(const ProseQuestion& question, const std::string& part, const std::string& answer) {
  if (const std::string next = put_in_place(question.text, part, answer); !next.empty())
    return prose_question(next);
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

bool fits_question(const ProseQuestion& question, std::string_view answer) {
  static const std::set<std::string> kMeasured = {"many", "much", "tall", "old",  "long",  "far",  "high",
                                                  "deep", "wide", "big",  "fast", "heavy", "large"};
  static const std::set<std::string> kNone = {"no", "none", "nobody", "nothing"};
  const std::vector<text::Word> asked = text::words_of(question.text, {.parts = true});
  bool number = question.kind == "year";
  for (std::size_t i = 0; i + 1 < asked.size(); ++i)
    number = number || (asked[i].folded == "how" && kMeasured.contains(asked[i + 1].folded));
  if (!number) return true;
  const std::vector<text::Word> said = text::words_of(answer, {.parts = true});
  for (std::size_t i = 0; i < said.size(); ++i) {
    if (text::number_at(said, i) || kNone.contains(said[i].folded)) return true;
  }
  return false;
}

std::string name_told(const std::string& answer, const std::string& question) {
  const std::set<std::string> asked = word_set(question);
  const TableQuestion said(answer);
  std::string name;
  for (const QuestionWord& word : said.words()) {
    const bool capital =
        !word.written.empty() && std::isupper(static_cast<unsigned char>(word.written[0])) != 0;
    const std::vector<std::string> words = capital ? content_words(word.written) : std::vector<std::string>();
    const bool told = !words.empty() &&
                      std::ranges::none_of(words, [&](const std::string& w) { return asked.contains(w); });
    if (!told && !name.empty()) break;
    if (told) name += (name.empty() ? "" : " ") + word.written;
  }
  return name.empty() ? answer : name;
}

std::string described_part(const std::string& question) {
  const TableQuestion asked(question);
  const QuestionWords& words = asked.words();
  for (std::size_t begin = 0; begin < words.size(); ++begin) {
    const std::size_t end = description_end(words, begin);
    if (end == begin) continue;
    std::string part(kWhoIs);
    for (std::size_t i = begin; i < end; ++i) part += words[i].written + (i + 1 < end ? " " : "?");
    return is_part_of(part, question) ? part : "";
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
