#include "permutation/cascade.h"

#include <utility>

#include "permutation/cascade_run.h"

namespace pmt::permutation {

const char* to_string(Escalation escalation) {
  switch (escalation) {
    case Escalation::kNever:
      return "never";
    case Escalation::kAlways:
      return "always";
    case Escalation::kConfidence:
      return "confidence";
  }
  return "confidence";
}

Cascade::Cascade(CascadeOptions options, response_cache::ResponseCache& cache, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {
  const auto stage = [&](const StageModel& model, const char* component) {
    return model.completer == nullptr ? nullptr
                                      : std::make_unique<Stage>(model, component, options_, cache, clock);
  };
  student_ = stage(options_.student, "student");
  teacher_ = stage(options_.teacher, "teacher");
  synthesis_ = stage(options_.teacher, "synthesis");
  fallback_ = stage(options_.student, "fallback");
}

Cascade::~Cascade() = default;

void Cascade::start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  std::make_shared<CascadeRun>(*this, std::move(request), std::move(sink), std::move(cancel))->begin();
}

}  // namespace pmt::permutation
