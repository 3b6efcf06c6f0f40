// PermutationEngine, model name `permutation`: a cascade of stages, each of which may answer.
//
//   response cache (exact)  ->  student (the local model)  ->  store
//                               teacher: skipped, no upstream is configured
//
// The answer streams through as it is made. Its report carries engine.metadata {components_used, duration_ms,
// student_model, student_calls, teacher_calls, cost} and, if asked for, engine.trace {steps,
// total_duration_ms, errors} with a step {component, description, input, output, duration_ms, status,
// metadata} for each stage: true durations by the clock, and for this request only: an answer from the cache
// shows a lookup and no student.
//
// Errors: the student's, as they come; a failed stream has no report.
// Thread-safety: start from any thread. What the options name outlives this, and this outlives every
// request's terminal event.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "llm/completer.h"
#include "response_cache/cached_completer.h"

namespace pmt::permutation {

inline constexpr char kModelName[] = "permutation";

struct EngineOptions {
  std::string student_model;    // the name that the student knows itself by
  nlohmann::json versions;      // of the student's weights and knowledge: see response_cache::request_key
  response_cache::Price price;  // what the student's answer costs, in dollars; null: nothing
  base::UsageCounter* response_cache_usage = nullptr;
  response_cache::SemanticTier* semantic = nullptr;  // null: none
};

class Engine final : public llm::Completer {
 public:
  Engine(llm::Completer& student, response_cache::ResponseCache& cache, const base::Clock& clock,
         EngineOptions options);

  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

 private:
  /// Asks the student under its own name.
  class Student final : public llm::Completer {
   public:
    Student(llm::Completer& model, std::string name) : model_(model), name_(std::move(name)) {}
    void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
      request.model = name_;
      model_.start(std::move(request), std::move(sink), std::move(cancel));
    }

   private:
    llm::Completer& model_;
    const std::string name_;
  };

  const base::Clock& clock_;
  const std::string student_model_;
  Student student_;
  response_cache::CachedCompleter cached_;
};

}  // namespace pmt::permutation
