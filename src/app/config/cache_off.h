// For a config without the response cache: every request goes past it, and its report says so.
// Thread-safety: as the completer's.
#pragma once

#include <memory>
#include <utility>

#include "llm/completer.h"

namespace pmt::app {

class CacheOff final : public llm::Completer {
 public:
  explicit CacheOff(llm::Completer& inner) : inner_(inner) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    request.cache.mode = llm::CacheMode::kOff;
    inner_.start(std::move(request), std::move(sink), std::move(cancel));
  }

 private:
  llm::Completer& inner_;
};

}  // namespace pmt::app
