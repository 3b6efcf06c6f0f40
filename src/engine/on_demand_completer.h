// A model of a ModelHost as a Completer: a request waits until it is loaded, then runs there, and holds it
// meanwhile. What it waited counts as time in the queue.
//
//   request -> FileStamp -> response cache -> OnDemandCompleter -> ModelHost -> LocalModel
//
// FileStamp says in the request which file is there when it comes, so that the cache's key holds it. Where
// another file was loaded by the time the request runs, its answer is marked transient: it is given, and
// not kept.
//
// Thread-safety: start from any thread. The host outlives both, and every request. Errors: as the host's
// and the model's; kDeadline where budget.seconds is over before the model came.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "engine/model_host.h"
#include "llm/completer.h"

namespace pmt::engine {

class OnDemandCompleter final : public llm::Completer {
 public:
  /// Requires: host.has(name).
  OnDemandCompleter(ModelHost& host, std::string name, const base::Clock& clock)
      : host_(host), name_(std::move(name)), clock_(clock) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

 private:
  ModelHost& host_;
  const std::string name_;
  const base::Clock& clock_;
};

class FileStamp final : public llm::Completer {
 public:
  FileStamp(llm::Completer& inner, const ModelHost& host, std::string name)
      : inner_(inner), host_(host), name_(std::move(name)) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    request.options.set(FileVersion{host_.file_version(name_)});
    inner_.start(std::move(request), std::move(sink), std::move(cancel));
  }

 private:
  llm::Completer& inner_;
  const ModelHost& host_;
  const std::string name_;
};

}  // namespace pmt::engine
