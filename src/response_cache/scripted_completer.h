// A test's input: a Completer whose every event the test decides. Not a stand-in for a model.
// Thread-safety: any thread may call anything.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "llm/completer.h"

namespace pmt::response_cache {

class ScriptedCompleter final : public llm::Completer {
 public:
  struct Call {
    llm::Request request;
    std::shared_ptr<llm::Sink> sink;
    base::CancelToken cancel;
  };

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    const std::lock_guard lock(mutex_);
    calls_.push_back({std::move(request), std::move(sink), std::move(cancel)});
    started_.notify_all();
  }

  int calls() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(calls_.size());
  }
  /// The i-th call, waiting for it.
  Call call(int i) const {
    std::unique_lock lock(mutex_);
    started_.wait(lock, [&] { return static_cast<int>(calls_.size()) > i; });
    return calls_[i];
  }

  void begin(int i) const {
    call(i).sink->on_event(llm::Started{.model = "scripted", .created_unix_s = 7, .cache = {}});
  }
  void say(int i, std::string text, int choice = 0) const {
    call(i).sink->on_event(llm::Delta{.choice = choice, .text = std::move(text), .logprobs = {}});
  }
  void fail(int i, base::Code code, std::string message) {
    take_sink(i)->on_event(llm::Failed{base::Error{code, std::move(message)}});
  }
  /// `tokens` of usage: 10 asked, one a piece said; with a report as a local model gives.
  void finish(int i, std::int64_t pieces) {
    const auto sink = take_sink(i);
    sink->on_event(llm::ChoiceEnd{});
    llm::Done done{.usage = {.prompt_tokens = 10, .completion_tokens = pieces}, .report = {}};
    done.report.kv = llm::KvReport{};
    done.report.timing = llm::Timing{.queue_ms = 1, .prefill_ms = 2, .decode_ms = 3};
    done.report.speculation = llm::SpeculationReport{.drafted = 4, .accepted = 3};
    done.report.engine = {{"metadata", {{"of", "the answer"}}}, {"trace", {{"steps", 1}}}};
    sink->on_event(std::move(done));
  }
  void answer(int i, const std::vector<std::string>& pieces) {
    begin(i);
    for (const auto& piece : pieces) say(i, piece);
    finish(i, static_cast<std::int64_t>(pieces.size()));
  }

 private:
  std::shared_ptr<llm::Sink> take_sink(int i) {
    call(i);
    const std::lock_guard lock(mutex_);
    return std::exchange(calls_[i].sink, nullptr);
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable started_;
  std::vector<Call> calls_;
};

inline const llm::CacheReport& started_report(const std::vector<llm::Event>& events) {
  return std::get<llm::Started>(events.front()).cache.value();
}
inline const llm::Done& done_of(const std::vector<llm::Event>& events) {
  return std::get<llm::Done>(events.back());
}
inline const base::Error& failure_of(const std::vector<llm::Event>& events) {
  return std::get<llm::Failed>(events.back()).error;
}

}  // namespace pmt::response_cache
