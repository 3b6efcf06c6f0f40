#include "rlm/root_trial.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "llm/sinks.h"
#include "rlm/engine.h"
#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

constexpr int kTurns = 6;
constexpr int kTurnTokens = 768;
constexpr int kNotes = 60;
constexpr int kParagraphs = 900;  // some 150 KB
constexpr std::size_t kOthersMax = 1;

constexpr std::array kPeople = {"Amara", "Bjarne", "Chidi", "Dunja", "Edda",   "Farid",
                                "Gwen",  "Hoshi",  "Imani", "Jonas", "Katrin", "Leopold"};
constexpr std::array kPlaces = {"the old mill", "the north field", "the lock house",
                                "the orchard",  "the quarry",      "the east gate"};
constexpr std::array kThings = {"a heron", "a broken fence", "fresh tracks", "a lost glove", "a kingfisher"};
constexpr std::array kWeather = {"It was dry.", "There was some fog.", "The wind was cold.",
                                 "It rained a little."};

/// The same draws with every standard library.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return engine_() % n; }
  template <typename T, std::size_t kSize>
  const T& of(const std::array<T, kSize>& all) {
    return all[below(kSize)];
  }

 private:
  std::mt19937_64 engine_;
};

struct Note {
  std::string text, writer, thing;
  int eggs = 0;
};

/// `people`: how many of them write.
std::vector<Note> notes_of(Draw& draw, std::size_t people) {
  std::vector<Note> notes;
  for (int i = 0; i < kNotes; ++i) {
    Note note{.text = {},
              .writer = kPeople[draw.below(people)],
              .thing = draw.of(kThings),
              .eggs = static_cast<int>(draw.below(9))};
    note.text = fmt::format("Walked past {}. {} Saw {}. Eggs counted: {}. Written by {}.", draw.of(kPlaces),
                            draw.of(kWeather), note.thing, note.eggs, note.writer);
    notes.push_back(std::move(note));
  }
  return notes;
}

std::vector<std::string> texts_of(const std::vector<Note>& notes) {
  std::vector<std::string> texts;
  for (const Note& note : notes) texts.push_back(note.text);
  return texts;
}

TrialQuestion mentions(Draw& draw) {
  const auto notes = notes_of(draw, kPeople.size());
  const std::string thing = draw.of(kThings);
  const auto count = std::ranges::count_if(notes, [&](const Note& note) { return note.thing == thing; });
  return {"mentions", fmt::format("The context is a list of notes. How many of the notes mention {}?", thing),
          texts_of(notes), std::to_string(count)};
}

TrialQuestion sum(Draw& draw) {
  const auto notes = notes_of(draw, kPeople.size());
  int eggs = 0;
  for (const Note& note : notes) eggs += note.eggs;
  return {"sum", "The context is a list of notes. How many eggs were counted in all of them together?",
          texts_of(notes), std::to_string(eggs)};
}

TrialQuestion most(Draw& draw) {
  for (;;) {
    const auto notes = notes_of(draw, kPeople.size());
    std::array<int, kPeople.size()> written{};
    for (const Note& note : notes)
      ++written[static_cast<std::size_t>(std::ranges::find(kPeople, note.writer) - kPeople.begin())];
    const auto best = std::ranges::max_element(written);
    if (std::ranges::count(written, *best) > 1) continue;  // nobody wrote the most
    return {"most", "The context is a list of notes. Who wrote the most of them? Answer with the name.",
            texts_of(notes), kPeople[static_cast<std::size_t>(best - written.begin())]};
  }
}

TrialQuestion people(Draw& draw) {
  const auto notes = notes_of(draw, 4 + draw.below(kPeople.size() - 4));
  std::set<std::string> writers;
  for (const Note& note : notes) writers.insert(note.writer);
  return {"people", "The context is a list of notes. How many different people wrote them?", texts_of(notes),
          std::to_string(writers.size())};
}

TrialQuestion once(Draw& draw) {
  const std::string number = std::to_string(10'000 + draw.below(90'000));
  const std::size_t at = draw.below(kParagraphs);
  std::string text;
  for (std::size_t i = 0; i < kParagraphs; ++i) {
    text += fmt::format("{} and {} went to {}, where they found {}. {} Then {} went on to {} alone.",
                        draw.of(kPeople), draw.of(kPeople), draw.of(kPlaces), draw.of(kThings),
                        draw.of(kWeather), draw.of(kPeople), draw.of(kPlaces));
    if (i == at) text += fmt::format(" The number of the gauge is {}.", number);
    text += "\n\n";
  }
  return {"once", "What is the number of the gauge?", {text, "(The end.)"}, number};
}

