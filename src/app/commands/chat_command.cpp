// permutation chat: a conversation in the terminal, with a model loaded here or with a server (--url). Lines of a pipe are turns,
// too, so a script can hold one.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/commands/answer_source.h"
#include "app/commands/commands.h"
#include "app/commands/context_file.h"
#include "app/commands/ctrl_c.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/terminal.h"
#include "base/file.h"

namespace pmt::app {
namespace {

constexpr char kHelp[] =
    "/new            forget the conversation\n"
    "/system TEXT    what the model is told before it; no TEXT: nothing\n"
    "/again          another try at the last answer\n"
    "/save FILE      the conversation, as the JSON of a request's \"messages\"\n"
    "/exit           end (Ctrl-D, too)\n"
    "Ctrl-C stops an answer. A line that ends with \\ goes on with the next.\n";

struct ChatOptions {
  SourceOptions source;
  Ask ask;
  std::string system;
  bool verbose = false;
};

/// One turn as it is typed; none: the input is at its end.
std::optional<std::string> read_turn(bool shows_prompt) {
  std::string out;
  bool goes_on = true;
  while (goes_on) {
    if (shows_prompt) tell("{}", out.empty() ? "> " : "... ");
    std::string line;
    if (!std::getline(std::cin, line)) return out.empty() ? std::nullopt : std::optional(out);
    goes_on = line.ends_with('\\');
    if (goes_on) line.back() = '\n';
    out += line;
  }
  return out;
}

class Conversation {
 public:
  Conversation(AnswerSource& source, ChatOptions options)
      : source_(source), options_(std::move(options)), system_(options_.system) {}

  /// Until its input ends, or /exit.
  int run();
  /// On another thread: stops the answer that runs. False: none does.
  bool interrupt();

 private:
  enum class Next { kGoOn, kEnd };
  Next obey(const std::string& line);
  void say(const std::string& text);
  void again();
  void answer();
  void save(const std::string& file) const;

  AnswerSource& source_;
  const ChatOptions options_;
  const bool by_hand_ = isatty(STDIN_FILENO) != 0;
  std::string system_;
  std::vector<Turn> turns_;
  std::mutex mutex_;
  std::optional<base::CancelToken> running_;  // under mutex_
  bool failed_ = false;
};

bool Conversation::interrupt() {
  const std::lock_guard lock(mutex_);
  if (!running_ || running_->cancelled()) return false;
  running_->cancel();
  return true;
}

int Conversation::run() {
  if (by_hand_) tell("{}: /help says what there is beside questions\n", source_.model());
  while (const auto line = read_turn(by_hand_)) {
    if (line->empty()) continue;
    if (line->front() != '/') {
      say(*line);
    } else if (obey(*line) == Next::kEnd) {
      break;
    }
  }
  if (by_hand_) tell("\n");
  return failed_ && !by_hand_ ? kExitFailed : kExitDone;
}

Conversation::Next Conversation::obey(const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string name = line.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
  if (name == "/exit" || name == "/quit") return Next::kEnd;
  if (name == "/new") {
    turns_.clear();
    tell("a new conversation\n");
  } else if (name == "/system") {
    system_ = rest;
    tell("{}\n", rest.empty() ? "no system text from now on" : "that is the system text from now on");
  } else if (name == "/again") {
    again();
  } else if (name == "/save") {
    save(rest);
  } else if (name == "/help") {
    tell("{}", kHelp);
  } else {
    tell("no command {}. There are:\n{}", name, kHelp);
    failed_ = true;
  }
  return Next::kGoOn;
}

void Conversation::again() {
  if (!turns_.empty() && turns_.back().role == "assistant") turns_.pop_back();
  if (turns_.empty()) return tell("nothing was asked yet\n");
  answer();
}

void Conversation::say(const std::string& text) {
  if (const base::Status good = check_question(text); !good) {
    failed_ = true;
    return tell("{}\n", good.error().message);
  }
  turns_.push_back({"user", text});
  answer();
}

/// To the last turn. What can't be answered is taken back, so that the next question isn't asked on top of it.
void Conversation::answer() {
  Ask ask = options_.ask;
  if (!system_.empty()) ask.turns.push_back({"system", system_});
  ask.turns.insert(ask.turns.end(), turns_.begin(), turns_.end());
  std::string said;
  OnPieces pieces = print_pieces();
  pieces.text = [&said, print = std::move(pieces.text)](const std::string& text) {
    said += text;
    print(text);
  };
  const base::CancelToken cancel;
  {
    const std::lock_guard lock(mutex_);
    running_ = cancel;
  }
  const auto got = source_.ask(ask, pieces, cancel);
  {
    const std::lock_guard lock(mutex_);
    running_.reset();
  }
  if (!said.empty()) fmt::print("\n");
  std::fflush(stdout);
  if (got && options_.verbose) show_speed(*got);
  if (got || !said.empty()) turns_.push_back({"assistant", said});
  if (got) return;
  if (cancel.cancelled())
    return tell("stopped{}\n", said.empty() ? "" : "; the conversation keeps what came");
  failed_ = true;
  tell("{}{}\n", got.error().message,
       got.error().code == base::Code::kTooLarge ? ". /new begins another conversation" : "");
  if (said.empty()) turns_.pop_back();
}

void Conversation::save(const std::string& file) const {
  if (file.empty()) return tell("/save needs a file's name\n");
  nlohmann::json out = nlohmann::json::array();
  if (!system_.empty()) out.push_back({{"role", "system"}, {"content", system_}});
  for (const Turn& turn : turns_) out.push_back({{"role", turn.role}, {"content", turn.content}});
  const base::Status written = base::replace_file(file, out.dump(1) + "\n");
  tell("{}\n", written ? fmt::format("{} turns in {}", turns_.size(), file) : written.error().message);
}

int chat(ChatOptions options) {
  options.source.knowledge = !options.ask.knowledge.empty();
  std::atomic<Conversation*> running = nullptr;
  const CtrlC ctrl_c([&running] {
    Conversation* const now = running.load();
    return now != nullptr && now->interrupt();
  });
  const auto source = open_answers(options.source);
  if (!source) return report_by_code(source.error());
  Conversation conversation(**source, std::move(options));
  running = &conversation;
  const int code = conversation.run();
  running = nullptr;
  return code;
}

}  // namespace

void add_chat(CLI::App& root, Command& chosen) {
  CLI::App* command =
      root.add_subcommand("chat", "A conversation in the terminal; works with no server running");
  const auto options = std::make_shared<ChatOptions>();
  add_source_options(*command, options->source);
  command->add_option("--system", options->system, "What the model is told before the conversation");
  add_answer_options(*command, options->ask);
  command->add_option("--temperature", options->ask.temperature, "How freely it chooses its words, 0..2")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  command->add_flag("--verbose", options->verbose,
                    "Show the time to the first token and tokens a second of each answer");
  add_examples(*command,
               {"permutation chat", "permutation chat --model my.gguf --system \"Answer in one line.\"",
                "permutation chat --url http://127.0.0.1:8080 --kv-ratio 8"});
  command->callback([&chosen, options] { chosen = [options] { return chat(*options); }; });
}

}  // namespace pmt::app
