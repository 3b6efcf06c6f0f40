#include "rlm/passage_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/trimmed.h"
#include "rlm/evidence.h"
#include "rlm/quotes.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr int kQuoteTokensMax = 160;
constexpr double kSentenceHeldMin = 0.5;  // share_held() of a sentence that a small model answers from
constexpr std::string_view kNotInText = "Not in the text";

constexpr char kReader[] =
    "You answer questions about a text. You are given the passages of it that come nearest to the question. Use only "
    "them. Copy the words of the text that state the answer, then give the answer, as short as possible. If the "
    "passages do not state the answer, say: Not in the text.";
constexpr char kSentenceReader[] =
    "You answer questions about a text. Answer with the words of the text, as short as possible.";

/// A small model does as it sees done. They stand before the passages, so they are read once.
std::vector<llm::Message> examples() {
  const std::string passage =
      "Passage 1:\nThe mill at Dover burned down in 1902. Years later it was rebuilt by Ann Lee, who had made her fortune "
      "with ropes.\n\nQuestion: ";
  return {message("system", kReader), message("user", passage + "Who rebuilt the mill at Dover?"),
          message("assistant", "Quote: \"it was rebuilt by Ann Lee\"\nAnswer: Ann Lee"),
          message("user", passage + "How tall is the mill at Dover?"),
          message("assistant", "Not in the text.")};
}

constexpr char kQuotingForm[] =
    "root ::= \"Not in the text.\" | \"Quote: \\\"\" [^\"\\n]+ \"\\\"\\nAnswer: \" [^\\n]+\n";

/// What stands after `label` on its line.
std::string_view after(std::string_view said, std::string_view label) {
  const auto at = said.find(label);
  if (at == std::string_view::npos) return {};
  said.remove_prefix(at + label.size());
  return base::trimmed(said.substr(0, said.find('\n')));
}

/// Whether it says nothing but what was asked.
bool repeats(const std::string& answer, const ProseQuestion& question) {
  const std::vector<std::string> words = content_words(answer);
  const std::set<std::string> asked = word_set(question.text);
  return !words.empty() && !asked.contains("or") &&
         std::ranges::all_of(words, [&](const std::string& word) { return asked.contains(word); });
}

/// Whether the quote states it: half of its words that the question doesn't have. A yes or no can't be looked
/// for.
bool states(std::string_view quote, const std::string& answer, const ProseQuestion& question) {
  const std::set<std::string> asked = word_set(question.text), held = word_set(quote);
  std::size_t told = 0, stated = 0;
  for (const std::string& word : content_words(answer)) {
    if (asked.contains(word) || word == "yes" || word == "no") continue;
    ++told;
    stated += held.contains(word) ? 1 : 0;
  }
  return stated * 2 >= told;
}

/// Whether what is quoted is told of what the question names: the paragraph has one of its names, or the
/// passage has and the sentence names nobody else.
bool about_what_is_named(std::string_view passage, const Span& quote, const std::string& answer,
                         const ProseQuestion& question) {
  const auto before = passage.rfind("\n\n", quote.begin);
  const std::size_t begin = before == std::string_view::npos ? 0 : before;
  const std::string_view paragraph =
      passage.substr(begin, std::min(passage.find("\n\n", quote.end), passage.size()) - begin);
  if (names_one_of(question, paragraph)) return true;
  const std::set<std::string> known = word_set(question.text + " " + answer);
  const std::string sentence(text_of(passage, sentence_around(passage, quote.begin)));
  const auto names = prose_question(sentence).names;
  return names_one_of(question, passage) && std::ranges::all_of(names, [&](const auto& name) {
           return std::ranges::any_of(name, [&](const std::string& word) { return known.contains(word); });
         });
}

/// A quote that has nothing of what was asked shows nothing: then it is its whole sentence.
Span quote_in(std::string_view passage, const Span& quote, const ProseQuestion& question) {
  const std::set<std::string> held = word_set(text_of(passage, quote));
  const std::vector<std::string> asked = content_words(question.text);
  if (std::ranges::any_of(asked, [&](const std::string& word) { return held.contains(word); })) return quote;
  const Span sentence = sentence_around(passage, quote.begin);
  return {.begin = sentence.begin, .end = std::max(sentence.end, quote.end)};
}

/// Why an answer that a sentence has the words of is none; "": nothing speaks against it. A small model answers whatever it is
/// asked, with a word of the sentences that it was shown.
std::string doubt(const ProseQuestion& question, const std::string& answer, const Evidence& sentence,
                  const Ranked& found, std::string_view passage, std::size_t passage_begin) {
  std::set<std::string> names;
  for (const auto& name : question.names) names.insert(name.begin(), name.end());
  const Span span{.begin = sentence.span.begin - passage_begin, .end = sentence.span.end - passage_begin};
  if (!fits_question(question, answer)) return "the answer is no number, and one is asked for";
  if (!about_what_is_named(passage, span, answer, question))
    return "the sentence is not about what the question names";
  if (share_held(found, names, sentence.text) < kSentenceHeldMin)
    return "the sentence has less than half of what the question asks by";
  return {};
}

