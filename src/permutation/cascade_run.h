// One request on its way through the cascade. Thread-safety: its stages follow each other, and a stage's
// events never overlap; events of a stage that was stopped are dropped.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "permutation/cascade.h"
#include "permutation/cascade_policy.h"
#include "permutation/cascade_trace.h"
#include "permutation/confidence.h"

namespace pmt::permutation {

/// A model behind a response cache of its own keys.
struct Cascade::Stage {
  /// Asks a model under its own name.
  class Named final : public llm::Completer {
   public:
    Named(llm::Completer& model, std::string name) : model_(model), name_(std::move(name)) {}
    void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
      request.model = name_;
      model_.start(std::move(request), std::move(sink), std::move(cancel));
    }

   private:
    llm::Completer& model_;
    const std::string name_;
  };

  Stage(const StageModel& given, const char* component, const CascadeOptions& options,
        response_cache::ResponseCache& cache, const base::Clock& clock)
      : model(given),
        named(*given.completer, given.name),
        cached(named, cache, clock,
               {.model = given.name,
                .versions = {{"stage", component}, {"versions", options.versions}},
                .price = given.price,
                .usage = options.response_cache_usage,
                .key = {.forwards = !given.local}}) {}

  const StageModel& model;
  Named named;
  response_cache::CachedCompleter cached;
};

/// Acts on what cascade_policy decides: asks the stages, passes the answer on, and tells the trace.
class CascadeRun : public std::enable_shared_from_this<CascadeRun> {
 public:
  CascadeRun(Cascade& cascade, llm::Request request, std::shared_ptr<llm::Sink> sink,
             base::CancelToken cancel);
  void begin();

 private:
  /// One call of one model.
  struct Call {
    StageKind kind = StageKind::kStudent;
    const Cascade::Stage* stage = nullptr;
    bool hold = false;                // keep its events back
    std::atomic<bool> closed{false};  // stopped: what still comes is dropped
    base::Nanos began_at{0};
    std::shared_ptr<response_cache::Observation> seen = std::make_shared<response_cache::Observation>();
    base::CancelToken cancel;
    std::unique_ptr<base::CancelCallback> link;
    std::string text;  // of the first choice
    Confidence confidence;
    std::vector<llm::Event> held;
    std::optional<llm::Done> done;
  };
  using CallPtr = std::shared_ptr<Call>;
  class StageSink;

  void route();
  void ask(StageKind kind, Cascade::Stage& stage, llm::Request request, bool hold);
  llm::Request request_for(const Cascade::Stage& stage) const;
  const CascadePolicy& policy() const { return cascade_.options_.policy; }
  Spent spent() const;
  std::optional<std::string> exhausted() const { return why_exhausted(request_.budget, spent()); }

  void on_event(const CallPtr& call, llm::Event event);
  void on_delta(const CallPtr& call, llm::Delta delta);
  void on_done(const CallPtr& call, llm::Done done);
  void on_failed(const CallPtr& call, const base::Error& error);

  void ask_student();
  void student_is_done(const CallPtr& call);
  void ask_sample();
  void sample_is_done(const CallPtr& call);
  void judge_student(const CallPtr& student);
  void accept(const CallPtr& student, const std::string& why);
  void escalate(const CallPtr& student, const std::string& why);
  void stop(const CallPtr& student, const std::string& why);
  /// What the student said so far, and what it still says, is the answer.
  void let_it_speak(const CallPtr& student);
  void ask_teacher();
  void teacher_is_done(const CallPtr& call);
  void synthesise(const CallPtr& teacher);
  void fall_back(const base::Error& error);

  void skip(StageKind kind, std::string why) { trace_.add(Skipped{kind, std::move(why)}); }
  llm::ModelCall timed(const Call& call) const;
  void pass(llm::Event event);
  void pass_started();
  void flush(Call& call);
  /// `call` gave the answer, and all of it but its Done was passed on.
  void finish(const CallPtr& call);
  std::vector<std::string> made_of(const Call& last) const;
  const nlohmann::json& documents_of(const Call& last) const;
  void fail(base::Error error);

  Cascade& cascade_;
  const llm::Request request_;
  std::shared_ptr<llm::Sink> sink_;
  const base::CancelToken cancel_;
  const base::Nanos began_at_;

  std::string question_;
  double difficulty_ = 0;
  double probability_ = 0;
  bool explore_ = false;

  CallPtr student_, teacher_;  // as far as they came
  std::vector<double> agreements_;
  bool started_ = false;
  std::string degraded_why_;
  llm::Usage total_;
  double usd_ = 0;
  CascadeTrace trace_;
};

}  // namespace pmt::permutation
