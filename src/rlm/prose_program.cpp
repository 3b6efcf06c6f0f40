#include "rlm/prose_program.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "rlm/aggregate.h"
#include "rlm/evidence.h"
#include "rlm/part_writer.h"
#include "rlm/passage_reader.h"
#include "rlm/passages.h"
#include "rlm/records.h"
#include "rlm/taught.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 400;
constexpr int kHopsMax = 2;
/// A passage with less than this share of the best one's score is left for later.
constexpr double kNearTheBest = 0.6;
constexpr double kHeldMin = 0.5;  // share_held() of a passage that is read late
constexpr std::size_t kCandidates = 12;
constexpr std::size_t kKindWordsMin = 2;  // a question of fewer needs its kind, too

std::string shortened(std::string_view text) {
  const std::string_view shown = base::cut_utf8(text, kShownBytes);
  return fmt::format("{}{}", shown, shown.size() < text.size() ? "..." : "");
}

/// "bytes 171200 to 171260"
std::string place_of(const Span& span) {
  return fmt::format("bytes {} to {}", span.begin, span.end);
}

class ProseProgram {
 public:
  ProseProgram(Run& run, const std::string& question, const std::string& context)
      : run_(run), question_(question), context_(context), watch_(run.watch()) {
    outcome_.strategy = {{"program", "prose"},
                         {"why", "the context is no records, and " + why_no_programs(run.root)},
                         {"context_bytes", context.size()}};
    outcome_.trajectory = {{"run_metadata", run_metadata(run, 0)}, {"iterations", json::array()}};
  }

  base::Result<Outcome> answer() {
    if (is_aggregate(question_)) {
      TRY_ASSIGN(const bool done, compute_from_records());
      if (done) return std::move(outcome_);
    }
    run_.on_progress(fmt::format("indexing {:.1f} MB", static_cast<double>(context_.size()) / 1e6));
    TRY_ASSIGN(const Passages passages, Passages::index(context_, watch_));
    passages_ = &passages;
    outcome_.strategy["kind"] = "search, then read what matches";
    outcome_.strategy["chunks_total"] = passages.size();
    outcome_.strategy["quotes"] = json::array();
    outcome_.strategy["facts"] = json::array();
    TRY_ASSIGN(const std::string answer, find(prose_question(question_), 0));
    outcome_.strategy["chunks_read"] = chunks_read_;
    outcome_.answer = answer.empty() ? not_in_text() : told(answer);
    json& iterations = outcome_.trajectory["iterations"];
    if (!iterations.empty()) iterations.back()["final_answer"] = outcome_.answer;
    return std::move(outcome_);
  }

 private:
  void step(const std::string& name, json what) {
    what["step"] = name;
    what["ended_s"] = run_.asker.ledger().elapsed_s();  // since the request began
    outcome_.reasoning.push_back(std::move(what));
  }

  base::Result<bool> compute_from_records() {
    run_.on_progress("looking for records");
    TRY_ASSIGN(const Records records, find_records(context_, watch_));
    TRY_ASSIGN(const Computation computation, compute(records, question_, watch_));
    step("records", {{"records", records.size()},
                     {"computed", computation.answer ? json(computation.answer->how) : json()},
                     {"why_not", computation.why_not}});
    if (!computation.answer) {
      outcome_.strategy["not_computed"] = computation.why_not;
      return false;
    }
    outcome_.answer = fmt::format("{} ({})", computation.answer->value, computation.answer->how);
    outcome_.strategy["kind"] = "computed from records, no text was read by a model";
    outcome_.strategy["chunks_read"] = 0;
    return true;
  }

