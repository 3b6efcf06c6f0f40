#include "engine/on_demand_completer.h"

#include <chrono>
#include <utility>

namespace pmt::engine {
namespace {

/// Holds the model until the terminal event. It is given back before that is passed on, so that who has its
/// answer finds the model free: should it be unloaded right then, that waits for this very thread.
class LeaseSink final : public llm::Sink {
 public:
  struct About {
    double waited_ms = 0;
    bool other_file = false;  // than the one that the request's key names
  };
  LeaseSink(ModelHost::Lease lease, std::shared_ptr<llm::Sink> sink, About about)
      : lease_(std::move(lease)), sink_(std::move(sink)), about_(about) {}

  void on_event(llm::Event&& event) override {
    const bool last = llm::is_terminal(event);
    if (auto* done = std::get_if<llm::Done>(&event)) {
      if (done->report.timing) done->report.timing->queue_ms += about_.waited_ms;
      done->transient |= about_.other_file;
    }
    if (last) lease_.model = nullptr;
    sink_->on_event(std::move(event));
    if (last) sink_ = nullptr;
  }

 private:
  ModelHost::Lease lease_;
  std::shared_ptr<llm::Sink> sink_;
  const About about_;
};

/// A request that its model isn't there for yet. Shared, since callbacks are copied.
struct Arrived {
  llm::Request request;
  std::shared_ptr<llm::Sink> sink;
  base::CancelToken cancel;
  base::Nanos at;
};

}  // namespace

void OnDemandCompleter::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                              base::CancelToken cancel) {
  LendOptions how{.cancel = cancel};
  const base::Nanos now = clock_.now();
  if (request.budget.seconds) {
    how.deadline =
        now + std::chrono::duration_cast<base::Nanos>(std::chrono::duration<double>(*request.budget.seconds));
  }
  const auto arrived =
      std::make_shared<Arrived>(Arrived{std::move(request), std::move(sink), std::move(cancel), now});
  host_.lend(name_, std::move(how), [arrived, &clock = clock_](base::Result<ModelHost::Lease> lease) {
    if (!lease) return arrived->sink->on_event(llm::Failed{lease.error()});
    // A copy for this call: the answer's end may come, and give the other one back, before start() returns.
    const std::shared_ptr<inference::LocalModel> model = lease->model;
    const std::string& asked = arrived->request.options.get<FileVersion>().identity;
    const LeaseSink::About about{.waited_ms = base::ms_between(arrived->at, clock.now()),
                                 .other_file = !asked.empty() && asked != lease->file.text()};
    auto held = std::make_shared<LeaseSink>(*std::move(lease), std::move(arrived->sink), about);
    model->start(std::move(arrived->request), std::move(held), std::move(arrived->cancel));
  });
}

}  // namespace pmt::engine
