// ./dev eval longcontext [--model NAME|FILE] [--tasks needle,fields,sentences] [--lengths 32,128,1000] [--n N]
// [--truncated N] [--chunked N] [--peers N] [--seconds S] [--window TOKENS] [--chunk TOKENS] [--threads N] [--seed S]
// [--verbose] [--json]: what recursive language models are measured by elsewhere, through the served door: a fresh
// `permutation serve` with the model, which all arms ask.
//
// Tasks: needle (S-NIAH, a text of its own a question), and labelled records to be counted and compared, in OOLONG's
// shapes, written as fields or as sentences (evals/longcontext_worlds.h; a text for every five questions). Lengths are
// thousands of tokens, sized by four bytes a token.
//
// Arms, each asked so many questions of a task and length: `rlm` (--n); truncation, the text's end that --window tokens
// hold (--truncated); chunks of --chunk tokens, each asked, and what they say joined (--chunked); the package rlms of
// other people, with our server as its provider (--peers, which installs it). A question may take S seconds: chunks are
// then given up, rlms has not answered; and no further question of its row is asked once they took 10 S.
//
// Without --model it is qwen2.5-coder-1.5b-instruct, which `permutation models pull` fetches. An answer is right by its
// first line (evals/longcontext_score.h). Intervals are Wilson's at 95%.
#include <algorithm>
#include <filesystem>
#include <functional>

#include <fmt/format.h>

#include "evals/longcontext_arms.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr int kQuestionsOfText = 5;
constexpr int kComparedMin = 10;        // questions of each arm: fewer rank nothing
constexpr double kRowOfQuestions = 10;  // a row's time in those of a question

struct Settings {
  std::vector<std::string> tasks, lengths;
  int n = 20, truncated = 10, chunked = 0, peers = 0, seed = 1;
  double seconds = 300;
  bool verbose = false;
};

struct Arm {
  std::string name;
  int n;
  std::function<LongReply(const LongText&, const LongItem&)> ask;
};

/// The i-th question of a task and a length: its text, and which of its items.
class Questions {
 public:
  Questions(std::string task, int length, int seed) : task_(std::move(task)), length_(length), seed_(seed) {}

