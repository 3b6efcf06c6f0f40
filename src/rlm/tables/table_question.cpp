#include "rlm/tables/table_question.h"

#include <algorithm>
#include <cctype>

#include "text/calendar.h"
#include "text/plain_words.h"
#include "text/stems.h"
#include "text/stop_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kPhraseWordsMax = 5;

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

/// Without signs around it; a possessive's 's goes too.
std::string bare(std::string_view word) {
  constexpr std::string_view kAround = "\"'`.;:(),?![]{}<>*";
  const auto begin = word.find_first_not_of(kAround);
  if (begin == std::string_view::npos) return {};
  word = word.substr(begin, word.find_last_not_of(kAround) - begin + 1);
  for (const std::string_view ending : {"'s", "’s"}) {
    if (word.ends_with(ending)) word.remove_suffix(ending.size());
  }
  return std::string(word);
}

}  // namespace

std::string normal_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool kept = text::kPlainByte[static_cast<unsigned char>(c)] != 0 ||
                      std::string_view("_./:-").find(c) != std::string_view::npos;
    if (kept) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '.' || out.back() == ':')) out.pop_back();
  return out;
}

std::string word_stem(std::string_view word) {
  return text::stem_of(text::singular(text::lower(word)));
}

std::vector<std::string> name_words(std::string_view name) {
  std::string spaced;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool hump = i > 0 && std::isupper(static_cast<unsigned char>(name[i])) != 0 &&
                      std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
    if (hump) spaced += ' ';
    spaced += name[i];
  }
  std::vector<std::string> words = text::plain_words(spaced);
  for (std::string& word : words) word = word_stem(word);
  return words;
}

TableQuestion::TableQuestion(const std::string& question) : text_(question) {
  cut_words();
  add_quoted();
  add_phrases();
}

void TableQuestion::cut_words() {
  std::size_t begin = 0;
  bool first = true;
  for (std::size_t at = 0; at <= text_.size() && words_.size() < kQuestionWordsMax; ++at) {
    if (at < text_.size() && std::string_view(" \t\r\n").find(text_[at]) == std::string_view::npos) continue;
    const std::string_view raw = std::string_view(text_).substr(begin, at - begin);
    begin = at + 1;
    QuestionWord word{.written = bare(raw)};
    word.normal = normal_value(word.written);
    if (!word.normal.empty()) {  // a control character has no normal form
      const bool digits = std::ranges::any_of(word.written, is_digit),
                 letters = std::ranges::any_of(word.written, is_letter);
      const bool capital = std::isupper(static_cast<unsigned char>(word.written[0])) != 0;
      std::string_view kept = word.written;  // "CPUs" is as little a name as "CPU"
      if (kept.size() > 2 && kept.ends_with('s')) kept.remove_suffix(1);
      const bool shouted = capital && kept.size() > 1 &&
                           std::ranges::none_of(kept, [](unsigned char c) { return std::islower(c) != 0; });
      const bool time = !text::calendar_name(word.normal).empty();
      word.name =
          !time && ((digits && letters) || (capital && !first && !shouted && word.written.size() > 1));
      words_.push_back(std::move(word));
      first = false;
    }
    if (!raw.empty() && (raw.back() == '.' || raw.back() == '?' || raw.back() == '!' || raw.back() == ':'))
      first = true;
  }
}

void TableQuestion::add_phrases() {
  for (std::size_t n = kPhraseWordsMax; n > 0; --n) {
    for (std::size_t begin = 0; begin + n <= words_.size(); ++begin) {
      std::string value;
      for (std::size_t i = begin; i < begin + n; ++i) value += (i > begin ? " " : "") + words_[i].normal;
      const bool says_little = n == 1 && text::is_stop_word(value, text::StopUse::kSearch);
      phrases_.push_back({.begin = begin, .end = begin + n, .says_little = says_little});
      add(value, phrases_.size() - 1);
      if (says_little) continue;
      if (is_digit(value.back())) continue;
      if (text::is_plural(value)) {
        add(value.substr(0, value.size() - 1), phrases_.size() - 1);
        if (value.ends_with("es")) add(value.substr(0, value.size() - 2), phrases_.size() - 1);
        if (value.ends_with("ies")) add(value.substr(0, value.size() - 3) + "y", phrases_.size() - 1);
      } else {
        add(value + "s", phrases_.size() - 1);
      }
    }
  }
}

/// What stands in quotes is one phrase of any length.
void TableQuestion::add_quoted() {
  std::size_t from = 0;
  while (true) {
    const auto begin = text_.find('"', from);
    const auto end = begin == std::string::npos ? begin : text_.find('"', begin + 1);
    if (end == std::string::npos) return;
    from = end + 1;
    const std::string value = normal_value(std::string_view(text_).substr(begin + 1, end - begin - 1));
    const auto count = text::plain_words(value).size();
    if (count == 0 || count > kQuestionWordsMax) continue;
    const std::string_view before = std::string_view(text_).substr(0, begin);
    const auto word = static_cast<std::size_t>(std::ranges::count(before, ' '));
    const auto spaces = static_cast<std::size_t>(std::ranges::count(value, ' '));
    phrases_.push_back({.begin = std::min(word, words_.size()),
                        .end = std::min(word + spaces + 1, words_.size()),
                        .quoted = true});
    add(value, phrases_.size() - 1);
  }
}

std::optional<std::size_t> TableQuestion::phrase_of(const std::string& value) const {
  const auto found = by_value_.find(value);
  return found == by_value_.end() ? std::nullopt : std::optional(found->second);
}

std::string TableQuestion::written(const QuestionPhrase& phrase) const {
  std::string out;
  for (std::size_t i = phrase.begin; i < phrase.end; ++i) out += (out.empty() ? "" : " ") + words_[i].written;
  return out;
}

}  // namespace pmt::rlm
