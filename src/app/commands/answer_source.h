// Answers for the commands that ask: of a model loaded here, or of a server (--url). Both are asked for the same and tell the
// same of it.
// Thread-safety: one question at a time; pieces may come on another thread, before ask() returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/commands/server_call.h"
#include "base/cancel.h"
#include "base/result.h"

namespace pmt::app {

struct Turn {
  std::string role, content;
};

struct Ask {
  std::vector<Turn> turns = {};
  double temperature = 0;
  int max_tokens = 512;
  std::optional<double> kv_ratio = {};
  std::vector<std::string> knowledge = {};
  bool no_cache = false;
};

/// What came of it. Times are the asker's, by the pieces' arrival.
struct Answer {
  std::string text, thought;
  std::string finish_reason;
  std::int64_t prompt_tokens = 0, tokens = 0;  // of the answer, thoughts included
  std::int64_t thought_tokens = 0;
  std::optional<double> first_s = {};  // until its first token; none came: unset
  double seconds = 0;
  nlohmann::json report = {};  // the answer's `permutation`; null: there was none

  /// Without the first token, whose time is the prompt's. 0: there are too few.
  double tokens_per_second() const;
};

struct OnPieces {
  std::function<void(const std::string&)> text = [](const std::string&) {};
  std::function<void(const std::string&)> thought = [](const std::string&) {};
};

class AnswerSource {
 public:
  virtual ~AnswerSource() = default;

  /// Errors: the model's or the server's; kCancelled after `cancel`, which a server's answer heeds with its next piece.
  virtual base::Result<Answer> ask(const Ask& ask, const OnPieces& pieces,
                                   const base::CancelToken& cancel) = 0;
  virtual const std::string& model() const = 0;
};

struct SourceOptions {
  std::string model = {};     // a catalogue name or a file; with a server its name there, "": its first
  ServerAddress server = {};  // "": it is loaded here
  bool knowledge = false;     // what it was taught is opened, too
};

/// --model, --url, --ca-file.
void add_source_options(CLI::App& command, SourceOptions& options);
/// --max-tokens, --kv-ratio, --knowledge.
void add_answer_options(CLI::App& command, Ask& ask);

/// Cost: the model's loading, or one request to the server.
base::Result<std::unique_ptr<AnswerSource>> open_answers(const SourceOptions& options);

}  // namespace pmt::app
