// The model under examination with its knowledge cache, wired as a server wires it; and what its answers are
// counted with. Used by one thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/local_engine.h"
#include "lab/measure.h"
#include "llm/sinks.h"

namespace pmt::lab {

struct Answer {
  std::string text;
  std::vector<std::string> facts;  // that fired
  double kv_ratio = 1;             // that its keys and values were compressed by
};

struct Asking {
  int tokens = 24;
  bool raw = false;  // the last turn as a text to go on with
  /// Above 1: keys and values compressed so, and speculation by prompt lookup on.
  double kv_ratio = 1;
};

/// For --gates: says what the gate put into the request, and nothing else. What is forced is what a model
/// says.
class GateEcho final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken /*cancel*/) override {
    sink->on_event(llm::Started{request.model, 0, {}});
    if (request.recall) sink->on_event(llm::Delta{0, request.recall->answer + request.recall->closing, {}});
    sink->on_event(llm::ChoiceEnd{0, llm::FinishReason::kStop, {}});
    sink->on_event(llm::Done{});
  }
};

struct Share {
  std::size_t n = 0, yes = 0;
  void add(bool is) {
    ++n;
    yes += is ? 1 : 0;
  }
  double value() const { return n == 0 ? std::nan("") : static_cast<double>(yes) / static_cast<double>(n); }
  /// Wilson's, 95%.
  std::pair<double, double> interval() const {
    return wilson(static_cast<double>(yes), static_cast<double>(n));
  }
};

/// One model with its knowledge, opened as a server opens it.
class Subject {
 public:
  /// `model`: a name or a file; "": the default. Null, and told, where it can't be loaded. One thread
  /// computes.
  static std::unique_ptr<Subject> load(const std::string& model, const std::string& root, bool gates_only);

  knowledge_cache::Library& library() { return *taught().library; }
  const inference::LocalModel& model() const { return *taught().model; }
  llm::Embedder& embedder() { return *engine_->embedder(); }
  const std::string& model_path() const { return model().info().path; }
  bool chats() const { return model().info().has_chat_template; }

  /// Greedy. `turns`: user and assistant by turns.
  Answer ask(const std::vector<std::string>& turns, bool with_knowledge, const Asking& how);
  Answer ask(const std::vector<std::string>& turns, bool with_knowledge, int tokens = 24, bool raw = false) {
    return ask(turns, with_knowledge, {.tokens = tokens, .raw = raw});
  }

 private:
  const engine::TaughtModel& taught() const { return engine_->models()[0]; }

  base::SystemClock clock_;
  GateEcho echo_;
  std::unique_ptr<engine::LocalEngine> engine_;
  std::unique_ptr<knowledge_cache::RecallingCompleter>
      gates_;  // in front of the echo; null: the model answers
};

/// Says `wanted` at its beginning.
bool exact(const Answer& answer, const std::string& wanted);
/// Says it anywhere. Case doesn't count.
bool holds(const Answer& answer, const std::string& wanted);

}  // namespace pmt::lab
