#include "permutation/cascade.h"

#include <utility>

#include "permutation/cascade_run.h"

namespace pmt::permutation {

namespace {

CascadeOptions with_models(CascadeOptions options) {
  options.policy.has_student = options.student.completer != nullptr;
  options.policy.has_teacher = options.teacher.completer != nullptr;
  return options;
}

}  // namespace

Cascade::Cascade(CascadeOptions options, response_cache::ResponseCache& cache, const base::Clock& clock)
    : options_(with_models(std::move(options))), clock_(clock) {
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

void Cascade::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  std::make_shared<CascadeRun>(*this, std::move(request), std::move(sink), std::move(cancel))->begin();
}

}  // namespace pmt::permutation
