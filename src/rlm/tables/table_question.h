// A question as words and phrases that may be values of a table.
// Thread-safety: immutable after it was made. Cost: some microseconds; at most kQuestionWordsMax words count.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pmt::rlm {

inline constexpr std::size_t kQuestionWordsMax = 120;

/// Letters and digits in lower case, with what may be inside a name or a number; everything else is one space.
std::string normal_value(std::string_view text);

/// The words of a column's or a table's name, as word_stem() has them: "orderDate" -> order, date.
std::vector<std::string> name_words(std::string_view name);
/// In lower case without an ending, to compare by.
std::string word_stem(std::string_view word);

struct QuestionWord {
  std::string written;      // without signs around it and "'s"
  std::string normal = {};  // in lower case
  bool name = false;        // it must be somewhere: a capital inside the sentence, or letters and digits
};

/// Words [begin, end) of the question.
struct QuestionPhrase {
  std::size_t begin = 0, end = 0;
  bool quoted = false;
  bool says_little = false;  // one word that is in any question: it may be a value among others
};

class TableQuestion {
 public:
  explicit TableQuestion(const std::string& question);

  const std::string& text() const { return text_; }
  const std::vector<QuestionWord>& words() const { return words_; }
  const std::vector<QuestionPhrase>& phrases() const { return phrases_; }
  /// Which phrase this value (in normal form) is, also but for a plural's s.
  std::optional<std::size_t> phrase_of(const std::string& value) const;
  std::string written(const QuestionPhrase& phrase) const;

 private:
  void cut_words();
  void add_phrases();
  void add_quoted();
  void add(const std::string& value, std::size_t phrase) { by_value_.emplace(value, phrase); }

  std::string text_;
  std::vector<QuestionWord> words_;
  std::vector<QuestionPhrase> phrases_;
  std::unordered_map<std::string, std::size_t> by_value_;
};

}  // namespace pmt::rlm