/// Letters and digits in one piece; a thousands separator between digits is none of it.
std::vector<std::string> words_of(const std::string& text) {
  const auto is = [&](std::size_t i, auto test) {
    return i < text.size() && test(static_cast<unsigned char>(text[i])) != 0;
  };
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool separates =
        i > 0 && i < text.size() && text[i] == ',' && is(i - 1, ::isdigit) && is(i + 1, ::isdigit);
    if (separates) continue;
    if (is(i, ::isalnum)) {
      word += text[i];
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, ""));
    }
  }
  return words;
}

struct Judged {
  bool right = false;
  std::string why;
};

/// Errors: what is no fault of its programs.
base::Result<Judged> judge(const std::vector<llm::Event>& events, const TrialQuestion& asked) {
  if (const auto* failed = std::get_if<llm::Failed>(&events.back())) {
    if (failed->error.code == base::Code::kCancelled || failed->error.code == base::Code::kUnavailable)
      return failed->error;
    return Judged{.why = failed->error.message};
  }
  const auto& strategy = std::get<llm::Done>(events.back()).report.engine.at("context_strategy");
  if (strategy.value("unverified", true)) return Judged{.why = "no code gave its answer"};
  const bool right = says(llm::text_of(events), asked);
  return Judged{.right = right, .why = right ? "right" : "wrong"};
}

}  // namespace

bool RootTrial::is_passed() const {
  return right >= kTrialRightMin;
}

std::string why_no_programs(const Model& root) {
  if (root.trial) {
    return fmt::format("{} wrote {} of {} trial programs right, and {} of {} are asked for", root.name,
                       root.trial->right, root.trial->asked, kTrialRightMin, kTrialQuestions);
  }
  return fmt::format(
      "{} has {:.0f}M parameters, and whether it can write programs wasn't measured (`permutation "
      "calibrate --programs` does): below 2B we assume that it can't",
      root.name, static_cast<double>(root.parameters) / 1e6);
}

std::vector<TrialQuestion> trial_questions(std::uint64_t seed) {
  Draw draw(seed);
  std::vector<TrialQuestion> all;
  for (int round = 0; round < 2; ++round) {
    for (const auto make : {mentions, most, sum, people, once}) all.push_back(make(draw));
  }
  return all;
}

bool says(const std::string& text, const TrialQuestion& asked) {
  const bool number = std::isdigit(static_cast<unsigned char>(asked.answer[0])) != 0;
  bool said = false;
  std::set<std::string> others;
  for (const std::string& word : words_of(text)) {
    if (word == asked.answer) {
      said = true;
    } else if (number ? std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; })
                      : std::ranges::find(kPeople, word) != kPeople.end()) {
      others.insert(word);
    }
  }
  return said && others.size() <= kOthersMax;
}

base::Result<RootTrial> try_root(Model root, sandbox::Sandbox& sandbox, const base::Clock& clock,
                                 const TrialOptions& options) {
  root.trial = RootTrial{.asked = kTrialQuestions, .right = kTrialQuestions};  // so that it is let write
  RlmOptions wanted{.root = root, .leaf = root, .kv_ratio = 1};
  wanted.bounds.iterations_max = kTurns;
  wanted.bounds.root_tokens = kTurnTokens;
  wanted.sandbox = &sandbox;
  RecursiveLanguageModel engine(std::move(wanted), clock);
  RootTrial trial;
  for (const TrialQuestion& asked : trial_questions(options.seed)) {
    if (trial.right >= kTrialRightMin || trial.asked - trial.right > kTrialQuestions - kTrialRightMin) break;
    llm::Request request;
    request.id = fmt::format("trial-{}", trial.asked + 1);
    request.model = kModelName;
    request.cache.mode = llm::CacheMode::kOff;
    request.messages = {message("user", asked.question)};
    request.options.set(RlmRequest{.context = asked.context});
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine.start(std::move(request), sink, options.cancel);
    const auto events = sink->wait();
    TRY_ASSIGN(const Judged judged, judge(events, asked));
    ++trial.asked;
    trial.right += judged.right ? 1 : 0;
    options.on_progress(fmt::format("question {} of {}, {}: {}; {} right so far", trial.asked,
                                    kTrialQuestions, asked.kind, judged.why, trial.right));
  }
  return trial;
}

}  // namespace pmt::rlm
