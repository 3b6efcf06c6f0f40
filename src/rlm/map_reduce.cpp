#include "rlm/map_reduce.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/utf8.h"
#include "rlm/aggregate.h"
#include "rlm/passages.h"
#include "rlm/records.h"
#include "text/sentences.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 400;
constexpr std::size_t kSentencesMax = 4;  // of evidence a passage
constexpr std::size_t kSentenceBytesMax = 400;

constexpr char kReader[] =
    "You answer questions about a text. Answer with the words of the text, as short as possible.";

std::string shortened(std::string_view text) {
  const std::string_view shown = base::cut_utf8(text, kShownBytes);
  return fmt::format("{}{}", shown, shown.size() < text.size() ? "..." : "");
}

/// Verse, tables and broken-off sentences have no stop for long: they end with a line.
constexpr text::SentenceRule kProse = {.line_bytes_min = kSentenceBytesMax / 2, .bytes_min = 20};

struct Evidence {
  double score = 0;
  bool whole = false;  // it holds every word that the question asks by
  std::size_t at = 0;
  std::string text;
};

std::set<std::string> word_set(std::string_view text) {
  std::set<std::string> words;
  for (std::string& word : words_of(text)) words.insert(std::move(word));
  return words;
}

/// The sentences of the found passages by how much of the question they hold, each word weighted by its
/// rarity.
std::vector<Evidence> evidence_of(const Passages& passages, const Ranked& found) {
  std::set<std::string> asked;
  for (const auto& word : found.rarity) asked.insert(asked.end(), word.first);
  std::vector<Evidence> evidence;
  for (const Found& passage : found.best) {
    std::size_t order = 0;
    const std::string_view whole_text = passages.text_of(passage);
    for (const text::Range& range : text::sentences_of(whole_text, kProse)) {
      std::string_view sentence = whole_text.substr(range.begin, range.end - range.begin);
      const std::set<std::string> words = word_set(sentence);
      const bool whole = std::ranges::includes(words, asked);
      // Lines before it that lost their stop don't belong to it.
      for (auto line = sentence.find('\n'); whole && line != std::string_view::npos;
           line = sentence.find('\n')) {
        if (!std::ranges::includes(word_set(sentence.substr(line + 1)), asked)) break;
        sentence.remove_prefix(line + 1);
      }
      Evidence e{.score = 0,
                 .whole = whole,
                 .at = passage.begin + order++,
                 .text = std::string(base::cut_utf8(sentence, kSentenceBytesMax))};
      for (const std::string& word : words) {
        if (const auto weight = found.rarity.find(word); weight != found.rarity.end())
          e.score += weight->second;
      }
      std::ranges::replace(e.text, '\n', ' ');
      evidence.push_back(std::move(e));
    }
  }
  std::ranges::stable_sort(evidence, [](const Evidence& a, const Evidence& b) { return a.score > b.score; });
  return evidence;
}

std::vector<llm::Message> reading_prompt(const std::string& question, std::string_view text) {
  return {message("system", kReader), message("user", fmt::format("{}\n\nQuestion: {}", text, question))};
}

/// A first number in an answer.
std::optional<double> first_number(const std::string& text) {
  const auto at = text.find_first_of("0123456789");
  if (at == std::string::npos) return std::nullopt;
  double value = 0;
  if (std::from_chars(text.data() + at, text.data() + text.size(), value).ec != std::errc())
    return std::nullopt;
  return value;
}

class Program {
 public:
  Program(Run& run, const std::string& question, const std::string& context)
      : run_(run), question_(question), context_(context), watch_(run.watch()) {
    outcome_.strategy = {
        {"program", "fixed"},
        {"why", fmt::format("{} has {:.0f}M parameters: below 2B a model can't write the program itself",
                            run.root.name, static_cast<double>(run.root.parameters) / 1e6)},
        {"context_bytes", context.size()}};
  }

  base::Result<Outcome> answer() {
    if (is_aggregate(question_)) {
      run_.on_progress("looking for records");
      TRY_ASSIGN(const Records records, find_records(context_, watch_));
      TRY_ASSIGN(const Computation computation, compute(records, question_, watch_));
      step("records", {{"records", records.size()},
                       {"computed", computation.answer ? json(computation.answer->how) : json()},
                       {"why_not", computation.why_not}});
      if (computation.answer) return computed(*computation.answer);
      outcome_.strategy["not_computed"] = computation.why_not;
      if (!records.empty()) return map_over_all();
    }
    return search_and_read();
  }

 private:
  void step(const std::string& name, json what) {
    what["step"] = name;
    outcome_.reasoning.push_back(std::move(what));
  }

  Outcome computed(const Computed& result) {
    outcome_.answer = fmt::format("{} ({})", result.value, result.how);
    outcome_.strategy["kind"] = "computed from records, no text was read by a model";
    outcome_.strategy["chunks_read"] = 0;
    return std::move(outcome_);
  }

