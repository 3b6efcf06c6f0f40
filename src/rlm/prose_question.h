// What is looked for in prose. Thread-safety: values; pure functions.
#pragma once

#include <string>
#include <vector>

#include "rlm/passages.h"

namespace pmt::rlm {

struct ProseQuestion {
  std::string text;        // as the model is asked it
  std::string query = {};  // what is searched for
  std::string known = {};  // what was found before: "Who is the captain? Ada Quill"; "": nothing
  /// Each the words of a name that it is about, as words_of() has them. Of Ada Quill's boat in Oslo: {ada,
  /// quill}, {oslo}.
  std::vector<std::vector<std::string>> names = {};
  std::string kind =
      {};  // "instrument" of "Which instrument does she play?": the text needn't have it; "": none
};

/// Without anything known: searched for by its own words.
ProseQuestion prose_question(const std::string& text);
/// The same once the answer to a part of it is known: with that in the place of what was described, or
/// searched for by that and by the words that are no part's.
ProseQuestion with_known(const ProseQuestion& question, const std::string& part, const std::string& answer);

/// Whether the text has at least half of a name's words, of one of the names; or there are none.
bool names_one_of(const ProseQuestion& question, std::string_view text);
/// A name none of whose words stand in any passage, as it is written; "": all stand somewhere.
std::string absent_name(const ProseQuestion& question, const Ranked& found);

/// Whether what is said can be what is asked: a question of how tall, how many or in which year wants a number.
bool fits_question(const ProseQuestion& question, std::string_view answer);
/// The name that an answer in a whole sentence tells: the first that the question doesn't have; the answer itself where
/// there is none.
std::string name_told(const std::string& answer, const std::string& question);

/// The words that a question asks by: words_of() without those that are in every question.
std::vector<std::string> content_words(std::string_view text);
/// The question for what is described by something named, as "the keeper of the mill in Oslo" is in "In
/// which year was the keeper of the mill in Oslo born?": "Who is the keeper of the mill in Oslo?". "":
/// nothing is, or the question asks for that itself.
std::string described_part(const std::string& question);
/// Whether `part` asks for less than the whole: by words of it alone, and not all.
bool is_part_of(const std::string& part, const std::string& whole);

}  // namespace pmt::rlm