  /// The answer, its quotes put into the strategy; "": the text doesn't tell, and why_not_ says why.
  base::Result<std::string> find(const ProseQuestion& question, int hops) {
    if (hops > 0) {  // the whole question was asked of it before
      TRY_ASSIGN(const auto taught, taught_answer(run_, question.text));
      if (taught) {
        for (const std::string& fact : taught->facts) outcome_.strategy["facts"].push_back(fact);
        step("taught", {{"question", question.text}, {"facts", taught->facts}, {"answer", taught->text}});
        return taught->text;
      }
    }
    std::size_t whole = 0;  // have a sentence with all of the question's words: others are asked for alike
    TRY_ASSIGN(const Ranked found, search(question, whole));
    if (const std::string absent = absent_name(question, found); !absent.empty()) {
      if (hops == 0) why_not_ = fmt::format("nothing in it is called \"{}\"", absent);
      return std::string();
    }
    const std::size_t most = std::min(found.best.size(), run_.bounds.passages_read);
    std::size_t near = std::min(whole, most);
    while (whole == 0 && near < most && found.best[near].score >= kNearTheBest * found.best[0].score) ++near;
    const std::vector<Found> nearest(found.best.begin(),
                                     found.best.begin() + static_cast<std::ptrdiff_t>(near));
    TRY_ASSIGN(std::string answer, read(question, nearest, found));
    if (answer.empty() && whole > 0 && PassageReader::can_quote(run_.leaf)) {
      // What stands around such a sentence made a model of 1.5B say that it isn't there.
      TRY_ASSIGN(answer, read(question, whole_sentences(*passages_, nearest, found), found));
    }
    if (answer.empty() && hops < kHopsMax) {
      TRY_ASSIGN(answer, find_by_part(question, hops));
    }
    if (answer.empty() && hops == 0) {
      TRY_ASSIGN(answer, read(question, late(question, found, near, whole), found));
    }
    return answer;
  }

  /// What is read at the end: of what was `found` after the first `near`, without what a name alone would be
  /// taken for an answer of. Beside sentences with all of the question's words, only further ones of these.
  std::vector<Found> late(const ProseQuestion& question, const Ranked& found, std::size_t near,
                          std::size_t whole) const {
    std::set<std::string> names;
    for (const auto& name : question.names) names.insert(name.begin(), name.end());
    std::vector<Found> passages;
    for (std::size_t i = near; i < (whole > 0 ? whole : found.best.size()); ++i) {
      const bool far = share_held(found, names, passages_->text_of(found.best[i])) < kHeldMin;
      if (!far && passages.size() < run_.bounds.passages_read) passages.push_back(found.best[i]);
    }
    return passages;
  }

  base::Result<Ranked> search(const ProseQuestion& question, std::size_t& whole) {
    TRY_ASSIGN(Ranked found, passages_->search(question.query, kCandidates, watch_));
    if (found.rarity.size() > kKindWordsMin) found.rarity.erase(question.kind);
    whole = order_by_sentences(*passages_, found);
    json shown = json::array();
    for (const Found& f :
         std::span(found.best).first(std::min(found.best.size(), run_.bounds.passages_read))) {
      shown.push_back({{"begin", f.begin},
                       {"end", f.end},
                       {"score", f.score},
                       {"text", shortened(passages_->text_of(f))}});
    }
    step("search",
         {{"query", question.query}, {"chunks", passages_->size()}, {"matching", std::move(shown)}});
    return found;
  }

  /// "" of no passages.
  base::Result<std::string> read(const ProseQuestion& question, const std::vector<Found>& passages,
                                 const Ranked& found) {
    if (passages.empty()) return std::string();
    run_.on_progress(fmt::format("reading {} of {} passages", passages.size(), passages_->size()));
    PassageReader reader(run_, *passages_);
    TRY_ASSIGN(const Reading reading, reader.read(question, passages, found));
    chunks_read_ += passages.size();
    for (const Found& f : passages) outcome_.bytes_read += f.end - f.begin;
    record(question.text, passages, reading);
    return reading.answer;
  }

  void record(const std::string& question, const std::vector<Found>& passages, const Reading& reading) {
    json places = json::array(), quote;
    std::string shown;
    for (const Found& f : passages) {
      places.push_back({{"begin", f.begin}, {"end", f.end}});
      shown += place_of({.begin = f.begin, .end = f.end}) + "\n";
    }
    for (const std::string& fact : reading.facts) outcome_.strategy["facts"].push_back(fact);
    if (reading.found() && reading.facts.empty()) {
      quote = {{"begin", reading.quote.begin},
               {"end", reading.quote.end},
               {"text", text_of(context_, reading.quote)},
               {"passage", {{"begin", reading.passage.begin}, {"end", reading.passage.end}}},
               {"question", question},
               {"answer", reading.answer}};
      outcome_.strategy["quotes"].push_back(quote);
    }
    step("read", {{"question", question},
                  {"passages", std::move(places)},
                  {"answer", reading.answer},
                  {"quote", quote},
                  {"why_not", reading.why_not}});
    add_iteration({.prompt = reading.prompt,
                   .response = reading.response,
                   .code = "read: " + question,
                   .output = shown,
                   .error = reading.why_not,
                   .seconds = reading.seconds});
    if (!quote.is_null()) outcome_.trajectory["iterations"].back()["quote"] = std::move(quote);
  }