  base::Result<Outcome> search_and_read() {
    run_.on_progress(fmt::format("indexing {:.1f} MB", static_cast<double>(context_.size()) / 1e6));
    TRY_ASSIGN(const Passages passages, Passages::index(context_, watch_));
    TRY_ASSIGN(const Ranked found, passages.search(question_, run_.bounds.passages_read, watch_));
    json shown = json::array();
    for (const Found& f : found.best) {
      shown.push_back({{"begin", f.begin}, {"score", f.score}, {"text", shortened(passages.text_of(f))}});
    }
    step("search", {{"chunks", passages.size()}, {"matching", std::move(shown)}});
    outcome_.strategy["kind"] = "search, then read what matches";
    outcome_.strategy["chunks_total"] = passages.size();
    outcome_.strategy["chunks_read"] = found.best.size();
    if (found.best.empty()) {
      outcome_.answer = "Nothing in the context matches the question.";
      return std::move(outcome_);
    }
    run_.on_progress(fmt::format("reading from {} of {} passages", found.best.size(), passages.size()));
    return read(passages, found);
  }

  /// Map: the sentences of each passage that bear on the question. Reduce: one reading of them, in the text's
  /// order.
  base::Result<Outcome> read(const Passages& passages, const Ranked& found) {
    auto evidence = evidence_of(passages, found);
    evidence.resize(std::min(evidence.size(), kSentencesMax));
    while (evidence.size() > 1 && evidence.back().score < 0.5 * evidence.front().score) evidence.pop_back();
    // Beside a sentence with all of the question's words those with some, which are of other things that are
    // asked alike, only mislead a small model.
    if (evidence.front().whole) std::erase_if(evidence, [](const Evidence& e) { return !e.whole; });
    std::ranges::sort(evidence, {}, &Evidence::at);
    std::string text;
    json shown = json::array();
    for (const Evidence& e : evidence) {
      text += (text.empty() ? "" : "\n") + e.text;
      shown.push_back({{"score", e.score}, {"text", shortened(e.text)}});
    }
    outcome_.bytes_read += text.size();
    TRY_ASSIGN(const Answer answer,
               run_.asker.ask(run_.leaf, reading_prompt(question_, text),
                              {.max_tokens = run_.bounds.answer_tokens, .on_text = run_.on_text}));
    step("read", {{"evidence", std::move(shown)}, {"answer", answer.text}});
    outcome_.answer = answer.text;
    outcome_.streamed = true;
    return std::move(outcome_);
  }

  base::Result<Outcome> map_over_all() {
    TRY_ASSIGN(const std::vector<Span> all, split(context_, run_.bounds.chunk_bytes, watch_));
    double sum = 0;
    std::size_t read = 0;
    std::optional<base::Error> stopped;
    const auto batch = static_cast<std::size_t>(run_.bounds.parallel);
    for (std::size_t begin = 0; begin < all.size() && !stopped; begin += batch) {
      const auto answers =
          run_.asker.ask_all(run_.leaf,
                             {.count = std::min(batch, all.size() - begin),
                              .prompt =
                                  [&](std::size_t i) {
                                    return reading_prompt(question_ + " Answer with one number.",
                                                          text_of(context_, all[begin + i]));
                                  }},
                             {.max_tokens = 8}, run_.bounds.parallel);
      if (!answers) {
        stopped = answers.error();
        break;
      }
      for (const auto& answer : *answers) {
        if (!answer) {
          stopped = answer.error();
          break;
        }
        outcome_.bytes_read += all[read].end - all[read].begin;
        ++read;
        sum += first_number(answer->text).value_or(0);
      }
      run_.on_progress(fmt::format("read {} of {} chunks", read, all.size()));
    }
    if (stopped && (read == 0 || stopped->code == base::Code::kCancelled)) return *stopped;
    outcome_.strategy["kind"] = "every chunk read, the numbers added up";
    outcome_.strategy["chunks_total"] = all.size();
    outcome_.strategy["chunks_read"] = read;
    if (stopped) outcome_.strategy["stopped"] = stopped->message;
    step("map", {{"chunks", all.size()}, {"read", read}, {"sum", sum}});
    outcome_.answer = fmt::format("{:g} (added up from what {} said about {} of {} chunks{})", sum,
                                  run_.leaf.name, read, all.size(), stopped ? "; " + stopped->message : "");
    return std::move(outcome_);
  }

  Run& run_;
  const std::string& question_;
  const std::string& context_;
  Watch watch_;
  Outcome outcome_;
};

}  // namespace

base::Result<Outcome> map_and_reduce(Run& run, const std::string& question, const std::string& context) {
  return Program(run, question, context).answer();
}

}  // namespace pmt::rlm
