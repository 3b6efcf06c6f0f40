#include "upstream/fallback_completer.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace pmt::upstream {
namespace {

class FallbackSink final : public llm::Sink, public std::enable_shared_from_this<FallbackSink> {
 public:
  FallbackSink(const std::vector<FallbackCompleter::Entry>& entries, llm::Request request,
               std::shared_ptr<llm::Sink> sink, base::CancelToken cancel)
      : entries_(entries), request_(std::move(request)), sink_(std::move(sink)), cancel_(std::move(cancel)) {}

  void ask(std::size_t which) {
    which_ = which;
    llm::Request request = request_;
    request.model = entries_[which].model;
    entries_[which].completer->start(std::move(request), shared_from_this(), cancel_);
  }

  void on_event(llm::Event&& event) override {
    if (auto* failed = std::get_if<llm::Failed>(&event);
        failed != nullptr && !passed_on_ && may_fall_back(failed->error.code)) {
      const std::size_t next = next_of(which_);
      if (next < entries_.size()) {
        failures_.push_back({{"model", entries_[which_].model}, {"error", failed->error.message}});
        held_.reset();
        return ask(next);
      }
    }
    if (std::holds_alternative<llm::Started>(event)) {
      held_ = std::move(event);
      return;
    }
    passed_on_ = true;
    if (held_) sink_->on_event(*std::exchange(held_, std::nullopt));
    if (auto* done = std::get_if<llm::Done>(&event); done != nullptr && !failures_.empty()) {
      done->report.upstream["fallbacks"] = std::move(failures_);
    }
    const bool last = llm::is_terminal(event);
    const auto sink = sink_;
    if (last) sink_.reset();
    sink->on_event(std::move(event));
  }

 private:
  /// A local model would answer a part of what was asked: it is passed over.
  std::size_t next_of(std::size_t which) const {
    const bool only_upstreams = request_.sent && request_.sent->not_local;
    do ++which;
    while (which < entries_.size() && only_upstreams && entries_[which].local);
    return which;
  }

  const std::vector<FallbackCompleter::Entry>& entries_;
  const llm::Request request_;
  std::shared_ptr<llm::Sink> sink_;
  const base::CancelToken cancel_;
  std::size_t which_ = 0;
  bool passed_on_ = false;
  std::optional<llm::Event> held_;
  nlohmann::json failures_ = nlohmann::json::array();
};

}  // namespace

bool may_fall_back(base::Code code) {
  switch (code) {
    case base::Code::kInvalidArgument:
    case base::Code::kUnprocessable:
    case base::Code::kCancelled:
      return false;
    default:
      return true;
  }
}

void FallbackCompleter::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                              base::CancelToken cancel) {
  std::make_shared<FallbackSink>(entries_, std::move(request), std::move(sink), std::move(cancel))->ask(0);
}

}  // namespace pmt::upstream