  const LongText& text_of(int i) {
    const int number = task_ == "needle" ? i : i / kQuestionsOfText;
    if (number == made_) return text_;
    made_ = number;
    const auto seed = static_cast<unsigned>(1'000 * seed_ + 100 * (length_ % 7) + number);
    const auto bytes = static_cast<std::size_t>(length_ * 1e3 * kLongBytesPerToken);
    text_ = task_ == "needle"
                ? needle_text(bytes, seed)
                : records_text(bytes, task_ == "fields" ? RecordForm::kFields : RecordForm::kSentences,
                               kQuestionsOfText, seed);
    return text_;
  }
  static std::size_t item_of(const LongText& text, int i) {
    return static_cast<std::size_t>(i) % text.items.size();
  }

 private:
  std::string task_;
  int length_, seed_, made_ = -1;
  LongText text_;
};

void ask_row(const Settings& set, const LongScores::Where& where, const Arm& arm, LongScores& scores) {
  Questions questions(where.task, std::stoi(where.length), set.seed);
  double spent = 0;
  for (int i = 0; i < arm.n; ++i) {
    if (spent > kRowOfQuestions * set.seconds) {
      scores.note(where, fmt::format("{} of {} questions, after {:.0f} s", arm.n - i, arm.n, spent));
      return;
    }
    const LongText& text = questions.text_of(i);
    const LongItem& item = text.items[Questions::item_of(text, i)];
    const LongReply reply = arm.ask(text, item);
    spent += reply.seconds;
    scores.add(where, item, reply);
    const bool right = reply.given_up.empty() && is_right(item, reply.text);
    if (set.verbose || !right)
      progress(fmt::format("{}, {}, {}: {} \"{}\" wanted {}, said \"{}\" ({:.1f} s, {:.0f} tokens){}",
                           where.task, where.length, where.arm, right ? "right:" : "WRONG:", item.question,
                           item.wanted, reply.text.substr(0, 240), reply.seconds, reply.prompt_tokens,
                           reply.given_up.empty() ? "" : " given up: " + reply.given_up));
    if (!reply.given_up.empty()) return;
  }
}

void add_targets(const Settings& set, const LongScores& scores, Result& result) {
  for (const std::string& task : set.tasks) {
    for (const std::string& length : set.lengths) {
      const std::string name = length + "K tokens";
      const auto ours = scores.figures({task, name, "rlm"}), theirs = scores.figures({task, name, "rlms"});
      if (task == "needle" && length == "1000" && ours.n > 0) {
        const double share = ours.right / ours.n;
        result.targets.push_back({.what = "needles found in 1M tokens",
                                  .asked = ">= 0.95",
                                  .measured = share,
                                  .holds = share >= 0.95});
        result.targets.push_back({.what = "their seconds, median",
                                  .asked = "<= 10",
                                  .measured = ours.s_median,
                                  .holds = ours.s_median <= 10});
      }
      if (std::min(ours.n, theirs.n) < kComparedMin) continue;
      const double ahead = ours.right / ours.n - theirs.right / theirs.n;
      result.targets.push_back({.what = fmt::format("{}, {}: right, over rlms", task, name),
                                .asked = "> 0",
                                .measured = ahead,
                                .holds = ahead > 0});
      result.targets.push_back({.what = fmt::format("{}, {}: seconds of rlms over ours", task, name),
                                .asked = "> 1",
                                .measured = theirs.s_median / ours.s_median,
                                .holds = theirs.s_median > ours.s_median});
    }
  }
}

int run(const std::string& self, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  LongDoorOptions options{
      .binary =
          (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string(),
      .model = take_value(args, "--model", "qwen2.5-coder-1.5b-instruct")};
  Settings set;
  set.verbose = take_flag(args, "--verbose");
  const auto number = [&](const char* flag, int& value) {
    value = std::stoi(take_value(args, flag, std::to_string(value)));
  };
  set.tasks = split(take_value(args, "--tasks", "needle,fields,sentences"));
  set.lengths = split(take_value(args, "--lengths", "32,128,1000"));
  number("--n", set.n), number("--truncated", set.truncated), number("--chunked", set.chunked);
  number("--peers", set.peers), number("--seed", set.seed);
  number("--window", options.window_tokens), number("--chunk", options.chunk_tokens);
  number("--threads", options.threads);
  options.seconds = set.seconds = std::stod(take_value(args, "--seconds", "300"));
  if (!args.empty()) {
    progress(
        "usage: ./dev eval longcontext [--model NAME|FILE] [--tasks needle,fields,sentences] [--lengths 32,128,1000] "
        "[--n N] [--truncated N] [--chunked N] [--peers N] [--seconds S] [--window TOKENS] [--chunk TOKENS] [--threads N] "
        "[--seed S] [--verbose] [--json]");
    return 2;
  }
  LongDoor door(options);
  const std::vector<Arm> arms = {
      {"rlm", set.n, [&](const LongText& t, const LongItem& q) { return door.by_rlm(t, q); }},
      {"truncation", set.truncated,
       [&](const LongText& t, const LongItem& q) { return door.by_truncation(t, q); }},
      {"rlms", set.peers, [&](const LongText& t, const LongItem& q) { return door.by_rlms(t, q); }},
      {"chunks", set.chunked, [&](const LongText& t, const LongItem& q) { return door.by_chunks(t, q); }}};
  LongScores scores;
  for (const Arm& arm : arms) {
    for (const std::string& length : set.lengths) {
      for (const std::string& task : set.tasks)
        ask_row(set, {.task = task, .length = length + "K tokens", .arm = arm.name}, arm, scores);
    }
  }
  Result result{.name = "eval longcontext", .seed = set.seed, .rows = {}, .targets = {}};
  scores.add_rows(result);
  add_targets(set, scores, result);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