  struct Turn {
    const std::vector<llm::Message>& prompt;
    const std::string& response;
    std::string code, output, error;
    double seconds = 0;
  };
  void add_iteration(Turn turn) {
    json& iterations = outcome_.trajectory["iterations"];
    json prompt = json::array();
    for (const llm::Message& m : turn.prompt) prompt.push_back({{"role", m.role}, {"content", m.content}});
    sandbox::BlockResult block;
    block.output = std::move(turn.output);
    block.error = std::move(turn.error);
    iterations.push_back({{"type", "iteration"},
                          {"iteration", iterations.size() + 1},
                          {"prompt", std::move(prompt)},
                          {"response", turn.response},
                          {"code_blocks", {to_json(turn.code, block, {})}},
                          {"final_answer", nullptr},
                          {"iteration_time", turn.seconds}});
  }

  base::Result<std::string> find_by_part(const ProseQuestion& question, int hops) {
    Part part;
    if (PassageReader::can_quote(run_.root)) {
      run_.on_progress(fmt::format("{} looks for a part of the question", run_.root.name));
      TRY_ASSIGN(part, part_of(run_, question.text, question.known));
    } else if (question.known.empty()) {
      part.question = described_part(question.text);
    }
    step("part", {{"question", question.text}, {"part", part.question}, {"said", part.response}});
    add_iteration({.prompt = part.prompt,
                   .response = part.response,
                   .code = "part of: " + question.text,
                   .output = part.question,
                   .error = {},
                   .seconds = part.seconds});
    if (part.question.empty()) return std::string();
    const std::size_t quotes = outcome_.strategy["quotes"].size();
    // A part of a part is looked for only once.
    TRY_ASSIGN(std::string known, find(prose_question(part.question), hops + 1));
    if (known.empty()) return std::string();
    if (!PassageReader::can_quote(run_.leaf)) known = name_told(known, part.question);
    TRY_ASSIGN(std::string answer, find(with_known(question, part.question, known), hops + 1));
    json& told = outcome_.strategy["quotes"];
    while (answer.empty() && told.size() > quotes) told.erase(told.size() - 1);
    return answer;
  }

  /// The answer, then what it rests on.
  std::string told(const std::string& answer) {
    std::string text = answer;
    const json& quotes = outcome_.strategy["quotes"];
    for (auto quote = quotes.rbegin(); quote != quotes.rend(); ++quote) {
      const Span span{.begin = quote->at("begin"), .end = quote->at("end")};
      text += fmt::format("\n\"{}\" ({})", shortened(text_of(context_, span)), place_of(span));
    }
    for (const json& fact : outcome_.strategy["facts"])
      text += fmt::format("\n(taught: {})", fact.get<std::string>());
    return text;
  }

  std::string not_in_text() const {
    const std::string why =
        !why_not_.empty() ? why_not_
        : chunks_read_ == 0
            ? "no passage has a word of the question"
            : fmt::format("{} of {} passages were read, those that come nearest to the question",
                          chunks_read_, passages_->size());
    return fmt::format("Not in the text: {}.", why);
  }

  Run& run_;
  const std::string& question_;
  const std::string& context_;
  Watch watch_;
  const Passages* passages_ = nullptr;
  std::size_t chunks_read_ = 0;
  std::string why_not_;
  Outcome outcome_;
};

}  // namespace

base::Result<Outcome> answer_from_prose(Run& run, const std::string& question, const std::string& context) {
  return ProseProgram(run, question, context).answer();
}

}  // namespace pmt::rlm