/// What the caller's domains were taught answers it, whatever the text says: nobody looks for a quote of it.
bool takes_taught(const Answer& answer, Reading& reading) {
  reading.facts = answer.facts;
  if (!answer.facts.empty()) reading.answer = base::trimmed(answer.text);
  return reading.found();
}

}  // namespace

base::Result<Reading> PassageReader::read(const ProseQuestion& question, const std::vector<Found>& read,
                                          const Ranked& found) {
  return PassageReader::can_quote(run_.leaf) ? read_passages(question, read)
                                             : read_sentences(question, read, found);
}

/// Sets `answer` and `quote`, or `why_not`, by the last response.
void PassageReader::judge(const ProseQuestion& question, const std::vector<Found>& read,
                          Reading& reading) const {
  reading.why_not.clear();
  const std::string_view quote = after(reading.response, "Quote:");
  std::string answer(after(reading.response, "Answer:"));
  if (quote.empty() || answer.starts_with(kNotInText)) {
    reading.why_not = "not in these passages";
    return;
  }
  if (answer.empty()) answer = quote;
  for (const Found& passage : read) {
    const std::string_view text = passages_.text_of(passage);
    const auto said = find_quote(text, quote);
    if (!said) continue;
    const Span span = quote_in(text, *said, question);
    reading.passage = {.begin = passage.begin, .end = passage.end};
    reading.quote = {.begin = passage.begin + span.begin, .end = passage.begin + span.end};
    if (!about_what_is_named(text, span, answer, question)) {
      reading.why_not = "The passage that you quote is not about what the question names.";
    } else if (!states(quote, answer, question)) {
      reading.why_not = "The quoted words do not state the answer.";
    } else if (repeats(answer, question)) {
      reading.why_not = "That only says the question again.";
    } else {
      reading.answer = std::move(answer);
    }
    return;
  }
  reading.why_not = "The quoted words do not stand in the passages.";
}

base::Result<Reading> PassageReader::read_passages(const ProseQuestion& question,
                                                   const std::vector<Found>& read) {
  std::string asked;
  for (std::size_t i = 0; i < read.size(); ++i)
    asked += fmt::format("Passage {}:\n{}\n\n", i + 1, base::trimmed(passages_.text_of(read[i])));
  if (!question.known.empty()) asked += fmt::format("Known already: {}\n\n", question.known);
  asked += "Question: " + question.text;
  Reading reading;
  reading.prompt = examples();
  reading.prompt.push_back(message("user", asked));
  AskOptions options{.max_tokens = kQuoteTokensMax + run_.bounds.answer_tokens, .exact = true};
  if (run_.leaf.parameters > 0) options.form = grammar_form(kQuotingForm);  // it runs here
  for (int attempt = 0; attempt < 2; ++attempt) {
    TRY_ASSIGN(const Answer answer, run_.asker.ask(run_.leaf, reading.prompt, options));
    reading.response = answer.text;
    reading.seconds += answer.seconds;
    judge(question, read, reading);
    if (reading.found() || attempt > 0 || !reading.why_not.ends_with('.')) break;
    reading.prompt.push_back(message("assistant", answer.text));
    reading.prompt.push_back(
        message("user", reading.why_not + " Copy the words that state the answer, or say: Not in the text."));
  }
  return reading;
}

base::Result<Reading> PassageReader::read_sentences(const ProseQuestion& question,
                                                    const std::vector<Found>& read, const Ranked& found) {
  const std::vector<Evidence> evidence = evidence_of(passages_, read, found);
  std::string asked;
  for (const Evidence& one : evidence) asked += one.text + "\n";
  Reading reading;
  reading.prompt = {message("system", kSentenceReader),
                    message("user", fmt::format("{}\nQuestion: {}", asked, question.text))};
  TRY_ASSIGN(const Answer answer,
             run_.asker.ask(run_.leaf, reading.prompt, {.max_tokens = run_.bounds.answer_tokens}));
  reading.response = answer.text;
  reading.seconds = answer.seconds;
  if (takes_taught(answer, reading)) return reading;
  reading.why_not = "no sentence has the words of what was answered";
  const std::set<std::string> known = word_set(question.text);
  std::vector<std::string> told = content_words(answer.text);
  std::erase_if(told, [&](const std::string& word) { return known.contains(word); });
  for (const Evidence& one : evidence) {
    const std::set<std::string> words = word_set(one.text);
    if (told.empty() ||
        !std::ranges::all_of(told, [&](const std::string& word) { return words.contains(word); }))
      continue;
    const auto passage = std::ranges::find_if(
        read, [&](const Found& f) { return f.begin <= one.span.begin && one.span.end <= f.end; });
    if (passage == read.end()) continue;
    reading.passage = {.begin = passage->begin, .end = passage->end};
    reading.quote = one.span;
    reading.why_not = doubt(question, answer.text, one, found, passages_.text_of(*passage), passage->begin);
    if (!reading.why_not.empty()) continue;
    reading.answer = base::trimmed(answer.text);
    break;
  }
  return reading;
}

}  // namespace pmt::rlm
